"""S3 keeps the contract on two servers, and the traps that S3 alone has."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tallyport.connectors import object_keys, s3_bucket
from tallyport.connectors.object_listing import Found, Line
from tallyport.connectors.protocol import Connector, Counts, Facts, Grants, Uploads, Versions
from tallyport.connectors.registry import platform
from tallyport.connectors.s3 import S3, Settings, open_s3
from tallyport.connectors.s3_errors import Refused
from tallyport.connectors.s3_sdk import client_of
from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import check_segment, join
from tallyport.testing.ability_contract import AbilityContract
from tallyport.testing.connector_contract import ConnectorContract
from tallyport.testing.contract_words import able, refused
from tallyport.testing.object_servers import ACCESS_KEY, BUCKET, SECRET_KEY, SOMEONE, S3Server, program
from tallyport.testing.proxy import Trouble, proxied
from tallyport.testing.servers import free_port
from tallyport.testing.worlds import made_place, read_all


def opened(server: S3Server, path: str = "", **more: object) -> S3:
    settings = platform("s3").read_settings(server.settings(**more))
    assert isinstance(settings, Settings)
    return open_s3(settings, path, make=True)


@pytest.fixture(scope="session")
def on_seaweed(seaweed: S3Server) -> Iterator[S3]:
    with closing(opened(seaweed, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        connector.page_size = 100
        yield connector


@pytest.fixture(scope="session")
def on_moto(moto: S3Server) -> Iterator[S3]:
    with closing(opened(moto, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        # It joins parts whatever the condition: a probe finds that, and then the name is looked at before.
        connector.limits = replace(connector.limits, replaces_checked=False)
        connector.page_size = 100
        yield connector


class S3Contract(ConnectorContract):
    __test__ = False
    part_size = 8 * 1024 * 1024
    keeps_container_times = False
    above = "run-12345678/"
    upload_part = 5 * 1024 * 1024


class TestOnSeaweed(S3Contract):
    __test__ = True
    changed_names = frozenset({"backslash"})  # taken for a slash
    longest_name = 255

    @pytest.fixture
    def connector(self, on_seaweed: S3) -> Connector:
        return on_seaweed


class TestOnMoto(S3Contract):
    __test__ = True
    changed_names = frozenset({"line feed"})  # no such address

    @pytest.fixture
    def connector(self, on_moto: S3) -> Connector:
        return on_moto

    def test_an_abandoned_upload_leaves_nothing_and_cannot_be_finished(self, connector: Connector, place: str) -> None:
        """This server breaks (500) where S3 says that there is no such upload."""
        path = join(place, "big")
        uploads = able(connector, Uploads)
        handle = uploads.begin_upload(path, Facts(size=1), token="token")
        receipt = uploads.put_part(path, handle, 0, 0, [b"x"], 1)
        uploads.abandon_upload(path, handle)
        with refused():
            uploads.finish_upload(path, handle, [receipt], Facts(size=1))
        assert list(connector.children(place)) == []


# -- what only some buckets have


def test_the_test_server_takes_content_in_more_buckets_than_one_run_makes(seaweed: S3Server) -> None:
    """Each bucket takes several volumes: at too few in all, what comes last in a run finds a full server."""
    for _ in range(8):
        with bucket_of(seaweed) as other:
            assert other.connector.write("a", [b"content"], Facts(size=7)).size == 7


class Other(NamedTuple):
    """A bucket of another kind, and a connector on it."""

    client: Any
    connector: S3


@contextmanager
def bucket_of(server: S3Server, *, has_access: bool = False) -> Iterator[Other]:
    name = f"other-{uuid.uuid4().hex[:8]}"
    client = client_of(platform("s3").read_settings(server.settings()))
    client.create_bucket(Bucket=name)
    if has_access:
        rules = [{"ObjectOwnership": "ObjectWriter"}]
        client.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": rules})
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    with closing(opened(server, bucket=name)) as connector:
        yield Other(client, connector)


@pytest.fixture(scope="session")
def versioned(seaweed: S3Server) -> Iterator[Other]:
    with bucket_of(seaweed) as other:
        yield other


@pytest.fixture(scope="session")
def listed(seaweed: S3Server) -> Iterator[Other]:
    """A bucket with access lists."""
    with bucket_of(seaweed, has_access=True) as other:
        yield other


class TestVersionsOnSeaweed(AbilityContract):
    upload_part = 5 * 1024 * 1024

    @pytest.fixture
    def connector(self, versioned: Other) -> Connector:
        return versioned.connector


class TestGrantsOnSeaweed(AbilityContract):
    someone = Principal(PrincipalKind.ACCOUNT, id=SOMEONE)
    upload_part = 5 * 1024 * 1024

    @pytest.fixture
    def connector(self, listed: Other) -> Connector:
        return listed.connector


def test_a_bucket_without_access_lists_or_versions_has_neither_ability(on_seaweed: S3) -> None:
    assert not isinstance(on_seaweed, Grants)
    assert not isinstance(on_seaweed, Versions)
    assert not on_seaweed.limits.versions


def test_a_bucket_with_versions_says_so(versioned: Other, listed: Other) -> None:
    assert versioned.connector.limits.versions
    assert isinstance(versioned.connector, Versions)
    assert isinstance(listed.connector, Grants)


@pytest.mark.parametrize("server", ["seaweed", "moto"])
def test_versions_are_counted_across_pages_and_what_is_deleted_is_not_shown(
    request: pytest.FixtureRequest, server: str
) -> None:
    with bucket_of(request.getfixturevalue(server)) as (_, connector):
        connector.page_size = 3
        times = {"a": 1, "a b": 2, "b": 5, "d/deep": 2, "gone": 4, "left/deep": 1, "z": 3, "é": 2}
        for name, number in times.items():
            for content in range(number):
                connector.write(f"place/{name}", [b"%d" % content], Facts(size=1))
        connector.delete("place/left/deep")
        connector.delete("place/gone")
        for glimpsed in (False, True):
            found = {entry.name: entry.contents for entry in connector.counted("place", glimpsed=glimpsed)}
            assert found.keys() == {entry.name for entry in connector.children("place")}
            found.pop("left", None)  # one server shows a prefix below which all is deleted
            assert found == {"a": 1, "a b": 2, "b": 5, "d": 0, "z": 3, "é": 2}


def test_a_server_that_gives_one_page_of_versions_for_ever_is_not_believed(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bucket_of(moto) as (_, connector):
        for content in (b"1", b"2"):
            connector.write("place/a", [content], Facts(size=1))
        call = s3_bucket.Bucket.call

        def stuck(bucket: s3_bucket.Bucket, operation: str, **arguments: Any) -> Any:
            if operation == "list_object_versions":
                arguments |= {"KeyMarker": None, "VersionIdMarker": None, "MaxKeys": 1}
            return call(bucket, operation, **arguments)

        monkeypatch.setattr(s3_bucket.Bucket, "call", stuck)
        connector.write("place/b", [b"1"], Facts(size=1))
        assert {entry.name: entry.contents for entry in connector.counted("place")} == {"a": 0, "b": 0}
        with refused(ErrorKind.IO_ERROR):
            connector.versions("place/a")


def test_whoever_may_not_list_versions_copies_what_stands_there(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bucket_of(moto) as other:
        other.connector.write("place/a", [b"content"], Facts(size=7))
        call = s3_bucket.Bucket.call

        def refusing(bucket: s3_bucket.Bucket, operation: str, **arguments: Any) -> Any:
            if operation == "list_object_versions":
                raise Refused("AccessDenied", 403, {})
            return call(bucket, operation, **arguments)

        monkeypatch.setattr(s3_bucket.Bucket, "call", refusing)
        with closing(opened(moto, "place", bucket=other.connector.location.split("/")[2])) as connector:
            assert not isinstance(connector, Versions | Counts)
            assert [entry.name for entry in connector.children("")] == ["a"]


# -- keys that are no paths


ODD_KEYS = {
    "a//b": "a/␛%/b",
    "/leading": "␛%/leading",
    "dot/./x": "dot/␛%%2E/x",
    "up/../x": "up/␛%%2E%2E/x",
    "end/": "end/␛%",  # it has content
    "␛%2E": "␛%%E2%90%9B%252E",
    "twin": "twin",
    "twin/below": "␛=twin/below",
    "twin-": "twin-",  # between the two
    "plain/file": "plain/file",
}


def test_every_key_is_shown_and_reached(moto: S3Server) -> None:
    with bucket_of(moto) as other:
        for key in ODD_KEYS:
            other.client.put_object(Bucket=other.connector.location[5:], Key=key, Body=f"of {key}".encode())
        shown: dict[str, bytes] = {}

        def walk(path: str) -> None:
            for entry in other.connector.children(path):
                below = join(path, entry.name)
                if entry.kind is Kind.CONTAINER:
                    walk(below)
                else:
                    shown[below] = read_all(other.connector, below)
                    assert other.connector.stat(below) == entry

        walk("")
        assert shown == {path: f"of {key}".encode() for key, path in ODD_KEYS.items()}


def test_a_container_whose_marker_has_content_is_not_empty(moto: S3Server) -> None:
    with bucket_of(moto) as other:
        bucket = other.connector.location[5:]
        other.client.put_object(Bucket=bucket, Key="end/", Body=b"kept")

        with pytest.raises(TallyportError, match="not empty"):
            other.connector.delete("end")

        assert other.client.get_object(Bucket=bucket, Key="end/")["Body"].read() == b"kept"


@pytest.mark.parametrize("segment", ["", ".", "..", "a", "a b", "a\0b", "␛", "␛%", "␛=", "␛%2E", "caf\u00e9", "100%"])
def test_the_name_of_a_segment_is_a_name_and_is_read_back(segment: str) -> None:
    assert check_segment(object_keys.name_of(segment)) is None
    assert object_keys.segment_of(object_keys.name_of(segment)) == segment
    assert object_keys.segment_of(object_keys.twin_of(segment)) == segment


def test_objects_held_for_twins_stay_few() -> None:
    line = Line("")
    for number in range(10_000):
        assert len(line.entries([Found(f"n{number:05}", Entry("", Kind.FILE))])) == 1
        assert sum(map(len, line.held)) <= 2


# -- metadata


@pytest.mark.parametrize("moment", [0, 1, -1, 1_234_567_890_123_456_789, -1_500_000_000, 10**18])
def test_a_time_written_as_metadata_is_read_back(moment: int) -> None:
    assert s3_bucket.time_in(s3_bucket.time_out(moment)) == moment


@pytest.mark.parametrize("text", ["", "soon", "1e9", "1.2.3", "-", None, "9" * 30])
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert s3_bucket.time_in(text) is None


def test_rclone_reads_the_time_that_we_write_and_we_read_its(seaweed: S3Server, on_seaweed: S3, tmp_path: Path) -> None:
    path = f"{made_place(on_seaweed)}/ours"
    on_seaweed.write(path, [b"content"], Facts(size=7, modified=1_600_000_000_123_456_789))
    found = json.loads(rclone(seaweed, "lsjson", f"{on_seaweed.location[5:]}/{path}"))
    assert found[0]["ModTime"].startswith("2020-09-13T12:26:40.123456789")
    (tmp_path / "theirs").write_bytes(b"theirs")
    os.utime(tmp_path / "theirs", ns=(0, 1_500_000_000_987_654_321))
    folder = path.rpartition("/")[0]
    rclone(seaweed, "copy", str(tmp_path / "theirs"), f":s3:{on_seaweed.location[5:]}/{folder}")
    entry = on_seaweed.stat(f"{folder}/theirs")
    assert entry is not None
    assert entry.modified == 1_500_000_000_987_654_321


def test_times_of_the_server_cost_no_looks(seaweed: S3Server) -> None:
    place = f"run-{uuid.uuid4().hex[:8]}"
    with closing(opened(seaweed, place, times="server")) as connector:
        written = connector.write("a", [b"x"], Facts(size=1, modified=1))
        assert written.modified > 10**18
        assert not connector.limits.sets_times
        (listed,) = connector.children("")
        assert listed._replace(hash=None) == written._replace(hash=None)


# -- opening


def test_a_bucket_that_is_missing_is_said(seaweed: S3Server) -> None:
    with refused(ErrorKind.NOT_FOUND):
        opened(seaweed, bucket="no-such-bucket")


def test_a_prefix_that_is_missing_is_not_found_unless_it_is_to_be_made(seaweed: S3Server) -> None:
    settings = platform("s3").read_settings(seaweed.settings())
    with refused(ErrorKind.NOT_FOUND):
        open_s3(settings, "no/such/prefix")
    open_s3(settings, "no/such/prefix", make=True).close()


def test_wrong_credentials_are_said(seaweed: S3Server) -> None:
    with refused(ErrorKind.UNAUTHENTICATED, ErrorKind.PERMISSION_DENIED):
        opened(seaweed, secret_key="wrong")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with refused(ErrorKind.UNAVAILABLE):
        opened(S3Server(f"http://127.0.0.1:{free_port()}"))


def test_no_secret_is_in_what_is_shown(on_seaweed: S3) -> None:
    secrets = {field.name for field in platform("s3").settings_fields() if field.secret}
    assert secrets == {"secret_key", "session_token"}
    assert SECRET_KEY not in on_seaweed.location


def rclone(server: S3Server, *arguments: str) -> str:
    """Run rclone on the server; arguments that begin with the bucket become its."""
    command = [program("rclone"), "--config", os.devnull, *arguments]
    command = [f":s3:{one}" if one.startswith(f"{BUCKET}/") else one for one in command]
    environment = {
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": server.endpoint,
        "RCLONE_S3_ACCESS_KEY_ID": ACCESS_KEY,
        "RCLONE_S3_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- the lean way


def test_the_lean_way_and_the_sdk_see_the_same(seaweed: S3Server, on_seaweed: S3) -> None:
    place = made_place(on_seaweed)
    root = on_seaweed.location.rpartition("/")[2]
    with closing(opened(seaweed, root, lean=False)) as sdk:
        for connector, name in ((on_seaweed, "lean"), (sdk, "sdk \u00e9 +&%")):
            connector.write(join(place, name), [b"content"], Facts(size=7, modified=1_600_000_000_000_000_001))
            assert sdk.stat(join(place, name)) == on_seaweed.stat(join(place, name))
            assert read_all(sdk, join(place, name)) == read_all(on_seaweed, join(place, name)) == b"content"


def test_the_lean_way_hears_how_long_to_wait(seaweed: S3Server) -> None:
    refusing = Trouble(method="PUT", times=None, status=503, headers=(("Retry-After", "17"),))
    with proxied(int(seaweed.endpoint.rpartition(":")[2]), refusing) as proxy:
        with closing(opened(S3Server(proxy.endpoint))) as connector:
            with pytest.raises(TallyportError) as caught:
                connector.write("a", [b"x"], Facts(size=1))
            assert (caught.value.kind, caught.value.retry_after) == (ErrorKind.UNAVAILABLE, 17.0)


def test_a_connection_that_the_server_closed_while_idle_is_not_used_again(moto: S3Server) -> None:
    with closing(opened(moto)) as connector:
        connector.write("idle", [b"x"], Facts(size=1))
        lean = connector._bucket._lean
        assert lean is not None
        for line in lean._idle:
            line.socket.shutdown(socket.SHUT_RDWR)
        assert connector.stat("idle") is not None


@pytest.mark.parametrize("server", ["on_seaweed", "on_moto"])
def test_an_upload_that_was_opened_and_not_recorded_is_forgotten_and_no_other(
    request: pytest.FixtureRequest, server: str
) -> None:
    connector = request.getfixturevalue(server)
    facts = Facts(size=3)
    box = f"box-{uuid.uuid4().hex[:8]}"
    lost, begun, beside = (
        connector.begin_upload(f"{box}/{name}", facts, token="run") for name in ("big", "big", "bigger")
    )
    receipt = connector.put_part(f"{box}/big", begun, 0, 0, [b"abc"], 3)
    assert connector.forget_uploads(f"{box}/big") == 1
    assert connector.forget_uploads(f"{box}/big") == 0
    with refused():  # by one server as gone, by the other as an error of its own
        connector.finish_upload(f"{box}/big", lost, [receipt], facts)
    connector.finish_upload(f"{box}/big", begun, [receipt], facts)
    assert read_all(connector, f"{box}/big") == b"abc"
    receipt = connector.put_part(f"{box}/bigger", beside, 0, 0, [b"abc"], 3)
    connector.finish_upload(f"{box}/bigger", beside, [receipt], facts)
