"""Earlier contents of a blob: versions that the account keeps, and snapshots, also those that we take."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby, takewhile

from tallyport.connectors.azure_entries import is_now, quoted, version_id
from tallyport.connectors.azure_prefix import Prefix
from tallyport.connectors.azure_xml import Blob
from tallyport.connectors.object_content import Which
from tallyport.connectors.object_store import CHANGED
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.versions import Version


class Versions(Prefix):
    """A prefix whose blobs have earlier contents."""

    def versions(self, path: str) -> Sequence[Version]:
        key = self._key(path, "list the versions of")
        found = self._contents(key, path)
        current = _current(found)
        if current is None:
            raise refusal(ErrorKind.NOT_FOUND, "list the versions of", path, "there is no such blob")
        earlier = _earlier(found, current)
        earlier.sort(key=lambda one: one.snapshot or one.version)
        return [
            *(Version(version_id(one), one.size, self._entry("", one).modified) for one in earlier),
            Version(version_id(current), current.size, self._entry("", current).modified, is_current=True),
        ]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        word, _, moment = version.partition("=")
        which = Which(tag=moment.encode()) if word == "etag" else Which(version=version)
        return self._reading(path, offset, length, which)

    def _keep(self, key: str, path: str) -> None:
        """Take a snapshot of what is about to be replaced, where the connection keeps versions so."""
        if not self._takes_snapshots:
            return
        found = self._contents(key, path)
        current = _current(found)
        if current is None or any(one.snapshot and one.tag == current.tag for one in found):
            return
        headers = {"If-Match": quoted(current.tag)}
        with self._container.translated("write", path, CHANGED):
            self._container.call("PUT", key, query={"comp": "snapshot"}, headers=headers)

    def _contents(self, key: str, path: str) -> list[Blob]:
        """Give every content of one name: the present one, snapshots, and versions where the account keeps them."""
        # Other names that begin so come after it: what follows it is not asked for.
        found = takewhile(lambda one: one.name == key, self._all(key, path))
        return [one for one in found if not one.is_folder]

    def _numbers(self, prefix: str, path: str) -> Iterator[tuple[str, int]]:
        """Count as ``versions`` does; what is held is of one name."""
        for name, some in groupby(self._all(prefix, path, delimiter="/"), key=lambda one: one.name):
            found = list(some)
            current = _current(found)
            if current is not None:
                yield name, len(_earlier(found, current)) + 1

    def _all(self, prefix: str, path: str, *, delimiter: str = "") -> Iterator[Blob]:
        """Give every content below a prefix, those of one name one after the other."""
        include, marker = "metadata,snapshots,versions", ""
        while True:
            try:
                with self._container.translated("list the versions of", path):
                    listed = self._lines(prefix, path, marker=marker, delimiter=delimiter, include=include)
            except TallyportError as error:
                # An account with a hierarchical namespace, and the emulator, know no versions.
                is_refused = error.kind in (ErrorKind.UNEXPECTED, ErrorKind.UNSUPPORTED)
                if marker or "versions" not in include or not is_refused:
                    raise
                include = "metadata,snapshots"
                continue
            yield from (one for one in listed.lines if isinstance(one, Blob))
            marker = listed.marker
            if not marker:
                return


def _current(found: Iterable[Blob]) -> Blob | None:
    return next((one for one in found if is_now(one)), None)


def _earlier(found: Iterable[Blob], current: Blob) -> list[Blob]:
    """Give the earlier contents; a snapshot of what stands there now is no other content."""
    return [one for one in found if not is_now(one) and one.tag != current.tag]
