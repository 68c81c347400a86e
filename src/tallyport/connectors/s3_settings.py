"""What a connection to a bucket is told, and what every bucket can hold."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from tallyport.connectors.setting_checks import not_positive
from tallyport.domain.capabilities import Limits, VerifyLevel

MIB = 1024 * 1024
CHUNK = MIB
PART = 8 * MIB  # of one request; the whole of it is in memory, so that it is sent with its checksum
PART_MIN = 5 * MIB  # of the platform, but for the last
UPLOAD_PART = 64 * MIB  # what the engine carries at once; it is stored as up to eight parts of S3
PARTS_MAX = 10_000


def _wrong_bucket(value: str) -> str | None:
    return None if value and "/" not in value else "must be the name of a bucket, without a slash"


def _wrong_endpoint(value: str) -> str | None:
    if not value:
        return None
    try:
        parts = urlsplit(value)
        is_known = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        return f"is not an address: {error}"
    return None if is_known else "must begin with https:// or http:// and name a host"


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
        metadata={"help": "metadata: times travel, a look more at objects that are compared; server: time of upload"},
    )
    lean: bool = field(
        default=True,
        metadata={"help": "make the frequent calls without the AWS SDK: much less work for each"},
    )
    timeout: float = field(default=60.0, metadata={"help": "seconds to wait for the server", "check": not_positive})


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
