"""A listing of keys, in their order, as the entries of a container.

An object may have the name of a prefix (``a`` beside ``a/b``): both are shown, see ``object_keys``. A marker is an
object that says "here is a container" and holds nothing: ``a/``, or ``a`` where the platform marks folders so.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tallyport.connectors.object_keys import name_of, twin_of
from tallyport.domain.entries import Entry, Kind


class Found(NamedTuple):
    """One line of a listing."""

    key: str  # whole; a prefix ends with its slash
    entry: Entry | None = None  # of an object; its name is not looked at
    is_marker: bool = False


Listed = Callable[[str, str, str], tuple[Sequence[Found], str]]
"""Lists some lines below a prefix of a path, from a token on; gives the next one."""


class Line:
    """Goes through the lines of a listing in the order of keys and remembers what later lines depend on.

    Between ``a`` and ``a/`` any number of keys may lie, but all begin with ``a``: little is held.
    """

    def __init__(self, prefix: str, held: list[list[str]] | None = None) -> None:
        self._prefix = prefix
        self._files, self._markers = held or [[], []]

    @property
    def held(self) -> list[list[str]]:
        """What a later page needs, to be stored with its cursor."""
        return [self._files, self._markers]

    def entries(self, found: Iterable[Found]) -> list[Entry]:
        """Give the entries of some lines."""
        return [entry for one in found if (entry := self._entry(one)) is not None]

    def _entry(self, found: Found) -> Entry | None:
        key = found.key
        self._files = [one for one in self._files if key.startswith(one)]
        self._markers = [one for one in self._markers if key.startswith(one)]
        segment = key[len(self._prefix) :]
        if found.entry is None:
            above = key[:-1]
            if above in self._markers:
                return None  # shown already
            name = twin_of(segment[:-1]) if above in self._files else name_of(segment[:-1])
            return Entry(name, Kind.CONTAINER)
        if found.is_marker and segment:
            self._markers.append(key)
            return Entry(name_of(segment), Kind.CONTAINER)
        if not segment and not found.entry.size:
            return None  # the marker of this very container
        self._files.append(key)
        return found.entry._replace(name=name_of(segment))
