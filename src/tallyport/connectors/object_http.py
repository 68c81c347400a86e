"""HTTP to one object store: one host, kept connections, and what a status or a broken connection means.

Nothing is tried twice here and no redirect is followed: credentials go to the host of the settings and to no other.
"""

import email.utils
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, SSLError, TimeoutError

from tallyport.connectors.guarded_http import GuardedHttpPool, GuardedHttpsPool
from tallyport.connectors.pausing import Pause
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.tls import BROKEN, is_distrust
from tallyport.domain.errors import ErrorKind, TallyportError

CHUNK = 1024 * 1024
CONNECTIONS = 64  # kept
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Meaning = tuple[ErrorKind, str]

STATUSES: Mapping[int, Meaning] = {
    400: (ErrorKind.UNEXPECTED, "the platform does not take the request"),
    401: (ErrorKind.UNAUTHENTICATED, "the credentials are refused: give valid ones"),
    403: (ErrorKind.PERMISSION_DENIED, "the account may not do that: look at its roles"),
    404: (ErrorKind.NOT_FOUND, "there is no such object"),
    405: (ErrorKind.UNSUPPORTED, "the platform cannot do that"),
    408: (ErrorKind.TIMEOUT, "the platform waited too long for content"),
    409: (ErrorKind.ALREADY_EXISTS, "something else stands there now"),
    410: (ErrorKind.NOT_FOUND, "it is not there any more"),
    411: (ErrorKind.UNEXPECTED, "the platform does not take the request"),
    412: (ErrorKind.ALREADY_EXISTS, "something else stands there now"),
    413: (ErrorKind.TOO_LARGE, "it is larger than the platform takes"),
    414: (ErrorKind.INVALID_NAME, "the name is longer than the platform takes"),
    429: (ErrorKind.RATE_LIMITED, "the platform asks for a slower pace"),
    501: (ErrorKind.UNSUPPORTED, "the platform cannot do that"),
    503: (ErrorKind.UNAVAILABLE, "the platform is not available now"),
    504: (ErrorKind.TIMEOUT, "the platform does not answer in time"),
    507: (ErrorKind.NO_SPACE, "there is no space left"),
}


class Answer(NamedTuple):
    """What came back, with all of its content unless it is still to be read."""

    status: int
    headers: Mapping[str, str]  # any case
    content: bytes
    raw: urllib3.BaseHTTPResponse | None = None  # of content that is still to be read


class Refused(Exception):
    """An answer that says no, before anybody has said what that means."""

    def __init__(self, answer: Answer, code: str) -> None:
        super().__init__(f"{answer.status} {code}")
        self.answer = answer
        self.status = answer.status
        self.code = code


class Host:
    """Kept connections to one host. May be used from several threads."""

    def __init__(self, address: str, timeout: float, *, code_of: Callable[[Answer], str]) -> None:
        """Take ``address`` as ``https://host:port``; ``code_of`` finds the platform's word in a refusal."""
        parts = urlsplit(address)
        self.name = parts.hostname or ""
        self.is_tls = parts.scheme == "https"
        self._port = parts.port or (443 if self.is_tls else 80)
        self._timeout = timeout
        self._code_of = code_of
        self._pool = self._made()
        self.pause = Pause()

    def _made(self) -> urllib3.HTTPConnectionPool:
        limit = urllib3.Timeout(connect=self._timeout, read=self._timeout)
        if not self.is_tls:
            return GuardedHttpPool(self.name, self._port, timeout=limit, maxsize=CONNECTIONS, retries=False)
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return GuardedHttpsPool(
            self.name, self._port, timeout=limit, maxsize=CONNECTIONS, retries=False, ssl_context=context
        )

    def close(self) -> None:
        """Let go of kept connections; a call that comes still makes new ones."""
        old, self._pool = self._pool, self._made()
        old.close()

    def call(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None, *, streams: bool = False
    ) -> Answer:
        """Make one call. ``streams`` leaves the content of a good answer to be read from ``raw``."""
        self.pause.wait(method.lower())
        raw = self._pool.urlopen(
            method,
            target,
            body=body,
            headers=dict(headers),
            redirect=False,
            retries=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
        if streams and raw.status < 300:
            return Answer(raw.status, raw.headers, b"", raw)
        try:
            content = raw.read()
        finally:
            raw.release_conn()
        answer = Answer(raw.status, raw.headers, content)
        if raw.status >= 300:
            if raw.status == 429 or raw.status >= 500:
                self.pause.hold(seconds(raw.headers.get("Retry-After")))
            raise Refused(answer, self._code_of(answer))
        return answer


def chunks_of(answer: Answer, path: str) -> Iterator[bytes]:
    """Give the content of an answer as it comes; one that ends too soon is an error."""
    raw = answer.raw
    assert raw is not None
    came = 0
    announced = raw.headers.get("Content-Length")
    while True:
        with broken("read", path):
            chunk = raw.read(CHUNK)
        if not chunk:
            break
        came += len(chunk)
        yield chunk
    if announced is not None and came != int(announced):
        why = f"the content ended after {came} of {announced} bytes"
        raise refusal(ErrorKind.UNAVAILABLE, "read", path, why)


def check_part(answer: Answer, path: str, *, is_whole: bool) -> None:
    """Refuse an answer that gives the whole where a part was asked for."""
    if not is_whole and answer.status != 206:
        raise refusal(ErrorKind.UNSUPPORTED, "read", path, "the platform does not give the part that was asked for")


def let_go(answer: Answer) -> None:
    """Keep the connection of an answer that was read to its end; close it otherwise."""
    raw = answer.raw
    assert raw is not None
    if getattr(raw, "length_remaining", 1) == 0:
        raw.drain_conn()  # reads nothing more, but has it known that this was all
    else:
        raw.close()
    raw.release_conn()


@contextmanager
def broken(operation: str, path: str) -> Iterator[None]:
    """Raise a broken connection as our error."""
    try:
        yield
    except TallyportError:
        raise
    except (HTTPError, OSError) as error:
        raise _of_transport(error, operation, path) from error


@contextmanager
def translated(
    operation: str, path: str, codes: Mapping[str, Meaning], instead: Mapping[ErrorKind, ErrorKind] | None = None
) -> Iterator[None]:
    """Raise a refusal or a broken connection as our error; ``instead`` gives another kind for a kind."""
    with broken(operation, path):
        try:
            yield
        except Refused as error:
            raise told(error, operation, path, codes, instead) from error


def told(
    error: Refused,
    operation: str,
    path: str,
    codes: Mapping[str, Meaning],
    instead: Mapping[ErrorKind, ErrorKind] | None = None,
) -> TallyportError:
    """Say what a refusal means."""
    kind, what = codes.get(error.code) or STATUSES.get(error.status) or _by_class(error)
    after = seconds(error.answer.headers.get("Retry-After"))
    return refusal((instead or {}).get(kind, kind), operation, path, what, retry_after=after)


def seconds(header: str | None) -> float | None:
    """Read Retry-After: seconds, or a date."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def wrong_address(value: str) -> str | None:
    """Say why a text is not the address of a host, or None. The empty text is the platform's own."""
    if not value:
        return None
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        return f"is not an address: {error}"
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "must begin with https:// or http:// and name a host"
    if parts.username or parts.password or parts.query or parts.fragment or "\\" in value or not value.isprintable():
        return "cannot hold a name, a password, ? or #"
    return "has a wrong port" if port == 0 else None


def check_plain(address: str, what: str) -> None:
    """Refuse to send a secret that is one by itself over a connection that everybody on the way can read."""
    parts = urlsplit(address)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        message = f"{address} would get {what} over plain http, readable by everybody on the way: use https"
        raise TallyportError(ErrorKind.CONFIG, message, operation="open")


def _by_class(error: Refused) -> Meaning:
    said = f"the platform answers {error.status} {error.code}".rstrip()
    if 300 <= error.status < 400:
        return ErrorKind.CONFIG, f"{said} and sends us elsewhere, which would get the credentials"
    return (ErrorKind.UNAVAILABLE if error.status >= 500 else ErrorKind.UNEXPECTED), said


def _of_transport(error: Exception, operation: str, path: str) -> TallyportError:
    cause: BaseException = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    if is_distrust(cause):
        what = f"the certificate of the server is not to be trusted, or it speaks no TLS: {cause}"
        return refusal(ErrorKind.CONFIG, operation, path, what)
    if isinstance(cause, SSLError):
        return refusal(ErrorKind.UNAVAILABLE, operation, path, BROKEN)
    if isinstance(cause, NewConnectionError):
        return refusal(ErrorKind.UNAVAILABLE, operation, path, "the server cannot be reached")
    if isinstance(cause, TimeoutError):
        return refusal(ErrorKind.TIMEOUT, operation, path, "the server did not answer in time")
    return refusal(ErrorKind.UNAVAILABLE, operation, path, "the connection broke")
