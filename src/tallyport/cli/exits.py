"""Exit codes: what a script may rely on."""

from enum import IntEnum
from typing import NoReturn

import click

from tallyport.domain.errors import ErrorKind, TallyportError


class Exit(IntEnum):
    """How a command ended. Numbers are never given a new meaning; ``docs/reference/exit-codes.md`` has the words."""

    DONE = 0  # everything asked for was done
    ERROR = 1  # something went wrong, and the message says what
    USAGE = 2  # the command was called in a way that makes no sense
    NOT_FOUND = 3  # the source, run, job or item does not exist
    SIGN_IN = 4  # the server wants a valid token, or the token may not do this
    FAILED_ITEMS = 5  # the run finished, and some items failed
    STOPPED = 6  # a policy stopped the run
    BLOCKERS = 7  # a simulation found items that would fail
    INTERRUPTED = 130  # stopped by a person; what is done stays done, and the run can be resumed


KINDS = {ErrorKind.NOT_FOUND: Exit.NOT_FOUND, ErrorKind.UNAUTHENTICATED: Exit.SIGN_IN}
"""Error kinds that have an exit code of their own; the others end in ``ERROR``."""


class Stop(click.ClickException):
    """Ends the command with a message on stderr and an exit code."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click reads it, and has it on the class
        return int(self.code)


def code_of(error: TallyportError) -> Exit:
    """Give the exit code of an error."""
    return KINDS.get(error.kind, Exit.ERROR)


def finish(code: Exit) -> NoReturn:
    """End the command with this exit code."""
    click.get_current_context().exit(int(code))
