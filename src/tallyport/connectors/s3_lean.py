"""The calls that a migration makes a million times, without the weight of the SDK around them.

A put, a get, a look, a part, a page of a listing and what opens a bucket are one signed HTTP/1.1 request each over a
kept connection.
Answers and errors have the SDK's shape, so that nobody above knows which of the two made the call. What this cannot
do (another argument, a proxy, a bucket in another region) is left to the SDK.
"""

import io
import os
import re
import select
import socket
import ssl
import threading
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple, cast
from urllib.parse import quote, urlsplit

from tallyport.connectors import hosts, s3_listing, s3_xml
from tallyport.connectors.s3_door import Door
from tallyport.connectors.s3_errors import Refused
from tallyport.connectors.s3_signing import Signer

_KEPT = 64  # idle connections
_HEADERS = {
    "ContentType": "content-type",
    "ContentMD5": "content-md5",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "IfMatch": "if-match",
    "IfNoneMatch": "if-none-match",
    "Range": "range",
    "StorageClass": "x-amz-storage-class",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "CopySourceIfMatch": "x-amz-copy-source-if-match",
    "MetadataDirective": "x-amz-metadata-directive",
    "CacheControl": "cache-control",
    "ContentDisposition": "content-disposition",
    "ContentEncoding": "content-encoding",
    "ContentLanguage": "content-language",
    "Expires": "expires",
}
_QUERIES = {
    "VersionId": "versionId",
    "UploadId": "uploadId",
    "PartNumber": "partNumber",
    "Prefix": "prefix",
    "Delimiter": "delimiter",
    "ContinuationToken": "continuation-token",
    "MaxKeys": "max-keys",
    "KeyMarker": "key-marker",
    "VersionIdMarker": "version-id-marker",
}


class _Way(NamedTuple):
    """How one operation goes."""

    method: str
    fixed: Mapping[str, object] = {}  # of the query
    read: Callable[[bytes], dict[str, Any] | None] | None = None  # of an answer that is a document
    is_of_bucket: bool = False


_WAYS: Mapping[str, _Way] = {
    "put_object": _Way("PUT"),
    "get_object": _Way("GET"),
    "head_object": _Way("HEAD"),
    "delete_object": _Way("DELETE"),
    "copy_object": _Way("PUT", read=s3_xml.copied),
    "list_objects_v2": _Way("GET", {"list-type": 2, "encoding-type": "url"}, s3_listing.read, is_of_bucket=True),
    "list_object_versions": _Way(
        "GET", {"versions": "", "encoding-type": "url"}, s3_listing.read_versions, is_of_bucket=True
    ),
    "create_multipart_upload": _Way("POST", {"uploads": ""}, s3_xml.begun),
    "upload_part": _Way("PUT"),
    "complete_multipart_upload": _Way("POST", read=s3_xml.completed),
    "abort_multipart_upload": _Way("DELETE"),
    "head_bucket": _Way("HEAD", is_of_bucket=True),
    "get_bucket_versioning": _Way("GET", {"versioning": ""}, s3_xml.versioning, is_of_bucket=True),
    "get_bucket_ownership_controls": _Way("GET", {"ownershipControls": ""}, s3_xml.ownership, is_of_bucket=True),
}
_ANSWERS = {
    "etag": "ETag",
    "content-type": "ContentType",
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "expires": "Expires",
    "x-amz-version-id": "VersionId",
    "x-amz-checksum-sha256": "ChecksumSHA256",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-bucket-region": "BucketRegion",
}
_CODE = re.compile(rb"<Code>([^<]{1,100})</Code>")
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocation"})


class NotLean(Exception):
    """The call is the SDK's to make."""


class _Line(NamedTuple):
    """One kept connection."""

    socket: socket.socket
    stream: io.BufferedReader

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


class _broken:  # lower case: it reads as a word, with _broken(line)
    """Let go of a connection that breaks."""

    __slots__ = ("_line",)

    def __init__(self, line: _Line) -> None:
        self._line = line

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError | ValueError):
            self._line.close()
            if isinstance(error, ValueError) and not isinstance(error, OSError):
                raise ConnectionError("what came is no answer") from error


class Begun:
    """One call that is under way."""

    __slots__ = ("line", "method", "operation", "rest")

    def __init__(self, operation: str, method: str, line: _Line, rest: memoryview) -> None:
        self.operation = operation
        self.method = method
        self.line = line
        self.rest = rest  # not sent yet


class Lean:
    """The hot calls on one bucket."""

    def __init__(self, door: Door, timeout: float) -> None:
        address = urlsplit(door.origin)
        proxies = urllib.request.getproxies()
        if proxies.get(address.scheme) and not urllib.request.proxy_bypass(address.hostname or ""):
            raise NotLean
        self.is_encrypted = address.scheme == "https"
        self._host = address.netloc
        self._name = address.hostname or ""
        self._port = address.port or (443 if self.is_encrypted else 80)
        self._is_amazon = self._name.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        self._base = door.base
        self.region = door.region
        self._timeout = timeout
        self._tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE")) if self.is_encrypted else None
        self._idle: deque[_Line] = deque()
        self._lock = threading.Lock()
        self._signer = Signer(self._host, door.region, door.keys, is_tls=self.is_encrypted)
        self._is_off = False

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make one call, or raise NotLean when the SDK is to make it."""
        method, head, body = self._made(operation, arguments)
        line = self._line()
        with _broken(line):
            if len(body) < 65_536:
                line.socket.sendall(head + body)
            else:
                line.socket.sendall(head)
                line.socket.sendall(body)
        return self._ended(operation, method, line)

    def begin(self, operation: str, arguments: Mapping[str, Any]) -> Begun:
        """Send one call as far as that needs no waiting, or raise NotLean when the SDK is to make it."""
        method, head, body = self._made(operation, arguments)
        begun = Begun(operation, method, self._line(), memoryview(head + body))
        self.push(begun)
        return begun

    def push(self, begun: Begun) -> None:
        """Send more of a call, as far as that needs no waiting."""
        line = begun.line
        with _broken(line):
            if not self.is_encrypted:  # a socket with a timeout never blocks by itself
                with suppress(BlockingIOError):
                    begun.rest = begun.rest[os.write(line.socket.fileno(), begun.rest) :]
                return
            line.socket.settimeout(0)
            try:
                begun.rest = begun.rest[line.socket.send(begun.rest) :]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            finally:
                line.socket.settimeout(self._timeout)

    def end(self, begun: Begun) -> dict[str, Any]:
        """Take the answer to a call, now that it comes."""
        return self._ended(begun.operation, begun.method, begun.line, is_sent=not begun.rest)

    def late(self, begun: Begun) -> Exception:
        """Give up a call that is not answered."""
        begun.line.close()
        return TimeoutError("no answer in time")

    @property
    def timeout(self) -> float:
        """Seconds to wait for an answer."""
        return self._timeout

    @property
    def is_off(self) -> bool:
        """Tell whether every call is the SDK's by now."""
        return self._is_off

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, deque()
        for line in idle:
            line.close()

    # -- the request

    def _made(self, operation: str, arguments: Mapping[str, Any]) -> tuple[str, bytes, bytes | memoryview]:
        way = _WAYS.get(operation)
        if way is None or self._is_off:
            raise NotLean
        headers, query, body = self._request(arguments)
        query |= way.fixed
        path = self._base if way.is_of_bucket else self._base + quote(arguments["Key"], safe="-_.~/")
        asked = "&".join(f"{name}={quote(str(value), safe='-_.~')}" for name, value in sorted(query.items()))
        return way.method, self._signer.signed(way.method, path, asked, headers, body), body

    def _request(self, arguments: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any], bytes | memoryview]:
        headers: dict[str, Any] = {}
        query: dict[str, Any] = {}
        body: bytes | memoryview = b""
        for name, value in arguments.items():
            if name in _HEADERS:
                headers[_HEADERS[name]] = value
            elif name in _QUERIES:
                query[_QUERIES[name]] = value
            elif name == "Metadata":
                headers.update((f"x-amz-meta-{key}", text) for key, text in value.items())
            elif name == "Body":
                body = value
            elif name == "CopySource":
                headers["x-amz-copy-source"] = quote(f"{value['Bucket']}/{value['Key']}", safe="-_.~/")
            elif name == "MultipartUpload":
                body = s3_xml.parts(value["Parts"])
            elif name not in ("Bucket", "Key"):
                raise NotLean
        if not all(isinstance(value, str) and value.isascii() and value.isprintable() for value in headers.values()):
            raise NotLean
        return headers, query, body

    # -- the way there and back

    def _ended(self, operation: str, method: str, line: _Line, *, is_sent: bool = True) -> dict[str, Any]:
        with _broken(line):
            status, answer = _read_head(line.stream)
            while status == 100:
                status, answer = _read_head(line.stream)
            if not is_sent:
                answer["connection"] = "close"  # it is answered before it was heard to its end
            return self._answered(operation, method, line, status, answer)

    def _line(self) -> _Line:
        """Take an idle connection that is still open, or make one."""
        while True:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None:
                break
            if not select.select([line.socket], [], [], 0)[0]:  # with something to read it was closed meanwhile
                return line
            line.close()
        made = hosts.connect(self._name, self._port, self._timeout)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                made = self._tls.wrap_socket(made, server_hostname=self._name)
        except OSError:
            made.close()
            raise
        return _Line(made, cast(io.BufferedReader, made.makefile("rb", buffering=65_536)))

    def give_back(self, line: _Line, answer: Mapping[str, str]) -> None:
        """Keep a connection whose answer was read to its end."""
        if answer.get("connection", "").lower() != "close":
            with self._lock:
                if len(self._idle) < _KEPT:
                    self._idle.append(line)
                    return
        line.close()

    def _answered(
        self, operation: str, method: str, line: _Line, status: int, answer: dict[str, str]
    ) -> dict[str, Any]:
        if status >= 300:
            raise self._error(method, line, status, answer)
        read = _WAYS[operation].read
        if read is not None:
            said = _rest(line.stream, answer)
            self.give_back(line, answer)
            page = read(said)
            if page is None:
                return self._undocumented(operation, said, answer)
            return page | {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": answer}}
        found: dict[str, Any] = {name: answer[header] for header, name in _ANSWERS.items() if header in answer}
        found["Metadata"] = {name[11:]: value for name, value in answer.items() if name.startswith("x-amz-meta-")}
        found["ContentLength"] = int(answer.get("content-length", "0"))
        if "last-modified" in answer:
            found["LastModified"] = _moment(answer["last-modified"])
        if operation == "get_object":
            found["Body"] = Body(self, line, answer, found["ContentLength"])
        else:
            if method != "HEAD":
                _rest(line.stream, answer)
            self.give_back(line, answer)
        return found

    def _undocumented(self, operation: str, said: bytes, answer: Mapping[str, str]) -> dict[str, Any]:
        """Say what an answer means that is not what was asked for."""
        if _WAYS[operation].method != "GET":  # it is done, and not to be done again; or it began well and ended in no
            code = _CODE.search(said)
            raise Refused(code.group(1).decode("utf-8", "replace") if code else "InternalError", 500, answer)
        raise NotLean

    def _error(self, method: str, line: _Line, status: int, answer: dict[str, str]) -> Exception:
        said = b"" if method == "HEAD" else _rest(line.stream, answer)
        self.give_back(line, answer)
        code = _CODE.search(said)
        word = code.group(1).decode("utf-8", "replace") if code else str(status)
        if status == 400 and method == "HEAD":
            return NotLean()  # the answer has no words: a wrong region, for one, which the SDK finds out
        is_redirect = 300 <= status < 400
        if word in _ELSEWHERE or is_redirect:
            if is_redirect and not self._is_amazon:  # only Amazon's regions are the SDK's to find
                return Refused(word, status, answer)
            self._is_off = True  # the bucket is somewhere else: the SDK finds it
            return NotLean()
        return Refused(word, status, answer)


class Body:
    """Content on its way, as the SDK gives it."""

    def __init__(self, lean: Lean, line: _Line, answer: Mapping[str, str], length: int) -> None:
        self._lean = lean
        self._line: _Line | None = line
        self._answer = answer
        self._left = length
        if not length:
            self._end()

    def read(self, most: int) -> bytes:
        if self._line is None:
            return b""
        data = self._line.stream.read(min(most, self._left))
        self._left -= len(data)
        if not self._left:
            self._end()
        return data

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _end(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._lean.give_back(line, self._answer)


def _read_head(stream: io.BufferedReader) -> tuple[int, dict[str, str]]:
    ahead = stream.peek()
    end = ahead.find(b"\r\n\r\n")
    if end > 0 and ahead.startswith(b"HTTP/1."):  # it is all there, as it mostly is
        first, *lines = stream.read(end + 4)[:end].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return int(first[9:12]), {name.lower(): value.strip() for name, _, value in pairs}
    line = stream.readline(8192)
    if not line.startswith(b"HTTP/1."):
        raise ConnectionResetError("the server closed the connection")
    status = int(line[9:12])
    headers: dict[str, str] = {}
    while True:
        line = stream.readline(65_536)
        if line in (b"\r\n", b"\n"):
            return status, headers
        if not line:
            raise ConnectionResetError("the server closed the connection")
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()


def _rest(stream: io.BufferedReader, answer: Mapping[str, str]) -> bytes:
    """Read an answer to its end."""
    if answer.get("transfer-encoding", "").lower() != "chunked":
        return stream.read(int(answer.get("content-length", "0")))
    found = b""
    while size := int(stream.readline(1024).split(b";")[0], 16):
        found += stream.read(size)
        stream.readline(8)
    while stream.readline(8192) not in (b"\r\n", b"\n", b""):
        pass
    return found


@lru_cache(maxsize=64)  # what is written together is dated together
def _moment(text: str) -> datetime:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
