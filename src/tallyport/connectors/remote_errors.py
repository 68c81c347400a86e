"""What a server refuses, in our words: what, where, why, and what a person can do. Beside ``local_errors``."""

from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import display

ADVICE: dict[ErrorKind, str] = {
    ErrorKind.NOT_FOUND: "it is looked at again in the next run",
    ErrorKind.ALREADY_EXISTS: "it is decided on again",
    ErrorKind.PERMISSION_DENIED: "give the account of the connection access to it, then retry",
    ErrorKind.LOCKED: "close the program that uses it, then retry",
    ErrorKind.INVALID_NAME: "rename it, or set a naming policy for the destination",
    ErrorKind.TOO_LARGE: "the server takes no file of this size",
    ErrorKind.UNSUPPORTED: "leave this fact out by policy, or use another kind of connection",
    ErrorKind.CORRUPT: "nothing was stored; it is tried again",
    ErrorKind.CHANGED_DURING_COPY: "nothing was stored; it is tried again",
    ErrorKind.NO_SPACE: "free space or raise the quota; the run goes on by itself",
    ErrorKind.READ_ONLY: "make it writable, then run again",
    ErrorKind.IO_ERROR: "ask whoever runs the server, then retry",
    ErrorKind.UNAVAILABLE: "check the server and the network; the run goes on by itself",
    ErrorKind.TIMEOUT: "check the server and the network; the run goes on by itself",
    ErrorKind.RATE_LIMITED: "the run goes on by itself",
    ErrorKind.UNAUTHENTICATED: "correct the credentials of the connection",
    ErrorKind.CONFIG: "correct the settings of the connection",
    ErrorKind.UNEXPECTED: "it is tried again",
}


def refusal(
    kind: ErrorKind, operation: str, path: str, what: str, *, advice: str = "", retry_after: float | None = None
) -> TallyportError:
    """Make an error of ours: what, where, why, and what happens or can be done next."""
    where = quoted(path) if path else "the root folder"
    message = (
        f"cannot {operation} {where}: {what.replace(chr(0), ' ')}; {advice or ADVICE.get(kind, 'it is tried again')}"
    )
    message = message.encode("utf-8", "backslashreplace").decode("utf-8")
    return TallyportError(kind, message, path=path, operation=operation, retry_after=retry_after)


def unforeseen(operation: str, path: str, error: Exception) -> TallyportError:
    """Make an error of ours of one that nobody foresaw: its item fails, others go on."""
    what = f"an error nobody foresaw, {type(error).__name__}: {error}"
    return refusal(ErrorKind.UNEXPECTED, operation, path, what)


def quoted(path: str) -> str:
    """Give a path in quotes, clean for logs and terminals whatever is in it."""
    try:
        return repr(display(path))
    except UnicodeEncodeError:  # a surrogate that stands for no byte: not a name, hence the error being told
        return ascii(path)
