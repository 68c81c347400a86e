"""Facts of SFTP as entries, facts of ours as SFTP's attributes, and what its errors mean."""

import stat as modes

import asyncssh
from asyncssh import SFTPAttrs

from tallyport.connectors import sftp_lane as wire
from tallyport.connectors.protocol import Facts
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.sftp_lane import Stated
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT

_PERMISSIONS = 0o777  # setuid, setgid and sticky never travel

_KINDS = {modes.S_IFREG: Kind.FILE, modes.S_IFDIR: Kind.CONTAINER, modes.S_IFLNK: Kind.SYMLINK}
_TYPES = {
    asyncssh.FILEXFER_TYPE_REGULAR: Kind.FILE,
    asyncssh.FILEXFER_TYPE_DIRECTORY: Kind.CONTAINER,
    asyncssh.FILEXFER_TYPE_SYMLINK: Kind.SYMLINK,
}


def kind_of(attrs: SFTPAttrs) -> Kind:
    """Tell what an item is: version 3 says it in the mode alone."""
    if attrs.permissions is not None and modes.S_IFMT(attrs.permissions):
        return _KINDS.get(modes.S_IFMT(attrs.permissions), Kind.SPECIAL)
    return _TYPES.get(attrs.type, Kind.SPECIAL)


def entry_of(name: str, attrs: SFTPAttrs) -> Entry:
    """Make an entry of what the server says."""
    kind = kind_of(attrs)
    created = None if attrs.crtime is None else attrs.crtime * 1_000_000_000 + (attrs.crtime_ns or 0)
    return Entry(
        name=name,
        kind=kind,
        size=0 if kind is Kind.CONTAINER else attrs.size or 0,
        modified=(attrs.mtime or 0) * 1_000_000_000 + (attrs.mtime_ns or 0),
        mode=None if attrs.permissions is None else attrs.permissions & 0o7777,
        owner=attrs.uid if attrs.uid is not None else attrs.owner,
        group=attrs.gid if attrs.gid is not None else attrs.group,
        created=created,
    )


def entry_of_stated(name: str, stated: Stated) -> Entry:
    """Make the same entry of what the short way of version 3 tells."""
    kind = _KINDS.get(modes.S_IFMT(stated.mode), Kind.SPECIAL)
    return Entry(
        name=name,
        kind=kind,
        size=0 if kind is Kind.CONTAINER else stated.size,
        modified=stated.modified * 1_000_000_000,
        mode=stated.mode & 0o7777,
        owner=stated.owner,
        group=stated.group,
    )


def attributes(facts: Facts, version: int) -> SFTPAttrs | None:
    """Give what is to be set, or None when nothing is."""
    attrs = SFTPAttrs()
    is_any = False
    if facts.modified is not None:
        is_any = True
        seconds, nanoseconds = divmod(facts.modified, 1_000_000_000)
        seconds = seconds if version >= 4 else min(max(seconds, 0), 0xFFFFFFFF)
        attrs.atime = attrs.mtime = seconds
        if version >= 4:
            attrs.atime_ns = attrs.mtime_ns = nanoseconds
    if facts.mode is not None:
        is_any = True
        attrs.permissions = facts.mode & _PERMISSIONS
    if facts.owner is not None and facts.group is not None:
        is_any = True
        if version >= 4:
            attrs.owner, attrs.group = str(facts.owner), str(facts.group)
        else:
            attrs.uid, attrs.gid = _number(facts.owner), _number(facts.group)
    return attrs if is_any else None


def packed_attributes(facts: Facts) -> bytes | None:
    """Give the same for version 3 as it goes over the wire: a small file has no time for the library's object."""
    seconds = None if facts.modified is None else min(max(facts.modified // 1_000_000_000, 0), 0xFFFFFFFF)
    mode = None if facts.mode is None else facts.mode & _PERMISSIONS
    owners = None
    if facts.owner is not None and facts.group is not None:
        owners = _number(facts.owner), _number(facts.group)
    return wire.setting(seconds, mode, owners)


def _number(owner: str | int) -> int:
    try:
        return int(owner)
    except ValueError:
        what = f"the account {owner!r} has no number; the server knows numbers only"
        raise refusal(ErrorKind.UNSUPPORTED, "stamp", ROOT, what) from None


# -- errors

BROKEN = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.ConnectionLost, asyncssh.DisconnectError)
TAKEN = (asyncssh.SFTPFileAlreadyExists, asyncssh.SFTPFileIsADirectory, asyncssh.SFTPNotADirectory)

_ERRORS: tuple[tuple[type[BaseException], ErrorKind], ...] = (
    (asyncssh.SFTPNoSuchFile, ErrorKind.NOT_FOUND),
    (asyncssh.SFTPNoSuchPath, ErrorKind.NOT_FOUND),
    (asyncssh.SFTPNotADirectory, ErrorKind.NOT_FOUND),
    (asyncssh.SFTPPermissionDenied, ErrorKind.PERMISSION_DENIED),
    (asyncssh.SFTPCannotDelete, ErrorKind.PERMISSION_DENIED),
    (asyncssh.SFTPFileAlreadyExists, ErrorKind.ALREADY_EXISTS),
    (asyncssh.SFTPDirNotEmpty, ErrorKind.ALREADY_EXISTS),
    (asyncssh.SFTPFileIsADirectory, ErrorKind.ALREADY_EXISTS),
    (asyncssh.SFTPInvalidFilename, ErrorKind.INVALID_NAME),
    (asyncssh.SFTPBadMessage, ErrorKind.INVALID_NAME),  # what OpenSSH says to a name that is too long
    (asyncssh.SFTPWriteProtect, ErrorKind.READ_ONLY),
    (asyncssh.SFTPNoSpaceOnFilesystem, ErrorKind.NO_SPACE),
    (asyncssh.SFTPQuotaExceeded, ErrorKind.NO_SPACE),
    (asyncssh.SFTPLockConflict, ErrorKind.LOCKED),
    (asyncssh.SFTPByteRangeLockConflict, ErrorKind.LOCKED),
    (asyncssh.SFTPOwnerInvalid, ErrorKind.UNSUPPORTED),
    (asyncssh.SFTPGroupInvalid, ErrorKind.UNSUPPORTED),
    (asyncssh.SFTPOpUnsupported, ErrorKind.UNSUPPORTED),
    (asyncssh.SFTPLinkLoop, ErrorKind.CHANGED_DURING_COPY),
    (asyncssh.SFTPConnectionLost, ErrorKind.UNAVAILABLE),
    (asyncssh.SFTPNoConnection, ErrorKind.UNAVAILABLE),
    (asyncssh.SFTPFailure, ErrorKind.IO_ERROR),  # all that version 3 says; the callers look why first
    (asyncssh.DisconnectError, ErrorKind.UNAVAILABLE),
    (asyncssh.ChannelOpenError, ErrorKind.UNAVAILABLE),
    (TimeoutError, ErrorKind.TIMEOUT),
    (ConnectionError, ErrorKind.UNAVAILABLE),
    (OSError, ErrorKind.UNAVAILABLE),
    (UnicodeError, ErrorKind.INVALID_NAME),
)


def error_of(error: BaseException, operation: str, path: str) -> TallyportError:
    """Say what went wrong in the words of the domain; raise the result ``from`` its cause."""
    kind = next((kind for known, kind in _ERRORS if isinstance(error, known)), ErrorKind.UNEXPECTED)
    what = str(getattr(error, "reason", "") or error) or type(error).__name__
    if isinstance(error, TimeoutError):
        what = "the server did not answer in time"
    return refusal(kind, operation, path, what.lower())
