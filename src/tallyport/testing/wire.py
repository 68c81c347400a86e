"""A bad line in front of a good server of any protocol: a loopback proxy that delays, cuts, resets and flips bits.

It knows bytes alone, so a place is a number of bytes that passed in one direction of one connection.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from tallyport.testing.servers import HOST

CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Snag:
    """What goes wrong on a line, once on each of some connections that pass so many bytes."""

    at: int  # bytes that passed before
    up: bool = True  # on the way to the server
    times: int = 1  # connections that it happens to
    delay: float = 0.0  # seconds before the rest goes on
    flips: bool = False  # one bit is another
    cuts: bool = False  # the connection ends there, in order
    resets: bool = False  # it ends without a word


@dataclass
class Wire:
    """A line that runs."""

    port: int
    snags: tuple[Snag, ...]
    fired: list[Snag] = field(default_factory=list)
    passed: int = 0  # bytes, both ways, of all connections
    lock: threading.Lock = field(default_factory=threading.Lock)

    def due(self, passed: int, length: int, *, up: bool, known: set[int]) -> tuple[int, Snag] | None:
        """Give the next snag in a piece that begins after so many bytes, and where in the piece it is."""
        with self.lock:
            for number, snag in enumerate(self.snags):
                here = snag.up is up and passed <= snag.at < passed + length and number not in known
                if here and self.fired.count(snag) < snag.times:
                    known.add(number)
                    self.fired.append(snag)
                    return snag.at - passed, snag
        return None


@contextmanager
def wired(upstream_port: int, *snags: Snag) -> Iterator[Wire]:
    """Run a line to a server of this machine."""
    ended = Event()
    threads: list[threading.Thread] = []
    with socket.create_server((HOST, 0)) as listener:
        wire = Wire(listener.getsockname()[1], snags)

        def accept() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                try:
                    far = socket.create_connection((HOST, upstream_port), 10)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                for up, one, other in ((True, near, far), (False, far, near)):
                    thread = threading.Thread(target=_pass, args=(wire, one, other, up, ended), daemon=True)
                    threads.append(thread)
                    thread.start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield wire
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
    acceptor.join(10)
    for thread in threads:
        thread.join(10)


def _pass(wire: Wire, source: socket.socket, to: socket.socket, up: bool, ended: Event) -> None:
    """Pass one direction of one connection on until it ends."""
    passed, known = 0, set[int]()
    source.settimeout(0.25)
    try:
        while not ended.is_set():
            try:
                data = source.recv(CHUNK)
            except TimeoutError:
                continue
            if not data:
                break
            while (found := wire.due(passed, len(data), up=up, known=known)) is not None:
                place, snag = found
                to.sendall(data[:place])
                data, passed = data[place:], passed + place
                if snag.delay:
                    ended.wait(snag.delay)
                if snag.flips:
                    data = bytes([data[0] ^ 1]) + data[1:]
                if snag.resets:
                    for end in (source, to):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if snag.cuts or snag.resets:
                    return
            to.sendall(data)
            passed += len(data)
            with wire.lock:
                wire.passed += len(data)
    except OSError:
        pass  # an end is gone: so is the line
    finally:
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
