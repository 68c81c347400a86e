"""Writing to a bucket: one request, or parts that are joined in one request, under the condition that was asked for."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tallyport.connectors.hashing import ContentHash, digest
from tallyport.connectors.object_metadata import MTIME, type_of
from tallyport.connectors.protocol import Facts, Precondition
from tallyport.connectors.s3_bucket import (
    HASH,
    etag_of,
    tag_of,
    time_out,
)
from tallyport.connectors.s3_errors import Refused, refusal, translate
from tallyport.connectors.s3_flights import Journey, alone
from tallyport.connectors.s3_parts import check_announced, check_size
from tallyport.connectors.s3_prefix import Prefix
from tallyport.connectors.s3_settings import MIB
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import split

COPY_PART = 512 * MIB  # of a copy inside the platform
COPY_MAX = 5 * 1024 * MIB  # more is copied in parts


class Writing(Prefix):
    """A prefix that can be written to."""

    # -- writing

    def _check_copy(self, key: str, path: str, when: Precondition) -> None:
        """Look at the name once more: few servers keep the condition of a copy."""
        if when.absent or when.entry is not None:
            self._compare(self._look(key, path), path, when)

    def _condition(self, when: Precondition) -> dict[str, str]:
        if when.absent:
            return {"IfNoneMatch": "*"}
        return {"IfMatch": etag_of(when.entry)} if when.entry is not None else {}

    def _kept(self, facts: Facts, content: bytes | None = None) -> dict[str, str]:
        metadata = {}
        if facts.modified is not None and not self._serves_times:
            metadata[MTIME] = time_out(facts.modified)
        if content is not None:
            metadata[HASH] = content.hex()
        return metadata

    def _put(self, key: str, path: str, data: bytes, facts: Facts, when: Precondition) -> Journey[Entry]:
        content = digest(data)
        checksum = hashlib.sha256(data).digest()
        with _refused_when_gone(when), translate("write", path):
            answer = yield from self._bucket.conditionally(
                "put_object",
                Key=key,
                Body=data,
                Metadata=self._kept(facts, content),
                ContentType=type_of(key),
                ChecksumSHA256=b64encode(checksum).decode(),
                **self._condition(when),
            )
        self._prove(answer, path, data, checksum)
        if facts.modified is None or self._serves_times:
            return (yield from self._seeing(key, path))
        return Entry(split(path)[1], Kind.FILE, len(data), facts.modified, tag_of(answer), hash=content)

    def _prove(self, answer: Mapping[str, Any], path: str, data: bytes, checksum: bytes) -> None:
        """Compare what the platform says of content with what was sent."""
        told = answer.get("ChecksumSHA256")
        tag = tag_of(answer).decode()
        plain = answer.get("ServerSideEncryption") in (None, "AES256") and len(tag) == 32
        is_wrong = told is not None and b64decode(told) != checksum
        if is_wrong or (told is None and plain and tag != hashlib.md5(data, usedforsecurity=False).hexdigest()):
            raise refusal(ErrorKind.CORRUPT, "write", path, "the platform reports another checksum than was sent")

    def _seen(self, key: str, path: str) -> Entry:
        return alone(self._bucket, self._seeing(key, path))

    def _seeing(self, key: str, path: str) -> Journey[Entry]:
        found = yield from self._bucket.looking(key, path)
        if found is None:
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "it vanished at once")
        return self._entry(split(path)[1], found)

    def _put_parts(self, key: str, path: str, pieces: Iterator[bytes], facts: Facts, when: Precondition) -> Entry:
        """Store content of more than one part, one after the other; nothing is left of it when that fails."""
        with translate("write", path):
            answer = self._bucket.making(
                "create_multipart_upload",
                Key=key,
                Metadata=self._kept(facts),
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
                check_size(path, size)
                etag = self._put_piece(key, path, upload, len(parts) + 1, data)
                parts.append({"PartNumber": len(parts) + 1, "ETag": f'"{etag}"'})
            check_announced(path, facts, size, running.digest())
            return self._complete(key, path, upload, parts, size, when)
        except BaseException:
            try:
                self._abort(key, path, upload)
            except TallyportError:
                pass  # the first error says what is wrong; rules of the bucket free the parts in the end
            raise

    def _put_piece(self, key: str, path: str, upload: str, number: int, data: bytes | memoryview) -> str:
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
            completing = self._bucket.conditionally(
                "complete_multipart_upload",
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                **self._condition(when),
            )
            alone(self._bucket, completing)
        entry = self._seen(key, path)
        if size is not None and entry.size != size:
            why = f"{size} bytes were sent and {entry.size} are stored"
            raise refusal(ErrorKind.CORRUPT, "write", path, why)
        return entry

    def _abort(self, key: str, path: str, upload: str) -> None:
        with translate("write", path):
            try:
                self._bucket.call("abort_multipart_upload", Key=key, UploadId=upload)
            except Refused as error:
                if error.status != 404:
                    raise

    # -- copying inside the platform

    def _describe(self, key: str, path: str, found: Mapping[str, Any], values: Mapping[str, str | None]) -> Entry:
        metadata = {**self._metadata(found), **values}
        kept = {name: value for name, value in metadata.items() if value is not None}
        return self._rewrite(key, path, found, kept)

    def _rewrite(self, key: str, path: str, found: Mapping[str, Any], metadata: Mapping[str, str]) -> Entry:
        """Give an object other metadata: it is copied onto itself, if it still is what was looked at."""
        when = Precondition(entry=self._entry("", found))
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
        with translate("copy", path, {ErrorKind.ALREADY_EXISTS: instead}):
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


@contextmanager
def _refused_when_gone(when: Precondition) -> Iterator[None]:
    """A condition on an entry that is gone answers 404: it does not hold."""
    try:
        yield
    except TallyportError as error:
        cause = error.__cause__
        is_gone = isinstance(cause, Refused) and cause.code in ("NoSuchKey", "404", "NotFound")
        if when.entry is None or error.kind is not ErrorKind.NOT_FOUND or not is_gone:
            raise
        why = "what was to be replaced is gone"
        raise refusal(ErrorKind.ALREADY_EXISTS, "write", error.path or "", why) from cause
