"""Content in slices, and what is kept of an upload in parts: its handle, and a receipt for each part."""

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager

from tallyport.connectors.protocol import Facts
from tallyport.connectors.s3_errors import refusal
from tallyport.connectors.s3_settings import LIMITS, MIB, PART, PART_MIN
from tallyport.domain.errors import ErrorKind

IN_MEMORY = 96 * MIB  # of parts on their way in this process, however many connections and places there are


class Room:
    """Memory for parts on their way: lent for one part, used again for the next, and never more than so much."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._returned = threading.Condition()
        self._kept: list[bytearray] = []
        self.lent = 0  # bytes

    @contextmanager
    def lend(self, length: int) -> Iterator[bytearray]:
        """Lend so many bytes, when they are there; what is more than the whole is lent alone."""
        with self._returned:
            while self.lent and self.lent + length > self._most:
                self._returned.wait()
            self.lent += length
            buffer = self._kept.pop() if self._kept else bytearray()
        if len(buffer) != length:
            buffer = bytearray(length)
        try:
            yield buffer
        finally:
            with self._returned:
                self.lent -= length
                self._kept.append(buffer)
                if not self.lent:
                    self._kept.clear()  # nobody sends: the memory is the system's
                self._returned.notify_all()


ROOM = Room(IN_MEMORY)


def filled(content: Iterable[bytes], length: int, room: Room = ROOM) -> Generator[memoryview, None, None]:
    """Give content in slices of one length, the last perhaps shorter, each in the same lent memory.

    A slice is good until the next one is asked for.
    """
    chunks = filter(None, content)
    rest = memoryview(next(chunks, b""))
    if not rest:
        return
    with room.lend(length) as buffer:
        while rest:
            size = 0
            while rest and size < length:
                taken = rest[: length - size]
                buffer[size : size + len(taken)] = taken
                size += len(taken)
                rest = rest[len(taken) :] or memoryview(next(chunks, b""))
            yield memoryview(buffer)[:size]


def slice_length(size: int, length: int) -> int:
    """Give how long the slices of a part are: about so long, and none too short for what comes after it.

    Only the very last of an object may be shorter than the platform's least, and nobody here knows which that is.
    """
    if 0 < size % length < PART_MIN:
        return -(-size // max(1, size // length))
    return length


def check_size(path: str, size: int) -> None:
    most = LIMITS.max_size
    if most is not None and size > most:
        raise refusal(
            ErrorKind.TOO_LARGE, "write", path, f"it has more than the {most} bytes that are carried in parts"
        )


def check_announced(path: str, facts: Facts, size: int, content: bytes) -> None:
    if facts.size is not None and facts.size != size:
        why = f"{facts.size} bytes were announced and {size} came"
        raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, why)
    if facts.hash is not None and facts.hash != content:
        raise refusal(ErrorKind.CORRUPT, "write", path, "the content does not have the announced hash")


def sliced(content: Iterable[bytes], length: int = PART) -> Iterator[bytes]:
    """Give content in slices of one length, the last perhaps shorter; nothing for nothing."""
    held = bytearray()
    for chunk in content:
        held += chunk
        while len(held) >= length:
            yield bytes(held[:length])
            del held[:length]
    if held:
        yield bytes(held)


def upload_of(handle: str) -> tuple[int, str]:
    pieces, _, upload = handle.partition(":")
    return int(pieces), upload


def receipt_of(etags: Sequence[str]) -> bytes:
    """Write the ETags of the pieces of a part: 16 bytes each where they are digests, as they mostly are."""
    try:
        coded = [bytes.fromhex(etag) for etag in etags]
        if all(len(one) == 16 for one in coded):
            return b"m" + b"".join(coded)
    except ValueError:
        pass
    return b"t" + ",".join(etags).encode()


def etags_of(receipt: bytes) -> list[str]:
    if receipt[:1] == b"m":
        return [receipt[at : at + 16].hex() for at in range(1, len(receipt), 16)]
    return receipt[1:].decode().split(",") if len(receipt) > 1 else []
