"""HTTP to one WebDAV server: sign-in, redirects, and what a status means.

Certificates are verified. Credentials go to the server of the settings and to no other: a redirect to another host,
another port or from https to http is an error that names it. Nothing is tried twice here.
"""

import base64
import email.utils
import ssl
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError, NewConnectionError, SSLError, TimeoutError

from tallyport.connectors import guarded_http
from tallyport.connectors.pausing import Pause
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.setting_checks import not_positive, wrong_text
from tallyport.connectors.tls import BROKEN, is_distrust
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, to_bytes

REDIRECTS = 5
CHUNK = 1024 * 1024
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _wrong_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is not an address: {error}"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must begin with https:// (or http://) and a host"
    if parts.username or parts.password:
        return "cannot hold a name or a password: they have settings of their own"
    if parts.query or parts.fragment:
        return "cannot hold ? or #"
    return "has a wrong port" if port == 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the server is and how to sign in."""

    url: str = field(
        metadata={
            "help": "address of the folder, as https://cloud.example.com/remote.php/dav/files/ME",
            "check": _wrong_url,
        }
    )
    username: str | None = field(default=None, metadata={"help": "account on the server", "check": wrong_text})
    password: str | None = field(
        default=None, metadata={"help": "of the account, or an application password", "secret": True}
    )
    token: str | None = field(
        default=None, metadata={"help": "bearer token, instead of a password", "secret": True, "check": wrong_text}
    )
    times: Literal["auto", "header", "property", "none"] = field(
        default="auto",
        metadata={"help": "how a file gets its time: header (X-OC-Mtime), property (getlastmodified), or not at all"},
    )
    ca_certificates: str | None = field(
        default=None, metadata={"help": "certificates (PEM) that the server's is checked with; usual: the system's"}
    )
    allow_plain_http: bool = field(
        default=False, metadata={"help": "send the credentials over http, readable by everybody on the way"}
    )
    timeout: float = field(
        default=60.0, metadata={"help": "seconds a call may stay without an answer", "check": not_positive}
    )


class Reply:
    """An answer whose content is still to be read."""

    def __init__(self, raw: urllib3.BaseHTTPResponse) -> None:
        self.status = raw.status
        self.headers = raw.headers
        self._raw = raw

    def chunks(self) -> Iterator[bytes]:
        """Give the content as it comes."""
        return (chunk for chunk in self._raw.stream(CHUNK, decode_content=True) if chunk)

    def content(self, most: int = 4 * CHUNK) -> bytes:
        """Give the content of a small answer."""
        return self._raw.read(most, decode_content=True)


class Server:
    """One WebDAV server. May be used from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        parts = urlsplit(settings.url)
        self.origin = _origin(settings.url)
        self.base = parts.path.rstrip("/")
        self.where = settings.url.rstrip("/")
        self.is_encrypted = parts.scheme == "https"
        signs_in = settings.token is not None or settings.username is not None
        if parts.scheme == "http" and signs_in and not settings.allow_plain_http and parts.hostname not in LOOPBACK:
            message = f"{self.where} would get the credentials over plain http: use https, or set allow_plain_http"
            raise TallyportError(ErrorKind.CONFIG, message, operation="open")
        self._pool = urllib3.PoolManager(
            num_pools=2,
            maxsize=32,
            block=False,
            retries=False,
            timeout=urllib3.Timeout(connect=settings.timeout, read=settings.timeout),
            ssl_context=_context(settings),
        )
        self._pool.pool_classes_by_scheme = guarded_http.pool_classes()
        self._authorization = _authorization(settings)
        self.pause = Pause()

    def close(self) -> None:
        self._pool.clear()

    @contextmanager
    def call(
        self,
        method: str,
        url: str,
        operation: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        allowed: tuple[int, ...] = (),
    ) -> Iterator[Reply]:
        """Make one call; an answer of 400 and above that is not allowed becomes our error.

        ``url`` is a path on the server, percent-encoded. Errors of the body's iterator pass as they are.
        """
        raw = self._answer(method, self.origin + url, operation, path, headers or {}, body)
        try:
            if raw.status >= 400 and raw.status not in allowed:
                raise self._refused(raw, operation, path)
            try:
                yield Reply(raw)
                raw.drain_conn()
            except (HTTPError, OSError) as error:
                raise _error_of(error, operation, path) from error
        except BaseException:
            raw.close()
            raise
        finally:
            raw.release_conn()

    def _answer(
        self,
        method: str,
        url: str,
        operation: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
    ) -> urllib3.BaseHTTPResponse:
        sent = {"User-Agent": "Tallyport", **headers}
        if self._authorization is not None:
            sent["Authorization"] = self._authorization
        watched = None if body is None or isinstance(body, bytes) else _Watched(body)
        self.pause.wait(operation, path)
        for _ in range(REDIRECTS + 1):
            try:
                raw = self._pool.request(
                    method,
                    url,
                    headers=sent,
                    body=body if watched is None else watched,
                    preload_content=False,
                    redirect=False,
                    decode_content=False,
                )
            except (HTTPError, OSError, LocationParseError) as error:
                if watched is not None and watched.error is not None:
                    raise watched.error from None
                raise _error_of(error, operation, path) from error
            if raw.status not in (301, 302, 303, 307, 308) or "Location" not in raw.headers:
                return raw
            there = urljoin(url, raw.headers["Location"])
            raw.drain_conn()
            raw.release_conn()
            if _origin(there) != self.origin:
                what = f"the server sends us on to {_origin(there)}, which would get the credentials"
                raise refusal(ErrorKind.CONFIG, operation, path, what, advice="give that address in the settings")
            if watched is not None:
                what = "the server sends us on in the middle of an upload"
                raise refusal(ErrorKind.CONFIG, operation, path, what, advice="give the address it names")
            url = there
        raise refusal(ErrorKind.CONFIG, operation, path, "the server sends us round in a circle")

    def _refused(self, raw: urllib3.BaseHTTPResponse, operation: str, path: str) -> TallyportError:
        kind, what = STATUSES.get(raw.status, (ErrorKind.UNEXPECTED, f"the server answers {raw.status}"))
        after = raw.headers.get("Retry-After")
        if kind is ErrorKind.UNAUTHENTICATED:
            what = f"the server refuses {self.settings.username!r}" if self.settings.username else what
        seconds = None if after is None else _seconds(after)
        if kind in (ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE):
            self.pause.hold(seconds)
        return refusal(kind, operation, path, what, retry_after=seconds)


class _Watched:
    """A body that remembers how it failed: what sends it would wrap the error."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body
        self.error: Exception | None = None

    def __iter__(self) -> Generator[bytes, None, None]:
        try:
            yield from self._body
        except Exception as error:  # not that it was given up: the connection broke, and who sends says so
            self.error = error
            raise


def encoded(path: str) -> str:
    """Give a path below the root as a part of an address, with its leading slash; the root gives nothing."""
    return "".join("/" + quote(to_bytes(name), safe="") for name in path.split("/")) if path else ROOT


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _authorization(settings: Settings) -> str | None:
    if settings.token is not None:
        return f"Bearer {settings.token}"
    if settings.username is None:
        return None
    pair = f"{settings.username}:{settings.password or ''}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=settings.ca_certificates or None)
    except (ssl.SSLError, ValueError) as error:
        message = "the setting ca_certificates cannot be read: give the text of a PEM file"
        raise TallyportError(ErrorKind.CONFIG, message, operation="open") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _seconds(after: str) -> float | None:
    """Read Retry-After: seconds, or a moment."""
    if after.strip().isdigit():
        return float(after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
    except ValueError:
        return None


STATUSES: dict[int, tuple[ErrorKind, str]] = {
    400: (ErrorKind.INVALID_NAME, "the server does not take the request"),
    401: (ErrorKind.UNAUTHENTICATED, "the server asks for credentials"),
    402: (ErrorKind.NO_SPACE, "the server asks for payment"),
    403: (ErrorKind.PERMISSION_DENIED, "the server denies it"),
    404: (ErrorKind.NOT_FOUND, "it is not there"),
    405: (ErrorKind.UNSUPPORTED, "the server does not do this here"),
    409: (ErrorKind.NOT_FOUND, "its folder is not there"),
    410: (ErrorKind.NOT_FOUND, "it is not there any more"),
    412: (ErrorKind.ALREADY_EXISTS, "something stands there, or it changed since it was looked at"),
    413: (ErrorKind.TOO_LARGE, "it is too large for the server"),
    414: (ErrorKind.INVALID_NAME, "the path is too long for the server"),
    415: (ErrorKind.UNSUPPORTED, "the server does not take this kind of file"),
    422: (ErrorKind.INVALID_NAME, "the server does not take it"),
    423: (ErrorKind.LOCKED, "somebody has locked it"),
    424: (ErrorKind.UNSUPPORTED, "a part of it was refused"),
    429: (ErrorKind.RATE_LIMITED, "the server asks for a slower pace"),
    500: (ErrorKind.UNEXPECTED, "the server failed"),
    501: (ErrorKind.UNSUPPORTED, "the server cannot do this"),
    502: (ErrorKind.UNAVAILABLE, "what is behind the server does not answer"),
    503: (ErrorKind.UNAVAILABLE, "the server is not available now"),
    504: (ErrorKind.TIMEOUT, "what is behind the server does not answer in time"),
    507: (ErrorKind.NO_SPACE, "no space left on the server"),
}


def _error_of(error: Exception, operation: str, path: str) -> TallyportError:
    cause: BaseException = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    kind = ErrorKind.UNAVAILABLE
    what = str(cause).rpartition(": ")[2] or type(cause).__name__
    if is_distrust(cause):
        kind = ErrorKind.CONFIG
        what = f"the certificate of the server is not to be trusted, or it speaks no TLS: {cause}"
    elif isinstance(cause, SSLError):
        what = BROKEN
    elif isinstance(cause, NewConnectionError):
        what = "the server cannot be reached"
    elif isinstance(cause, TimeoutError):
        kind, what = ErrorKind.TIMEOUT, "the server did not answer in time"
    elif isinstance(cause, LocationParseError):
        kind = ErrorKind.CONFIG
    return refusal(kind, operation, path, what)
