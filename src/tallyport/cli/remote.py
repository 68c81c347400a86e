"""What the commands that talk to a server share: its address, the token, and errors as exit codes."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.showing import line

if TYPE_CHECKING:
    from tallyport.client import Client, ClientError

F = TypeVar("F", bound=Callable[..., Any])


def server_options(command: F) -> F:
    """``--url`` and ``--token-file``. The token itself comes from the environment or a file, never from an option."""
    for decorate in (
        click.option(
            "--token-file",
            metavar="FILE",
            envvar="TALLYPORT_TOKEN_FILE",
            help="File that holds the token. Default: TALLYPORT_TOKEN.",
        ),
        click.option(
            "--url",
            metavar="URL",
            envvar="TALLYPORT_URL",
            default="http://127.0.0.1:9090",
            show_default=True,
            help="Server. Also TALLYPORT_URL.",
        ),
    ):
        command = decorate(command)
    return command


@contextlib.contextmanager
def server(url: str, token_file: str | None) -> Iterator["Client"]:
    """Give a client, and turn its errors into messages with an exit code."""
    from tallyport.client import Client, ClientError

    try:
        with Client(url, token(token_file)) as client:
            yield client
    except ClientError as error:
        raise Stop(_code(error), _words(error, url)) from error


def token(token_file: str | None) -> str | None:
    """Give the token: the file's, else the environment's."""
    if token_file is None:
        return os.environ.get("TALLYPORT_TOKEN") or None
    try:
        with open(token_file, encoding="utf-8") as stream:
            return stream.read().strip() or None
    except OSError as error:
        raise Stop(Exit.ERROR, f"cannot read the token file {line(token_file)}: {error.strerror}") from error


def _code(error: "ClientError") -> Exit:
    from tallyport.client import Invalid, NotAllowed, NotFound, NotSignedIn

    match error:
        case NotFound():
            return Exit.NOT_FOUND
        case NotSignedIn() | NotAllowed():
            return Exit.SIGN_IN
        case Invalid():
            return Exit.USAGE
        case _:
            return Exit.ERROR


def _words(error: "ClientError", url: str) -> str:
    from tallyport.client import NotReached, NotSignedIn

    text = line(error.message)
    if isinstance(error, NotReached):
        return f"{text}. Is the server running (tallyport serve), and is {url} its address?"
    if isinstance(error, NotSignedIn):
        return f"{text}. Make a token (tallyport tokens create --user NAME) and put it in TALLYPORT_TOKEN"
    listed = [f"\n  {problem.path}: {line(problem.message)}" for problem in error.problems if problem.path]
    return text if len(listed) < 2 else "the server cannot use this:" + "".join(listed)
