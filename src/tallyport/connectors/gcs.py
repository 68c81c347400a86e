"""Google Cloud Storage: a bucket, or a prefix in one, as a tree.

A bucket has no folders: a container is there while an object lies below its prefix; an empty one is an object whose
name ends with a slash. Names that are no paths are shown escaped (``object_keys.py``). The tag of an entry is its
generation, which every condition names.

Small content is one request with its MD5 and its condition. Larger content goes to a temporary object beside it, by
an upload session of the platform; its CRC32C is compared, and then ``compose`` puts it where it belongs under the
condition, in one step. So do the parts of a big file, each an object of its own: they may come in any order and from
anywhere, which a session cannot. Times and the content hash are metadata of ours, which a listing gives.

https://cloud.google.com/storage/docs/json_api/v1/objects
"""

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple, cast

import google_crc32c

from tallyport.connectors import object_metadata
from tallyport.connectors.gcs_entries import (
    HASH,
    OURS,
    PROPERTIES,
    SECONDS,
    checked,
    compare,
    crc_in,
    crc_of,
    entry_of,
    folder,
    is_plain,
    tag_of,
    times,
)
from tallyport.connectors.gcs_http import Bucket, Settings, document
from tallyport.connectors.hashing import digest
from tallyport.connectors.object_http import Answer, Refused, check_part, chunks_of, let_go
from tallyport.connectors.object_keys import is_twin, key_of
from tallyport.connectors.object_listing import Found, Line
from tallyport.connectors.object_metadata import MTIME, type_of
from tallyport.connectors.pausing import Pause
from tallyport.connectors.protocol import ANYTHING, Facts, Page, Precondition
from tallyport.connectors.remote_content import Announced, blocks
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.temporaries import TEMPORARY, Temporaries, is_of, is_temporary
from tallyport.domain.capabilities import Limits, VerifyLevel
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, display, split
from tallyport.domain.versions import Version

__all__ = ["LIMITS", "Gcs", "Settings", "open_gcs"]

MIB = 1024 * 1024
PIECE = 8 * MIB  # of one request; all but the last of a session are multiples of 256 KiB
UPLOAD_PART = 64 * MIB  # what the engine carries at once
PARTS_MAX = 10_000
COMPOSED = 32  # objects that are joined in one request
LOOKS = 16  # calls at once where many are needed
METADATA_MAX = 8_000
_FIELDS = "name,size,timeCreated,generation,metageneration,md5Hash,crc32c,contentType,metadata"
_CHANGED = {ErrorKind.ALREADY_EXISTS: ErrorKind.CHANGED_DURING_COPY}

LIMITS = Limits(
    max_size=UPLOAD_PART * PARTS_MAX,
    max_name=1024,
    max_path=1024,
    forbidden_characters="/\0\r\n",
    unicode_only=True,
    slow_hash=True,
    dates_containers=False,
    best_verify=VerifyLevel.READBACK,
    hash_types=("crc32c", "md5"),
    acknowledges=True,
    part_min=1,
    part_max=UPLOAD_PART,
    parts_max=PARTS_MAX,
    containers_implied=True,
)


def open_gcs(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Gcs":
    """Open a prefix; asks once whether the bucket keeps versions, an ability that not every bucket has."""
    bucket = Bucket(settings)
    try:
        keeps = _keeps_versions(bucket)
        made = cast(Any, _without_versions(Gcs) if keeps is None else Gcs)
        return cast(Gcs, made(bucket, path, make=make, has_versions=bool(keeps)))
    except BaseException:
        bucket.close()
        raise


class Gcs:
    """One prefix of one bucket."""

    page_size = 1_000  # what the platform gives at most

    def __init__(self, bucket: Bucket, path: str = ROOT, *, make: bool = False, has_versions: bool = False) -> None:
        settings = bucket.settings
        self._bucket = bucket
        self._temporaries = Temporaries()
        self.token = "run"  # of the execution; set by whoever opens the connection for one
        self.limits = replace(LIMITS, versions=has_versions)
        fixed = settings.prefix.strip("/")
        below = key_of(path)
        self._base = "".join(f"{part}/" for part in (fixed, below) if part)
        self.location = f"gs://{settings.bucket}/{display(self._base)}".rstrip("/")
        is_there = self._holds(self._base, ROOT)  # also says that the bucket is there
        if below and not make and not is_there:
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
                return entry_of(name, found)
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
        token, held = json.loads(cursor) if cursor else ("", None)
        line = Line(prefix, held)
        entries: list[Entry] = []
        is_there = cursor is not None
        while True:
            instead = {ErrorKind.UNEXPECTED: ErrorKind.CHANGED_DURING_COPY} if token else None
            with self._bucket.translated("list", path, instead):
                listed = self._lines(prefix, token=token, delimiter="/")
            items = [one for one in listed.get("items", ()) if not is_temporary(one["name"].rpartition("/")[2])]
            lines = [Found(one["name"], entry_of("", one)) for one in items]
            lines += [Found(one) for one in listed.get("prefixes", ())]
            is_there = is_there or bool(lines)
            lines.sort(key=lambda one: one.key.encode())
            entries += line.entries(lines)
            token = listed.get("nextPageToken", "")
            if entries or not token:  # the platform may give empty pages before the last
                break
        if not is_there and path != ROOT:
            raise refusal(ErrorKind.NOT_FOUND, "list", path, "there is no such container")
        return Page(tuple(entries), json.dumps([token, line.held]) if token else None)

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, None)

    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, entry.tag.decode(), is_pinned=True)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key = self._new_key(path, "write")
        self._check_size(path, facts.size or 0)
        self._check(key, path, when)
        announced = Announced(content, facts, path)
        pieces = blocks(announced, PIECE)
        first = next(pieces, b"")
        second = next(pieces, None) if len(first) == PIECE else None
        if second is None:
            return self._put(key, path, first, facts, when)
        temporary = self._beside(key, self._temporaries.name(self.token))
        try:
            stored = self._store(temporary, path, _chain(first, second, pieces))
        except BaseException:
            self._forget([(temporary, None)])
            raise
        try:
            return self._compose(key, path, [stored], facts, when)
        finally:
            self._forget([(stored.name, stored.generation)])

    def make_container(self, path: str, facts: Facts) -> Entry:
        if path == ROOT:
            return folder("")
        key = self._new_key(path, "make")
        name = split(path)[1]
        if not self._holds(f"{key}/", path):
            if not is_twin(name) and self._look(key, path) is not None:
                raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "a file has that name")
            with self._bucket.translated("make", path):
                self._send(f"{key}/", b"", {}, {})
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
            key = f"{key}/"
            if self._holds(key, path, beside=key):
                raise refusal(ErrorKind.ALREADY_EXISTS, "delete", path, "the container is not empty")
        is_bound = expect is not None and bool(entry.tag)
        query = {"ifGenerationMatch": entry.tag.decode()} if is_bound else {}
        with self._bucket.translated("delete", path, _CHANGED):
            try:
                self._bucket.call("DELETE", key, query=query)
            except Refused as error:
                if error.status != 404:
                    raise

    def close(self) -> None:
        self._bucket.close()

    def pause_with(self, pause: Pause) -> None:
        self._bucket.pause_with(pause)

    # -- abilities

    def stamp(self, path: str, facts: Facts) -> Entry:
        found = self._existing(self._key(path, "stamp"), path, "stamp")
        if facts.modified is None:
            return entry_of(split(path)[1], found)
        return self._describe(path, found, times(facts.modified))

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key, new_key = self._key(path, "copy"), self._new_key(to, "copy")
        found = self._existing(key, path, "copy")
        self._check(new_key, to, when)
        metadata = dict(found.get("metadata", {}))
        if facts.modified is not None:
            metadata |= times(facts.modified)
        described = {"metadata": metadata, "contentType": found.get("contentType"), **self._class()}
        body = json.dumps(described).encode()
        query = {"ifSourceGenerationMatch": found["generation"], **self._condition(when)}
        while True:
            with self._bucket.translated("copy", to), _refused_when_gone(when, to):
                told = document(
                    self._bucket.call(
                        "POST", key, below=self._bucket.rewrite_path(new_key), query=query, headers=_JSON, body=body
                    )
                )
            if told.get("done"):
                return self._seen(new_key, to)
            query["rewriteToken"] = told["rewriteToken"]

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        self._new_key(path, "write")
        self._check_size(path, facts.size or 0)
        # Not the execution's token: a sweep by it would take the parts of an upload that goes on.
        return secrets.token_hex(8)

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        key = self._new_key(path, "write")
        passing = Announced(content, Facts(size=size), path)
        stored = self._store(self._part(key, handle, number), path, blocks(passing, PIECE))
        return f"{stored.generation}:{stored.size}".encode()

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        key = self._new_key(path, "write")
        self._check(key, path, when)
        parts = []
        for number, receipt in enumerate(receipts):
            generation, _, size = receipt.decode().partition(":")
            parts.append(_Stored(self._part(key, handle, number), generation, int(size)))
        joined: list[_Stored] = []
        layer = parts
        try:
            while len(layer) > COMPOSED:
                groups = [layer[start : start + COMPOSED] for start in range(0, len(layer), COMPOSED)]
                layer = []
                for group in groups:
                    name = self._part(key, handle, len(parts) + len(joined))
                    joined.append(self._join(name, path, group))
                    layer.append(joined[-1])
            entry = self._compose(key, path, layer, facts, when)
        finally:
            self._forget([(one.name, one.generation) for one in joined])
        self._forget([(one.name, one.generation) for one in parts])
        return entry

    def abandon_upload(self, path: str, handle: str) -> None:
        key = self._key(path, "write")
        prefix = self._beside(key, f"{TEMPORARY}{handle}-")
        self._forget([(one["name"], one["generation"]) for one in self._all(prefix, path)])

    def sweep(self, path: str, token: str) -> int:
        key = self._key(path, "sweep")
        prefix = f"{f'{key}/' if path else self._base}{TEMPORARY}{token}-"
        found = [one for one in self._all(prefix, path) if is_of(one["name"].rpartition("/")[2], token)]
        self._forget([(one["name"], one["generation"]) for one in found])
        return len(found)

    def versions(self, path: str) -> Sequence[Version]:
        key = self._key(path, "list the versions of")
        found = [one for one in self._all(key, path, versions="true") if one["name"] == key]
        current = self._look(key, path)
        if current is None:
            raise refusal(ErrorKind.NOT_FOUND, "list the versions of", path, "there is no such object")
        found.sort(key=lambda one: int(one["generation"]))
        return [
            Version(
                one["generation"],
                int(one.get("size", 0)),
                entry_of("", one).modified,
                one["generation"] == current["generation"],
            )
            for one in found
        ]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, version)

    def properties(self, path: str) -> Mapping[str, bytes]:
        found = self._existing(self._key(path, "look at"), path, "look at")
        return object_metadata.properties_in(found.get("metadata", {}), OURS, PROPERTIES)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        operation = "set the properties of"
        found = self._existing(self._key(path, operation), path, operation)
        metadata = found.get("metadata", {})
        wanted = {**object_metadata.properties_in(metadata, OURS, PROPERTIES), **values}
        given = {name: value for name, value in wanted.items() if value is not None}
        told = object_metadata.properties_out(given, path, PROPERTIES, is_plain, METADATA_MAX)
        gone = {name: None for name in metadata if name not in told and name not in (MTIME, SECONDS, HASH)}
        self._describe(path, found, {**gone, **told})
        return self.properties(path)

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
        if (length := len(key.encode())) > 1024:
            why = f"its name would have {length} bytes, and the platform takes 1024"
            raise refusal(ErrorKind.INVALID_NAME, operation, path, why)
        if key.startswith(".well-known/acme-challenge/"):
            raise refusal(ErrorKind.INVALID_NAME, operation, path, "the platform keeps that name for itself")
        return key

    def _beside(self, key: str, name: str) -> str:
        return f"{key.rpartition('/')[0]}/{name}".removeprefix("/")

    def _part(self, key: str, handle: str, number: int) -> str:
        return self._beside(key, f"{TEMPORARY}{handle}-{number:x}")

    # -- looking

    def _look(self, key: str, path: str) -> dict[str, Any] | None:
        with self._bucket.translated("look at", path):
            try:
                return document(self._bucket.call("GET", key, query={"fields": _FIELDS}))
            except Refused as error:
                if error.status == 404:
                    return None
                raise

    def _existing(self, key: str, path: str, operation: str) -> dict[str, Any]:
        found = None if path == ROOT or is_twin(split(path)[1]) else self._look(key, path)
        if found is not None:
            return found
        if path == ROOT or self._holds(f"{key}/", path):
            raise refusal(ErrorKind.UNSUPPORTED, operation, path, "a container is no object of the platform")
        raise refusal(ErrorKind.NOT_FOUND, operation, path, "there is no such object")

    def _seen(self, key: str, path: str) -> Entry:
        found = self._look(key, path)
        if found is None:
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "it vanished at once")
        return entry_of(split(path)[1], found)

    def _holds(self, prefix: str, path: str, *, beside: str | None = None) -> bool:
        """Tell whether anything lies below a prefix, other than the empty marker ``beside`` and what is unfinished."""
        return any(
            (one["name"] != beside or int(one.get("size", 0))) and not is_temporary(one["name"].rpartition("/")[2])
            for one in self._all(prefix, path, most=10)
        )

    def _all(self, prefix: str, path: str, *, most: int = 0, **asked: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            with self._bucket.translated("look at", path):
                listed = self._lines(prefix, token=token, most=most, **asked)
            yield from listed.get("items", ())
            token = listed.get("nextPageToken", "")
            if not token:
                return

    def _lines(
        self, prefix: str, *, token: str = "", delimiter: str = "", most: int = 0, **asked: str
    ) -> dict[str, Any]:
        words = {"prefix": prefix, "pageToken": token, "delimiter": delimiter, **asked}
        query: dict[str, str | int] = {word: value for word, value in words.items() if value}
        query |= {"maxResults": most or self.page_size, "fields": f"nextPageToken,prefixes,items({_FIELDS})"}
        return document(self._bucket.call("GET", query=query))

    # -- reading

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, generation: str | None, *, is_pinned: bool = False
    ) -> Iterator[Iterator[bytes]]:
        key = self._key(path, "read")
        if path == ROOT or is_twin(split(path)[1]):
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, "a container has no content")
        if length == 0:
            self._existing(key, path, "read")
            yield iter(())
            return
        is_whole = not offset and length is None
        sent = {"Accept-Encoding": "gzip"}  # the bytes as they are stored, never unpacked on the way
        if not is_whole:
            sent["Range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        query: dict[str, str | int] = {"alt": "media"}
        if generation is not None:
            query["ifGenerationMatch" if is_pinned else "generation"] = generation
        answer: Answer | None = None
        with self._bucket.translated("read", path, _CHANGED):
            try:
                answer = self._bucket.call("GET", key, query=query, headers=sent, streams=True)
            except Refused as error:
                if error.status == 404 and is_pinned:
                    why = "it is gone since it was seen"
                    raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, why) from error
                if error.status != 416:  # the range begins at the end, or after it
                    raise
        if answer is None:
            yield iter(())
            return
        try:
            check_part(answer, path, is_whole=is_whole)
            if is_pinned and answer.headers.get("x-goog-generation", generation) != generation:
                raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed since it was seen")
            chunks = chunks_of(answer, path)
            yield checked(chunks, path, crc_in(answer)) if is_whole else chunks
        finally:
            let_go(answer)

    # -- writing

    def _check_size(self, path: str, size: int) -> None:
        most = LIMITS.max_size
        if most is not None and size > most:
            why = f"it has more than the {most} bytes that are carried in parts"
            raise refusal(ErrorKind.TOO_LARGE, "write", path, why)

    def _check(self, key: str, path: str, when: Precondition) -> None:
        """Look at the name once more where the platform was seen not to keep the condition itself."""
        keeps = self.limits.creates_only if when.absent else self.limits.replaces_checked
        if keeps or (not when.absent and when.entry is None):
            return
        found = self._look(key, path)
        if when.absent and found is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")
        if when.entry is not None and (found is None or tag_of(found) != when.entry.tag):
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")

    def _condition(self, when: Precondition) -> dict[str, str | int]:
        if when.absent:
            return {"ifGenerationMatch": 0}
        return {"ifGenerationMatch": when.entry.tag.decode()} if when.entry is not None else {}

    def _class(self) -> dict[str, str]:
        wanted = self._bucket.settings.storage_class
        return {"storageClass": wanted} if wanted else {}

    def _send(
        self, key: str, data: bytes, metadata: Mapping[str, str], query: Mapping[str, str | int]
    ) -> dict[str, Any]:
        """Store an object in one request, its description before its content."""
        described = {
            "name": key,
            "metadata": metadata,
            "contentType": type_of(key) or "application/octet-stream",
            "md5Hash": b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
            **self._class(),
        }
        word = secrets.token_hex(16)
        body = b"".join(
            (
                f"--{word}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
                json.dumps(described).encode(),
                f"\r\n--{word}\r\nContent-Type: {described['contentType']}\r\n\r\n".encode(),
                data,
                f"\r\n--{word}--\r\n".encode(),
            )
        )
        headers = {"Content-Type": f"multipart/related; boundary={word}"}
        return document(self._bucket.upload({"uploadType": "multipart", **query}, headers, body))

    def _put(self, key: str, path: str, data: bytes, facts: Facts, when: Precondition) -> Entry:
        content = digest(data)
        metadata = {**times(facts.modified), HASH: content.hex()}
        with self._bucket.translated("write", path), _refused_when_gone(when, path):
            try:
                stored = self._send(key, data, metadata, self._condition(when))
            except Refused as error:
                if error.status == 400 and (b"md5" in error.answer.content.lower()):
                    raise refusal(ErrorKind.CORRUPT, "write", path, "the content was damaged on its way") from error
                raise
        compare(stored, path, len(data), crc_of(data))
        return entry_of(split(path)[1], stored)._replace(hash=content)

    def _store(self, name: str, path: str, pieces: Iterable[bytes]) -> "_Stored":
        """Store a temporary object by a session of the platform; what the platform says of it is compared."""
        running: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
        size = 0
        with self._bucket.translated("write", path):
            described = json.dumps({"name": name, **self._class()}).encode()
            begun = self._bucket.upload({"uploadType": "resumable", "name": name}, _JSON, described)
        session = begun.headers.get("Location", "")
        held = b""
        try:
            for data in pieces:
                if held:
                    self._send_on(session, path, held, size - len(held), None)
                running.update(data)
                size += len(data)
                self._check_size(path, size)
                held = data
            answer = self._send_on(session, path, held, size - len(held), size)
        except BaseException:
            try:
                self._bucket.session("DELETE", session, {"Content-Length": "0"})
            except Exception:
                pass  # the first error says what is wrong; a session ends by itself after a week
            raise
        stored = document(answer)
        compare(stored, path, size, running.digest())
        return _Stored(name, str(stored["generation"]), size)

    def _send_on(self, session: str, path: str, data: bytes, start: int, whole: int | None) -> Answer:
        """Send one piece of a session; ``whole`` is the size of all, told with the last."""
        total = "*" if whole is None else str(whole)
        said = f"bytes {start}-{start + len(data) - 1}/{total}" if data else f"bytes */{total}"
        headers = {"Content-Range": said}
        with self._bucket.translated("write", path):
            try:
                answer = self._bucket.session("PUT", session, headers, data)
            except Refused as error:
                if error.status != 308 or whole is not None:
                    raise
                answer = error.answer
                if answer.headers.get("Range", "") != f"bytes=0-{start + len(data) - 1}":
                    why = "the platform kept less than was sent"
                    raise refusal(ErrorKind.UNAVAILABLE, "write", path, why) from error
            return answer

    def _compose(self, key: str, path: str, parts: Sequence["_Stored"], facts: Facts, when: Precondition) -> Entry:
        """Put what temporary objects hold where it belongs, in one step."""
        metadata = times(facts.modified)
        if facts.hash is not None:
            metadata[HASH] = facts.hash.hex()
        size = sum(one.size for one in parts)
        if facts.size is not None and facts.size != size:
            why = f"{facts.size} bytes were announced and the parts have {size}"
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, why)
        with self._bucket.translated("write", path), _refused_when_gone(when, path, parts):
            self._composed(key, parts, {"metadata": metadata}, self._condition(when))
        entry = self._seen(key, path)
        if entry.size != size:
            raise refusal(ErrorKind.CORRUPT, "write", path, f"{size} bytes were sent and {entry.size} are stored")
        return entry

    def _join(self, name: str, path: str, parts: Sequence["_Stored"]) -> "_Stored":
        with self._bucket.translated("write", path):
            told = self._composed(name, parts, {}, {})
        return _Stored(name, str(told["generation"]), sum(one.size for one in parts))

    def _composed(
        self, key: str, parts: Sequence["_Stored"], more: Mapping[str, Any], query: Mapping[str, str | int]
    ) -> dict[str, Any]:
        sources = [
            {
                "name": one.name,
                "generation": one.generation,
                "objectPreconditions": {"ifGenerationMatch": one.generation},
            }
            for one in parts
        ]
        destination = {"contentType": type_of(key) or "application/octet-stream", **self._class(), **more}
        body = json.dumps({"sourceObjects": sources, "destination": destination}).encode()
        return document(self._bucket.call("POST", key, below="/compose", query=query, headers=_JSON, body=body))

    def _forget(self, names: Sequence[tuple[str, str | None]]) -> None:
        """Delete temporaries for good, no version left. What cannot be deleted now is swept later."""

        def forget(name: str, generation: str | None) -> None:
            try:
                self._bucket.call("DELETE", name, query={} if generation is None else {"generation": generation})
            except Exception:
                pass  # a sweep comes by

        if len(names) == 1:
            forget(*names[0])
        elif names:
            with ThreadPoolExecutor(LOOKS, thread_name_prefix="gcs-forget") as pool:
                list(pool.map(lambda one: forget(*one), names))

    def _describe(self, path: str, found: Mapping[str, Any], metadata: Mapping[str, str | None]) -> Entry:
        """Change some metadata of an object, if it still is what was looked at."""
        query = {"ifGenerationMatch": found["generation"]}
        if "metageneration" in found:
            query["ifMetagenerationMatch"] = found["metageneration"]
        body = json.dumps({"metadata": metadata}).encode()
        with self._bucket.translated("describe", path, _CHANGED):
            self._bucket.call("PATCH", found["name"], query=query, headers=_JSON, body=body)
        return self._seen(found["name"], path)


_JSON = {"Content-Type": "application/json; charset=UTF-8"}


class _Stored(NamedTuple):
    """A temporary object."""

    name: str
    generation: str
    size: int


@contextmanager
def _refused_when_gone(when: Precondition, path: str, parts: Sequence[_Stored] = ()) -> Iterator[None]:
    """A condition on an object that is gone may answer 404: it does not hold."""
    try:
        yield
    except Refused as error:
        if error.status == 404 and parts:
            why = "the upload is gone: it was abandoned, or its parts were deleted"
            raise refusal(ErrorKind.NOT_FOUND, "write", path, why) from error
        if error.status == 404 and when.entry is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "what was to be replaced is gone") from error
        raise


def _keeps_versions(bucket: Bucket) -> bool | None:
    """Tell whether the bucket makes versions; None when it never did, and whoever may not ask cannot use them."""
    with bucket.translated("open", f"gs://{bucket.settings.bucket}"):
        try:
            told = document(bucket.call("GET", None, query={"fields": "versioning"})).get("versioning")
        except Refused as error:
            if error.status == 403:
                return None
            if error.status == 404:
                why = "there is no such bucket: make it first, or put the name right"
                raise refusal(ErrorKind.NOT_FOUND, "open", f"gs://{bucket.settings.bucket}", why) from error
            raise
    return bool(told.get("enabled")) if isinstance(told, dict) and "enabled" in told else None


@cache
def _without_versions(cls: type[Any]) -> type[Any]:
    """Give the subclass that lacks versions: None in a class means "not here" to isinstance."""
    return type(cls.__name__, (cls,), {"versions": None, "read_version": None})


def _chain(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest
