"""Earlier contents of a blob: versions that the account keeps, and snapshots, also those that we take."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

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
        current = next((one for one in found if is_now(one)), None)
        if current is None:
            raise refusal(ErrorKind.NOT_FOUND, "list the versions of", path, "there is no such blob")
        # A snapshot of what stands there now is no other content.
        earlier = [one for one in found if not is_now(one) and one.tag != current.tag]
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
        current = next((one for one in found if is_now(one)), None)
        if current is None or any(one.snapshot and one.tag == current.tag for one in found):
            return
        headers = {"If-Match": quoted(current.tag)}
        with self._container.translated("write", path, CHANGED):
            self._container.call("PUT", key, query={"comp": "snapshot"}, headers=headers)

    def _contents(self, key: str, path: str) -> list[Blob]:
        """Give every content of one name: the present one, snapshots, and versions where the account keeps them."""
        for include in ("metadata,snapshots,versions", "metadata,snapshots"):
            found: list[Blob] = []
            marker = ""
            try:
                with self._container.translated("list the versions of", path):
                    while True:
                        listed = self._lines(key, path, marker=marker, include=include)
                        found += [one for one in listed.lines if isinstance(one, Blob) and one.name == key]
                        marker = listed.marker
                        last = listed.lines[-1] if listed.lines else None
                        if not marker or (isinstance(last, Blob) and last.name > key):
                            return [one for one in found if not one.is_folder]
            except TallyportError as error:
                # An account with a hierarchical namespace, and the emulator, know no versions.
                if "versions" not in include or error.kind not in (ErrorKind.UNEXPECTED, ErrorKind.UNSUPPORTED):
                    raise
        return []
