"""The ends of a one-shot: folders, addresses, saved connections."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.cli.exits import Stop
from tallyport.cli.places import places
from tallyport.testing import object_servers
from tallyport.testing.object_servers import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server


def test_an_address_of_s3_is_a_bucket_and_what_is_below_it(tmp_path: Path) -> None:
    from_, to = places(str(tmp_path), "s3://archive/2026/june/")
    assert (from_.platform, from_.settings) == ("fs", {"path": os.path.realpath(tmp_path)})
    assert (to.platform, to.settings, to.path) == ("s3", {"bucket": "archive"}, "2026/june")


@pytest.mark.parametrize(
    ("address", "platform", "settings", "path"),
    [
        ("az://acc/archive/2026/june/", "azure_blob", {"account": "acc", "container": "archive"}, "2026/june"),
        ("az://acc/archive", "azure_blob", {"account": "acc", "container": "archive"}, ""),
        ("gs://archive/2026/june/", "gcs", {"bucket": "archive"}, "2026/june"),
    ],
)
def test_addresses_of_other_object_stores_are_a_bucket_and_what_is_below_it(
    tmp_path: Path, address: str, platform: str, settings: dict[str, str], path: str
) -> None:
    _, to = places(str(tmp_path), address)
    assert (to.platform, to.settings, to.path) == (platform, settings, path)


def test_a_saved_connection_is_named_with_a_path(tmp_path: Path) -> None:
    from_, to = places("team share:/projects/", str(tmp_path / "new"))
    assert (from_.saved, from_.path) == ("team share", "projects")
    assert to.platform == "fs"


def test_a_folder_that_looks_like_an_address_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.makedirs("odd:/inside")
    os.makedirs("other")
    assert places("odd:/inside", "other")[0].platform == "fs"


@pytest.mark.parametrize(
    ("source", "destination", "said"),
    [
        ("s3://", "s3://b", "names no bucket"),
        ("gs://", "s3://b", "names no bucket"),
        ("az://account", "s3://b", "names no container"),
        ("ftp://host/a", "s3://b", "not known here"),
        ("s3://b/a/../c", "s3://d", "cannot be used"),
        ("s3://b/a", "s3://b/a", "are the same place"),
        ("s3://b/a", "s3://b/a/b", "lie in one another"),
        ("s3://b", "s3://b/a", "lie in one another"),
        ("/no/such/folder", "s3://b", "does not exist"),
    ],
)
def test_what_cannot_be_two_ends_is_said(source: str, destination: str, said: str) -> None:
    with pytest.raises(Stop, match=said):
        places(source, destination)


def test_two_prefixes_beside_each_other_are_two_ends() -> None:
    from_, to = places("s3://b/one", "s3://b/one-more")
    assert (from_.path, to.path) == ("one", "one-more")


@pytest.fixture(scope="module")
def seaweed() -> Iterator[S3Server]:
    with object_servers.seaweed() as server:
        yield server


def test_a_folder_is_copied_to_a_bucket_and_back_with_the_credentials_of_the_environment(
    seaweed: S3Server, tmp_path: Path
) -> None:
    (tmp_path / "source/deep").mkdir(parents=True)
    (tmp_path / "source/deep/a.txt").write_bytes(b"content")
    os.utime(tmp_path / "source/deep/a.txt", ns=(0, 1_500_000_000_123_456_789))

    def copied(source: str, destination: str) -> dict[str, object]:
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": seaweed.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }
        command = [sys.executable, "-m", "tallyport", "copy", source, destination, "--json"]
        command += ["--data", str(tmp_path / "data")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return found

    place = f"s3://{BUCKET}/one-shot"
    assert copied(str(tmp_path / "source"), place)["failed"] == 0
    copied(place, str(tmp_path / "back"))
    assert (tmp_path / "back/deep/a.txt").read_bytes() == b"content"
    assert (tmp_path / "back/deep/a.txt").stat().st_mtime_ns == 1_500_000_000_123_456_789
    assert copied(str(tmp_path / "source"), place)["transferred"] == 0
