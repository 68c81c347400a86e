"""Control connections to one FTP server: a call takes one, and gives it back when it is done.

With TLS (the default) data connections go on with the session of their control connection, which strict servers ask
for (``require_ssl_reuse``), and certificates are verified. Without TLS everybody on the way reads the password.
"""

import ftplib
import select
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socket import socket
from typing import Literal

from tallyport.connectors import hosts
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.setting_checks import not_positive, wrong_port, wrong_text
from tallyport.connectors.tls import BROKEN, is_distrust
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT

IDLE = 16  # connections kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the server is and how to sign in."""

    host: str = field(metadata={"help": "name or address of the server", "check": wrong_text})
    port: int = field(default=21, metadata={"help": "its port", "check": wrong_port})
    username: str = field(metadata={"help": "account on the server", "check": wrong_text})
    password: str = field(metadata={"help": "of the account", "secret": True, "check": wrong_text})
    tls: Literal["required", "none"] = field(
        default="required", metadata={"help": "encrypt (FTPS), or send all in the clear, the password too"}
    )
    ca_certificates: str | None = field(
        default=None, metadata={"help": "certificates (PEM) that the server's is checked with; usual: the system's"}
    )
    path: str = field(
        default="", metadata={"help": "folder on the server; empty: where the account lands", "check": wrong_text}
    )
    timeout: float = field(
        default=60.0, metadata={"help": "seconds a call may stay without an answer", "check": not_positive}
    )


class _Plain(ftplib.FTP):
    """FTP whose control connection goes to a checked address.

    Data connections go to the same address, whatever host the server's answer to PASV names.
    """

    trust_server_pasv_ipv4_address = False

    def connect(
        self,
        host: str = "",
        port: int = 0,
        timeout: float | None = None,
        source_address: tuple[str, int] | None = None,
    ) -> str:
        self.host, self.port, self.timeout = host, port, timeout
        self.sock = hosts.connect(host, port, timeout)
        self.af = self.sock.family
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome


class _Tls(_Plain, ftplib.FTP_TLS):
    """FTP over TLS whose data connections go on with the control connection's session."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket, int | None]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:  # type: ignore[attr-defined]
            session = getattr(self.sock, "session", None)
            connection = self.context.wrap_socket(connection, server_hostname=self.host, session=session)
        return connection, size


class Session:
    """The connections behind a connector. May be used from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.where = f"{settings.host}:{settings.port}"
        self.features: dict[str, str] = {}
        self._lock = threading.Lock()
        self._idle: list[ftplib.FTP] = []
        self._is_closed = False

    @contextmanager
    def control(self, operation: str, path: str) -> Iterator[ftplib.FTP]:
        """Lend a connection; one that is not in order afterwards is not used again. Its errors become ours."""
        with self._lock:
            if self._is_closed:
                raise TallyportError(ErrorKind.UNAVAILABLE, f"the connection to {self.where} was closed")
            ftp = self._idle.pop() if self._idle else None
        if ftp is None:
            ftp = self._connect()
        elif not self._is_alive(ftp):
            _drop(ftp)
            ftp = self._connect()
        is_sound = False
        try:
            yield ftp
            is_sound = True
        except TallyportError as error:
            is_sound = error.kind not in (ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT)
            raise
        except ftplib.Error as error:
            is_sound = isinstance(error, ftplib.error_perm) or _code(error) in (450, 451, 452, 552)
            raise error_of(error, operation, path) from error
        except UnicodeError as error:
            is_sound = True
            raise refusal(ErrorKind.INVALID_NAME, operation, path, "the name is not UTF-8") from error
        except (OSError, EOFError) as error:
            raise error_of(error, operation, path) from error
        finally:
            self._give_back(ftp, is_sound=is_sound)

    def _give_back(self, ftp: ftplib.FTP, *, is_sound: bool) -> None:
        with self._lock:
            if is_sound and not self._is_closed and len(self._idle) < IDLE:
                self._idle.append(ftp)
                return
        _drop(ftp)

    def close(self) -> None:
        """End all connections that are not lent."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for ftp in idle:
            _drop(ftp)

    def _is_alive(self, ftp: ftplib.FTP) -> bool:
        """Tell whether a connection that lay idle was left by the server: then something waits to be read."""
        assert ftp.sock is not None
        return not select.select([ftp.sock], [], [], 0)[0]

    def _connect(self) -> ftplib.FTP:
        settings = self.settings
        ftp = _Tls(context=_context(settings), encoding="utf-8") if settings.tls == "required" else _Plain()
        ftp.encoding = "utf-8"
        try:
            ftp.connect(settings.host, settings.port, timeout=settings.timeout)
            if isinstance(ftp, _Tls):
                ftp.auth()
            ftp.login(settings.username, settings.password)
            if isinstance(ftp, _Tls):
                ftp.prot_p()
            self._learn(ftp)
            ftp.voidcmd("TYPE I")
            return ftp
        except ftplib.Error as error:
            _drop(ftp)
            raise self._refused(error) from error
        except ssl.SSLError as error:
            _drop(ftp)
            if not is_distrust(error):
                message = f"cannot reach {self.where}: {BROKEN}; check the network"
                raise TallyportError(ErrorKind.UNAVAILABLE, message, operation="open") from error
            message = f"the certificate of {self.where} is not to be trusted, or it speaks no TLS: {error.reason}"
            raise TallyportError(ErrorKind.CONFIG, message, operation="open") from error
        except (OSError, EOFError) as error:
            _drop(ftp)
            kind = ErrorKind.TIMEOUT if isinstance(error, TimeoutError) else ErrorKind.UNAVAILABLE
            message = f"cannot reach {self.where}: {str(error) or 'it hung up'}; check host, port and network"
            raise TallyportError(kind, message, operation="open") from error

    def _learn(self, ftp: ftplib.FTP) -> None:
        try:
            lines = ftp.sendcmd("FEAT").splitlines()[1:-1]
        except ftplib.error_perm:
            lines = []
        self.features = {name.upper(): rest for name, _, rest in (line.strip().partition(" ") for line in lines)}
        options = ["UTF8 ON"] if "UTF8" in self.features else []
        if "unix.mode" in self.features.get("MLST", "").lower():
            options.append("MLST type;size;modify;create;unique;unix.mode;")
        for option in options:
            try:
                ftp.sendcmd(f"OPTS {option}")
            except ftplib.Error:  # on already, or always
                pass

    def _refused(self, error: ftplib.Error) -> TallyportError:
        code = _code(error)
        if code == 530:
            message = f"{self.where} refuses to sign in {self.settings.username!r}: correct the name or the password"
            return TallyportError(ErrorKind.UNAUTHENTICATED, message, operation="open")
        if code in (500, 502, 504, 534) and self.settings.tls == "required":
            message = f"{self.where} speaks no TLS: set tls to none if all may be sent in the clear"
            return TallyportError(ErrorKind.CONFIG, message, operation="open")
        kind = ErrorKind.UNAVAILABLE if 400 <= code < 500 else ErrorKind.CONFIG
        return TallyportError(kind, f"{self.where} refuses the connection: {_words(error)}", operation="open")


def _context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=settings.ca_certificates or None)
    except (ssl.SSLError, ValueError) as error:
        message = "the setting ca_certificates cannot be read: give the text of a PEM file"
        raise TallyportError(ErrorKind.CONFIG, message, operation="open") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _drop(ftp: ftplib.FTP) -> None:
    try:
        ftp.close()
    except (OSError, EOFError):
        pass


def _code(error: BaseException) -> int:
    text = str(error)[:3]
    return int(text) if text.isdigit() else 0


def _words(error: BaseException) -> str:
    return str(error).encode("utf-8", "backslashreplace").decode().replace("\n", " ")[:200]


_ERRORS: dict[int, ErrorKind] = {
    421: ErrorKind.UNAVAILABLE,
    425: ErrorKind.UNAVAILABLE,
    426: ErrorKind.UNAVAILABLE,
    430: ErrorKind.UNAUTHENTICATED,
    450: ErrorKind.LOCKED,
    451: ErrorKind.IO_ERROR,
    452: ErrorKind.NO_SPACE,
    500: ErrorKind.UNSUPPORTED,
    501: ErrorKind.INVALID_NAME,
    502: ErrorKind.UNSUPPORTED,
    504: ErrorKind.UNSUPPORTED,
    522: ErrorKind.CONFIG,
    530: ErrorKind.UNAUTHENTICATED,
    532: ErrorKind.PERMISSION_DENIED,
    550: ErrorKind.NOT_FOUND,  # or denied: the words tell
    552: ErrorKind.NO_SPACE,
    553: ErrorKind.PERMISSION_DENIED,
}


def error_of(error: BaseException, operation: str, path: str = ROOT) -> TallyportError:
    """Say what went wrong in the words of the domain; raise the result ``from`` its cause."""
    if isinstance(error, TimeoutError):
        return refusal(ErrorKind.TIMEOUT, operation, path, "the server did not answer in time")
    if isinstance(error, OSError | EOFError):
        return refusal(ErrorKind.UNAVAILABLE, operation, path, f"the connection broke: {_words(error) or 'hung up'}")
    kind = _ERRORS.get(_code(error), ErrorKind.UNEXPECTED)
    words = _words(error)
    if kind is ErrorKind.NOT_FOUND:
        low = words.lower()
        if "permission" in low or "denied" in low or "privilege" in low:
            kind = ErrorKind.PERMISSION_DENIED
        elif ("exist" in low and "not" not in low and "no such" not in low) or "not empty" in low:
            kind = ErrorKind.ALREADY_EXISTS
        elif "space" in low or "quota" in low:
            kind = ErrorKind.NO_SPACE
    return refusal(kind, operation, path, f"the server says {words!r}")
