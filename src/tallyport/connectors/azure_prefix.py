"""One prefix of a container of Azure: names, and looking at what stands below it.

An empty container is a blob of no bytes that says ``hdi_isfolder`` in its metadata.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from tallyport.connectors import azure_xml as xml
from tallyport.connectors.azure_entries import (
    FOLDER,
    HASH,
    OURS,
    PROPERTIES,
    entry_of,
    found_in,
    headers_of,
    is_plain,
    looked,
    md5_in,
    quoted,
)
from tallyport.connectors.azure_http import Container
from tallyport.connectors.azure_limits import BLOCK, LIMITS, SEGMENTS_MAX
from tallyport.connectors.azure_xml import Blob
from tallyport.connectors.object_content import ObjectContent, Which
from tallyport.connectors.object_http import Answer, Refused, chunks_of
from tallyport.connectors.object_keys import is_twin
from tallyport.connectors.object_listing import Found
from tallyport.connectors.object_metadata import MTIME, checked, hash_in, time_out
from tallyport.connectors.object_store import CHANGED, base_of
from tallyport.connectors.pausing import Pause
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, display, split


class Prefix(ObjectContent[Blob]):
    """A prefix of a container."""

    page_size = 5_000  # what the platform gives at most
    noun = "blob"
    piece = BLOCK
    pieces_noun = "blocks"
    properties_name = PROPERTIES
    our_names = OURS
    fact_names = frozenset({MTIME, HASH})

    def __init__(self, container: Container, path: str = ROOT, *, make: bool = False) -> None:
        settings = container.settings
        self._container = container
        self._takes_snapshots = settings.versions == "snapshots"
        self.limits = replace(LIMITS, versions=self._takes_snapshots, checks_ranges=container.host.is_tls)
        self._base = base_of(settings.prefix, path)
        self.location = f"{container.way.endpoint}/{settings.container}/{display(self._base)}".rstrip("/")
        with container.translated("open", self.location):
            self._lines(self._base, "open", most=1)  # also says that the container is there
        if path and not make and not self._holds(self._base, ROOT):
            raise refusal(ErrorKind.NOT_FOUND, "open", self.location, "nothing lies below that prefix")

    def close(self) -> None:
        self._container.close()

    def pause_with(self, pause: Pause) -> None:
        self._container.pause_with(pause)

    # -- names

    def _new_key(self, path: str, operation: str) -> str:
        key = super()._new_key(path, operation)
        length = len(key.encode("utf-16-le")) // 2
        if length > 1024 or key.count("/") >= SEGMENTS_MAX:
            why = f"its name would have {length} characters and {key.count('/') + 1} parts"
            raise refusal(ErrorKind.INVALID_NAME, operation, path, f"{why}: the platform takes 1024 and {SEGMENTS_MAX}")
        return key

    # -- looking

    def _translated(
        self, operation: str, path: str, instead: Mapping[ErrorKind, ErrorKind] | None = None
    ) -> AbstractContextManager[None]:
        return self._container.translated(operation, path, instead)

    def _look(self, key: str, path: str) -> Blob | None:
        with self._container.translated("look at", path):
            try:
                return looked(key, self._container.call("HEAD", key))
            except Refused as error:
                if error.status == 404 and error.code != "ContainerNotFound":
                    return None
                raise

    def _entry(self, name: str, found: Blob) -> Entry:
        return entry_of(name, found)

    def _metadata(self, found: Blob) -> Mapping[str, str]:
        return found.metadata

    def _times(self, modified: int) -> Mapping[str, str]:
        return {MTIME: time_out(modified)}

    def _is_plain(self, name: str, value: bytes) -> bool:
        return is_plain(name, value)

    def _is_missing(self, error: Refused) -> bool:
        return error.code == "BlobNotFound"

    def _is_folder(self, key: str, path: str) -> bool:
        found = self._look(key, path)
        return found is not None and found.is_folder

    def _holds(self, prefix: str, path: str, *, beside: str | None = None) -> bool:
        marker = ""
        while True:
            with self._container.translated("look at", path):
                listed = self._lines(prefix, path, marker=marker, most=2)
            if any(one.name != beside or one.size for one in listed.lines if isinstance(one, Blob)):
                return True
            marker = listed.marker
            if not marker:
                return False

    def _listed(self, prefix: str, path: str, token: str) -> tuple[Sequence[Found], str]:
        listed = self._lines(prefix, path, marker=token, delimiter="/", include="metadata")
        return [found_in(one) for one in listed.lines], listed.marker

    def _lines(
        self, prefix: str, path: str, *, marker: str = "", delimiter: str = "", include: str = "", most: int = 0
    ) -> xml.Listed:
        query = {"restype": "container", "comp": "list", "maxresults": str(most or self.page_size)}
        words = {"prefix": prefix, "marker": marker, "delimiter": delimiter, "include": include}
        query |= {word: value for word, value in words.items() if value}
        return xml.page(self._container.call("GET", None, query=query).content, path)

    # -- reading

    def _ask(self, key: str, which: Which, span: str | None) -> Answer:
        headers = {} if which.tag is None else {"If-Match": quoted(which.tag)}
        if span is not None:
            headers["x-ms-range"] = span  # Range itself is signed at another place than the platform's own
        word, _, moment = (which.version or "").partition("=")
        return self._container.call("GET", key, query={word: moment} if word else {}, headers=headers, streams=True)

    def _given(self, key: str, path: str, answer: Answer, which: Which, *, is_whole: bool) -> Iterator[bytes]:
        found = looked(key, answer)
        if found.is_folder:
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, "a container has no content")
        chunks = chunks_of(answer, path)
        return checked(chunks, path, hash_in(found.metadata.get(HASH)), md5_in(found)) if is_whole else chunks

    def _tells_hash(self, key: str, answer: Answer) -> bool:
        found = looked(key, answer)
        return hash_in(found.metadata.get(HASH)) is not None or md5_in(found) is not None

    # -- changing

    def _markers(self, key: str, path: str) -> Mapping[str, bytes]:
        names = {f"{key}/": b""}
        marker = None if is_twin(split(path)[1]) else self._look(key, path)
        if marker is not None and marker.is_folder:
            names[key] = marker.tag  # whoever puts a file there meanwhile keeps it
        return names

    def _remove(self, key: str, path: str, tag: bytes) -> None:
        headers = {"If-Match": quoted(tag)} if tag else {}
        if self._takes_snapshots:
            headers["x-ms-delete-snapshots"] = "include"
        try:
            self._container.call("DELETE", key, headers=headers)
            self._container.leases.pop(key, None)
        except Refused as error:
            if error.status != 404 or error.code == "ContainerNotFound":
                raise

    def _describe(self, key: str, path: str, found: Blob, values: Mapping[str, str | None]) -> Entry:
        wanted = {**found.metadata, **values}
        metadata = {name: value for name, value in wanted.items() if value is not None and name != FOLDER}
        headers = {"If-Match": quoted(found.tag), **headers_of(metadata)}
        with self._container.translated("describe", path, CHANGED):
            self._container.call("PUT", key, query={"comp": "metadata"}, headers=headers)
        return self._seen(key, path)
