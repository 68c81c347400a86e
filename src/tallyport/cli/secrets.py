"""``tallyport secrets``: the key that seals the secrets of connections."""

import json

import click

from tallyport.cli.options import data_folder, data_option, json_option, ledger


@click.group()
def secrets() -> None:
    """Make and change the key that seals the secrets of connections."""


@secrets.command()
def key() -> None:
    """Print a new key, alone, for TALLYPORT_SECRET_KEY or the file that TALLYPORT_SECRET_KEY_FILE names."""
    from tallyport.store.keys import new_key

    click.echo(new_key())


@secrets.command()
@click.option("--drop-old", is_flag=True, help="Forget the old keys: older backups of the ledger keep their secrets.")
@json_option
@data_option
def rotate(drop_old: bool, as_json: bool, data: str | None) -> None:
    """Seal all secrets with a new key.

    The key file of the data folder gets a new key; the old ones stay behind it, for backups, unless --drop-old.
    A server that runs goes on with the new one. Where the key stands elsewhere, put a new one in front there first,
    separated by a comma or on a line of its own, restart the server, then call this.
    """
    from tallyport import app
    from tallyport.control.sealing import rotate as change

    with ledger(data) as database:
        done = change(database, app.keys(data_folder(data)), drop_old=drop_old)
    if as_json:
        click.echo(json.dumps({"resealed": done.resealed, "keys": done.keys, "where": done.where}))
        return
    click.echo(f"{done.resealed} sealed with the first of {done.keys} keys in {done.where}")
