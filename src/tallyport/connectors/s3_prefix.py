"""One prefix of a bucket: keys, and looking at what stands below it."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from tallyport.connectors.object_listing import Found, Listed
from tallyport.connectors.object_metadata import MTIME
from tallyport.connectors.object_store import ObjectStore, base_of
from tallyport.connectors.object_versions import numbers
from tallyport.connectors.s3_bucket import (
    HASH,
    OURS,
    PROPERTIES,
    Bucket,
    asked_at,
    entry_of,
    glimpse_of,
    is_plain,
    lowered,
    time_out,
)
from tallyport.connectors.s3_errors import Refused, refusal, translate
from tallyport.connectors.s3_flights import together
from tallyport.connectors.s3_settings import LIMITS
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display
from tallyport.domain.versions import Version

MARKER = Entry("", Kind.FILE)  # of this very container
LOOKS = 16  # objects looked at at once while a listing is made


class Prefix(ObjectStore[Mapping[str, Any]]):
    """A prefix, seen as a tree."""

    page_size = 1_000  # what the platform gives at most
    properties_name = PROPERTIES
    metadata_max = 2_000  # about
    our_names = OURS
    fact_names = frozenset({MTIME, HASH})

    def __init__(self, bucket: Bucket, path: str = ROOT, *, make: bool = False, has_versions: bool = False) -> None:
        settings = bucket.settings
        self._bucket = bucket
        self._serves_times = settings.times == "server"
        self.limits = replace(
            LIMITS,
            versions=has_versions,
            sets_times=not self._serves_times,
            checks_ranges=bucket.is_encrypted,
        )
        self._base = base_of(settings.prefix, path)
        self.location = f"s3://{settings.bucket}/{display(self._base)}".rstrip("/")
        self._lock = threading.Lock()
        self._lookers: ThreadPoolExecutor | None = None
        if path and not make and not bucket.holds(self._base, ROOT):
            raise refusal(ErrorKind.NOT_FOUND, "open", self.location, "nothing lies below that prefix")

    # -- names

    def _new_key(self, path: str, operation: str) -> str:
        key = super()._new_key(path, operation)
        if (length := len(key.encode())) > 1024:
            why = f"its key would have {length} bytes, and the platform takes 1024"
            raise refusal(ErrorKind.INVALID_NAME, operation, path, why)
        return key

    # -- looking

    def _translated(
        self, operation: str, path: str, instead: Mapping[ErrorKind, ErrorKind] | None = None
    ) -> AbstractContextManager[None]:
        return translate(operation, path, instead)

    def _look(self, key: str, path: str) -> dict[str, Any] | None:
        return self._bucket.head(key, path)

    def _entry(self, name: str, found: Mapping[str, Any]) -> Entry:
        return entry_of(name, found, serves_times=self._serves_times)

    def _metadata(self, found: Mapping[str, Any]) -> Mapping[str, str]:
        return lowered(found)

    def _times(self, modified: int) -> Mapping[str, str]:
        return {MTIME: time_out(modified)}

    def _is_plain(self, name: str, value: bytes) -> bool:
        return is_plain(name, value)

    def _holds(self, prefix: str, path: str, *, beside: str | None = None) -> bool:
        return self._bucket.holds(prefix, path, beside=beside)

    def _listed(self, prefix: str, path: str, token: str, *, glimpsed: bool = False) -> tuple[Sequence[Found], str]:
        answer = self._bucket.page(prefix, path, token=token, most=self.page_size)
        objects = answer.get("Contents", ())
        lines = [Found(found["Prefix"]) for found in answer.get("CommonPrefixes", ())]
        if glimpsed and not self._serves_times:
            asked = asked_at(answer)
            lines += [Found(found["Key"], glimpse_of(found, asked)) for found in objects]
        elif self._serves_times:
            lines += [Found(found["Key"], self._entry("", found)) for found in objects]
        else:
            keys = [found["Key"] for found in objects if found["Key"] != prefix or found["Size"]]
            looks = zip(keys, self._looks(keys), strict=True)
            lines += [Found(key, self._entry("", seen)) for key, seen in looks if seen is not None]
            lines += [Found(prefix, MARKER) for found in objects if found["Key"] == prefix and not found["Size"]]
        lines.sort(key=lambda one: one.key.encode())
        return lines, answer.get("NextContinuationToken", "") if answer.get("IsTruncated") else ""

    def _way(self, *, glimpsed: bool) -> Listed:
        return partial(self._listed, glimpsed=glimpsed)

    def _numbers(self, prefix: str, path: str) -> Iterator[tuple[str, int]]:
        return numbers(one["Key"] for one in self._contents(prefix, path, delimiter="/"))

    def _contents(self, prefix: str, path: str, *, delimiter: str | None = None) -> Iterator[dict[str, Any]]:
        """Give every content below a prefix, in the order of keys, those of one key newest first."""
        marks: dict[str, Any] = {"Prefix": prefix, "Delimiter": delimiter, "MaxKeys": self.page_size}
        while True:
            with translate("list the versions of", path):
                answer = self._bucket.call("list_object_versions", **marks)
            yield from answer.get("Versions", ())
            following = answer.get("NextKeyMarker")
            if not answer.get("IsTruncated") or not following:
                return
            on = {"KeyMarker": following, "VersionIdMarker": answer.get("NextVersionIdMarker") or None}
            if marks == marks | on:  # it would go on for ever
                why = "the server gives the same page of versions again and again"
                raise refusal(ErrorKind.IO_ERROR, "list the versions of", path, why)
            marks |= on

    # -- changing

    def _remove(self, key: str, path: str, tag: bytes) -> None:
        condition = f'"{tag.decode()}"' if tag and self.limits.replaces_checked else None
        try:
            self._bucket.call("delete_object", Key=key, IfMatch=condition)
        except Refused as error:
            if error.status != 404:
                raise

    def _found_gone(self, key: str) -> None:
        """Some servers show a prefix for a while after the last object below it is gone; this ends that."""
        with suppress(Refused):
            self._bucket.call("delete_object", Key=f"{key}/")

    def _looks(self, keys: Sequence[str]) -> list[dict[str, Any] | None]:
        """Look at objects, many at once."""
        lean, bucket = self._bucket.lean, self._bucket
        if lean is None:
            return list(self._looking().map(lambda key: bucket.head(key, key), keys))
        looks: list[dict[str, Any] | None] = [None] * len(keys)
        journeys = ((place, bucket.looking(key, key)) for place, key in enumerate(keys))
        with closing(together(bucket, lean, journeys, most=LOOKS)) as ended:
            for one in ended:
                assert one is not None, "nobody has to wait"
                place, found = one
                if isinstance(found, TallyportError):
                    raise found
                looks[place] = found
        return looks

    def _looking(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._lookers is None:
                self._lookers = ThreadPoolExecutor(LOOKS, thread_name_prefix="s3-look")
            return self._lookers

    def _version(self, key: str, path: str, found: Mapping[str, Any]) -> Version:
        modified = round(found["LastModified"].timestamp()) * 1_000_000_000
        if not self._serves_times:
            seen = self._bucket.head(key, path, version=found["VersionId"])
            modified = modified if seen is None else self._entry("", seen).modified
        return Version(found["VersionId"], found["Size"], modified, bool(found.get("IsLatest")))
