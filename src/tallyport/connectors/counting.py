"""How many contents the files of a connection have, where earlier ones may stay behind.

Where a platform counts them beside a listing (``Counts``), every listed file comes with its number. Elsewhere each file
is asked about that is going to be carried or settled, and no other.
"""

from collections.abc import Iterator

from tallyport.connectors.protocol import Connector, Counts, Glimpses, Versions
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import REMEDIES, Scope, TallyportError
from tallyport.domain.shortfall import Shortfall


class Counting:
    """Lists and asks one connection; ``shortfall`` is of the side that its items go to, None where none go."""

    def __init__(self, connector: Connector, shortfall: Shortfall | None) -> None:
        self._connector = connector
        self._shortfall = shortfall
        self._versions = connector if isinstance(connector, Versions) else None
        is_worth_it = shortfall is not None and shortfall.most_contents is not None
        self._counts = connector if is_worth_it and isinstance(connector, Counts) else None

    @property
    def lists(self) -> bool:
        """Whether files of a listing come with the number of their contents, at the price of a longer look."""
        return self._counts is not None

    def listing(self, path: str, *, glimpsed: bool = False, counts: bool = True) -> Iterator[Entry]:
        """List a container: with numbers where that matters and can be had, glimpsed where that is cheaper."""
        if counts and self._counts is not None:
            return self._counts.counted(path, glimpsed=glimpsed)
        if glimpsed and isinstance(self._connector, Glimpses):
            return self._connector.glimpses(path)
        return self._connector.children(path)

    def is_owed(self, entry: Entry) -> bool:
        """Tell whether it matters how many contents an entry has, and nobody counted them."""
        if entry.contents or entry.kind is not Kind.FILE or self._versions is None or self._shortfall is None:
            return False
        return self._shortfall.leaves_versions(entry.name)

    def counted(self, path: str, entry: Entry) -> Entry:
        """Give an entry with the number of its contents where that is owed; what cannot be asked about has one."""
        if self._versions is None or not self.is_owed(entry):
            return entry
        try:
            return entry._replace(contents=len(self._versions.versions(path)))
        except TallyportError as error:
            if REMEDIES[error.kind][0] is not Scope.ITEM:
                raise
            return entry._replace(contents=1)
