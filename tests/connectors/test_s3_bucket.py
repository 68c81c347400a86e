"""The SDK's client: one for everybody who opens a bucket as the same user."""

from contextlib import closing
from dataclasses import replace

import pytest
from botocore.stub import Stubber

from tallyport.connectors.s3_bucket import Bucket
from tallyport.connectors.s3_lean import Lean
from tallyport.connectors.s3_sdk import client_of, shared_client
from tallyport.connectors.s3_settings import Settings
from tallyport.testing.proxy import Trouble, proxied
from tests.engine.pairs import until

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


def test_a_look_that_is_refused_without_a_word_is_the_sdk_s_to_find_the_reason_of() -> None:
    with proxied(9) as nobody, proxied(nobody.port, Trouble(times=None, status=400)) as proxy:
        settings = replace(SETTINGS, endpoint=proxy.endpoint)
        client = client_of(settings)
        with Stubber(client) as answers, closing(Bucket(settings, client=client)) as bucket:
            answers.add_response("head_bucket", {"BucketRegion": "eu-west-1"}, {"Bucket": "one"})
            bucket.find("s3://one")
            answers.assert_no_pending_responses()
        until(lambda: [one.method for one in proxy.passed] == ["HEAD"])  # noted once it was answered
