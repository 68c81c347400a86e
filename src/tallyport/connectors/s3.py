"""S3, and what speaks like it: a bucket, or a prefix in one, as a tree.

A bucket has no folders. A container is there while an object lies below its prefix; an empty one is an object
whose key ends with a slash (a marker), made only when somebody asks for the container. Containers have no times.
Keys that are no paths are shown escaped (``object_keys.py``). A write is one request, or parts that are joined in
one request: the old object stands until then. Reads name the content they mean (``If-Match``).

Times and the content hash are metadata of ours, which a listing does not give. Objects that are listed are looked at,
many at once; who lists them to read them takes glimpses, and gets times and hash with the content. Whoever needs no
times saves those requests with ``times: server``.

Not everything that speaks like S3 keeps ``If-None-Match``: what this connection does is measured (``probing.py``),
and where it is not kept the name is looked at again before each write. Parts are joined under the same condition.

https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from itertools import takewhile
from typing import Any, cast

from tallyport.connectors import s3_access
from tallyport.connectors.bunches import read_each, with_entries, write_each
from tallyport.connectors.hashing import digest
from tallyport.connectors.object_keys import is_twin
from tallyport.connectors.object_metadata import type_of
from tallyport.connectors.object_store import base_of, folder, without
from tallyport.connectors.pausing import Pause
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition, Read, SmallRead, SmallWrite, Written
from tallyport.connectors.remote_content import chained
from tallyport.connectors.s3_bucket import (
    Bucket,
    etag_of,
)
from tallyport.connectors.s3_errors import Refused, refusal, translate
from tallyport.connectors.s3_flights import Journey, alone, together
from tallyport.connectors.s3_parts import (
    check_announced,
    check_size,
    etags_of,
    filled,
    receipt_of,
    slice_length,
    sliced,
    upload_of,
)
from tallyport.connectors.s3_reading import Reading
from tallyport.connectors.s3_settings import LIMITS, PART, PARTS_MAX, UPLOAD_PART, Settings
from tallyport.connectors.s3_writing import Writing
from tallyport.domain.access import Access
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, split
from tallyport.domain.versions import Version

__all__ = ["LIMITS", "S3", "Settings", "open_s3"]


def open_s3(settings: Settings, path: str = ROOT, *, make: bool = False) -> "S3":
    """Open a prefix; what was opened on the way to an error is closed again."""
    bucket = Bucket(settings)
    try:
        return _opened(bucket, settings, path, make)
    except BaseException:
        bucket.close()
        raise


def _opened(bucket: Bucket, settings: Settings, path: str, make: bool) -> "S3":
    """Ask once what the bucket keeps, for the abilities that not every bucket has."""
    bucket.find(f"s3://{settings.bucket}")
    lost: set[str] = set()
    with translate("open", f"s3://{settings.bucket}"):
        has_versions = _keeps_versions(bucket, base_of(settings.prefix, path))
    if has_versions is None:
        lost |= {"versions", "read_version", "counted"}
    with translate("open", f"s3://{settings.bucket}"):
        has_access = s3_access.is_on(bucket)
    if not has_access:
        lost |= {"access", "set_access"}
    if bucket.lean is None:  # the SDK's calls are waited for one by one: many threads are faster
        lost |= {"read_many", "write_many"}
    made = cast(Any, without(S3, frozenset(lost)))
    return cast(S3, made(bucket, path, make=make, has_versions=bool(has_versions)))


class S3(Reading, Writing):
    """One prefix of one bucket."""

    # -- what every platform can do

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, {})

    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, {"IfMatch": etag_of(entry)})

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key = self._new_key(path, "write")
        check_size(path, facts.size or 0)
        self._check(key, path, when)
        parts = sliced(content)
        first = next(parts, b"")
        second = next(parts, None) if len(first) == PART else None
        if second is None:
            check_announced(path, facts, len(first), digest(first))
            return alone(self._bucket, self._put(key, path, first, facts, when))
        return self._put_parts(key, path, chained(first, chained(second, parts)), facts, when)

    def make_container(self, path: str, facts: Facts) -> Entry:
        key = self._new_key(path, "make") if path else ""
        if path == ROOT:
            return folder("")
        name = split(path)[1]
        if not self._bucket.holds(f"{key}/", path):
            if not is_twin(name) and self._bucket.head(key, path) is not None:
                raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "a file has that name")
            with translate("make", path):
                self._bucket.making("put_object", Key=f"{key}/", Body=b"")
        return folder(name)

    def pause_with(self, pause: Pause) -> None:
        self._bucket.pause = pause

    def close(self) -> None:
        with self._lock:
            lookers, self._lookers = self._lookers, None
        if lookers is not None:
            lookers.shutdown(cancel_futures=True)
        self._bucket.close()

    # -- abilities

    def glimpses(self, path: str) -> Iterator[Entry]:
        return self._children(path, self._way(glimpsed=True))

    def look_many(self, paths: Sequence[str]) -> Sequence[Entry | None]:
        looks = self._looks([self._key(path, "look at") for path in paths])
        return [
            None if found is None else self._entry(split(path)[1], found)
            for path, found in zip(paths, looks, strict=True)
        ]

    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        lean = self._bucket.lean
        if lean is None:
            return read_each(self, reads)
        journeys = (None if one is None else (one, self._getting(one)) for one in reads)
        return with_entries(together(self._bucket, lean, journeys))

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        lean = self._bucket.lean
        if lean is None:
            return write_each(self, writes)
        return together(self._bucket, lean, (None if one is None else (one, self._putting(one)) for one in writes))

    def _putting(self, one: SmallWrite) -> Journey[Entry]:
        """Put one object."""
        key = self._new_key(one.path, "write")
        check_size(one.path, len(one.content))
        self._check(key, one.path, one.when)
        check_announced(one.path, one.facts, len(one.content), digest(one.content))
        self._bucket.pause.wait("write", one.path)
        one.guard()  # after the wait: a lease may end in it
        return (yield from self._put(key, one.path, one.content, one.facts, one.when))

    def stamp(self, path: str, facts: Facts) -> Entry:
        return super().stamp(path, Facts() if self._serves_times else facts)

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key, new_key = self._key(path, "copy"), self._new_key(to, "copy")
        found = self._existing(key, path, "copy")
        self._check_copy(new_key, to, when)
        metadata = dict(self._metadata(found))
        if facts.modified is not None and not self._serves_times:
            metadata |= self._times(facts.modified)
        return self._copy(key, new_key, to, found, metadata, when)

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        key = self._new_key(path, "write")
        size = facts.size or 0
        check_size(path, size)
        pieces = next(n for n in (8, 4, 2, 1) if n == 1 or size <= PARTS_MAX * (UPLOAD_PART // n))
        with translate("write", path):
            answer = self._bucket.making(
                "create_multipart_upload",
                Key=key,
                Metadata=self._kept(facts),
                ContentType=type_of(key),
            )
        return f"{pieces}:{answer['UploadId']}"

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        key = self._new_key(path, "write")
        pieces, upload = upload_of(handle)
        receipts = []
        came = 0
        first = number * pieces + 1
        with closing(filled(content, slice_length(size, UPLOAD_PART // pieces))) as slices:
            for n, data in enumerate(slices):
                came += len(data)
                if came > size:
                    break
                receipts.append(self._put_piece(key, path, upload, first + n, data))
        if came != size:
            why = f"{size} bytes were announced and {came} came"
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, why)
        return receipt_of(receipts)

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        key = self._new_key(path, "write")
        pieces, upload = upload_of(handle)
        self._check(key, path, when)
        parts = [
            {"PartNumber": number * pieces + n, "ETag": f'"{etag}"'}
            for number, receipt in enumerate(receipts)
            for n, etag in enumerate(etags_of(receipt), 1)
        ]
        return self._complete(key, path, upload, parts, facts.size, when)

    def abandon_upload(self, path: str, handle: str) -> None:
        _, upload = upload_of(handle)
        self._abort(self._key(path, "write"), path, upload)

    def forget_uploads(self, path: str) -> int:
        key = self._key(path, "write")
        forgotten = 0
        marks: dict[str, Any] = {}
        with translate("write", path):
            while True:
                answer = self._bucket.call("list_multipart_uploads", Prefix=key, **marks)
                for upload in [one["UploadId"] for one in answer.get("Uploads", ()) if one["Key"] == key]:
                    if not self._bucket.call("list_parts", Key=key, UploadId=upload, MaxParts=1).get("Parts"):
                        self._abort(key, path, upload)
                        forgotten += 1
                following = answer.get("NextKeyMarker")
                if not answer.get("IsTruncated") or not following or following > key:
                    return forgotten
                marks = {"KeyMarker": following, "UploadIdMarker": answer.get("NextUploadIdMarker")}

    def versions(self, path: str) -> Sequence[Version]:
        key = self._key(path, "list the versions of")
        # Other keys that begin so come after it: what follows it is not asked for.
        found = list(takewhile(lambda one: one["Key"] == key, self._contents(key, path)))
        if not found:
            raise refusal(ErrorKind.NOT_FOUND, "list the versions of", path, "there is no such object")
        return [self._version(key, path, one) for one in reversed(found)]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, {"VersionId": version})

    def access(self, path: str) -> Access:
        key = self._key(path, "see who may use")
        self._existing(key, path, "see who may use")
        return s3_access.read(self._bucket, key, path)

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        key = self._key(path, "say who may use")
        self._existing(key, path, "say who may use")
        return s3_access.change(self._bucket, key, path, access, remove_others=remove_others)


def _keeps_versions(bucket: Bucket, base: str) -> bool | None:
    """Tell whether the bucket makes versions; None when it never did, and whoever may not ask cannot use them."""
    try:
        status = bucket.call("get_bucket_versioning").get("Status")
        if status is not None:
            bucket.call("list_object_versions", Prefix=base, MaxKeys=1)  # a right of its own
    except Refused:
        return None
    return None if status is None else status == "Enabled"
