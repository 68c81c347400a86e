"""Azure Blob Storage: a container, or a prefix in one, as a tree.

A container of Azure has no folders. One of ours is there while a blob lies below its prefix; an empty one is a blob
of no bytes that says ``hdi_isfolder`` in its metadata, as Azure's own tools mark folders, and as an account with a
hierarchical namespace shows its own. Names that are no paths are shown escaped (``object_keys.py``).

A write is one request, or blocks that are joined in one request: the old blob stands until then, and the condition is
the platform's. Every request with content carries its MD5. Blocks wait at the name they are meant for, at most a week;
a write of somebody else to the same name forgets them. Times and the content hash are metadata of ours, which a
listing gives.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

import hashlib
import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from tallyport.connectors import azure_xml as xml
from tallyport.connectors import object_metadata
from tallyport.connectors.azure_entries import (
    FOLDER,
    HASH,
    OURS,
    PROPERTIES,
    Upload,
    entry_of,
    folder,
    found_in,
    headers_of,
    is_now,
    is_plain,
    looked,
    md5_in,
    md5_of,
    metadata_of,
    quoted,
    tag_of,
    upload_of,
    version_id,
)
from tallyport.connectors.azure_http import Container, Settings
from tallyport.connectors.azure_xml import Blob
from tallyport.connectors.hashing import digest
from tallyport.connectors.object_http import Answer, Refused, check_part, chunks_of, let_go
from tallyport.connectors.object_keys import is_twin, key_of
from tallyport.connectors.object_listing import Line
from tallyport.connectors.object_metadata import MTIME, checked, hash_in, time_out, type_of
from tallyport.connectors.pausing import Pause
from tallyport.connectors.protocol import ANYTHING, Facts, Page, Precondition
from tallyport.connectors.remote_content import Announced, blocks
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.domain.capabilities import LengthUnit, Limits, VerifyLevel
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.paths import ROOT, display, split
from tallyport.domain.versions import Version

__all__ = ["LIMITS", "AzureBlob", "Settings", "open_azure_blob"]

MIB = 1024 * 1024
BLOCK = 8 * MIB  # of one request; the whole of it is in memory, so that it is sent with its MD5
UPLOAD_PART = 64 * MIB  # what the engine carries at once; it is stored as up to eight blocks
BLOCKS_MAX = 50_000  # of one blob
COPY_MAX = 256 * MIB  # of a copy in one request
COPY_BLOCK = 100 * MIB  # of a larger one
SEGMENTS_MAX = 254
LOOKS = 16  # calls at once where many are needed
METADATA_MAX = 8_000
_CHANGED = {ErrorKind.ALREADY_EXISTS: ErrorKind.CHANGED_DURING_COPY}
_KEPT = ("Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition", "Cache-Control")
_CONTROLS = "".join(map(chr, range(32)))

LIMITS = Limits(
    max_size=UPLOAD_PART * BLOCKS_MAX,
    max_name=1024,
    max_path=1024,
    name_unit=LengthUnit.UTF16,
    # A backslash becomes a slash on its way; listings are XML, which has no control characters.
    forbidden_characters="/\\\x7f\ufffe\uffff" + _CONTROLS,
    forbidden_endings=".",
    unicode_only=True,
    slow_hash=True,
    locks=True,
    dates_containers=False,
    best_verify=VerifyLevel.READBACK,
    hash_types=("md5",),
    acknowledges=True,
    part_min=1,
    part_max=UPLOAD_PART,
    parts_max=BLOCKS_MAX,
    containers_implied=True,
)


def open_azure_blob(settings: Settings, path: str = ROOT, *, make: bool = False) -> "AzureBlob":
    """Open a container at a path below its prefix; the container itself must be there."""
    container = Container(settings)
    try:
        return AzureBlob(container, path, make=make)
    except BaseException:
        container.close()
        raise


class AzureBlob:
    """One prefix of one container."""

    page_size = 5_000  # what the platform gives at most

    def __init__(self, container: Container, path: str = ROOT, *, make: bool = False) -> None:
        settings = container.settings
        self._container = container
        self._takes_snapshots = settings.versions == "snapshots"
        self.limits = replace(LIMITS, versions=self._takes_snapshots)
        fixed = settings.prefix.strip("/")
        below = key_of(path)
        self._base = "".join(f"{part}/" for part in (fixed, below) if part)
        self.location = f"{container.way.endpoint}/{settings.container}/{display(self._base)}".rstrip("/")
        with container.translated("open", self.location):
            self._lines(self._base, "open", most=1)  # also says that the container is there
        if below and not make and not self._holds(self._base, ROOT):
            raise refusal(ErrorKind.NOT_FOUND, "open", self.location, "nothing lies below that prefix")

    # -- what every platform can do

    def stat(self, path: str) -> Entry | None:
        key = self._key(path, "look at")
        if path == ROOT:
            return folder("")
        name = split(path)[1]
        if not is_twin(name):
            found = self._look(key, path)
            if found is not None:
                return folder(name) if found.is_folder else entry_of(name, found)
        return folder(name) if self._holds(f"{key}/", path) else None

    def children(self, path: str) -> Iterator[Entry]:
        cursor: str | None = None
        while True:
            page = self.page(path, cursor)
            yield from page.entries
            cursor = page.cursor
            if cursor is None:
                return

    def page(self, path: str, cursor: str | None = None) -> Page:
        key = self._key(path, "list")
        prefix = f"{key}/" if path else self._base
        marker, held = json.loads(cursor) if cursor else ("", None)
        line = Line(prefix, held)
        entries: list[Entry] = []
        is_there = cursor is not None
        while True:
            instead = {ErrorKind.UNEXPECTED: ErrorKind.CHANGED_DURING_COPY} if marker else None
            with self._container.translated("list", path, instead):
                listed = self._lines(prefix, path, marker=marker, delimiter="/", include="metadata")
            is_there = is_there or bool(listed.lines)
            entries += line.entries(found_in(one) for one in listed.lines)
            marker = listed.marker
            if entries or not marker:  # the platform may give empty pages before the last
                break
        if not is_there and path != ROOT and not self._is_folder(key, path):
            raise refusal(ErrorKind.NOT_FOUND, "list", path, "there is no such container")
        return Page(tuple(entries), json.dumps([marker, line.held]) if marker else None)

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, {}, {})

    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, {}, {"If-Match": quoted(entry.tag)})

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key = self._new_key(path, "write")
        self._check_size(path, facts.size or 0)
        self._check(key, path, when)
        announced = Announced(content, facts, path)
        pieces = blocks(announced, BLOCK)
        first = next(pieces, b"")
        second = next(pieces, None) if len(first) == BLOCK else None
        if second is None:
            return self._put(key, path, first, facts, when)
        return self._put_blocks(key, path, _chain(first, second, pieces), facts, when)

    def make_container(self, path: str, facts: Facts) -> Entry:
        if path == ROOT:
            return folder("")
        key = self._new_key(path, "make")
        name = split(path)[1]
        if self._holds(f"{key}/", path):
            return folder(name)
        with self._container.translated("make", path):
            try:
                self._making(key, b"", {FOLDER: "true"}, {"If-None-Match": "*"})
            except Refused as error:
                if error.status not in (409, 412):
                    raise
                if not self._is_folder(key, path):
                    raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "a file has that name") from error
        return folder(name)

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        key = self._key(path, "delete")
        if path == ROOT:
            raise refusal(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
        entry = self.stat(path)
        if entry is None:
            return
        if expect is not None and (entry.kind is not expect.kind or fingerprint(entry) != fingerprint(expect)):
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "delete", path, "it changed since it was seen")
        if entry.kind is Kind.CONTAINER:
            if self._holds(f"{key}/", path, beside=f"{key}/"):
                raise refusal(ErrorKind.ALREADY_EXISTS, "delete", path, "the container is not empty")
            marker = None if is_twin(split(path)[1]) else self._look(key, path)
            names = {f"{key}/": b""}
            if marker is not None and marker.is_folder:
                names[key] = marker.tag  # whoever puts a file there meanwhile keeps it
        else:
            names = {key: entry.tag if expect is not None else b""}
        for each, tag in names.items():
            headers = {"If-Match": quoted(tag)} if tag else {}
            if self._takes_snapshots:
                headers["x-ms-delete-snapshots"] = "include"
            with self._container.translated("delete", path, _CHANGED):
                try:
                    self._container.call("DELETE", each, headers=headers)
                    self._container.leases.pop(each, None)
                except Refused as error:
                    if error.status != 404 or error.code == "ContainerNotFound":
                        raise

    def close(self) -> None:
        self._container.close()

    def pause_with(self, pause: Pause) -> None:
        self._container.pause_with(pause)

    # -- abilities

    def stamp(self, path: str, facts: Facts) -> Entry:
        key = self._key(path, "stamp")
        found = self._existing(key, path, "stamp")
        if facts.modified is None:
            return entry_of(split(path)[1], found)
        return self._describe(key, path, found, {**found.metadata, MTIME: time_out(facts.modified)})

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key, new_key = self._key(path, "copy"), self._new_key(to, "copy")
        found = self._existing(key, path, "copy")
        self._check(new_key, to, when)
        metadata = dict(found.metadata)
        if facts.modified is not None:
            metadata[MTIME] = time_out(facts.modified)
        self._keep(new_key, to)
        if found.size <= COPY_MAX:
            headers = {
                "x-ms-copy-source": self._container.source(key),
                "x-ms-source-if-match": quoted(found.tag),
                "x-ms-requires-sync": "true",
                **headers_of(metadata),
                **self._condition(when),
            }
            with self._refused_when_gone(when), self._container.translated("copy", to):
                self._container.call("PUT", new_key, headers=headers)
        else:
            self._copy_blocks(key, new_key, to, found, metadata, when)
        return self._seen(new_key, to)

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        self._new_key(path, "write")
        size = facts.size or 0
        self._check_size(path, size)
        parts = -(-size // UPLOAD_PART)
        pieces = next(n for n in (8, 4, 2, 1) if n == 1 or parts * n <= BLOCKS_MAX)
        return f"{pieces}:{secrets.token_hex(8)}"

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        key = self._new_key(path, "write")
        upload = upload_of(handle)
        passing = Announced(content, Facts(size=size), path)
        count = 0
        for count, data in enumerate(blocks(passing, UPLOAD_PART // upload.pieces), 1):
            self._put_block(key, path, upload.block(number, count - 1), data)
        return b"%d:%d" % (count, size)

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        key = self._new_key(path, "write")
        upload = upload_of(handle)
        self._check(key, path, when)
        ids: list[str] = []
        size = 0
        for number, receipt in enumerate(receipts):
            count, _, length = receipt.partition(b":")
            ids += [upload.block(number, n) for n in range(int(count))]
            size += int(length)
        waiting = self._waiting(key, path)
        if any(one not in waiting for one in ids) or sum(waiting[one] for one in ids) != size:
            why = "the upload is gone: it was abandoned, another write replaced it, or a week has passed"
            raise refusal(ErrorKind.NOT_FOUND, "write", path, why)
        return self._join(key, path, ids, facts, size, when, md5=None)

    def abandon_upload(self, path: str, handle: str) -> None:
        """Blocks cannot be taken back: each is replaced by one byte, and the platform forgets them after a week."""
        key = self._key(path, "write")
        upload = upload_of(handle)
        left = [one for one, size in self._waiting(key, path).items() if upload.owns(one) and size > 1]
        with ThreadPoolExecutor(LOOKS, thread_name_prefix="azure-free") as pool:
            for done in [pool.submit(self._put_block, key, path, one, b"\0") for one in left]:
                done.result()

    def versions(self, path: str) -> Sequence[Version]:
        key = self._key(path, "list the versions of")
        found = [one for one in self._contents(key, path) if not one.is_folder]
        current = next((one for one in found if is_now(one)), None)
        if current is None:
            raise refusal(ErrorKind.NOT_FOUND, "list the versions of", path, "there is no such blob")
        # A snapshot of what stands there now is no other content.
        earlier = [one for one in found if not is_now(one) and one.tag != current.tag]
        earlier.sort(key=lambda one: one.snapshot or one.version)
        return [
            *(Version(version_id(one), one.size, entry_of("", one).modified) for one in earlier),
            Version(version_id(current), current.size, entry_of("", current).modified, is_current=True),
        ]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        what, _, moment = version.partition("=")
        if what == "etag":
            return self._reading(path, offset, length, {}, {"If-Match": f'"{moment}"'})
        return self._reading(path, offset, length, {what: moment}, {})

    def properties(self, path: str) -> Mapping[str, bytes]:
        found = self._existing(self._key(path, "look at"), path, "look at")
        return object_metadata.properties_in(found.metadata, OURS, PROPERTIES)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        operation = "set the properties of"
        key = self._key(path, operation)
        found = self._existing(key, path, operation)
        wanted = {**object_metadata.properties_in(found.metadata, OURS, PROPERTIES), **values}
        given = {name: value for name, value in wanted.items() if value is not None}
        told = object_metadata.properties_out(given, path, PROPERTIES, is_plain, METADATA_MAX)
        kept = {name: value for name, value in found.metadata.items() if name in (MTIME, HASH)}
        self._describe(key, path, found, {**kept, **told})
        return self.properties(path)

    def lock_of(self, path: str) -> Lock | None:
        found = self._existing(self._key(path, "look at"), path, "look at")
        return Lock() if found.is_leased else None

    def lock(self, path: str, lock: Lock) -> Lock:
        """Take a lease that has no end: those that have one last a minute at most. The platform keeps no name."""
        key = self._key(path, "lock")
        self._existing(key, path, "lock")
        headers = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"}
        if lock.mark:  # a lease that has this name already is granted again
            headers["x-ms-proposed-lease-id"] = lock.mark
        with self._container.translated("lock", path):
            answer = self._container.call("PUT", key, query={"comp": "lease"}, headers=headers)
        token = answer.headers.get("x-ms-lease-id", "")
        if lock.mark:
            self._container.leases[key] = token
        return Lock(token=token, mark=lock.mark)

    def hold(self, path: str, mark: str) -> None:
        """Present a mark as the name of the lease, where there is one; that of somebody else stays LOCKED."""
        key = self._key(path, "look at")
        found = self._look(key, path)
        if found is not None and found.is_leased:
            self._container.leases[key] = mark
        else:
            self._container.leases.pop(key, None)  # the platform refuses what names a lease that there is not

    def unlock(self, path: str, lock: Lock) -> None:
        key = self._key(path, "unlock")
        self._container.leases.pop(key, None)
        headers = {"x-ms-lease-action": "release", "x-ms-lease-id": lock.token}
        with self._container.translated("unlock", path):
            try:
                self._container.call("PUT", key, query={"comp": "lease"}, headers=headers)
            except Refused as error:
                if error.status not in (404, 409, 412):
                    raise

    # -- names

    def _key(self, path: str, operation: str) -> str:
        check_path(operation, path)
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise refusal(ErrorKind.INVALID_NAME, operation, path, "a name is text in UTF-8") from error
        return self._base + key_of(path)

    def _new_key(self, path: str, operation: str) -> str:
        check_new(operation, path, self.limits)
        key = self._key(path, operation)
        length = len(key.encode("utf-16-le")) // 2
        if length > 1024 or key.count("/") >= SEGMENTS_MAX:
            why = f"its name would have {length} characters and {key.count('/') + 1} parts"
            raise refusal(ErrorKind.INVALID_NAME, operation, path, f"{why}: the platform takes 1024 and {SEGMENTS_MAX}")
        return key

    # -- looking

    def _look(self, key: str, path: str) -> Blob | None:
        with self._container.translated("look at", path):
            try:
                return looked(key, self._container.call("HEAD", key))
            except Refused as error:
                if error.status == 404 and error.code != "ContainerNotFound":
                    return None
                raise

    def _existing(self, key: str, path: str, operation: str) -> Blob:
        found = None if path == ROOT or is_twin(split(path)[1]) else self._look(key, path)
        if found is not None and not found.is_folder:
            return found
        if path == ROOT or found is not None or self._holds(f"{key}/", path):
            raise refusal(ErrorKind.UNSUPPORTED, operation, path, "a container is no blob of the platform")
        raise refusal(ErrorKind.NOT_FOUND, operation, path, "there is no such blob")

    def _seen(self, key: str, path: str) -> Entry:
        found = self._look(key, path)
        if found is None:
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "it vanished at once")
        return entry_of(split(path)[1], found)

    def _is_folder(self, key: str, path: str) -> bool:
        found = self._look(key, path)
        return found is not None and found.is_folder

    def _holds(self, prefix: str, path: str, *, beside: str | None = None) -> bool:
        """Tell whether anything lies below a prefix, other than the empty marker ``beside``."""
        marker = ""
        while True:
            with self._container.translated("look at", path):
                listed = self._lines(prefix, path, marker=marker, most=2)
            if any(one.name != beside or one.size for one in listed.lines if isinstance(one, Blob)):
                return True
            marker = listed.marker
            if not marker:
                return False

    def _lines(
        self, prefix: str, path: str, *, marker: str = "", delimiter: str = "", include: str = "", most: int = 0
    ) -> xml.Listed:
        query = {"restype": "container", "comp": "list", "maxresults": str(most or self.page_size)}
        words = {"prefix": prefix, "marker": marker, "delimiter": delimiter, "include": include}
        query |= {word: value for word, value in words.items() if value}
        return xml.page(self._container.call("GET", None, query=query).content, path)

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
                            return found
            except TallyportError as error:
                # An account with a hierarchical namespace, and the emulator, know no versions.
                if "versions" not in include or error.kind not in (ErrorKind.UNEXPECTED, ErrorKind.UNSUPPORTED):
                    raise
        return []

    # -- reading

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Iterator[Iterator[bytes]]:
        key = self._key(path, "read")
        if path == ROOT or is_twin(split(path)[1]):
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, "a container has no content")
        if length == 0:
            self._existing(key, path, "read")
            yield iter(())
            return
        is_whole = not offset and length is None
        sent = dict(headers)
        if not is_whole:
            # Range itself is signed at another place than the platform's own.
            sent["x-ms-range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        answer: Answer | None = None
        with self._container.translated("read", path, _CHANGED):
            try:
                answer = self._container.call("GET", key, query=query, headers=sent, streams=True)
            except Refused as error:
                if error.status == 404 and "If-Match" in sent:
                    why = "it is gone since it was seen"
                    raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, why) from error
                if error.status != 416:  # the range begins at the end, or after it
                    raise
        if answer is None:
            yield iter(())
            return
        try:
            check_part(answer, path, is_whole=is_whole)
            found = looked(key, answer)
            if found.is_folder:
                raise refusal(ErrorKind.UNSUPPORTED, "read", path, "a container has no content")
            chunks = chunks_of(answer, path)
            yield checked(chunks, path, hash_in(found.metadata.get(HASH)), md5_in(found)) if is_whole else chunks
        finally:
            let_go(answer)

    # -- writing

    def _check_size(self, path: str, size: int) -> None:
        most = LIMITS.max_size
        if most is not None and size > most:
            why = f"it has more than the {most} bytes that are carried in blocks"
            raise refusal(ErrorKind.TOO_LARGE, "write", path, why)

    def _check(self, key: str, path: str, when: Precondition) -> None:
        """Look at the name once more where the platform was seen not to keep the condition itself."""
        keeps = self.limits.creates_only if when.absent else self.limits.replaces_checked
        if keeps or (not when.absent and when.entry is None):
            return
        self._compare(self._look(key, path), path, when)

    def _compare(self, found: Blob | None, path: str, when: Precondition) -> None:
        if when.absent and found is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")
        if when.entry is not None and (found is None or found.tag != when.entry.tag):
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")

    def _condition(self, when: Precondition) -> dict[str, str]:
        if when.absent:
            return {"If-None-Match": "*"}
        return {"If-Match": quoted(when.entry.tag)} if when.entry is not None else {}

    @contextmanager
    def _refused_when_gone(self, when: Precondition) -> Iterator[None]:
        """A condition on a blob that is gone may answer 404: it does not hold."""
        try:
            yield
        except TallyportError as error:
            is_gone = isinstance(error.__cause__, Refused) and error.__cause__.code == "BlobNotFound"
            if when.entry is None or not is_gone:
                raise
            why = "what was to be replaced is gone"
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", error.path or "", why) from error.__cause__

    def _keep(self, key: str, path: str) -> None:
        """Take a snapshot of what is about to be replaced, where the connection keeps versions so."""
        if not self._takes_snapshots:
            return
        found = [one for one in self._contents(key, path) if not one.is_folder]
        current = next((one for one in found if is_now(one)), None)
        if current is None or any(one.snapshot and one.tag == current.tag for one in found):
            return
        headers = {"If-Match": quoted(current.tag)}
        with self._container.translated("write", path, _CHANGED):
            self._container.call("PUT", key, query={"comp": "snapshot"}, headers=headers)

    def _making(self, key: str, data: bytes, metadata: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        sent = {
            "x-ms-blob-type": "BlockBlob",
            "Content-MD5": md5_of(data),
            "Content-Type": type_of(key) or "application/octet-stream",
            **headers_of(metadata),
            **self._tier(),
            **headers,
        }
        return self._container.call("PUT", key, headers=sent, body=data)

    def _tier(self) -> dict[str, str]:
        tier = self._container.settings.tier
        return {"x-ms-access-tier": tier} if tier else {}

    def _put(self, key: str, path: str, data: bytes, facts: Facts, when: Precondition) -> Entry:
        content = digest(data)
        self._keep(key, path)
        with self._refused_when_gone(when), self._container.translated("write", path):
            answer = self._making(key, data, metadata_of(facts, content), self._condition(when))
        told = answer.headers.get("Content-MD5")
        if told is not None and told != md5_of(data):
            raise refusal(ErrorKind.CORRUPT, "write", path, "the platform reports another MD5 than was sent")
        modified = facts.modified if facts.modified is not None else xml.moment(answer.headers.get("Last-Modified"))
        return Entry(split(path)[1], Kind.FILE, len(data), modified, tag_of(answer), hash=content)

    def _put_blocks(self, key: str, path: str, pieces: Iterator[bytes], facts: Facts, when: Precondition) -> Entry:
        """Store content of more than one block, one after the other; nothing is seen of it when that fails."""
        upload = Upload(1, secrets.token_hex(8))
        running = hashlib.md5(usedforsecurity=False)
        ids: list[str] = []
        size = 0
        try:
            for data in pieces:
                if len(ids) == BLOCKS_MAX:
                    self._check_size(path, (LIMITS.max_size or 0) + 1)
                running.update(data)
                size += len(data)
                ids.append(upload.block(len(ids), 0))
                self._put_block(key, path, ids[-1], data)
            return self._join(key, path, ids, facts, size, when, md5=running.digest())
        except BaseException:
            try:
                self.abandon_upload(path, upload.handle)
            except TallyportError:
                pass  # the first error says what is wrong; the platform forgets the blocks after a week
            raise

    def _put_block(self, key: str, path: str, block: str, data: bytes) -> None:
        md5 = md5_of(data)
        with self._container.translated("write", path):
            query = {"comp": "block", "blockid": block}
            answer = self._container.call("PUT", key, query=query, headers={"Content-MD5": md5}, body=data)
        told = answer.headers.get("Content-MD5")
        if told is not None and told != md5:
            raise refusal(ErrorKind.CORRUPT, "write", path, "the platform reports another MD5 than was sent")

    def _waiting(self, key: str, path: str) -> dict[str, int]:
        """Give the blocks that wait at a name to be joined."""
        with self._container.translated("write", path):
            try:
                query = {"comp": "blocklist", "blocklisttype": "uncommitted"}
                return xml.blocks(self._container.call("GET", key, query=query).content, path)
            except Refused as error:
                if error.status == 404 and error.code != "ContainerNotFound":
                    return {}
                raise

    def _join(
        self,
        key: str,
        path: str,
        ids: Sequence[str],
        facts: Facts,
        size: int,
        when: Precondition,
        *,
        md5: bytes | None,
        described: Mapping[str, str] | None = None,
        kept: Mapping[str, str] | None = None,
    ) -> Entry:
        self._keep(key, path)
        body = xml.block_list(ids)
        headers = {
            "Content-MD5": md5_of(body),
            "x-ms-blob-content-type": type_of(key) or "application/octet-stream",
            **({} if md5 is None else {"x-ms-blob-content-md5": b64encode(md5).decode()}),
            **headers_of(metadata_of(facts, facts.hash) if described is None else described),
            **self._tier(),
            **(kept or {}),
            **self._condition(when),
        }
        with self._refused_when_gone(when):
            try:
                with self._container.translated("write", path):
                    self._container.call("PUT", key, query={"comp": "blocklist"}, headers=headers, body=body)
            except TallyportError as error:
                if isinstance(error.__cause__, Refused) and error.__cause__.code == "InvalidBlockList":
                    self._compare(self._look(key, path), path, when)
                    why = "another write to the same name came between"
                    raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, why) from error
                raise
        entry = self._seen(key, path)
        if entry.size != size:
            raise refusal(ErrorKind.CORRUPT, "write", path, f"{size} bytes were sent and {entry.size} are stored")
        return entry

    def _describe(self, key: str, path: str, found: Blob, metadata: Mapping[str, str]) -> Entry:
        """Give a blob other metadata, if it still is what was looked at."""
        headers = {"If-Match": quoted(found.tag), **headers_of(metadata)}
        with self._container.translated("describe", path, _CHANGED):
            self._container.call("PUT", key, query={"comp": "metadata"}, headers=headers)
        return self._seen(key, path)

    def _copy_blocks(
        self, key: str, new_key: str, path: str, found: Blob, metadata: Mapping[str, str], when: Precondition
    ) -> None:
        """Copy what is too large for one request: in blocks that the platform fetches itself."""
        upload = Upload(1, secrets.token_hex(8))
        ids = []
        with self._container.translated("copy", path):
            answer = self._container.call("HEAD", key)
            for number, start in enumerate(range(0, found.size, COPY_BLOCK)):
                ids.append(upload.block(number, 0))
                headers = {
                    "x-ms-copy-source": self._container.source(key),
                    "x-ms-source-range": f"bytes={start}-{min(found.size, start + COPY_BLOCK) - 1}",
                    "x-ms-source-if-match": quoted(found.tag),
                }
                self._container.call("PUT", new_key, query={"comp": "block", "blockid": ids[-1]}, headers=headers)
        told = {word: answer.headers[word] for word in _KEPT if answer.headers.get(word)}
        kept = {f"x-ms-blob-{word.lower()}": value for word, value in told.items()}
        md5 = b64decode(found.md5) if found.md5 else None
        self._join(new_key, path, ids, Facts(), found.size, when, md5=md5, described=metadata, kept=kept)


def _chain(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest
