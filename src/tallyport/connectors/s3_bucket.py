"""The calls on one bucket: names of metadata, entries of answers, and what every request carries.

What S3 has no place for is metadata of ours: ``mtime`` (seconds with nine decimals, as rclone writes it) and
``tallyport-xxh3`` (the content hash, known where the content went through memory as a whole).
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from time import perf_counter_ns
from typing import Any
from weakref import WeakValueDictionary

import boto3
from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
from botocore.config import Config
from botocore.exceptions import ClientError

from tallyport.connectors import object_metadata, reach
from tallyport.connectors.guarded_http import Guarded
from tallyport.connectors.object_metadata import MTIME, hash_in, time_in
from tallyport.connectors.pausing import Pause
from tallyport.connectors.s3_errors import code_of, refusal, retry_after_of, status_of, translate
from tallyport.connectors.s3_flights import Journey, alone
from tallyport.connectors.s3_lean import Lean, NotLean
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind

HASH = "tallyport-xxh3"
PROPERTIES = "tallyport-properties"
OURS = frozenset({MTIME, HASH, PROPERTIES})
METADATA_MAX = 2_000  # bytes of names and values that S3 keeps with an object, about
FRESH = 2.0  # seconds in which an object may be written again and show the same time
CONFLICTS = 8  # times that a write is made again while others write the same object


class Bucket:
    """One bucket through one client. Keys are whole; ``path`` is for messages."""

    def __init__(self, settings: Any, *, client: Any = None) -> None:
        self.settings = settings
        self.name: str = settings.bucket
        self.client = client or shared_client(settings)
        self._lean = _lean_of(self.client, settings)
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

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Make one call as it is, no sooner than the platform may be asked; errors are the SDK's."""
        self.pause.wait(operation)
        try:
            return self._called(operation, arguments)
        except ClientError as error:
            self.hear(error)
            raise

    def hear(self, error: Exception) -> None:
        """Hear how long the platform asks to wait."""
        if isinstance(error, ClientError) and (status_of(error) == 429 or status_of(error) >= 500):
            self.pause.hold(retry_after_of(error))

    def _called(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if value is not None}
        if self._lean is not None:
            try:
                return self._lean.call(operation, given)
            except NotLean:
                pass
        if isinstance(given.get("Body"), memoryview):
            given["Body"] = bytes(given["Body"])  # the SDK takes no other
        answer: dict[str, Any] = getattr(self.client, operation)(**self._every, **given)
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
            except ClientError as error:
                if status_of(error) == 404:
                    why = "there is no such bucket: make it first, or put the name right"
                    raise refusal(ErrorKind.NOT_FOUND, "open", location, why) from error
                raise
        # A server that is not AWS may give its region any name and take every other.
        if region and not self.settings.endpoint and region != self.client.meta.region_name:
            self._lean = None

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
            except ClientError as error:
                if status_of(error) == 404 and code_of(error) != "NoSuchBucket":
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
            except ClientError as error:
                # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html: 409 is "try again"
                if code_of(error) != "ConditionalRequestConflict" or attempt + 1 == CONFLICTS:
                    raise
        raise AssertionError("the last attempt raises")


def _lean_of(client: Any, settings: Any) -> Lean | None:
    """Give the lean way to a bucket, where there is one."""
    credentials = client._request_signer._credentials
    if settings.requester_pays or credentials is None or not settings.lean:
        return None
    try:
        return Lean(client, settings.bucket, credentials, settings.timeout)
    except NotLean:
        return None


_clients: WeakValueDictionary[Any, Any] = WeakValueDictionary()
_making = threading.Lock()


def shared_client(settings: Any) -> Any:
    """Give the SDK's client that everybody in this process shares who opens a bucket as the same user.

    Each takes a tenth of a second of CPU and 13 MB, and every thread that carries opens the connection for itself.
    Credentials that the SDK finds may be others the next time; their clients are not shared.
    """
    if settings.profile or not (settings.access_key and settings.secret_key):
        return client_of(settings)
    who = replace(settings, bucket="", prefix="")
    with _making:
        client = _clients.get(who)
        if client is None:
            client = _clients[who] = client_of(settings)
        return client


def client_of(settings: Any) -> Any:
    """Make the SDK's client: our retries stand around it, so it makes each call once."""
    if settings.profile or not (settings.access_key and settings.secret_key):
        what = (
            "without access_key and secret_key, and with profile, the AWS credentials of the server's account are used"
        )
        reach.check_own_credentials(what, "give access_key and secret_key")
    with translate("open", settings.bucket):
        session = boto3.session.Session(
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_key or None,
            aws_session_token=settings.session_token or None,
            region_name=settings.region or None,
            profile_name=settings.profile or None,
        )
        region = settings.region or session.region_name or "us-east-1"
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=64,
            connect_timeout=settings.timeout,
            read_timeout=settings.timeout,
            tcp_keepalive=True,
            # Servers that are like S3 answer a range with the checksum of the whole object.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": settings.addressing},
            user_agent_extra="tallyport",
        )
        if not settings.access_key and session.get_credentials() is None:
            why = "no credentials: give access_key and secret_key, or have them where the AWS SDK looks for them"
            raise refusal(ErrorKind.UNAUTHENTICATED, "open", f"s3://{settings.bucket}", why)
        client = session.client("s3", region_name=region, endpoint_url=settings.endpoint or None, config=config)
        _guard(client)
        return client


def _guarded(pool: Any) -> Any:
    """Give a kind of pool of the SDK whose connections go to checked addresses."""
    made = type(pool.ConnectionCls.__name__, (Guarded, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": made})


_POOLS = {"http": _guarded(AWSHTTPConnectionPool), "https": _guarded(AWSHTTPSConnectionPool)}


def _guard(client: Any) -> None:
    """Have the SDK connect to checked addresses only; no public setting of it reaches that far."""
    client._endpoint.http_session._pool_classes_by_scheme.update(_POOLS)


# -- entries and metadata


def entry_of(name: str, answer: Mapping[str, Any], size: int, *, serves_times: bool) -> Entry:
    """Give the entry of an object from a look at it."""
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


def glimpse_of(name: str, found: Mapping[str, Any], asked: float | None) -> Entry:
    """Give what a listing shows of an object. Its time is that of the last write, of metadata too, in whole seconds.

    One that was written just before it was listed may be written again within that second: it gets a fraction of its
    own, which no listing gives again, so that nobody takes it for the same.
    """
    written = found["LastModified"].timestamp()
    modified = round(written * 1000) * 1_000_000
    if asked is None or asked - written < FRESH:
        modified += 1 + perf_counter_ns() % 1_000_000
    return Entry(name, Kind.FILE, found["Size"], modified, tag_of(found), glimpsed=True)


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


def checked(chunks: Iterable[bytes], path: str, answer: Mapping[str, Any]) -> Iterator[bytes]:
    """Compare whole content with what is known of it, before its last piece is given: our hash, or a plain ETag."""
    tag = tag_of(answer).decode()
    is_plain = len(tag) == 32 and answer.get("ServerSideEncryption") in (None, "AES256")
    md5 = bytes.fromhex(tag) if is_plain else None
    return object_metadata.checked(chunks, path, hash_in(lowered(answer).get(HASH)), md5)


def properties_in(metadata: Mapping[str, str]) -> dict[str, bytes]:
    """Give the named values of an object: those of its own metadata, and those that it cannot hold as they are."""
    return object_metadata.properties_in(metadata, OURS, PROPERTIES)


def properties_out(values: Mapping[str, bytes], path: str) -> dict[str, str]:
    """Write named values as metadata."""
    return object_metadata.properties_out(values, path, PROPERTIES, _is_plain, METADATA_MAX)


def _is_plain(name: str, value: bytes) -> bool:
    is_token = name.isascii() and name.replace("-", "a").isalnum() and name == name.lower() and name not in OURS
    return is_token and value.isascii() and value.decode("ascii").isprintable() and value.strip() == value != b""
