"""The SDK's client: one for everybody who opens a bucket as the same user."""

from dataclasses import replace

import pytest

from tallyport.connectors.s3_bucket import Bucket
from tallyport.connectors.s3_lean import Lean
from tallyport.connectors.s3_sdk import shared_client
from tallyport.connectors.s3_settings import Settings

SETTINGS = Settings(
    bucket="one", endpoint="http://127.0.0.1:9", region="us-east-1", access_key="key", secret_key="secret"
)


def test_one_client_serves_all_buckets_and_prefixes_of_a_user() -> None:
    client = shared_client(SETTINGS)
    assert shared_client(SETTINGS) is client
    assert shared_client(replace(SETTINGS, bucket="two", prefix="below")) is client


def test_another_secret_server_or_timeout_has_a_client_of_its_own() -> None:
    client = shared_client(SETTINGS)
    others = [
        replace(SETTINGS, secret_key="another"),
        replace(SETTINGS, session_token="token"),
        replace(SETTINGS, endpoint="http://127.0.0.1:10"),
        replace(SETTINGS, timeout=1.0),
    ]
    assert all(shared_client(other) is not client for other in others)


@pytest.mark.parametrize(
    ("region", "endpoint", "is_lean"),
    [
        ("us-east-1", "", True),
        ("eu-west-1", "", False),
        (None, "", True),
        ("zone-of-its-own", "http://127.0.0.1:9", True),  # what is like S3 names its region as it likes
    ],
)
def test_a_bucket_in_another_region_is_left_to_the_sdk_from_the_start(
    monkeypatch: pytest.MonkeyPatch, region: str | None, endpoint: str, is_lean: bool
) -> None:
    answer = {} if region is None else {"BucketRegion": region}
    monkeypatch.setattr(Lean, "call", lambda lean, operation, given: {"head_bucket": answer}[operation])
    bucket = Bucket(replace(SETTINGS, endpoint=endpoint))
    assert bucket.lean is not None
    bucket.find("s3://one")
    assert (bucket.lean is not None) is is_lean
