"""One prefix of a bucket of Google Cloud Storage: names, and looking at what stands below it.

An empty container is an object whose name ends with a slash. The tag of an entry is its generation, which every
condition names.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from tallyport.connectors.gcs_entries import (
    HASH,
    OURS,
    PROPERTIES,
    SECONDS,
    checked,
    crc_in,
    entry_of,
    is_plain,
    times,
)
from tallyport.connectors.gcs_http import Bucket, document
from tallyport.connectors.gcs_limits import LIMITS, PIECE
from tallyport.connectors.object_content import ObjectContent, Which
from tallyport.connectors.object_http import Answer, Refused, chunks_of
from tallyport.connectors.object_listing import Found
from tallyport.connectors.object_metadata import MTIME
from tallyport.connectors.object_store import CHANGED, base_of
from tallyport.connectors.object_versions import numbers
from tallyport.connectors.pausing import Pause
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, display

JSON = {"Content-Type": "application/json; charset=UTF-8"}
_FIELDS = "name,size,timeCreated,generation,metageneration,md5Hash,crc32c,contentType,metadata"


class Prefix(ObjectContent[dict[str, Any]]):
    """A prefix of a bucket."""

    page_size = 1_000  # what the platform gives at most
    piece = PIECE
    properties_name = PROPERTIES
    our_names = OURS
    fact_names = frozenset({MTIME, SECONDS, HASH})

    def __init__(self, bucket: Bucket, path: str = ROOT, *, make: bool = False, has_versions: bool = False) -> None:
        settings = bucket.settings
        self._bucket = bucket
        self.limits = replace(LIMITS, versions=has_versions, checks_ranges=bucket.host.is_tls)
        self._base = base_of(settings.prefix, path)
        self.location = f"gs://{settings.bucket}/{display(self._base)}".rstrip("/")
        is_there = self._holds(self._base, ROOT)  # also says that the bucket is there
        if path and not make and not is_there:
            raise refusal(ErrorKind.NOT_FOUND, "open", self.location, "nothing lies below that prefix")

    def close(self) -> None:
        self._bucket.close()

    def pause_with(self, pause: Pause) -> None:
        self._bucket.pause_with(pause)

    # -- names

    def _new_key(self, path: str, operation: str) -> str:
        key = super()._new_key(path, operation)
        if (length := len(key.encode())) > 1024:
            why = f"its name would have {length} bytes, and the platform takes 1024"
            raise refusal(ErrorKind.INVALID_NAME, operation, path, why)
        if key.startswith(".well-known/acme-challenge/"):
            raise refusal(ErrorKind.INVALID_NAME, operation, path, "the platform keeps that name for itself")
        return key

    # -- looking

    def _translated(
        self, operation: str, path: str, instead: Mapping[ErrorKind, ErrorKind] | None = None
    ) -> AbstractContextManager[None]:
        return self._bucket.translated(operation, path, instead)

    def _look(self, key: str, path: str) -> dict[str, Any] | None:
        with self._bucket.translated("look at", path):
            try:
                return document(self._bucket.call("GET", key, query={"fields": _FIELDS}))
            except Refused as error:
                if error.status == 404:
                    return None
                raise

    def _entry(self, name: str, found: dict[str, Any]) -> Entry:
        return entry_of(name, found)

    def _metadata(self, found: dict[str, Any]) -> Mapping[str, str]:
        metadata: dict[str, str] = found.get("metadata", {})
        return metadata

    def _times(self, modified: int) -> Mapping[str, str]:
        return times(modified)

    def _is_plain(self, name: str, value: bytes) -> bool:
        return is_plain(name, value)

    def _holds(self, prefix: str, path: str, *, beside: str | None = None) -> bool:
        """Tell whether anything lies below a prefix, other than the empty marker ``beside`` and what is unfinished."""
        return any(
            (one["name"] != beside or int(one.get("size", 0))) and not is_temporary(one["name"].rpartition("/")[2])
            for one in self._all(prefix, path, most=10)
        )

    def _listed(self, prefix: str, path: str, token: str) -> tuple[Sequence[Found], str]:
        listed = self._lines(prefix, token=token, delimiter="/")
        items = [one for one in listed.get("items", ()) if not is_temporary(one["name"].rpartition("/")[2])]
        lines = [Found(one["name"], entry_of("", one)) for one in items]
        lines += [Found(one) for one in listed.get("prefixes", ())]
        lines.sort(key=lambda one: one.key.encode())
        return lines, listed.get("nextPageToken", "")

    def _numbers(self, prefix: str, path: str) -> Iterator[tuple[str, int]]:
        return numbers(one["name"] for one in self._all(prefix, path, delimiter="/", versions="true"))

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

    def _ask(self, key: str, which: Which, span: str | None) -> Answer:
        sent = {"Accept-Encoding": "gzip"}  # the bytes as they are stored, never unpacked on the way
        if span is not None:
            sent["Range"] = span
        query: dict[str, str | int] = {"alt": "media"}
        if which.tag is not None:
            query["ifGenerationMatch"] = which.tag.decode()
        if which.version is not None:
            query["generation"] = which.version
        return self._bucket.call("GET", key, query=query, headers=sent, streams=True)

    def _given(self, key: str, path: str, answer: Answer, which: Which, *, is_whole: bool) -> Iterator[bytes]:
        if which.tag is not None:
            wanted = which.tag.decode()
            if answer.headers.get("x-goog-generation", wanted) != wanted:
                raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed since it was seen")
        chunks = chunks_of(answer, path)
        return checked(chunks, path, crc_in(answer)) if is_whole else chunks

    def _tells_hash(self, key: str, answer: Answer) -> bool:
        return crc_in(answer) is not None

    # -- changing

    def _remove(self, key: str, path: str, tag: bytes) -> None:
        try:
            self._bucket.call("DELETE", key, query={"ifGenerationMatch": tag.decode()} if tag else {})
        except Refused as error:
            if error.status != 404:
                raise

    def _describe(self, key: str, path: str, found: dict[str, Any], values: Mapping[str, str | None]) -> Entry:
        query = {"ifGenerationMatch": found["generation"]}
        if "metageneration" in found:
            query["ifMetagenerationMatch"] = found["metageneration"]
        body = json.dumps({"metadata": dict(values)}).encode()
        with self._bucket.translated("describe", path, CHANGED):
            self._bucket.call("PATCH", key, query=query, headers=JSON, body=body)
        return self._seen(key, path)
