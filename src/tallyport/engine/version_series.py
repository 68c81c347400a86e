"""Earlier contents of a file, carried oldest first before its newest one.

Each is visible for as long as it is the newest at the receiving side: a platform that keeps versions has no other
way. The item counts as carried only once the newest content is proved; a series that was cut short is recognised
as one and gone on with.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, cast

from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.protocol import Connector, Facts, Precondition, Versions
from tallyport.domain.entries import Entry, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import display
from tallyport.domain.policies import Policies
from tallyport.domain.versions import Version, chosen, missing
from tallyport.engine.crossing_stream import hash_of
from tallyport.engine.proof_stream import Proof, unwrite


class Series(NamedTuple):
    """The contents of one file on their way from one connection to another."""

    giving: Connector
    taking: Connector
    to: Side
    path: str
    receiving: str
    policies: Policies
    pace: Callable[[int], None]

    def carry_earlier(self, facts: Facts, when: Precondition) -> tuple[Precondition, int]:
        """Write what is missing but the newest content; gives what that then replaces, and the bytes written."""
        moved = 0
        for version in self.missing(is_there=when.entry is not None)[:-1]:
            when, moved = Precondition(entry=self._write(version, facts, when)), moved + version.size
        return when, moved

    def missing(self, *, is_there: bool) -> list[Version]:
        """Give the contents that the receiving side lacks, oldest first."""
        policies = self.policies
        from_destination = self.to is Side.SOURCE
        limit = policies.versioning_from_destination_max if from_destination else policies.versioning_from_source_max
        wanted = chosen(cast(Versions, self.giving).versions(self.path), limit, self.taking.limits.max_versions)
        there = cast(Versions, self.taking).versions(self.receiving) if is_there else ()
        return list(missing(wanted, there, self._is_same))

    def holds_earlier(self) -> bool:
        """Tell whether what stands at the receiving side is an earlier content of the file: a series cut short."""
        ours = cast(Versions, self.giving).versions(self.path)[:-1]
        theirs = cast(Versions, self.taking).versions(self.receiving)
        return bool(theirs) and any(self._is_same(one, theirs[-1]) for one in ours)

    def _is_same(self, mine: Version, theirs: Version) -> bool:
        if mine.size != theirs.size:
            return False
        if self.policies.timestamps and self.taking.limits.sets_times:
            precision = max(self.giving.limits.time_precision, self.taking.limits.time_precision)
            return abs(mine.modified - theirs.modified) < precision
        return _hash(self.giving, self.path, mine) == _hash(self.taking, self.receiving, theirs)

    def _write(self, version: Version, facts: Facts, when: Precondition) -> Entry:
        modified = None if facts.modified is None else version.modified
        facts = facts._replace(size=version.size, modified=modified, hash=None)
        running = ContentHash()

        def read() -> AbstractContextManager[Iterator[bytes]]:
            return cast(Versions, self.giving).read_version(self.path, version.id)

        proof = Proof(self.policies.verify)
        chunks = proof.trusted(self.giving, self.path, read)
        stored = self.taking.write(self.receiving, self._sent(chunks, running), facts, when=when)
        there = stored.hash
        if there is None and proof.reads_back(self.taking):
            there = hash_of(self.taking, self.receiving)
        if stored.size != version.size or (there is not None and there != running.digest()):
            if when.absent:  # else what it replaced would go with it
                unwrite(self.taking, self.receiving, stored)
            what = f"cannot write {display(self.receiving)}: an earlier content is not stored as it was sent"
            raise TallyportError(ErrorKind.CORRUPT, what, path=self.receiving, operation="write")
        return stored

    def _sent(self, chunks: Iterator[bytes], running: ContentHash) -> Iterator[bytes]:
        for chunk in chunks:
            running.update(chunk)
            self.pace(len(chunk))
            yield chunk


def _hash(connector: Connector, path: str, version: Version) -> bytes:
    running = ContentHash()
    with cast(Versions, connector).read_version(path, version.id) as chunks:
        for chunk in chunks:
            running.update(chunk)
    return running.digest()
