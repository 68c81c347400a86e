"""Writing objects: small content in one request, larger content beside its place and composed onto it in one step.

Content of more than one piece goes to a temporary object by an upload session of the platform. Its CRC32C is compared,
and then ``compose`` puts it where it belongs under the condition.
"""

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import google_crc32c

from tallyport.connectors.gcs_entries import HASH, compare, crc_of, times
from tallyport.connectors.gcs_http import Bucket, document
from tallyport.connectors.gcs_limits import LOOKS
from tallyport.connectors.gcs_prefix import JSON, Prefix
from tallyport.connectors.hashing import digest
from tallyport.connectors.object_http import Answer, Refused
from tallyport.connectors.object_metadata import type_of
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.temporaries import TEMPORARY, Temporaries, is_of
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, split


class Stored(NamedTuple):
    """A temporary object."""

    name: str
    generation: str
    size: int


class Writing(Prefix):
    """A prefix that can be written to. ``token`` marks what is unfinished, so that :meth:`sweep` finds it."""

    token = "run"  # of the execution; set by whoever opens the connection for one

    def __init__(self, bucket: Bucket, path: str = ROOT, *, make: bool = False, has_versions: bool = False) -> None:
        super().__init__(bucket, path, make=make, has_versions=has_versions)
        self._temporaries = Temporaries()

    def _condition(self, when: Precondition) -> dict[str, str | int]:
        if when.absent:
            return {"ifGenerationMatch": 0}
        return {"ifGenerationMatch": when.entry.tag.decode()} if when.entry is not None else {}

    def _class(self) -> dict[str, str]:
        wanted = self._bucket.settings.storage_class
        return {"storageClass": wanted} if wanted else {}

    # -- in one request

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
        with self._bucket.translated("write", path), self._while_there(when, path):
            try:
                stored = self._send(key, data, metadata, self._condition(when))
            except Refused as error:
                if error.status == 400 and (b"md5" in error.answer.content.lower()):
                    raise refusal(ErrorKind.CORRUPT, "write", path, "the content was damaged on its way") from error
                raise
        compare(stored, path, len(data), crc_of(data))
        return self._entry(split(path)[1], stored)._replace(hash=content)

    # -- by a session, beside its place

    def _put_pieces(self, key: str, path: str, pieces: Iterator[bytes], facts: Facts, when: Precondition) -> Entry:
        temporary = self._beside(key, self._temporaries.name(self.token))
        try:
            stored = self._store(temporary, path, pieces)
        except BaseException:
            self._forget([(temporary, None)])
            raise
        try:
            return self._compose(key, path, [stored], facts, when)
        finally:
            self._forget([(stored.name, stored.generation)])

    def _beside(self, key: str, name: str) -> str:
        return f"{key.rpartition('/')[0]}/{name}".removeprefix("/")

    def _store(self, name: str, path: str, pieces: Iterable[bytes]) -> Stored:
        """Store a temporary object by a session of the platform; what the platform says of it is compared."""
        running: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
        size = 0
        with self._bucket.translated("write", path):
            described = json.dumps({"name": name, **self._class()}).encode()
            begun = self._bucket.upload({"uploadType": "resumable", "name": name}, JSON, described)
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
        return Stored(name, str(stored["generation"]), size)

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

    # -- from what is stored beside its place

    def _compose(self, key: str, path: str, parts: Sequence[Stored], facts: Facts, when: Precondition) -> Entry:
        """Put what temporary objects hold where it belongs, in one step."""
        metadata = times(facts.modified)
        if facts.hash is not None:
            metadata[HASH] = facts.hash.hex()
        size = sum(one.size for one in parts)
        if facts.size is not None and facts.size != size:
            why = f"{facts.size} bytes were announced and the parts have {size}"
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, why)
        with self._bucket.translated("write", path), _while_uploaded(path):
            self._composed(key, parts, {"metadata": metadata}, self._condition(when))
        entry = self._seen(key, path)
        if entry.size != size:
            raise refusal(ErrorKind.CORRUPT, "write", path, f"{size} bytes were sent and {entry.size} are stored")
        return entry

    def _join(self, name: str, path: str, parts: Sequence[Stored]) -> Stored:
        with self._bucket.translated("write", path):
            told = self._composed(name, parts, {}, {})
        return Stored(name, str(told["generation"]), sum(one.size for one in parts))

    def _composed(
        self, key: str, parts: Sequence[Stored], more: Mapping[str, Any], query: Mapping[str, str | int]
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
        return document(self._bucket.call("POST", key, below="/compose", query=query, headers=JSON, body=body))

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

    def sweep(self, path: str, token: str) -> int:
        key = self._key(path, "sweep")
        prefix = f"{f'{key}/' if path else self._base}{TEMPORARY}{token}-"
        found = [one for one in self._all(prefix, path) if is_of(one["name"].rpartition("/")[2], token)]
        self._forget([(one["name"], one["generation"]) for one in found])
        return len(found)

    # -- copying inside the platform

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key, new_key = self._key(path, "copy"), self._new_key(to, "copy")
        found = self._existing(key, path, "copy")
        self._check(new_key, to, when)
        metadata = {**self._metadata(found), **times(facts.modified)}
        described = {"metadata": metadata, "contentType": found.get("contentType"), **self._class()}
        body = json.dumps(described).encode()
        query = {"ifSourceGenerationMatch": found["generation"], **self._condition(when)}
        below = self._bucket.rewrite_path(new_key)
        while True:
            with self._bucket.translated("copy", to), self._while_there(when, to):
                told = document(self._bucket.call("POST", key, below=below, query=query, headers=JSON, body=body))
            if told.get("done"):
                return self._seen(new_key, to)
            query["rewriteToken"] = told["rewriteToken"]


@contextmanager
def _while_uploaded(path: str) -> Iterator[None]:
    """What is composed and answers 404 lacks a part."""
    try:
        yield
    except Refused as error:
        if error.status != 404:
            raise
        why = "the upload is gone: it was abandoned, or its parts were deleted"
        raise refusal(ErrorKind.NOT_FOUND, "write", path, why) from error
