"""The calls on one bucket: names of metadata, entries of answers, and what every request carries.

What S3 has no place for is metadata of ours: ``mtime`` (seconds with nine decimals, as rclone writes it) and
``tallyport-xxh3`` (the content hash, known where the content went through memory as a whole).
"""

from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from time import perf_counter_ns
from typing import Any

from tallyport.connectors import object_metadata, s3_door
from tallyport.connectors.object_metadata import MTIME, hash_in, time_in
from tallyport.connectors.pausing import Pause
from tallyport.connectors.s3_door import Door
from tallyport.connectors.s3_errors import Refused, refusal, seconds, translate
from tallyport.connectors.s3_flights import Journey, alone
from tallyport.connectors.s3_lean import Lean, NotLean
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind

HASH = "tallyport-xxh3"
PROPERTIES = "tallyport-properties"
OURS = frozenset({MTIME, HASH, PROPERTIES})
FRESH = 2.0  # seconds in which an object may be written again and show the same time
CONFLICTS = 8  # times that a write is made again while others write the same object


class Bucket:
    """One bucket. Keys are whole; ``path`` is for messages.

    The SDK takes a quarter of a second to be loaded: it is when a call needs it, or when only it knows the way there.
    """

    def __init__(self, settings: Any, *, client: Any = None) -> None:
        self.settings = settings
        self.name: str = settings.bucket
        self._client = client
        self._lean = _lean_of(settings, None if client is not None else s3_door.plain(settings))
        if self._lean is None:
            self._lean = _lean_of(settings, s3_door.of_client(self.client, settings))
        self.pause = Pause()
        self._every: dict[str, Any] = {"Bucket": self.name}
        if settings.requester_pays:
            self._every["RequestPayer"] = "requester"
        self._new: dict[str, Any] = {}  # for every object that is made
        if settings.storage_class:
            self._new["StorageClass"] = settings.storage_class
        if settings.encryption:
            self._new["ServerSideEncryption"] = settings.encryption
        if settings.encryption_key:
            self._new["SSEKMSKeyId"] = settings.encryption_key

    @property
    def client(self) -> Any:
        """The SDK's client."""
        if self._client is None:
            from tallyport.connectors import s3_sdk

            self._client = s3_sdk.shared_client(self.settings)
        return self._client

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Make one call as it is, no sooner than the platform may be asked; what it refuses is told as it was said."""
        self.pause.wait(operation)
        try:
            return self._called(operation, arguments)
        except Refused as error:
            self.hear(error)
            raise

    def hear(self, error: Exception) -> None:
        """Hear how long the platform asks to wait."""
        if isinstance(error, Refused) and (error.status == 429 or error.status >= 500):
            self.pause.hold(seconds(error.headers.get("retry-after")))

    def _called(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if value is not None}
        if self._lean is not None:
            try:
                return self._lean.call(operation, given)
            except NotLean:
                pass
        if isinstance(given.get("Body"), memoryview):
            given["Body"] = bytes(given["Body"])  # the SDK takes no other
        client = self.client
        try:
            answer: dict[str, Any] = getattr(client, operation)(**self._every, **given)
        except client.exceptions.ClientError as error:
            raise Refused.told(error.response) from error
        return answer

    @property
    def lean(self) -> Lean | None:
        """The way without the SDK, where there is one."""
        return None if self._lean is None or self._lean.is_off else self._lean

    def find(self, location: str) -> None:
        """See that the bucket is there, and where: the lean way goes to the region of the settings alone."""
        with translate("open", location):
            try:
                region = self.call("head_bucket").get("BucketRegion")
            except Refused as error:
                if error.status == 404:
                    why = "there is no such bucket: make it first, or put the name right"
                    raise refusal(ErrorKind.NOT_FOUND, "open", location, why) from error
                raise
        # A server that is not AWS may give its region any name and take every other.
        if region and not self.settings.endpoint and self._lean is not None and region != self._lean.region:
            self._lean = None

    @property
    def is_encrypted(self) -> bool:
        """Tell whether TLS checks what comes and goes."""
        if self._lean is not None:
            return self._lean.is_encrypted
        return str(self.client.meta.endpoint_url).startswith("https:")

    def close(self) -> None:
        """Let go of kept connections."""
        if self._lean is not None:
            self._lean.close()

    def making(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Make one call that makes an object."""
        return self.call(operation, **self._new, **arguments)

    def head(self, key: str, path: str, *, version: str | None = None) -> dict[str, Any] | None:
        """Look at an object, or give None."""
        return alone(self, self.looking(key, path, version=version))

    def looking(self, key: str, path: str, *, version: str | None = None) -> Journey[dict[str, Any] | None]:
        """Look at an object, or give None."""
        with translate("look at", path):
            try:
                return (yield "head_object", {"Key": key, "VersionId": version})
            except Refused as error:
                if error.status == 404 and error.code != "NoSuchBucket":
                    return None
                raise

    def page(self, prefix: str, path: str, *, token: str | None, most: int) -> dict[str, Any]:
        """List one page below a prefix, the rest of the way folded."""
        with translate("list", path):
            return self.call(
                "list_objects_v2", Prefix=prefix, Delimiter="/", ContinuationToken=token or None, MaxKeys=most
            )

    def holds(self, prefix: str, path: str, *, beside: str | None = None) -> bool:
        """Tell whether any object lies below a prefix, other than the empty marker ``beside``."""
        with translate("look at", path):
            answer = self.call("list_objects_v2", Prefix=prefix, MaxKeys=2)
        return any(found["Key"] != beside or found["Size"] for found in answer.get("Contents", ()))

    def conditionally(self, operation: str, **arguments: Any) -> Journey[dict[str, Any]]:
        """Make a call that makes an object under a condition; while others write the same one, again."""
        given = arguments if operation.startswith("complete") else {**self._new, **arguments}
        for attempt in range(CONFLICTS):
            try:
                return (yield operation, given)
            except Refused as error:
                # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html: 409 is "try again"
                if error.code != "ConditionalRequestConflict" or attempt + 1 == CONFLICTS:
                    raise
        raise AssertionError("the last attempt raises")


def _lean_of(settings: Any, door: Door | None) -> Lean | None:
    """Give the lean way to a bucket, where there is one."""
    if door is None or settings.requester_pays or not settings.lean:
        return None
    try:
        return Lean(door, settings.timeout)
    except NotLean:
        return None


# -- entries and metadata


def entry_of(name: str, answer: Mapping[str, Any], *, serves_times: bool) -> Entry:
    """Give the entry of an object from a look at it, or from a listing."""
    size = answer["ContentLength"] if "ContentLength" in answer else answer["Size"]
    metadata = lowered(answer)
    told = None if serves_times else time_in(metadata.get(MTIME))
    modified = told if told is not None else round(answer["LastModified"].timestamp()) * 1_000_000_000
    return Entry(name, Kind.FILE, size, modified, tag_of(answer), hash=hash_in(metadata.get(HASH)))


def asked_at(answer: Mapping[str, Any]) -> float | None:
    """Give when an answer was made by the platform's own clock."""
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return None if said is None else parsedate_to_datetime(said).timestamp()
    except ValueError:
        return None


def glimpse_of(found: Mapping[str, Any], asked: float | None) -> Entry:
    """Give what a listing shows of an object. Its time is that of the last write, of metadata too, in whole seconds.

    One that was written just before it was listed may be written again within that second: it gets a fraction of its
    own, which no listing gives again, so that nobody takes it for the same.
    """
    written = found["LastModified"].timestamp()
    modified = round(written * 1000) * 1_000_000
    if asked is None or asked - written < FRESH:
        modified += 1 + perf_counter_ns() % 1_000_000
    return Entry("", Kind.FILE, found["Size"], modified, tag_of(found), glimpsed=True)


def tag_of(answer: Mapping[str, Any]) -> bytes:
    return str(answer.get("ETag", "")).strip('"').encode()


def etag_of(entry: Entry) -> str:
    """Give an entry's tag as a condition has it."""
    return f'"{entry.tag.decode()}"'


def lowered(answer: Mapping[str, Any]) -> dict[str, str]:
    """Give the metadata of an object; some servers change the case of names."""
    return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}


def time_out(moment: int) -> str:
    """Write a time as seconds with nine decimals."""
    whole, part = divmod(abs(moment), 1_000_000_000)
    return f"{'-' if moment < 0 else ''}{whole}.{part:09}"


def checked(chunks: Iterable[bytes], path: str, answer: Mapping[str, Any]) -> Iterator[bytes] | None:
    """Compare whole content with what is known of it, before its last piece is given: our hash, or a plain ETag.

    Where neither is known there is nothing to compare it with: None.
    """
    tag, content = tag_of(answer).decode(), hash_in(lowered(answer).get(HASH))
    md5 = hash_in(tag) if has_plain_tag(answer) else None
    return None if content is None and md5 is None else object_metadata.checked(chunks, path, content, md5)


def has_plain_tag(answer: Mapping[str, Any]) -> bool:
    """Tell whether an ETag is made of MD5s of the content itself, and not of what it is encrypted to."""
    return answer.get("ServerSideEncryption") in (None, "AES256")


def is_plain(name: str, value: bytes) -> bool:
    """Tell whether a named value can be metadata of an object as it is."""
    is_token = name.isascii() and name.replace("-", "a").isalnum() and name == name.lower() and name not in OURS
    return is_token and value.isascii() and value.decode("ascii").isprintable() and value.strip() == value != b""
