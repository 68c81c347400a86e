"""The SDK's client: one for everybody who opens a bucket as the same user."""

from dataclasses import replace

from tallyport.connectors.s3_bucket import shared_client
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
