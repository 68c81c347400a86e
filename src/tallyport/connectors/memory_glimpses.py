"""Listings of a platform in memory that show little of an item to who does not look at it, or more than it has."""

from collections.abc import Iterator, Mapping, Sequence

from tallyport.connectors.hashing import digest
from tallyport.connectors.protocol import Connector, Glimpses, Properties, Versions
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join


class Glimpsing:
    """Gives glimpses: the time of one is a number of all that can change. Counts contents."""

    def glimpses(self: Connector, path: str) -> Iterator[Entry]:
        for entry in self.children(path):
            if entry.kind is not Kind.FILE or entry.links > 1:
                yield entry
                continue
            values: Mapping[str, bytes] = {}
            if isinstance(self, Properties):
                values = self.properties(join(path, entry.name))
            number = digest(repr((entry, sorted(values.items()))).encode())
            modified = int.from_bytes(number[:7], "big")
            yield Entry(entry.name, entry.kind, entry.size, modified, entry.tag, glimpsed=True)

    def look_many(self: Connector, paths: Sequence[str]) -> Sequence[Entry | None]:
        found = map(self.stat, paths)
        return [None if entry is None or entry.kind is not Kind.FILE else entry for entry in found]

    def counted(self: Connector, path: str, *, glimpsed: bool = False) -> Iterator[Entry]:
        given = self.glimpses(path) if glimpsed and isinstance(self, Glimpses) else self.children(path)
        for entry in given:
            number = 0
            if entry.kind is Kind.FILE and isinstance(self, Versions):
                try:
                    number = len(self.versions(join(path, entry.name)))
                except TallyportError as error:
                    if error.kind is not ErrorKind.NOT_FOUND:
                        raise
            yield entry._replace(contents=number)
