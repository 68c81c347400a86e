"""The way to a bucket is the one that the SDK would go, found without it where there is no doubt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors.s3_door import Keys, of_client, plain
from tallyport.connectors.s3_sdk import client_of
from tallyport.connectors.s3_settings import Settings
from tallyport.domain.errors import TallyportError
from tallyport.testing.object_servers import S3Server

KEYS = {"access_key": "key", "secret_key": "secret"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine where nothing of AWS is set up; gives where its configuration would stand."""
    for name in ("PROFILE", "REGION", "DEFAULT_REGION", "ENDPOINT_URL", "ENDPOINT_URL_S3", "ACCESS_KEY_ID"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path / "config"


@pytest.mark.parametrize(
    "settings",
    [
        {"bucket": "plain-1", "region": "eu-west-1"},
        {"bucket": "plain-1", "region": "ap-southeast-2"},
        {"bucket": "plain-1", "region": "us-east-1"},
        {"bucket": "plain-1"},
        {"bucket": "b", "endpoint": "http://127.0.0.1:9"},
        {"bucket": "Shouting_1.x", "endpoint": "https://store.test:8443", "region": "here"},
        {"bucket": "plain-1", "endpoint": "https://store.test/below/it/", "addressing": "path"},
        {"bucket": "plain-1", "endpoint": "http://[::1]:9000"},
        {
            "bucket": "plain-1",
            "endpoint": "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com",
            "region": "us-east-1",
        },
    ],
)
def test_it_is_the_way_that_the_sdk_goes(settings: dict[str, str]) -> None:
    given = Settings(**settings, **KEYS, session_token="token")  # type: ignore[arg-type]
    found, client = plain(given), client_of(given)
    assert found is not None
    assert found.origin + found.base + "k" == address_of(client, given.bucket)
    assert found.region == client.meta.region_name
    assert found.keys() == Keys("key", "secret", "token")
    of_sdk = of_client(client, given)
    assert of_sdk is not None
    assert tuple(of_sdk.keys())[:3] == ("key", "secret", "token")
    if given.endpoint:
        assert found[:3] == of_sdk[:3]


def address_of(client: Any, bucket: str) -> str:
    """Give where the SDK sends a look at an object."""
    asked: list[str] = []

    def seen(request: Any, **more: Any) -> None:
        asked.append(request.url)
        raise Stopped

    client.meta.events.register("before-send.s3.HeadObject", seen)
    with pytest.raises(Stopped):
        client.head_object(Bucket=bucket, Key="k")
    return asked[0]


class Stopped(Exception):
    """The request is not to be sent."""


@pytest.mark.parametrize(
    "settings",
    [
        {"bucket": "dotted.name", "region": "eu-west-1"},
        {"bucket": "plain-1", "region": "cn-north-1"},
        {"bucket": "plain-1", "region": "us-gov-west-1"},
        {"bucket": "name--use1-az4--x-s3", "region": "us-east-1"},
        {"bucket": "plain-1", "region": "eu-west-1", "addressing": "path"},
        {"bucket": "plain-1", "endpoint": "https://store.test", "addressing": "virtual"},
        {"bucket": "arn:aws:s3:eu-west-1:1:accesspoint/x", "endpoint": "https://store.test"},
        {"bucket": "plain-1", "region": "eu-west-1", "profile": "work"},
    ],
)
def test_what_leaves_a_doubt_is_left_to_the_sdk(settings: dict[str, str]) -> None:
    assert plain(Settings(**settings, **KEYS)) is None  # type: ignore[arg-type]


def test_the_configuration_of_the_machine_is_the_sdk_s_to_read_where_it_may_say_more(bare: Path) -> None:
    bare.write_text("[default]\nregion = eu-north-1\n")
    assert plain(Settings(bucket="plain-1", region="eu-west-1", **KEYS)) is None
    assert plain(Settings(bucket="plain-1", endpoint="http://127.0.0.1:9", **KEYS)) is None
    assert plain(Settings(bucket="plain-1", endpoint="http://127.0.0.1:9", region="r", **KEYS)) is not None


def test_keys_of_the_environment_are_used_where_the_server_s_own_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "there")
    monkeypatch.setenv("TALLYPORT_ALLOW_OWN_CREDENTIALS", "0")
    with pytest.raises(TallyportError, match="does not allow"):
        plain(Settings(bucket="plain-1"))
    monkeypatch.setenv("TALLYPORT_ALLOW_OWN_CREDENTIALS", "1")
    given = Settings(bucket="plain-1")
    found, of_sdk = plain(given), of_client(client_of(given), given)
    assert found is not None
    assert of_sdk is not None
    assert found[:3] == of_sdk[:3] == ("http://127.0.0.1:9", "/plain-1/", "there")
    assert found.keys() == Keys("mine", "hidden")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert plain(given) is None


_WORK = """
import sys
from contextlib import closing
from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import ANYTHING, Facts, SmallWrite
from tallyport.testing.worlds import content, read_all
with closing(open_connection("s3", {settings!r}, "/lean", make=True)) as there:
    facts = Facts(size=3, modified=10**18)
    assert [len(one[1:]) for one in there.write_many([SmallWrite("many", b"abc", facts, ANYTHING)])] == [1]
    there.write("one", [b"abc"], facts)
    big = content(20_000_000, 7)
    there.write("big", [big], Facts(size=len(big), modified=10**18))
    parts = there.begin_upload("parts", Facts(size=len(big)), token="t")
    there.abandon_upload("parts", parts)
    assert sorted(entry.name for entry in there.children("")) == ["big", "many", "one"]
    assert read_all(there, "big") == big and read_all(there, "one") == b"abc"
    assert there.stat("none") is None
    there.stamp("one", Facts(modified=2 * 10**18))
    assert there.copy("one", "copy", Facts()).modified == 2 * 10**18
    there.delete("copy")
    for name in ("big", "many", "one"):
        there.delete(name, expect=there.stat(name))
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("boto3", "botocore", "urllib3")))
"""


def test_plain_work_is_done_without_loading_the_sdk(seaweed: S3Server) -> None:
    command = [sys.executable, "-c", _WORK.format(settings=seaweed.settings())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
