"""Keeps what is about to be replaced or removed, in a folder of the same connection.

What stood at ``a/b.txt`` is kept at ``ROOT/a/b.txt``. A file that is replaced stays visible until then where the
platform can link or copy inside; elsewhere it is moved away first, and put back when its successor fails. The
first that was kept of a path is what stood there before the execution; later ones go to ``ROOT.2`` and so on.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tallyport.connectors.protocol import Connector, Copies, Facts, Links, Moves, Precondition, Stamps
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import display, join, segments, split

_ABSENT = Precondition(absent=True)
_MOST = 1_000  # kept contents of one path in one execution


class Keeper:
    """Keeps for one execution on one side."""

    def __init__(self, connector: Connector, root: str) -> None:
        self._connector = connector
        self.root = root
        self._made: set[str] = set()  # folders that stand

    def keep(self, path: str, expect: Entry) -> tuple[Entry | None, str]:
        """Keep what stands there and is about to be replaced.

        Gives it as it stands now, None where it had to be moved away, and where it is kept.
        """
        here = self._connector.stat(path)
        if here is None or not (_is_still(here, expect) or self._was_kept(path, here, expect)):
            raise _error(ErrorKind.ALREADY_EXISTS, "replace", path, "it is not what was decided on any more")
        place, is_kept = self._place(path, here)
        if is_kept or self._copy(path, here, place):
            return self._connector.stat(path), place
        self._move(path, place)
        return None, place

    def _was_kept(self, path: str, here: Entry, expect: Entry) -> bool:
        """Tell whether what stands there was kept before a crash: a second name of a file gives it another tag."""
        kept = self._connector.stat(join(self.root, path))
        wanted = (expect.kind, expect.size, expect.modified)
        return kept is not None and wanted == (here.kind, here.size, here.modified) == (
            kept.kind,
            kept.size,
            kept.modified,
        )

    def put_back(self, path: str, place: str) -> None:
        """Put back what was moved away, where nothing took its place."""
        if isinstance(self._connector, Moves) and self._connector.stat(path) is None:
            self._connector.rename(place, path)

    def take(self, path: str, kind: Kind, expect: Entry | None) -> str:
        """Keep what is to be removed, and remove it from its place; gives where it is. Gone already is success."""
        here = self._connector.stat(path)
        if here is None:
            return ""
        if here.kind is not kind or (expect is not None and not _is_still(here, expect)):
            raise _error(ErrorKind.CHANGED_DURING_COPY, "remove", path, "it changed after the decision was taken")
        if kind is Kind.CONTAINER:
            return self._take_container(path, here)
        place, is_kept = self._place(path, here)
        if isinstance(self._connector, Moves) and not is_kept:
            self._move(path, place)
        else:
            if not is_kept and not self._copy(path, here, place):
                raise _error(ErrorKind.UNSUPPORTED, "keep", path, "the platform can neither move nor copy it")
            self._connector.delete(path, expect=self._connector.stat(path))
        return place

    def _take_container(self, path: str, here: Entry) -> str:
        if next(iter(self._connector.children(path)), None) is not None:
            raise _error(ErrorKind.ALREADY_EXISTS, "remove", path, "the container is not empty")
        place = join(self.root, path)
        self._make(place)
        stamp_container(self._connector, place, here)
        self._connector.delete(path)
        return place

    def _place(self, path: str, here: Entry) -> tuple[str, bool]:
        """Give a free place, or the one where the very content is kept already: a crash came between."""
        for number in range(1, _MOST):
            place = join(self.root if number == 1 else f"{self.root}.{number}", path)
            kept = self._connector.stat(place)
            if kept is None:
                self._make(split(place)[0])
                return place, False
            if (kept.kind, kept.size, kept.modified) == (here.kind, here.size, here.modified):
                return place, True
        raise _error(ErrorKind.ALREADY_EXISTS, "keep", path, f"{_MOST} earlier contents are kept already")

    def _make(self, folder: str) -> None:
        if folder in self._made:
            return
        place = ""
        for name in segments(folder):
            place = join(place, name)
            if place not in self._made:
                self._connector.make_container(place, Facts())
                self._made.add(place)

    def _copy(self, path: str, here: Entry, place: str) -> bool:
        """Make what stands there stand in a second place; False where only a move would do."""
        connector = self._connector
        if isinstance(connector, Links):
            try:
                connector.make_hard_link(place, path, when=_ABSENT)
                return True
            except TallyportError as error:
                if error.kind is not ErrorKind.UNSUPPORTED:
                    raise
        if here.kind is not Kind.FILE:
            return False
        if isinstance(connector, Copies):
            connector.copy(path, place, Facts(), when=_ABSENT)
            return True
        if isinstance(connector, Moves):
            return False
        with connector.read(path) as chunks:
            connector.write(place, chunks, facts_of(here), when=_ABSENT)
        return True

    def _move(self, path: str, place: str) -> None:
        if not isinstance(self._connector, Moves):
            raise _error(ErrorKind.UNSUPPORTED, "keep", path, "the platform can neither move nor copy it")
        self._connector.rename(path, place)


class Kept(NamedTuple):
    """One item in quarantine."""

    path: str  # where it stood
    entry: Entry
    stood: bool  # something was in its place before what is below it was given


def kept(connector: Connector, root: str) -> Iterator[Kept]:
    """Give what is kept below a root, what is in a container before the container."""
    if connector.stat(root) is not None:
        yield from _below(connector, root, "")


def _below(connector: Connector, root: str, path: str) -> Iterator[Kept]:
    for entry in sorted(connector.children(join(root, path) if path else root)):
        place = join(path, entry.name)
        stood = connector.stat(place) is not None
        if entry.kind is Kind.CONTAINER:
            yield from _below(connector, root, place)
        yield Kept(place, entry, stood)


def stamp_container(connector: Connector, path: str, entry: Entry) -> None:
    """Give a container the facts that another had, where the platform says any of a container."""
    if isinstance(connector, Stamps):
        try:
            connector.stamp(path, facts_of(entry))
        except TallyportError as error:
            if error.kind is not ErrorKind.UNSUPPORTED:
                raise


def facts_of(entry: Entry) -> Facts:
    """Give the facts of an entry, to be given to a copy of it."""
    size = entry.size if entry.kind is Kind.FILE else None
    return Facts(size, entry.modified, entry.mode, entry.owner, entry.group)


def _is_still(entry: Entry, expected: Entry) -> bool:
    return entry.kind is expected.kind and fingerprint(entry) == fingerprint(expected)


def _error(kind: ErrorKind, operation: str, path: str, why: str) -> TallyportError:
    return TallyportError(kind, f"cannot {operation} {display(path)!r}: {why}", path=path, operation=operation)
