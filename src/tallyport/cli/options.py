"""Options that several commands share."""

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tallyport.cli.exits import Exit, Stop

if TYPE_CHECKING:
    from tallyport.store.database import Database

F = TypeVar("F", bound=Callable[..., Any])


def data_option(command: F) -> F:
    """``--data DIR``: where the ledger is."""
    return click.option(
        "--data",
        metavar="DIR",
        default=None,
        help="Folder of the ledger. Default: TALLYPORT_DATA, else the user's data folder.",
    )(command)


def json_option(command: F) -> F:
    """``--json``: a document for a program instead of text for a person."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


def labels_option(command: F) -> F:
    """``--label WORD``: which places this machine reaches."""
    return click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="WORD",
        envvar="TALLYPORT_WORKER_LABELS",
        show_envvar=True,
        help="A label of connections that this machine reaches; repeatable.",
    )(command)


def labels_of(given: tuple[str, ...]) -> tuple[str, ...]:
    """Give the labels of this machine. Stops at what is no label, and at too many."""
    from tallyport.domain import labels

    for label in given:
        if (problem := labels.problem(label)) is not None:
            raise Stop(Exit.USAGE, f"--label: {problem}")
    if len(set(given)) > labels.MOST:
        raise Stop(
            Exit.USAGE,
            f"a worker has at most {labels.MOST} labels, not {len(set(given))}: give places that are always reached "
            "together one label, or run a second worker",
        )
    return given


def data_folder(option: str | None) -> Path:
    """Give the data folder this command works in."""
    from tallyport import app  # the composition root: imported by a command that needs it

    return app.data_folder(option)


@contextlib.contextmanager
def ledger(option: str | None) -> Iterator["Database"]:
    """Open the ledger of a data folder to read it. Stops when there is none, rather than make one."""
    from tallyport import app

    folder = app.data_folder(option)
    if app.database_url() is None and not ((folder / "ledger.db").exists() or (folder / "postgresql").exists()):
        raise Stop(
            Exit.NOT_FOUND, f"there is no ledger in {folder} yet: run `tallyport copy SRC DST`, or name it by --data"
        )
    with app.open_ledger(folder) as database:
        yield database


def again(command: str, data: str | None) -> str:
    """Give a command to suggest, with the data folder when it was chosen by option."""
    return f"tallyport {command}" + (f" --data {shlex.quote(os.fspath(data))}" if data else "")
