"""One prefix of a bucket: keys, and looking at what stands below it."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

from tallyport.connectors.object_keys import Twins, is_twin, key_of, name_of, twin_of
from tallyport.connectors.object_store import base_of, folder
from tallyport.connectors.s3_bucket import (
    Bucket,
    asked_at,
    entry_of,
    glimpse_of,
)
from tallyport.connectors.s3_errors import refusal
from tallyport.connectors.s3_flights import together
from tallyport.connectors.s3_settings import LIMITS
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, check_segment, display, segments, split, to_bytes
from tallyport.domain.versions import Version

LOOKS = 16  # objects looked at at once while a listing is made


class Prefix:
    """A prefix, seen as a tree."""

    page_size = 1_000  # what the platform gives at most

    def __init__(self, bucket: Bucket, path: str = ROOT, *, make: bool = False, has_versions: bool = False) -> None:
        settings = bucket.settings
        self._bucket = bucket
        self._serves_times = settings.times == "server"
        self.limits = replace(LIMITS, versions=has_versions, sets_times=not self._serves_times)
        self._base = base_of(settings.prefix, path)
        self.location = f"s3://{settings.bucket}/{display(self._base)}".rstrip("/")
        self._lock = threading.Lock()
        self._lookers: ThreadPoolExecutor | None = None
        if path and not make and not bucket.holds(self._base, ROOT):
            raise refusal(ErrorKind.NOT_FOUND, "open", self.location, "nothing lies below that prefix")

    def stat(self, path: str) -> Entry | None:
        key = self._key(path, "look at")
        if path == ROOT:
            return folder("")
        name = split(path)[1]
        if not is_twin(name):
            found = self._bucket.head(key, path)
            if found is not None:
                return self._entry(name, found, found["ContentLength"])
        return folder(name) if self._bucket.holds(f"{key}/", path) else None

    # -- keys

    def _key(self, path: str, operation: str) -> str:
        for name in segments(path):
            why = check_segment(name)
            if why is not None:
                raise refusal(ErrorKind.INVALID_NAME, operation, path, why)
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise refusal(ErrorKind.INVALID_NAME, operation, path, "a key is text in UTF-8") from error
        return self._base + key_of(path)

    def _new_key(self, path: str, operation: str) -> str:
        key = self._key(path, operation)
        if path == ROOT:
            raise refusal(ErrorKind.ALREADY_EXISTS, operation, path, "it is the root of the connection")
        if (length := len(to_bytes(key))) > 1024:
            why = f"its key would have {length} bytes, and the platform takes 1024"
            raise refusal(ErrorKind.INVALID_NAME, operation, path, why)
        return key

    def _prefix(self, path: str) -> str:
        key = self._key(path, "list")
        return f"{key}/" if path else self._base

    # -- looking

    def _entry(self, name: str, answer: Mapping[str, Any], size: int) -> Entry:
        return entry_of(name, answer, size, serves_times=self._serves_times)

    def _existing(self, key: str, path: str, operation: str) -> dict[str, Any]:
        found = None if path == ROOT else self._bucket.head(key, path)
        if found is None:
            if path == ROOT or self._bucket.holds(f"{key}/", path):
                raise refusal(ErrorKind.UNSUPPORTED, operation, path, "a container is no object of the platform")
            raise refusal(ErrorKind.NOT_FOUND, operation, path, "there is no such object")
        return found

    def _listing(self, path: str, prefix: str, *, glimpsed: bool = False) -> Iterator[Entry]:
        token: str | None = None
        twins = Twins()
        while True:
            answer = self._bucket.page(prefix, path, token=token, most=self.page_size)
            entries, is_there = self._children_of(answer, prefix, twins, glimpsed=glimpsed)
            if token is None and not is_there and path != ROOT:
                raise refusal(ErrorKind.NOT_FOUND, "list", path, "there is no such container")
            yield from entries
            token = answer.get("NextContinuationToken") if answer.get("IsTruncated") else None
            if token is None:
                return

    def _children_of(
        self, answer: Mapping[str, Any], prefix: str, twins: Twins, *, glimpsed: bool = False
    ) -> tuple[list[Entry], bool]:
        """Give the entries of one page, and whether there was anything at all."""
        is_exact = self._serves_times
        asked = asked_at(answer)
        objects = {found["Key"]: found for found in answer.get("Contents", ())}
        keys = [*objects, *(found["Prefix"] for found in answer.get("CommonPrefixes", ()))]
        entries: list[Entry] = []
        files: list[tuple[int, str]] = []
        for key in sorted(keys, key=str.encode):
            segment = key[len(prefix) :]
            if key not in objects:
                is_second = twins.is_twin(key)
                entries.append(folder(twin_of(segment[:-1]) if is_second else name_of(segment[:-1])))
            elif segment or objects[key]["Size"]:  # without either it is the marker of this very container
                twins.is_twin(key)
                found = objects[key]
                if glimpsed and not is_exact:
                    entries.append(glimpse_of(name_of(segment), found, asked))
                    continue
                files.append((len(entries), key))
                entries.append(self._entry(name_of(segment), found, found["Size"]))
        if not is_exact and files:
            for (position, _), seen in zip(files, self._looks([key for _, key in files]), strict=True):
                name = entries[position].name
                gone = entries[position]._replace(name="")
                entries[position] = gone if seen is None else self._entry(name, seen, seen["ContentLength"])
        return [entry for entry in entries if entry.name], bool(keys)

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
            modified = modified if seen is None else self._entry("", seen, 0).modified
        return Version(found["VersionId"], found["Size"], modified, bool(found.get("IsLatest")))
