"""``tallyport users``: the accounts of a data folder."""

import getpass
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.options import data_folder, data_option, json_option, ledger
from tallyport.store.database import Database

ROLES = ("viewer", "operator", "manager", "admin", "auditor")  # control.desk.ROLES; a test compares


@click.group()
def users() -> None:
    """Add, change and list the accounts of a data folder."""


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the account may do.")
@click.option("--email", help="Address; it can be used to sign in.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--no-password", is_flag=True, help="No sign-in by password: tokens only.")
@data_option
def add(name: str, role: str, email: str | None, password_stdin: bool, no_password: bool, data: str | None) -> None:
    """Add an account. The password is read from standard input or asked for, never given as an option."""
    from tallyport.control.users import add_user

    if password_stdin and no_password:
        raise click.UsageError("--password-stdin and --no-password exclude each other")
    password: str | None = None
    if password_stdin:
        password = _read_password()
    elif not no_password:
        if not sys.stdin.isatty():
            raise click.UsageError("give --password-stdin or --no-password")
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    with accounts(data) as database:
        add_user(database, name, role, password, email)
    click.echo(f"added {name} ({role})")


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), help="What the account may do.")
@click.option("--email", help="Address; it can be used to sign in. Empty removes it.")
@click.option("--password-stdin", is_flag=True, help="Read a new password from standard input. Ends the sessions.")
@click.option("--no-password", is_flag=True, help="No sign-in by password any more.")
@click.option("--disable/--enable", "disabled", default=None, help="Keep the account out, or let it in again.")
@click.option("--unlock", is_flag=True, help="Let it in again after too many failed sign-ins.")
@data_option
def change(
    name: str,
    role: str | None,
    email: str | None,
    password_stdin: bool,
    no_password: bool,
    disabled: bool | None,
    unlock: bool,
    data: str | None,
) -> None:
    """Change an account. It acts on the next request, also of a server that runs."""
    from tallyport.control import accounts as control
    from tallyport.control.desk import OWNER, Desk

    if password_stdin and no_password:
        raise click.UsageError("--password-stdin and --no-password exclude each other")
    patch: dict[str, object] = {
        key: value for key, value in (("role", role), ("disabled", disabled)) if value is not None
    }
    if email is not None:
        patch["email"] = email or None
    if password_stdin or no_password:
        patch["password"] = _read_password() if password_stdin else None
    if unlock:
        patch["locked"] = False
    if not patch:
        raise click.UsageError("nothing to change: see --help")
    with accounts(data) as database:
        control.change(Desk(database=database), name, patch, OWNER)
    click.echo(f"changed {name}")


@users.command("list")
@json_option
@data_option
def list_(as_json: bool, data: str | None) -> None:
    """List the accounts."""
    from tallyport.cli.showing import moment, table
    from tallyport.store import users as rows

    with ledger(data) as database, database.read() as tx:
        found = rows.everyone(tx)
    if as_json:
        shown = [{"id": u.id, "name": u.name, "email": u.email, "role": u.role, "disabled": u.disabled} for u in found]
        click.echo(json.dumps({"users": shown}))
        return
    lines = [(u.name, u.role, u.email or "", "disabled" if u.disabled else "", moment(u.created_at)) for u in found]
    for text in table(("NAME", "ROLE", "E-MAIL", "", "SINCE (UTC)"), lines):
        click.echo(text)


@contextmanager
def accounts(data: str | None) -> Iterator[Database]:
    """Open the store for a change to its accounts by whoever runs this, and turn a refusal into an exit code.

    Without the lock of the data folder: accounts may be added while the server runs.
    """
    from tallyport import app
    from tallyport.control.refusals import NotFound, Refusal
    from tallyport.store.acting import Actor, acting

    try:
        with app.open_ledger(data_folder(data)) as database, acting(Actor(f"command line: {_account()}")):
            yield database
    except NotFound as refusal:
        raise Stop(Exit.NOT_FOUND, refusal.message) from refusal
    except Refusal as refusal:
        raise Stop(Exit.ERROR, refusal.message) from refusal


def _read_password() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.UsageError("standard input holds no password")
    return password


def _account() -> str:
    """Name the account of this machine that runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
