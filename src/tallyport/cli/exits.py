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


WORDS: dict[Exit, tuple[str, str]] = {
    # what it means, what a script does next
    Exit.DONE: ("Everything asked for was done.", "Nothing."),
    Exit.ERROR: ("Something went wrong; standard error says what.", "Read the message."),
    Exit.USAGE: (
        "The call makes no sense: an unknown option, a policy that is none, two folders inside one another, "
        "a transfer type that is not ready.",
        "Mend the call. Nothing was touched.",
    ),
    Exit.NOT_FOUND: ("The source, the run, the job or the item does not exist.", "Look at the name."),
    Exit.SIGN_IN: ("The server wants a valid token, or the token may not do this.", "`tallyport tokens create`."),
    Exit.FAILED_ITEMS: (
        "The run finished and some items failed. Everything else was carried.",
        "`tallyport failed RUN --by-reason`, remove the cause, `tallyport runs retry RUN`.",
    ),
    Exit.STOPPED: (
        "A policy stopped the run: `failure_policy` is `halt` and an item failed, or more would be deleted than the "
        "job allows.",
        "Look at the run (`tallyport runs show RUN`); decide.",
    ),
    Exit.BLOCKERS: ("A simulation found items that would fail.", "`tallyport failed RUN --by-reason`."),
    Exit.INTERRUPTED: (
        "A person stopped it, by Ctrl-C or by canceling the run. What is done stays done.",
        "`tallyport runs resume RUN`, or the same command again.",
    ),
}

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
