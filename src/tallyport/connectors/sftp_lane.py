"""A second SFTP channel for small files: requests are packed by hand and go out together, answers wake nobody early.

The library makes a task, a future and a packet for each request, which for a small file takes longer than its content.
Version 3 only, which OpenSSH speaks. See draft-ietf-secsh-filexfer-02.
"""

import asyncio
import struct
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncssh

from tallyport.connectors.answers import Answer, Call
from tallyport.connectors.journeys import Inbox

VERSION = 3
OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, FSETSTAT, RENAME, EXTENDED = 3, 4, 5, 6, 7, 8, 10, 18, 200
_INIT, _VERSION, _STATUS, _HANDLE, _DATA, _ATTRS = 1, 2, 101, 102, 103, 105
_SIZE, _OWNERS, _MODE, _TIMES = 1, 2, 4, 8
_MOST_ANSWERED = 1024 * 1024  # bytes of one answer; a server that says more is not one
_HEAD = struct.Struct(">IBI")
_NUMBER, _LONG = struct.Struct(">I"), struct.Struct(">Q")
_WINDOW = 4 * 1024 * 1024  # bytes that may be on their way to us


class Request(NamedTuple):
    """One request, without its number."""

    kind: int
    body: bytes


class Lane(asyncssh.SSHClientSession[bytes]):
    """The channel. What is asked in one turn of the event loop, by whomever, goes out in one piece."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_open = False
        self.begun: asyncio.Future[bool] = loop.create_future()  # whether the server speaks the version
        self._loop = loop
        self._channel: Any = None
        self._held = bytearray()
        self._lock = threading.Lock()
        self._number = 0
        self._calls: dict[int, tuple[Call, int]] = {}
        self._waiting: list[bytes] = []

    # -- what callers in other threads use

    def ask(self, requests: Sequence[Request], seconds: float) -> list[Answer]:
        """Send requests at once and wait for all; gives the kinds and bodies of their answers.

        Raises when the connection broke. What the server refused is seen by :func:`refusal_of`.
        """
        call = self.begin(requests)
        if not call.wait(seconds):
            raise self.late(call)
        if call.error is not None:
            raise call.error
        return call.answers

    def begin(self, requests: Sequence[Request], inbox: Inbox | None = None) -> Call:
        """Send requests at once; their answers come to the call, which comes to ``inbox`` then."""
        parts: list[bytes] = []
        with self._lock:
            if not self.is_open:
                raise asyncssh.SFTPConnectionLost("the channel was closed")
            first = self._number
            self._number = (first + len(requests)) & 0x7FFFFFFF
            call = Call([(first + position) & 0x7FFFFFFF for position in range(len(requests))], inbox)
            for position, (kind, body) in enumerate(requests):
                number = call.ids[position]
                self._calls[number] = (call, position)
                parts += (_HEAD.pack(len(body) + 5, kind, number), body)
            is_first = not self._waiting
            self._waiting += parts
        if is_first:
            self._loop.call_soon_threadsafe(self._send)
        return call

    def late(self, call: Call) -> Exception:
        """Give up a call that is not answered in time."""
        with self._lock:
            for number in call.ids:
                self._calls.pop(number, None)
        return TimeoutError()

    # -- what the library calls, in the event loop

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def session_started(self) -> None:
        self._channel.write(struct.pack(">IBI", 5, _INIT, VERSION))

    def data_received(self, data: bytes, datatype: Any) -> None:
        if datatype is not None:
            return  # what a server says beside the protocol
        held = self._held
        held += data
        at, end = 0, len(held)
        while end - at >= 4:
            size = _NUMBER.unpack_from(held, at)[0]
            if size > _MOST_ANSWERED or size < 5:
                self._channel.abort()
                self._end(asyncssh.SFTPBadMessage("the server does not speak SFTP"))
                return
            if end - at < 4 + size:
                break
            self._answered(bytes(memoryview(held)[at + 4 : at + 4 + size]))
            at += 4 + size
        del held[:at]

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or asyncssh.SFTPConnectionLost("the server closed the channel"))

    # -- behind them

    def _send(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        try:
            self._channel.write(b"".join(waiting))
        except OSError as error:
            self._end(error)

    def _answered(self, answer: bytes) -> None:
        kind, number = answer[0], _NUMBER.unpack_from(answer, 1)[0]
        if kind == _VERSION:
            self.is_open = number == VERSION
            if not self.begun.done():
                self.begun.set_result(self.is_open)
            return
        with self._lock:
            found = self._calls.pop(number, None)
        if found is not None:
            found[0].answer(found[1], kind, answer[5:])

    def _end(self, error: Exception) -> None:
        with self._lock:
            self.is_open = False
            calls, self._calls = {id(call): call for call, _ in self._calls.values()}, {}
        if not self.begun.done():
            self.begun.set_result(False)
        for call in calls.values():
            call.fail(asyncssh.SFTPConnectionLost(str(error)))


async def open_lane(connection: asyncssh.SSHClientConnection, seconds: float) -> Lane | None:
    """Open one more channel, or give None where the server allows no second one or speaks another version."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            made, lane = await connection.create_session(
                lambda: Lane(loop), subsystem="sftp", encoding=None, window=_WINDOW
            )
            assert isinstance(lane, Lane)
            if await lane.begun:
                return lane
            made.abort()
    except (asyncssh.Error, OSError):  # there is the long way: it says what is wrong, if something is
        pass
    return None


# -- requests


def text(value: bytes) -> bytes:
    return _NUMBER.pack(len(value)) + value


def opening(at: bytes, flags: int, attrs: bytes) -> Request:
    return Request(OPEN, text(at) + _NUMBER.pack(flags) + attrs)


def reading(handle: bytes, offset: int, size: int) -> Request:
    return Request(READ, text(handle) + _LONG.pack(offset) + _NUMBER.pack(size))


def writing(handle: bytes, offset: int, data: bytes) -> Request:
    return Request(WRITE, b"".join((text(handle), _LONG.pack(offset), _NUMBER.pack(len(data)), data)))


def syncing(handle: bytes) -> Request:
    return Request(EXTENDED, text(b"fsync@openssh.com") + text(handle))


def setting(modified: int | None, mode: int | None, owners: tuple[int, int] | None) -> bytes | None:
    """Pack what a file is to be given: its time in seconds, its mode, owner and group. None when there is nothing."""
    flags, body = 0, b""
    if owners is not None:
        flags, body = _OWNERS, struct.pack(">II", *owners)
    if mode is not None:
        flags, body = flags | _MODE, body + _NUMBER.pack(mode)
    if modified is not None:
        flags, body = flags | _TIMES, body + struct.pack(">II", modified, modified)
    return _NUMBER.pack(flags) + body if flags else None


# -- answers


_REFUSALS: dict[int, Any] = {
    2: asyncssh.SFTPNoSuchFile,
    3: asyncssh.SFTPPermissionDenied,
    4: asyncssh.SFTPFailure,
    5: asyncssh.SFTPBadMessage,
    6: asyncssh.SFTPNoConnection,
    7: asyncssh.SFTPConnectionLost,
    8: asyncssh.SFTPOpUnsupported,
}


def refusal_of(answer: Answer) -> asyncssh.SFTPError | None:
    """Give what the server refused, or None."""
    kind, body = answer
    if kind != _STATUS:
        return None
    code = _NUMBER.unpack_from(body)[0]
    if not code:
        return None
    size = _NUMBER.unpack_from(body, 4)[0] if len(body) >= 8 else 0
    reason = body[8 : 8 + size].decode("utf-8", "replace")
    if code not in _REFUSALS:
        return asyncssh.SFTPError(code, f"{reason} (error {code})")
    error: asyncssh.SFTPError = _REFUSALS[code](reason)
    return error


def content_of(answer: Answer) -> bytes:
    """Read a handle or content; empty when the answer is another one."""
    kind, body = answer
    if kind not in (_HANDLE, _DATA):
        return b""
    return body[4 : 4 + _NUMBER.unpack_from(body)[0]]


class Stated(NamedTuple):
    """What version 3 tells of an item."""

    size: int
    owner: int | None
    group: int | None
    mode: int
    modified: int  # seconds


def stated(answer: Answer) -> Stated | None:
    """Read attributes; None when the answer is another one, or tells no mode."""
    kind, body = answer
    if kind != _ATTRS:
        return None
    flags, at = _NUMBER.unpack_from(body)[0], 4
    size, owner, group, modified = 0, None, None, 0
    if flags & _SIZE:
        size, at = _LONG.unpack_from(body, at)[0], at + 8
    if flags & _OWNERS:
        owner, group = struct.unpack_from(">II", body, at)
        at += 8
    if not flags & _MODE:
        return None
    mode, at = _NUMBER.unpack_from(body, at)[0], at + 4
    if flags & _TIMES:
        modified = _NUMBER.unpack_from(body, at + 4)[0]
    return Stated(size, owner, group, mode, modified)
