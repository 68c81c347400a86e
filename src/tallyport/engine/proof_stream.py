"""What is carried between any two connections, proved: what was read is what was listed, what stands is what was sent.

The source is looked at once more before the last piece is handed over, so that a file which changed while it was read
is never stored. What is stored and cannot be proved is taken away again.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import cast

from tallyport.connectors.acting import Acting
from tallyport.connectors.layers.layer import find, innermost
from tallyport.connectors.local import Local
from tallyport.connectors.local_identity import acting
from tallyport.connectors.protocol import Connector, Pins
from tallyport.connectors.remote_content import opened, twice
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.entries import Entry, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.engine.crossing_stream import error_of, hash_of
from tallyport.engine.lease import Guard

Reading = Callable[[], AbstractContextManager[Iterator[bytes]]]


class Proof:
    """How well a job asks for its content to be proved, done on connections of any platform."""

    def __init__(self, verify: VerifyLevel) -> None:
        self._verify = verify
        self.level = int(VerifyLevel.READBACK if verify >= VerifyLevel.READBACK else VerifyLevel.HASH)

    def reads_back(self, taking: Connector) -> bool:
        """Tell whether what was stored is read again: as the job asks, or since its way checks nothing."""
        return self._verify >= VerifyLevel.READBACK or self._doubts(taking)

    def trusted(self, giving: Connector, path: str, read: Reading, *, is_range: bool = False) -> Iterator[bytes]:
        """Give what a reading gives, done twice over a way that checks nothing."""
        content = opened(read)
        return twice(content, read, path) if self._doubts(giving, is_range=is_range) else content

    def checked(
        self, giving: Connector, path: str, entry: Entry, offset: int, length: int | None, guard: Guard
    ) -> Iterator[bytes]:
        """Read a file or a range of it, keeping the last piece back until it is known that nobody changed it.

        Over a way that checks nothing it is read twice: the last piece is kept back until both were the same.
        """
        is_pinned = isinstance(giving, Pins) and bool(entry.tag)

        def read() -> AbstractContextManager[Iterator[bytes]]:
            if is_pinned:
                return cast(Pins, giving).read_entry(path, entry, offset=offset, length=length)
            return giving.read(path, offset=offset, length=length)

        content = self.trusted(giving, path, read, is_range=bool(offset) or length is not None)
        if is_pinned:
            yield from content
            guard()
            return
        held: bytes | None = None
        for chunk in content:
            if held is not None:
                yield held
            held = chunk
        now = giving.stat(path)
        if now is None or now.kind is not entry.kind or fingerprint(now) != fingerprint(entry):
            raise error_of(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed while it was read")
        guard()
        if held is not None:
            yield held

    def prove(self, taking: Connector, path: str, stored: Entry, expected: bytes, moved: int) -> int:
        """Prove what was stored at the level asked for, as far as the platform allows; gives the level."""
        if stored.size != moved:
            unwrite(taking, path, stored)
            raise error_of(ErrorKind.CORRUPT, "write", path, f"{moved} bytes were sent and {stored.size} are stored")
        if stored.hash is not None and stored.hash != expected:
            unwrite(taking, path, stored)
            raise error_of(ErrorKind.CORRUPT, "write", path, "the platform reports another hash than was sent")
        is_told = stored.hash is not None and self._verify < VerifyLevel.READBACK
        if is_told or not self.reads_back(taking):
            return self.level
        local, layer = innermost(taking), find(taking, Acting)
        is_cold = self._verify is VerifyLevel.COLD and isinstance(local, Local)
        with acting(None if layer is None else layer.identity):
            found = cast(Local, local).cold_hash(path) if is_cold else hash_of(taking, path)
        if found != expected:
            unwrite(taking, path, stored)
            raise error_of(ErrorKind.CORRUPT, "prove", path, "what was read back is not what was sent")
        return int(VerifyLevel.COLD if is_cold else VerifyLevel.READBACK)

    def _doubts(self, connector: Connector, *, is_range: bool = False) -> bool:
        """Tell whether the job asks for a proof of content, and nothing else finds damage on the way to that side."""
        limits = connector.limits
        return self._verify >= VerifyLevel.HASH and not (limits.checks_way and (limits.checks_ranges or not is_range))


def unwrite(taking: Connector, path: str, stored: Entry) -> None:
    """Delete what was stored and is not what it should be."""
    with suppress(TallyportError):  # the item fails, whatever else
        taking.delete(path, expect=stored)


def take_back(taking: Connector, path: str, stored: Entry) -> None:
    """Delete what we stored and then began to give companions, which may have changed its tag."""
    try:
        there = taking.stat(path)
    except TallyportError:
        return
    if there is not None and (there.kind, there.size, there.modified) == stored[1:4]:
        unwrite(taking, path, there)
