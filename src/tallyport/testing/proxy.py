"""A bad network in front of a good server: a loopback proxy that delays, cuts, resets, flips and refuses by a script.

What passes is written down, so that a test can say what was sent, how often, and when.
"""

import contextlib
import fnmatch
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, cast

CHUNK = 64 * 1024


class Passed(NamedTuple):
    """One request that came."""

    at: float  # seconds of a monotonic clock, when its head had come
    method: str
    path: str
    up: int  # bytes of content that went to the server
    down: int  # bytes of content that went to the client
    status: int  # 0: none was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What goes wrong, and at which requests. ``at`` is a place in the content, as a part of it."""

    method: str = "*"
    path: str = "*"  # pattern of path and query
    nth: int = 1  # first of those requests that it happens to
    times: int | None = 1  # how many in a row; None is all that follow
    delay: float = 0.0
    status: int = 0  # answered instead of asking the server
    headers: tuple[tuple[str, str], ...] = ()
    cut_up: float | None = None  # the client's content ends there, and the connection
    cut_down: float | None = None  # the server's content
    flip_up: float | None = None  # one bit is changed there
    flip_down: float | None = None
    is_lost: bool = False  # the server does its work, and its answer is lost
    is_reset: bool = False  # the connection ends at once, without a word


@dataclass
class Proxy:
    """A proxy that runs. Change ``script`` at any time."""

    port: int
    script: list[Trouble] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    fired: list[tuple[float, Trouble]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: dict[int, int] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sent(self, method: str = "*", path: str = "*") -> int:
        """Give the bytes of content that reached the server."""
        return sum(one.up for one in self.matching(method, path))

    def matching(self, method: str = "*", path: str = "*") -> list[Passed]:
        with self.lock:
            return [one for one in self.passed if _fits(one.method, one.path, method, path)]

    def due(self, method: str, path: str) -> Trouble | None:
        """Count a request and give the first trouble that is meant for it."""
        found = None
        with self.lock:
            for trouble in self.script:
                if not _fits(method, path, trouble.method, trouble.path):
                    continue
                count = self.counts[id(trouble)] = self.counts.get(id(trouble), 0) + 1
                past = count - trouble.nth
                if found is None and past >= 0 and (trouble.times is None or past < trouble.times):
                    found = trouble
            if found is not None:
                self.fired.append((time.monotonic(), found))
        return found


@contextmanager
def proxied(upstream_port: int, *script: Trouble) -> Iterator[Proxy]:
    """Stand in front of a server of this machine."""
    proxy = Proxy(0, list(script))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, _Ended):
                _serve(proxy, self.connection, cast(BinaryIO, self.rfile), upstream_port)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients of a bad network end in every way."""

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Ended(Exception):
    """The connection is over."""


class _Request(NamedTuple):
    method: str
    path: str
    head: bytes  # as it goes on
    length: int


def _serve(proxy: Proxy, client: socket.socket, stream: BinaryIO, port: int) -> None:
    """Serve one connection of a client: its requests one after the other."""
    upstream: socket.socket | None = None
    try:
        while True:
            request = _read_request(stream, client)
            at = time.monotonic()
            trouble = proxy.due(request.method, request.path)
            if trouble is not None and trouble.delay:
                time.sleep(trouble.delay)
            if upstream is None:
                upstream = socket.create_connection(("127.0.0.1", port))
            counts = [0, 0, 0]  # up, down, status
            try:
                _one(request, trouble, client, stream, upstream, counts)
            finally:
                with proxy.lock:
                    proxy.passed.append(Passed(at, request.method, request.path, *counts))
    finally:
        if upstream is not None:
            upstream.close()


def _one(
    request: _Request,
    trouble: Trouble | None,
    client: socket.socket,
    stream: BinaryIO,
    upstream: socket.socket,
    counts: list[int],
) -> None:
    if trouble is not None and trouble.is_reset:
        _reset(client)
    if trouble is not None and trouble.status:
        _drain(stream, request.length)
        headers = "".join(f"{name}: {value}\r\n" for name, value in trouble.headers)
        client.sendall(f"HTTP/1.1 {trouble.status} Trouble\r\n{headers}Content-Length: 0\r\n\r\n".encode())
        counts[2] = trouble.status
        return
    upstream.sendall(request.head)
    cut, flip = (trouble.cut_up, trouble.flip_up) if trouble is not None else (None, None)
    counts[0] = _pass(stream, upstream, request.length, cut, flip)
    if cut is not None:
        raise _Ended
    answer = upstream.makefile("rb")
    while True:
        head = _head(answer)
        counts[2] = int(head.split(b" ", 2)[1])
        if counts[2] != 100:
            break
    if trouble is not None and trouble.is_lost:
        _reset(client)
    client.sendall(head)
    if request.method == "HEAD" or counts[2] in (204, 304):
        return
    fields = _fields(head)
    if fields.get("transfer-encoding", "").lower() == "chunked":
        counts[1] = _pass_chunks(answer, client)
        return
    length = int(fields.get("content-length", "0"))
    cut, flip = (trouble.cut_down, trouble.flip_down) if trouble is not None else (None, None)
    counts[1] = _pass(answer, client, length, cut, flip)
    if cut is not None:
        raise _Ended


def _read_request(stream: BinaryIO, client: socket.socket) -> _Request:
    head = _head(stream)
    line, _, rest = head.partition(b"\r\n")
    method, path, _ = line.decode("latin-1").split(" ", 2)
    fields = _fields(head)
    if fields.get("expect", "").lower() == "100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        kept = [one for one in rest.split(b"\r\n") if not one.lower().startswith(b"expect:")]
        head = line + b"\r\n" + b"\r\n".join(kept)
    return _Request(method, path, head, int(fields.get("content-length", "0")))


def _head(stream: BinaryIO) -> bytes:
    lines = []
    while True:
        line = stream.readline(65_537)
        if not line:
            raise _Ended
        lines.append(line)
        if line == b"\r\n":
            return b"".join(lines)


def _fields(head: bytes) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in head.split(b"\r\n")[1:] if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _pass(source: BinaryIO, to: socket.socket, length: int, cut: float | None, flip: float | None) -> int:
    """Hand content on; gives how much."""
    end = length if cut is None else int(length * cut)
    place = None if flip is None or not length else min(length - 1, int(length * flip))
    done = 0
    while done < end:
        chunk = source.read(min(CHUNK, end - done))
        if not chunk:
            raise _Ended
        if place is not None and done <= place < done + len(chunk):
            spoiled = bytearray(chunk)
            spoiled[place - done] ^= 1
            chunk = bytes(spoiled)
        to.sendall(chunk)
        done += len(chunk)
    return done


def _pass_chunks(source: BinaryIO, to: socket.socket) -> int:
    done = 0
    while True:
        line = source.readline(1024)
        to.sendall(line)
        size = int(line.split(b";")[0], 16)
        data = source.read(size + 2)
        to.sendall(data)
        done += size
        if size == 0:
            return done


def _drain(stream: BinaryIO, length: int) -> None:
    while length > 0:
        length -= len(stream.read(min(CHUNK, length)) or b"x" * length)


def _reset(client: socket.socket) -> None:
    """End a connection without a word, as a router that forgot it."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    raise _Ended


def _fits(method: str, path: str, wanted_method: str, wanted_path: str) -> bool:
    return fnmatch.fnmatchcase(method, wanted_method) and fnmatch.fnmatchcase(path, wanted_path)
