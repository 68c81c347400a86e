"""S3, and what speaks like it: a bucket, or a prefix in one, as a tree.

A bucket has no folders. A container is there while an object lies below its prefix; an empty one is an object
whose key ends with a slash (a marker), made only when somebody asks for the container. Containers have no times.
Keys that are no paths are shown escaped (``object_keys.py``). A write is one request, or parts that are joined in
one request: the old object stands until then. Reads name the content they mean (``If-Match``).

Times and the content hash are metadata of ours, which a listing does not give: every object that is listed is
looked at, many at once. Whoever needs no times saves those requests with ``times: server``.

Not everything that speaks like S3 keeps ``If-None-Match``: what this connection does is measured (``probing.py``),
and where it is not kept the name is looked at again before each write. Parts are joined under the same condition.

https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html
"""

import hashlib
import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal, cast

from botocore.exceptions import ClientError

from tallyport.connectors import s3_access
from tallyport.connectors.hashing import ContentHash, digest
from tallyport.connectors.object_keys import Twins, is_twin, key_of, name_of, twin_of
from tallyport.connectors.protocol import ANYTHING, Facts, Page, Precondition
from tallyport.connectors.s3_bucket import (
    HASH,
    MTIME,
    Bucket,
    checked,
    entry_of,
    etag_of,
    lowered,
    properties_in,
    properties_out,
    tag_of,
    time_out,
    type_of,
)
from tallyport.connectors.s3_errors import code_of, refusal, status_of, translate
from tallyport.domain.access import Access
from tallyport.domain.capabilities import Limits, VerifyLevel
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, check_segment, display, segments, split, to_bytes
from tallyport.domain.versions import Version

MIB = 1024 * 1024
CHUNK = MIB
PART = 8 * MIB  # of one request; the whole of it is in memory, so that it is sent with its checksum
PART_MIN = 5 * MIB  # of the platform, but for the last
COPY_PART = 512 * MIB  # of a copy inside the platform
COPY_MAX = 5 * 1024 * MIB  # more is copied in parts
UPLOAD_PART = 64 * MIB  # what the engine carries at once; it is stored as up to eight parts of S3
PARTS_MAX = 10_000
LOOKS = 16  # objects looked at at once while a listing is made


def _wrong_bucket(value: str) -> str | None:
    return None if value and "/" not in value else "must be the name of a bucket, without a slash"


def _wrong_endpoint(value: str) -> str | None:
    return None if not value or value.startswith(("https://", "http://")) else "must begin with https:// or http://"


def _not_positive(value: float) -> str | None:
    return None if value > 0 else "must be more than 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A bucket and who opens it."""

    bucket: str = field(metadata={"help": "name of the bucket", "check": _wrong_bucket})
    prefix: str = field(default="", metadata={"help": "what every key begins with, as folders; empty: all of it"})
    endpoint: str = field(
        default="", metadata={"help": "address of a server like S3; empty: Amazon's", "check": _wrong_endpoint}
    )
    region: str = field(default="", metadata={"help": "region of the bucket; empty: the account's default"})
    access_key: str = field(
        default="", metadata={"help": "id of the access key; empty: what the AWS SDK finds, if the server allows it"}
    )
    secret_key: str = field(default="", metadata={"help": "the secret access key", "secret": True})
    session_token: str = field(default="", metadata={"help": "token of a temporary key", "secret": True})
    profile: str = field(
        default="", metadata={"help": "profile in this machine's AWS configuration, if the server allows it"}
    )
    addressing: Literal["auto", "path", "virtual"] = field(
        default="auto", metadata={"help": "where the bucket's name stands in an address"}
    )
    storage_class: str = field(default="", metadata={"help": "of new objects, as STANDARD_IA; empty: the bucket's"})
    encryption: Literal["", "AES256", "aws:kms"] = field(
        default="", metadata={"help": "of new objects at rest; empty: the bucket's"}
    )
    encryption_key: str = field(default="", metadata={"help": "id of the KMS key, with aws:kms"})
    requester_pays: bool = field(default=False, metadata={"help": "pay for requests to a bucket that asks for it"})
    times: Literal["metadata", "server"] = field(
        default="metadata",
        metadata={"help": "metadata: times travel, one request more per listed object; server: time of upload"},
    )
    lean: bool = field(
        default=True,
        metadata={"help": "make the frequent calls without the AWS SDK: much less work for each"},
    )
    timeout: float = field(default=60.0, metadata={"help": "seconds to wait for the server", "check": _not_positive})


LIMITS = Limits(
    max_size=UPLOAD_PART * PARTS_MAX,
    max_name=1024,
    max_path=1024,
    forbidden_characters="/\0",
    unicode_only=True,
    versions=False,
    slow_hash=True,
    dates_containers=False,
    best_verify=VerifyLevel.READBACK,
    hash_types=("md5", "sha256"),
    acknowledges=True,
    part_min=PART_MIN,
    part_max=UPLOAD_PART,
    parts_max=PARTS_MAX,
    containers_implied=True,
)


def open_s3(settings: Settings, path: str = ROOT, *, make: bool = False) -> "S3":
    """Open a prefix; asks once what the bucket keeps, for the abilities that not every bucket has."""
    bucket = Bucket(settings)
    lost: set[str] = set()
    with translate("open", f"s3://{settings.bucket}"):
        has_versions = _keeps_versions(bucket)
    if has_versions is None:
        lost |= {"versions", "read_version"}
    with translate("open", f"s3://{settings.bucket}"):
        has_access = s3_access.is_on(bucket)
    if not has_access:
        lost |= {"access", "set_access"}
    made = cast(Any, _without(S3, frozenset(lost)))
    return cast(S3, made(bucket, path, make=make, has_versions=bool(has_versions)))


class S3:
    """One prefix of one bucket."""

    page_size = 1_000  # what the platform gives at most

    def __init__(self, bucket: Bucket, path: str = ROOT, *, make: bool = False, has_versions: bool = False) -> None:
        settings = bucket.settings
        self._bucket = bucket
        self._serves_times = settings.times == "server"
        self.limits = replace(LIMITS, versions=has_versions, sets_times=not self._serves_times)
        fixed = settings.prefix.strip("/")
        below = key_of(path)
        self._base = "".join(f"{part}/" for part in (fixed, below) if part)
        self.location = f"s3://{settings.bucket}/{display(self._base)}".rstrip("/")
        self._lock = threading.Lock()
        self._lookers: ThreadPoolExecutor | None = None
        with translate("open", self.location):
            try:
                bucket.call("head_bucket")
            except ClientError as error:
                if status_of(error) == 404:
                    why = "there is no such bucket: make it first, or put the name right"
                    raise refusal(ErrorKind.NOT_FOUND, "open", self.location, why) from error
                raise
        if below and not make and not bucket.holds(self._base, ROOT):
            raise refusal(ErrorKind.NOT_FOUND, "open", self.location, "nothing lies below that prefix")

    # -- what every platform can do

    def stat(self, path: str) -> Entry | None:
        key = self._key(path, "look at")
        if path == ROOT:
            return _container("")
        name = split(path)[1]
        if not is_twin(name):
            found = self._bucket.head(key, path)
            if found is not None:
                return self._entry(name, found, found["ContentLength"])
        return _container(name) if self._bucket.holds(f"{key}/", path) else None

    def children(self, path: str) -> Iterator[Entry]:
        prefix = self._prefix(path)
        return self._listing(path, prefix)

    def page(self, path: str, cursor: str | None = None) -> Page:
        prefix = self._prefix(path)
        token, held = json.loads(cursor) if cursor else (None, [])
        twins = Twins(held)
        instead = {"UNEXPECTED": ErrorKind.CHANGED_DURING_COPY} if cursor else {}
        with translate("list", path, **instead):
            answer = self._bucket.page(prefix, path, token=token, most=self.page_size)
        entries, is_there = self._children_of(answer, prefix, twins)
        if cursor is None and not is_there and path != ROOT:
            raise refusal(ErrorKind.NOT_FOUND, "list", path, "there is no such container")
        following = answer.get("NextContinuationToken") if answer.get("IsTruncated") else None
        return Page(tuple(entries), json.dumps([following, twins.held]) if following else None)

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, {})

    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, {"IfMatch": etag_of(entry)})

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key = self._new_key(path, "write")
        _check_size(path, facts.size or 0)
        self._check(key, path, when)
        parts = _sliced(content)
        first = next(parts, b"")
        second = next(parts, None) if len(first) == PART else None
        if second is None:
            _check_announced(path, facts, len(first), digest(first))
            return self._put(key, path, first, facts, when)
        return self._put_parts(key, path, _chain(first, second, parts), facts, when)

    def make_container(self, path: str, facts: Facts) -> Entry:
        key = self._new_key(path, "make") if path else ""
        if path == ROOT:
            return _container("")
        name = split(path)[1]
        if not self._bucket.holds(f"{key}/", path):
            if not is_twin(name) and self._bucket.head(key, path) is not None:
                raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "a file has that name")
            with translate("make", path):
                self._bucket.making("put_object", Key=f"{key}/", Body=b"")
        return _container(name)

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        key = self._key(path, "delete")
        if path == ROOT:
            raise refusal(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
        entry = self.stat(path)
        if entry is None:
            # Some servers show a prefix for a while after the last object below it is gone; this ends that.
            with suppress(ClientError):
                self._bucket.call("delete_object", Key=f"{key}/")
            return
        if expect is not None and (entry.kind is not expect.kind or fingerprint(entry) != fingerprint(expect)):
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "delete", path, "it changed since it was seen")
        if entry.kind is Kind.CONTAINER:
            key = f"{key}/"
            if self._bucket.holds(key, path, beside=key):
                raise refusal(ErrorKind.ALREADY_EXISTS, "delete", path, "the container is not empty")
        condition = etag_of(entry) if expect is not None and entry.tag and self.limits.replaces_checked else None
        with translate("delete", path, ALREADY_EXISTS=ErrorKind.CHANGED_DURING_COPY):
            try:
                self._bucket.call("delete_object", Key=key, IfMatch=condition)
            except ClientError as error:
                if status_of(error) != 404:
                    raise

    def close(self) -> None:
        with self._lock:
            lookers, self._lookers = self._lookers, None
        if lookers is not None:
            lookers.shutdown(cancel_futures=True)
        self._bucket.close()

    # -- abilities

    def stamp(self, path: str, facts: Facts) -> Entry:
        key = self._key(path, "stamp")
        found = self._existing(key, path, "stamp")
        if facts.modified is None or self._serves_times:
            return self._entry(split(path)[1], found, found["ContentLength"])
        return self._rewrite(key, path, found, {**lowered(found), MTIME: time_out(facts.modified)})

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key, new_key = self._key(path, "copy"), self._new_key(to, "copy")
        found = self._existing(key, path, "copy")
        self._check(new_key, to, when, is_copy=True)  # few servers keep the condition of a copy
        metadata = lowered(found)
        if facts.modified is not None and not self._serves_times:
            metadata[MTIME] = time_out(facts.modified)
        return self._copy(key, new_key, to, found, metadata, when)

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        key = self._new_key(path, "write")
        size = facts.size or 0
        _check_size(path, size)
        pieces = next(n for n in (8, 4, 2, 1) if n == 1 or size <= PARTS_MAX * (UPLOAD_PART // n))
        with translate("write", path):
            answer = self._bucket.making(
                "create_multipart_upload",
                Key=key,
                Metadata=self._metadata(facts),
                ContentType=type_of(key),
            )
        return f"{pieces}:{answer['UploadId']}"

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        key = self._new_key(path, "write")
        pieces, upload = _upload_of(handle)
        receipts = []
        came = 0
        first = number * pieces + 1
        for n, data in enumerate(_sliced(content, UPLOAD_PART // pieces)):
            came += len(data)
            if came > size:
                break
            receipts.append(self._put_piece(key, path, upload, first + n, data))
        if came != size:
            why = f"{size} bytes were announced and {came} came"
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, why)
        return _receipt(receipts)

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        key = self._new_key(path, "write")
        pieces, upload = _upload_of(handle)
        self._check(key, path, when)
        parts = [
            {"PartNumber": number * pieces + n, "ETag": f'"{etag}"'}
            for number, receipt in enumerate(receipts)
            for n, etag in enumerate(_etags(receipt), 1)
        ]
        return self._complete(key, path, upload, parts, facts.size, when)

    def abandon_upload(self, path: str, handle: str) -> None:
        _, upload = _upload_of(handle)
        self._abort(self._key(path, "write"), path, upload)

    def versions(self, path: str) -> Sequence[Version]:
        key = self._key(path, "list the versions of")
        found: list[dict[str, Any]] = []
        marks: dict[str, Any] = {}
        with translate("list the versions of", path):
            while True:
                answer = self._bucket.call("list_object_versions", Prefix=key, **marks)
                found.extend(one for one in answer.get("Versions", ()) if one["Key"] == key)
                following = answer.get("NextKeyMarker")
                if not answer.get("IsTruncated") or not following or following > key:
                    break
                marks = {"KeyMarker": following, "VersionIdMarker": answer.get("NextVersionIdMarker")}
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

    def properties(self, path: str) -> Mapping[str, bytes]:
        return properties_in(lowered(self._existing(self._key(path, "look at"), path, "look at")))

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        key = self._key(path, "set the properties of")
        found = self._existing(key, path, "set the properties of")
        metadata = lowered(found)
        wanted = {**properties_in(metadata), **values}
        kept = {name: value for name, value in metadata.items() if name in (MTIME, HASH)}
        told = properties_out({name: value for name, value in wanted.items() if value is not None}, path)
        self._rewrite(key, path, found, kept | told)
        return self.properties(path)

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

    def _listing(self, path: str, prefix: str) -> Iterator[Entry]:
        token: str | None = None
        twins = Twins()
        while True:
            answer = self._bucket.page(prefix, path, token=token, most=self.page_size)
            entries, is_there = self._children_of(answer, prefix, twins)
            if token is None and not is_there and path != ROOT:
                raise refusal(ErrorKind.NOT_FOUND, "list", path, "there is no such container")
            yield from entries
            token = answer.get("NextContinuationToken") if answer.get("IsTruncated") else None
            if token is None:
                return

    def _children_of(self, answer: Mapping[str, Any], prefix: str, twins: Twins) -> tuple[list[Entry], bool]:
        """Give the entries of one page, and whether there was anything at all."""
        objects = {found["Key"]: found for found in answer.get("Contents", ())}
        keys = [*objects, *(found["Prefix"] for found in answer.get("CommonPrefixes", ()))]
        entries: list[Entry] = []
        files: list[tuple[int, str]] = []
        for key in sorted(keys, key=str.encode):
            segment = key[len(prefix) :]
            if key not in objects:
                is_second = twins.is_twin(key)
                entries.append(_container(twin_of(segment[:-1]) if is_second else name_of(segment[:-1])))
            elif segment or objects[key]["Size"]:  # without either it is the marker of this very container
                twins.is_twin(key)
                files.append((len(entries), key))
                entries.append(self._entry(name_of(segment), objects[key], objects[key]["Size"]))
        if not self._serves_times and files:
            looks = self._looking().map(lambda key: self._bucket.head(key, key), [key for _, key in files])
            for (position, _), found in zip(files, list(looks), strict=True):
                name = entries[position].name
                gone = entries[position]._replace(name="")
                entries[position] = gone if found is None else self._entry(name, found, found["ContentLength"])
        return [entry for entry in entries if entry.name], bool(keys)

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

    # -- reading

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, what: Mapping[str, Any]
    ) -> Iterator[Iterator[bytes]]:
        key = self._key(path, "read")
        if path == ROOT or is_twin(split(path)[1]):
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, "a container has no content")
        if length == 0:
            self._existing(key, path, "read")
            yield iter(())
            return
        wanted = None
        if offset or length is not None:
            wanted = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        with translate("read", path, ALREADY_EXISTS=ErrorKind.CHANGED_DURING_COPY):
            try:
                answer = self._bucket.call("get_object", Key=key, Range=wanted, **what)
            except ClientError as error:
                if status_of(error) != 416:
                    if status_of(error) == 404 and "IfMatch" in what:
                        why = "it is gone since it was seen"
                        raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, why) from error
                    raise
                answer = None  # the range begins at the end, or after it
        if answer is None:
            yield iter(())
            return
        with closing(answer["Body"]) as body:
            chunks = self._chunks(body, path, answer["ContentLength"])
            yield chunks if wanted is not None else checked(chunks, path, answer)

    def _chunks(self, body: Any, path: str, length: int) -> Iterator[bytes]:
        came = 0
        while came < length:
            with translate("read", path):
                chunk = body.read(min(CHUNK, length - came))
            if not chunk:
                why = f"the content ended after {came} of {length} bytes"
                raise refusal(ErrorKind.UNAVAILABLE, "read", path, why)
            came += len(chunk)
            yield chunk

    # -- writing

    def _check(self, key: str, path: str, when: Precondition, *, is_copy: bool = False) -> None:
        """Look at the name once more where the platform does not keep the condition itself."""
        keeps = not is_copy and (self.limits.creates_only if when.absent else self.limits.replaces_checked)
        if keeps or when is ANYTHING or (not when.absent and when.entry is None):
            return
        found = self._bucket.head(key, path)
        if when.absent and found is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")
        if when.entry is not None and (found is None or tag_of(found) != when.entry.tag):
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")

    def _condition(self, when: Precondition) -> dict[str, str]:
        if when.absent:
            return {"IfNoneMatch": "*"}
        return {"IfMatch": etag_of(when.entry)} if when.entry is not None else {}

    def _metadata(self, facts: Facts, content: bytes | None = None) -> dict[str, str]:
        metadata = {}
        if facts.modified is not None and not self._serves_times:
            metadata[MTIME] = time_out(facts.modified)
        if content is not None:
            metadata[HASH] = content.hex()
        return metadata

    def _put(self, key: str, path: str, data: bytes, facts: Facts, when: Precondition) -> Entry:
        content = digest(data)
        checksum = hashlib.sha256(data).digest()
        with _refused_when_gone(when), translate("write", path):
            answer = self._bucket.conditionally(
                "put_object",
                path,
                Key=key,
                Body=data,
                Metadata=self._metadata(facts, content),
                ContentType=type_of(key),
                ChecksumSHA256=b64encode(checksum).decode(),
                **self._condition(when),
            )
        self._compare(answer, path, data, checksum)
        if facts.modified is None or self._serves_times:
            return self._seen(key, path)
        return Entry(split(path)[1], Kind.FILE, len(data), facts.modified, tag_of(answer), hash=content)

    def _compare(self, answer: Mapping[str, Any], path: str, data: bytes, checksum: bytes) -> None:
        """Compare what the platform says of content with what was sent."""
        told = answer.get("ChecksumSHA256")
        tag = tag_of(answer).decode()
        plain = answer.get("ServerSideEncryption") in (None, "AES256") and len(tag) == 32
        is_wrong = told is not None and b64decode(told) != checksum
        if is_wrong or (told is None and plain and tag != hashlib.md5(data, usedforsecurity=False).hexdigest()):
            raise refusal(ErrorKind.CORRUPT, "write", path, "the platform reports another checksum than was sent")

    def _seen(self, key: str, path: str) -> Entry:
        found = self._bucket.head(key, path)
        if found is None:
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "it vanished at once")
        return self._entry(split(path)[1], found, found["ContentLength"])

    def _put_parts(self, key: str, path: str, pieces: Iterator[bytes], facts: Facts, when: Precondition) -> Entry:
        """Store content of more than one part, one after the other; nothing is left of it when that fails."""
        with translate("write", path):
            answer = self._bucket.making(
                "create_multipart_upload",
                Key=key,
                Metadata=self._metadata(facts),
                ContentType=type_of(key),
            )
        upload = answer["UploadId"]
        parts: list[dict[str, Any]] = []
        running = ContentHash()
        size = 0
        try:
            for data in pieces:
                running.update(data)
                size += len(data)
                _check_size(path, size)
                etag = self._put_piece(key, path, upload, len(parts) + 1, data)
                parts.append({"PartNumber": len(parts) + 1, "ETag": f'"{etag}"'})
            _check_announced(path, facts, size, running.digest())
            return self._complete(key, path, upload, parts, size, when)
        except BaseException:
            try:
                self._abort(key, path, upload)
            except TallyportError:
                pass  # the first error says what is wrong; rules of the bucket free the parts in the end
            raise

    def _put_piece(self, key: str, path: str, upload: str, number: int, data: bytes) -> str:
        """Store one part as the platform has them, checked by it on arrival; gives its ETag."""
        checksum = hashlib.md5(data, usedforsecurity=False).digest()
        with translate("write", path):
            answer = self._bucket.call(
                "upload_part",
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=data,
                ContentMD5=b64encode(checksum).decode(),
            )
        etag = tag_of(answer).decode()
        if answer.get("ServerSideEncryption") in (None, "AES256") and etag != checksum.hex():
            raise refusal(ErrorKind.CORRUPT, "write", path, f"the platform stored part {number} as something else")
        return etag

    def _complete(
        self,
        key: str,
        path: str,
        upload: str,
        parts: Sequence[Mapping[str, Any]],
        size: int | None,
        when: Precondition,
    ) -> Entry:
        with _refused_when_gone(when), translate("write", path):
            self._bucket.conditionally(
                "complete_multipart_upload",
                path,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                **self._condition(when),
            )
        entry = self._seen(key, path)
        if size is not None and entry.size != size:
            why = f"{size} bytes were sent and {entry.size} are stored"
            raise refusal(ErrorKind.CORRUPT, "write", path, why)
        return entry

    def _abort(self, key: str, path: str, upload: str) -> None:
        with translate("write", path):
            try:
                self._bucket.call("abort_multipart_upload", Key=key, UploadId=upload)
            except ClientError as error:
                if status_of(error) != 404:
                    raise

    # -- copying inside the platform

    def _rewrite(self, key: str, path: str, found: Mapping[str, Any], metadata: Mapping[str, str]) -> Entry:
        """Give an object other metadata: it is copied onto itself, if it still is what was looked at."""
        when = Precondition(entry=self._entry("", found, found["ContentLength"]))
        return self._copy(key, key, path, found, metadata, when, instead=ErrorKind.CHANGED_DURING_COPY)

    def _copy(
        self,
        key: str,
        new_key: str,
        path: str,
        found: Mapping[str, Any],
        metadata: Mapping[str, str],
        when: Precondition,
        *,
        instead: ErrorKind = ErrorKind.ALREADY_EXISTS,
    ) -> Entry:
        source = {"Bucket": self._bucket.name, "Key": key}
        size = found["ContentLength"]
        kept = {name: found[name] for name in _KEPT if found.get(name)}
        is_itself = key == new_key
        with translate("copy", path, ALREADY_EXISTS=instead):
            if size <= COPY_MAX:
                self._bucket.making(
                    "copy_object",
                    Key=new_key,
                    CopySource=source,
                    CopySourceIfMatch=found["ETag"],
                    MetadataDirective="REPLACE",
                    Metadata=dict(metadata),
                    **kept,
                    **({} if is_itself else self._condition(when)),
                )
                return self._seen(new_key, path)
            begun = self._bucket.making("create_multipart_upload", Key=new_key, Metadata=dict(metadata), **kept)
            upload = begun["UploadId"]
            try:
                parts = []
                for number, start in enumerate(range(0, size, COPY_PART), 1):
                    answer = self._bucket.call(
                        "upload_part_copy",
                        Key=new_key,
                        UploadId=upload,
                        PartNumber=number,
                        CopySource=source,
                        CopySourceIfMatch=found["ETag"],
                        CopySourceRange=f"bytes={start}-{min(size, start + COPY_PART) - 1}",
                    )
                    parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
                return self._complete(new_key, path, upload, parts, size, when)
            except BaseException:
                try:
                    self._abort(new_key, path, upload)
                except TallyportError:
                    pass  # the first error says what is wrong
                raise


_KEPT = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "Expires")


def _container(name: str) -> Entry:
    return Entry(name, Kind.CONTAINER)


def _keeps_versions(bucket: Bucket) -> bool | None:
    """Tell whether the bucket makes versions; None when it never did, and whoever may not ask cannot use them."""
    try:
        status = bucket.call("get_bucket_versioning").get("Status")
    except ClientError:
        return None
    return None if status is None else status == "Enabled"


@contextmanager
def _refused_when_gone(when: Precondition) -> Iterator[None]:
    """A condition on an entry that is gone answers 404: it does not hold."""
    try:
        yield
    except TallyportError as error:
        cause = error.__cause__
        is_gone = isinstance(cause, ClientError) and code_of(cause) in ("NoSuchKey", "404", "NotFound")
        if when.entry is None or error.kind is not ErrorKind.NOT_FOUND or not is_gone:
            raise
        why = "what was to be replaced is gone"
        raise refusal(ErrorKind.ALREADY_EXISTS, "write", error.path or "", why) from cause


def _check_size(path: str, size: int) -> None:
    most = LIMITS.max_size
    if most is not None and size > most:
        raise refusal(
            ErrorKind.TOO_LARGE, "write", path, f"it has more than the {most} bytes that are carried in parts"
        )


def _check_announced(path: str, facts: Facts, size: int, content: bytes) -> None:
    if facts.size is not None and facts.size != size:
        why = f"{facts.size} bytes were announced and {size} came"
        raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, why)
    if facts.hash is not None and facts.hash != content:
        raise refusal(ErrorKind.CORRUPT, "write", path, "the content does not have the announced hash")


def _sliced(content: Iterable[bytes], length: int = PART) -> Iterator[bytes]:
    """Give content in slices of one length, the last perhaps shorter; nothing for nothing."""
    held = bytearray()
    for chunk in content:
        held += chunk
        while len(held) >= length:
            yield bytes(held[:length])
            del held[:length]
    if held:
        yield bytes(held)


def _chain(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _upload_of(handle: str) -> tuple[int, str]:
    pieces, _, upload = handle.partition(":")
    return int(pieces), upload


def _receipt(etags: Sequence[str]) -> bytes:
    """Write the ETags of the pieces of a part: 16 bytes each where they are digests, as they mostly are."""
    try:
        coded = [bytes.fromhex(etag) for etag in etags]
        if all(len(one) == 16 for one in coded):
            return b"m" + b"".join(coded)
    except ValueError:
        pass
    return b"t" + ",".join(etags).encode()


def _etags(receipt: bytes) -> list[str]:
    if receipt[:1] == b"m":
        return [receipt[at : at + 16].hex() for at in range(1, len(receipt), 16)]
    return receipt[1:].decode().split(",") if len(receipt) > 1 else []


@cache
def _without(cls: type[Any], methods: frozenset[str]) -> type[Any]:
    """Give the subclass whose instances lack some methods: None in a class means "not here" to isinstance."""
    return type(cls.__name__, (cls,), dict.fromkeys(methods)) if methods else cls
