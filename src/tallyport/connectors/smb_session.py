"""One SMB session on a share: sign-in, requests and their answers, and a new connection when the old one broke.

Requests are signed always, encrypted where the server or the settings ask for it. SMB 1 is not spoken. A symlink
that a server wants resolved is an error here: nobody leads us out of the share.
"""

import logging
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBAuthenticationError, SMBException
from smbprotocol.session import Session as SmbSession
from smbprotocol.tree import TreeConnect

from tallyport.connectors import hosts, reach
from tallyport.connectors.answers import Call
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.setting_checks import not_positive, wrong_port
from tallyport.connectors.smb_messages import Message
from tallyport.connectors.smb_wire import Broken, Wire
from tallyport.domain.errors import ErrorKind, TallyportError

CREDITS = 1024  # asked for at the start: a request of 1 MiB costs 16

# They log every request, with the user's name.
logging.getLogger("smbprotocol").setLevel(logging.WARNING)
logging.getLogger("spnego").setLevel(logging.WARNING)


def _wrong_share(share: str) -> str | None:
    if not share or any(character in share for character in '\\/:*?"<>|'):
        return "must be the name of a share alone, without slashes"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the share is and how to sign in."""

    host: str = field(metadata={"help": "name or address of the server"})
    port: int = field(default=445, metadata={"help": "its port", "check": wrong_port})
    share: str = field(metadata={"help": "name of the share", "check": _wrong_share})
    path: str = field(default="", metadata={"help": "folder inside the share; empty: the whole share"})
    username: str = field(metadata={"help": "account, also as DOMAIN\\name or name@domain"})
    password: str = field(metadata={"help": "of the account", "secret": True})
    sign_in: Literal["ntlm", "negotiate", "kerberos"] = field(
        default="ntlm", metadata={"help": "how to sign in; Kerberos needs the package gssapi"}
    )
    encrypt: bool = field(default=False, metadata={"help": "refuse a server that does not encrypt (SMB 3)"})
    timeout: float = field(
        default=60.0, metadata={"help": "seconds a call may stay without an answer", "check": not_positive}
    )


class Sent(NamedTuple):
    """One request that was sent."""

    wire: Wire
    call: Call
    position: int


class Session:
    """The session behind a connector, made when first needed. May be used from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.where = f"{settings.host}:{settings.port}"
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._is_closed = False
        self._prefix = ""
        self.chunk = 65_536

    def name_of(self, name: str) -> str:
        """Give a name below the share as the server wants it in a request."""
        return self._prefix + name

    def exchange(self, operation: str, path: str, *messages: Message, related: bool = True) -> list[bytes]:
        """Send requests at once and give the bodies of their answers, or raise what the first refused one says."""
        return self.answers(operation, path, self.send(operation, path, *messages, related=related))

    def send(self, operation: str, path: str, *messages: Message, related: bool = True) -> list[Sent]:
        """Send requests; the answers are asked for with :meth:`answers`."""
        wire = self.connected()
        try:
            call = wire.send(messages, self.settings.timeout, related=related)
        except (Broken, OSError) as error:
            raise self.broken(error, operation, path, wire) from error
        return [Sent(wire, call, position) for position in range(len(messages))]

    def answers(self, operation: str, path: str, requests: Sequence[Sent]) -> list[bytes]:
        """Wait for all answers, and give their bodies."""
        bodies: list[bytes] = []
        for wire, call, position in requests:
            try:
                wire.wait(call, self.settings.timeout)
            except Broken as error:
                raise self.broken(error, operation, path, wire) from error
            status, body = call.answers[position]
            if status:
                raise self.error_of(status, operation, path, wire)
            bodies.append(body)
        return bodies

    def close(self) -> None:
        """End the session."""
        with self._lock:
            self._is_closed = True
            wire, self._wire = self._wire, None
        if wire is not None:
            try:
                wire.connection.disconnect(close=True, timeout=5)
            except (SMBException, OSError, ValueError):  # the server is gone: so is the session
                pass

    def connected(self) -> Wire:
        """Give the way to the server, made when there is none."""
        with self._lock:
            if self._wire is None:
                if self._is_closed:
                    raise TallyportError(ErrorKind.UNAVAILABLE, f"the connection to {self.where} was closed")
                self._wire = self._connect()
            return self._wire

    def _connect(self) -> Wire:
        settings = self.settings
        connection = self._reached()
        try:
            session = SmbSession(
                connection,
                settings.username,
                settings.password,
                require_encryption=settings.encrypt,
                auth_protocol=settings.sign_in,
            )
            session.connect()
            tree = TreeConnect(session, rf"\\{settings.host}\{settings.share}")
            tree.connect(require_secure_negotiate=connection.dialect < 0x0311)
            wire = Wire(connection, session, tree)  # hears from the answer to the next request on
            connection.echo(sid=session.session_id, timeout=int(max(1, settings.timeout)), credit_request=CREDITS)
        except (SMBException, OSError, ValueError) as error:
            try:
                connection.disconnect(close=False, timeout=1)
            except (SMBException, OSError, ValueError):
                pass
            raise self._refused(error) from error
        self.chunk = min(1024 * 1024, connection.max_read_size, connection.max_write_size)
        # Names on a share of a distributed file system begin with server and share (MS-SMB2 3.2.4.3).
        self._prefix = f"{settings.host}\\{settings.share}\\" if tree.is_dfs_share else ""
        return wire

    def _reached(self) -> Connection:
        """Connect to the first checked address that answers; from then on the name counts, not the address."""
        settings = self.settings
        private = reach.reaches_private_networks()
        for address in hosts.addresses(settings.host, settings.port, allow_private=private):
            connection = Connection(uuid.uuid4(), address, settings.port, require_signing=True)
            try:
                connection.connect(timeout=int(max(1, settings.timeout)))
            except (SMBException, OSError, ValueError) as error:
                failure: Exception = error
                continue
            connection.server_name = settings.host
            return connection
        message = f"cannot reach {self.where}: {_words(failure)}; check host, port and network"
        raise TallyportError(ErrorKind.UNAVAILABLE, message, operation="open") from failure

    def _refused(self, error: Exception) -> TallyportError:
        settings, status = self.settings, getattr(error, "status", None)
        if isinstance(error, SMBAuthenticationError) or status in _SIGN_IN:
            message = f"{self.where} refuses to sign in {settings.username!r}: correct the name or the password"
            return TallyportError(ErrorKind.UNAUTHENTICATED, message, operation="open")
        if status == 0xC00000CC:
            message = f"there is no share {settings.share!r} on {self.where}: correct the name, or share the folder"
            return TallyportError(ErrorKind.NOT_FOUND, message, operation="open", setting="share")
        if status == 0xC0000022:
            message = f"{settings.username!r} may not use the share {settings.share!r} on {self.where}"
            return TallyportError(ErrorKind.PERMISSION_DENIED, message, operation="open")
        message = f"cannot open the share {settings.share!r} on {self.where}: {_words(error)}"
        kind = ErrorKind.CONFIG if "encrypt" in str(error).lower() else ErrorKind.UNAVAILABLE
        return TallyportError(kind, message, operation="open")

    def error_of(self, status: int, operation: str, path: str, wire: Wire) -> TallyportError:
        """Say what the server refused in the words of the domain."""
        if status in _GONE:
            self._forget(wire)
        kind, what = _ERRORS.get(status, (ErrorKind.UNEXPECTED, f"the server says 0x{status:08X}"))
        return SmbError(refusal(kind, operation, path, what), status)

    def broken(self, error: Exception, operation: str, path: str, wire: Wire) -> TallyportError:
        """Say how the connection broke, and let go of it; raise the result ``from`` its cause."""
        self._forget(wire)
        kind = ErrorKind.TIMEOUT if "timeout" in str(error).lower() else ErrorKind.UNAVAILABLE
        return refusal(kind, operation, path, _words(error))

    def _forget(self, wire: Wire) -> None:
        """Drop a connection that broke, unless another one took its place already."""
        with self._lock:
            if self._wire is not wire:
                return
            self._wire = None
        try:
            wire.connection.disconnect(close=False, timeout=1)
        except (SMBException, OSError, ValueError):
            pass


class SmbError(TallyportError):
    """An error with what the server said in its own words."""

    def __init__(self, error: TallyportError, status: int) -> None:
        super().__init__(error.kind, error.message, path=error.path, operation=error.operation)
        self.status = status


def status_of(error: TallyportError) -> int:
    """Give what the server said in its own words, 0 when it was not the server."""
    return error.status if isinstance(error, SmbError) else 0


def _words(error: Exception) -> str:
    return str(error).splitlines()[0].lower() if str(error) else type(error).__name__


NO_MORE_FILES, NO_SUCH_FILE = 0x80000006, 0xC000000F
COLLISION, ACCESS_DENIED, SHARING = 0xC0000035, 0xC0000022, 0xC0000043
NOT_EMPTY, IS_DIRECTORY, CANNOT_DELETE = 0xC0000101, 0xC00000BA, 0xC0000121
INVALID_OWNER, INVALID_GROUP, NO_PRIVILEGE = 0xC000005A, 0xC000005B, 0xC0000061
NO_EAS = 0xC0000052
END_OF_FILE = 0xC0000011

_SIGN_IN = {0xC000006D, 0xC000006A, 0xC0000064, 0xC000006E, 0xC0000071, 0xC0000072, 0xC0000193, 0xC0000234, 0xC000015B}
_GONE = {0xC0000203, 0xC000035C, 0xC00000C9, 0xC0000205}

_ERRORS: dict[int, tuple[ErrorKind, str]] = {
    0xC0000034: (ErrorKind.NOT_FOUND, "it is not there"),
    0xC000003A: (ErrorKind.NOT_FOUND, "its folder is not there"),
    NO_SUCH_FILE: (ErrorKind.NOT_FOUND, "it is not there"),
    0xC0000103: (ErrorKind.NOT_FOUND, "it is not a folder"),
    0xC0000056: (ErrorKind.NOT_FOUND, "it is being deleted"),
    0x8000002D: (ErrorKind.NOT_FOUND, "a symlink is on the way to it"),
    COLLISION: (ErrorKind.ALREADY_EXISTS, "the name is taken"),
    IS_DIRECTORY: (ErrorKind.ALREADY_EXISTS, "a folder has that name"),
    NOT_EMPTY: (ErrorKind.ALREADY_EXISTS, "the folder is not empty"),
    ACCESS_DENIED: (ErrorKind.PERMISSION_DENIED, "the server denies it"),
    NO_PRIVILEGE: (ErrorKind.PERMISSION_DENIED, "the account has not the privilege"),
    INVALID_OWNER: (ErrorKind.PERMISSION_DENIED, "the account may not give it to that owner"),
    CANNOT_DELETE: (ErrorKind.PERMISSION_DENIED, "it cannot be deleted"),
    SHARING: (ErrorKind.LOCKED, "somebody has it open"),
    0xC0000054: (ErrorKind.LOCKED, "somebody has locked a part of it"),
    0xC0000055: (ErrorKind.LOCKED, "somebody has locked it"),
    0xC0000033: (ErrorKind.INVALID_NAME, "the server does not take the name"),
    0xC000003B: (ErrorKind.INVALID_NAME, "the server does not take the path"),
    0xC0000106: (ErrorKind.INVALID_NAME, "the name is too long"),
    0xC000007F: (ErrorKind.NO_SPACE, "no space left on the server"),
    0xC0000044: (ErrorKind.NO_SPACE, "the quota of the account is used up"),
    0xC00000A2: (ErrorKind.READ_ONLY, "the share is read-only"),
    0xC0000904: (ErrorKind.TOO_LARGE, "it is too large for the server"),
    0xC00000BB: (ErrorKind.UNSUPPORTED, "the server cannot do it"),
    0xC0000010: (ErrorKind.UNSUPPORTED, "the server cannot do it"),
    0xC000000D: (ErrorKind.UNSUPPORTED, "the server does not take what was asked"),
    0xC0000003: (ErrorKind.UNSUPPORTED, "the server does not know what was asked"),
    0xC0000050: (ErrorKind.UNSUPPORTED, "there is no room for so many properties"),
    0xC0000185: (ErrorKind.IO_ERROR, "the server cannot read or write its disk"),
    0xC000009A: (ErrorKind.UNAVAILABLE, "the server is out of memory"),
    0xC0000203: (ErrorKind.UNAVAILABLE, "the session ended"),
    0xC000035C: (ErrorKind.UNAVAILABLE, "the session expired"),
    0xC00000C9: (ErrorKind.UNAVAILABLE, "the share went away"),
    0xC0000205: (ErrorKind.UNAVAILABLE, "the server has no room for the request"),
    0xC00000B5: (ErrorKind.TIMEOUT, "the server gave up waiting"),
    0xC0000128: (ErrorKind.UNAVAILABLE, "the connection broke while it was open"),
}
