"""Where a bucket is and who opens it, found without the SDK where the settings and the environment leave no doubt.

What needs more than that (a profile, the AWS configuration of this machine, a role) is the SDK's to find.
"""

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tallyport.connectors import reach

# Of the regions that Amazon serves to everybody. Others have names and rules of their own.
_REGION = re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us)-(?:central|(?:north|south)?(?:east|west)?)-\d")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")  # that can stand in the name of a host
_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
_STEERING = (  # what else of the environment leads the SDK elsewhere
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT"),
)
_DEFAULT_REGION = "us-east-1"


class Keys(NamedTuple):
    """What a request is signed with."""

    access_key: str
    secret_key: str
    token: str | None = None


class Door(NamedTuple):
    """The way to a bucket."""

    origin: str  # https://host:port
    base: str  # what every path begins with
    region: str
    keys: Callable[[], Any]  # gives what has the fields of Keys; the SDK renews some


def check_own(settings: Any) -> None:
    """Refuse to sign in with what the account of this process has, unless it is allowed."""
    if settings.profile or not (settings.access_key and settings.secret_key):
        what = (
            "without access_key and secret_key, and with profile, the AWS credentials of the server's account are used"
        )
        reach.check_own_credentials(what, "give access_key and secret_key")


def plain(settings: Any) -> Door | None:
    """Give the way to a bucket; None where the SDK has to find it."""
    if settings.profile or any(os.environ.get(name) for name in _STEERING):
        return None
    keys = _keys(settings)
    endpoint = settings.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    region = settings.region or os.environ.get("AWS_DEFAULT_REGION") or ""
    if keys is None or ((not endpoint or not region) and _is_configured()):
        return None
    region = region or _DEFAULT_REGION
    found = _custom(settings, endpoint) if endpoint else _amazon(settings, region)
    return None if found is None else Door(*found, region, lambda: keys)


def of_client(client: Any, settings: Any) -> Door | None:
    """Give the way that the SDK's client goes; None where nothing signs."""
    credentials = client._request_signer._credentials
    example = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": settings.bucket, "Key": "k"}))
    if credentials is None or example.scheme not in ("http", "https") or not example.path.endswith("/k"):
        return None
    origin = f"{example.scheme}://{example.netloc}"
    return Door(origin, example.path[:-1], client.meta.region_name, credentials.get_frozen_credentials)


def _keys(settings: Any) -> Keys | None:
    if settings.access_key and settings.secret_key:
        return Keys(settings.access_key, settings.secret_key, settings.session_token or None)
    if settings.access_key or settings.secret_key or settings.session_token:
        return None
    check_own(settings)
    access, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    token = os.environ.get("AWS_SECURITY_TOKEN") or os.environ.get("AWS_SESSION_TOKEN") or None
    return Keys(access, secret, token) if access and secret else None


def _is_configured() -> bool:
    """Tell whether the AWS configuration of this machine may say more."""
    return os.path.exists(os.path.expanduser(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"))


def _custom(settings: Any, endpoint: str) -> tuple[str, str] | None:
    parts = urlsplit(endpoint)
    is_plain = parts.scheme in ("http", "https") and parts.hostname and not parts.query and "@" not in parts.netloc
    if not is_plain or settings.addressing == "virtual" or not _NAME.fullmatch(settings.bucket):
        return None
    return f"{parts.scheme}://{parts.netloc}", f"{parts.path.rstrip('/')}/{settings.bucket}/"


def _amazon(settings: Any, region: str) -> tuple[str, str] | None:
    if settings.addressing == "path" or not _REGION.fullmatch(region) or not _BUCKET.fullmatch(settings.bucket):
        return None
    if "--" in settings.bucket:  # other kinds of buckets and access points have names of that form
        return None
    place = "s3" if region == _DEFAULT_REGION else f"s3.{region}"
    return f"https://{settings.bucket}.{place}.amazonaws.com", "/"
