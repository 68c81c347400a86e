"""What the operating system refuses, in our words: one table from errno to kind, one from kind to advice."""

import errno
from types import TracebackType

from tallyport.domain.entries import Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import display

ERRNO_KINDS: dict[int, ErrorKind] = {
    errno.ENOENT: ErrorKind.NOT_FOUND,
    errno.ENOTDIR: ErrorKind.NOT_FOUND,  # a folder on the way is none any more, or is a symlink now
    errno.EEXIST: ErrorKind.ALREADY_EXISTS,
    errno.ENOTEMPTY: ErrorKind.ALREADY_EXISTS,
    errno.EISDIR: ErrorKind.ALREADY_EXISTS,
    errno.EACCES: ErrorKind.PERMISSION_DENIED,
    errno.EPERM: ErrorKind.PERMISSION_DENIED,
    errno.EBUSY: ErrorKind.LOCKED,
    errno.ETXTBSY: ErrorKind.LOCKED,
    errno.EAGAIN: ErrorKind.LOCKED,  # another program holds a lease on it (a file server's oplock)
    errno.ENAMETOOLONG: ErrorKind.INVALID_NAME,
    errno.EINVAL: ErrorKind.INVALID_NAME,  # what vfat, ntfs and cifs say to a character they cannot store
    errno.EILSEQ: ErrorKind.INVALID_NAME,
    errno.EFBIG: ErrorKind.TOO_LARGE,
    errno.ENOSPC: ErrorKind.NO_SPACE,
    errno.EDQUOT: ErrorKind.NO_SPACE,
    errno.EROFS: ErrorKind.READ_ONLY,
    errno.EIO: ErrorKind.IO_ERROR,
    errno.ELOOP: ErrorKind.CHANGED_DURING_COPY,  # O_NOFOLLOW met a symlink where a file was listed
    errno.ENXIO: ErrorKind.CHANGED_DURING_COPY,  # a FIFO or socket stands where a file was listed
    errno.ESPIPE: ErrorKind.CHANGED_DURING_COPY,
    errno.EOPNOTSUPP: ErrorKind.UNSUPPORTED,
    errno.ENOSYS: ErrorKind.UNSUPPORTED,
    errno.EXDEV: ErrorKind.UNSUPPORTED,
    errno.EMLINK: ErrorKind.UNSUPPORTED,
    errno.ESTALE: ErrorKind.UNAVAILABLE,  # a network file system went away
    errno.ENODEV: ErrorKind.UNAVAILABLE,
    errno.ENOTCONN: ErrorKind.UNAVAILABLE,
    errno.ETIMEDOUT: ErrorKind.UNAVAILABLE,
    errno.EHOSTDOWN: ErrorKind.UNAVAILABLE,
    errno.EMFILE: ErrorKind.UNAVAILABLE,  # ours to wait for: descriptors and memory come back
    errno.ENFILE: ErrorKind.UNAVAILABLE,
    errno.ENOMEM: ErrorKind.UNAVAILABLE,
}

# The same, met while a source is read.
SOURCE_KINDS: dict[int, ErrorKind] = {
    errno.EISDIR: ErrorKind.CHANGED_DURING_COPY,  # a folder stands where a file was listed
}

ADVICE: dict[ErrorKind, str] = {
    ErrorKind.NOT_FOUND: "it is looked at again in the next run",
    ErrorKind.ALREADY_EXISTS: "somebody else put it there; it is decided on again",
    ErrorKind.PERMISSION_DENIED: "give the account that Tallyport works as access to it, then retry",
    ErrorKind.LOCKED: "close the program that uses it, then retry",
    ErrorKind.INVALID_NAME: "rename it, or set a naming policy for the destination",
    ErrorKind.TOO_LARGE: "the file system cannot hold a file of this size",
    ErrorKind.UNSUPPORTED: "the file system has no such ability; leave this fact out by policy",
    ErrorKind.CORRUPT: "nothing was stored; it is tried again",
    ErrorKind.CHANGED_DURING_COPY: "nothing was stored; it is tried again",
    ErrorKind.NO_SPACE: "free space or raise the quota; the run goes on by itself",
    ErrorKind.READ_ONLY: "mount it writable, then run again",
    ErrorKind.IO_ERROR: "check the disk or the mount, then retry",
    ErrorKind.UNAVAILABLE: "check the mount and the limits of this machine; the run goes on by itself",
    ErrorKind.UNEXPECTED: "it is tried again",
}


def error_of(cause: OSError | ValueError, operation: str, path: str, side: Side | None = None) -> TallyportError:
    """Say what went wrong in the words of the domain; raise the result ``from`` its cause."""
    if isinstance(cause, OSError):
        number = cause.errno or 0
        kind = ERRNO_KINDS.get(number, ErrorKind.UNEXPECTED)
        if side is Side.SOURCE:
            kind = SOURCE_KINDS.get(number, kind)
        what = cause.strerror or str(cause)
    else:  # a lone surrogate that stands for no byte, a NUL
        kind, what = ErrorKind.INVALID_NAME, "the name cannot be written as bytes"
    return refusal(kind, operation, path, what.lower(), side)


def refusal(kind: ErrorKind, operation: str, path: str, what: str, side: Side | None = None) -> TallyportError:
    """Make an error of ours: what, where, why, and what happens or can be done next."""
    where = _quoted(path) if path else "the root folder"
    message = f"cannot {operation} {where}: {what}; {ADVICE[kind]}"
    return TallyportError(kind, message, path=path, side=side, operation=operation)


def _quoted(path: str) -> str:
    """Give a path in quotes, clean for logs and terminals whatever is in it."""
    try:
        return repr(display(path))
    except UnicodeEncodeError:  # a surrogate that stands for no byte: not a name, hence the error being told
        return ascii(path)


class translate:  # lower case: it reads as a verb, with translate("list", path)
    """Turn every error of the system that leaves the block into ours."""

    __slots__ = ("_operation", "_path", "_side")

    def __init__(self, operation: str, path: str, side: Side | None = None) -> None:
        self._operation = operation
        self._path = path
        self._side = side

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError | UnicodeError):
            raise error_of(error, self._operation, self._path, self._side) from error
