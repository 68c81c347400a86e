"""The way between platforms that are waited for: width, parts, copies inside, and what a bad network does to it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.policies import EmptyContainers, ItemOverwrite, Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store.database import Database
from tallyport.testing import object_servers
from tallyport.testing.object_servers import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, program
from tallyport.testing.proxy import Proxy, Trouble, proxied
from tallyport.testing.worlds import content
from tests.engine.pairs import End, Way, until

MIB = 1024 * 1024


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    with object_servers.seaweed() as server:
        yield server


@pytest.fixture(scope="session")
def lying_s3() -> Iterator[S3Server]:
    with object_servers.lying_s3() as server:
        yield server


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small tree with what trees have."""
    root = tmp_path / "source"
    for name in ("a", "a/deep/er", "hollow", "odd"):
        (root / name).mkdir(parents=True)
    for number in range(40):
        put(root / f"a/{number:02}", content(number * 1000, 1), 1_600_000_000 + number)
    put(root / "a/deep/er/bottom", b"deep", 1_500_000_000)
    for name in ("a b", "per%20cent", "plus+", "caf\u00e9", "\u202egpj", "'quoted'", "#?&="):
        put(root / "odd" / name, name.encode(), 1_400_000_000)
    return root


def put(path: Path, data: bytes, seconds: int) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(0, seconds * 10**9 + 123_456_789))


def fs(path: Path) -> End:
    return End("fs", {"path": str(path)})


def s3(server: S3Server, prefix: str, **more: object) -> End:
    return End("s3", server.settings(prefix=prefix, **more))


def copying(**changes: object) -> Policies:
    return dataclasses.replace(defaults_for(TransferType.COPY), **changes)


def seen(root: Path) -> dict[str, tuple[bytes, int] | None]:
    """Give every file with content and time, and every folder, by path."""
    found: dict[str, tuple[bytes, int] | None] = {}
    for folder, folders, files in os.walk(root):
        for name in folders:
            found[os.path.relpath(os.path.join(folder, name), root)] = None
        for name in files:
            path = Path(folder, name)
            found[os.path.relpath(path, root)] = path.read_bytes(), path.stat().st_mtime_ns
    return found


def levels(database: Database) -> set[int]:
    with database.read() as tx:
        query = "SELECT DISTINCT level FROM items WHERE kind = 1"
        return {row[0] for row in tx.execute(sa.text(query))}


def test_only_an_empty_folder_leaves_a_marker(database: Database, source: Path, seaweed: S3Server, prefix: str) -> None:
    Way(database, fs(source), s3(seaweed, prefix)).run()
    assert markers(seaweed, prefix) == {"hollow/"}


def test_no_marker_is_left_where_empty_folders_are_left_out(
    database: Database, source: Path, seaweed: S3Server, prefix: str
) -> None:
    policies = copying(empty_containers=EmptyContainers.SKIP)
    assert Way(database, fs(source), s3(seaweed, prefix), policies).run().failed == 0
    assert markers(seaweed, prefix) == set()


def markers(server: S3Server, prefix: str) -> set[str]:
    from tallyport.connectors.registry import platform
    from tallyport.connectors.s3_sdk import client_of

    client = client_of(platform("s3").read_settings(server.settings()))
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/")
    keys = (one["Key"][len(prefix) + 1 :] for one in found["Contents"])
    return {key for key in keys if key.endswith("/")}


def test_inside_one_connection_content_does_not_pass_through_us(
    database: Database, source: Path, seaweed: S3Server, prefix: str, tmp_path: Path
) -> None:
    Way(database, fs(source), s3(seaweed, f"{prefix}/one")).run()
    with behind(seaweed) as (server, proxy):
        settings = server.settings(prefix=prefix)
        ended = Way(database, End("s3", settings, "/one"), End("s3", settings, "/two")).run()
        assert (ended.result, ended.failed) == ("clean", 0), ended.info
        # Only the canaries of the probe are sent; no item is.
        assert proxy.sent("PUT", "*/two/a/*") == proxy.sent("PUT", "*/two/odd/*") == 0
        assert sum(one.down for one in proxy.matching("GET", "*/a/??*")) == 0
    Way(database, s3(seaweed, f"{prefix}/two"), fs(tmp_path / "back")).run()
    assert seen(tmp_path / "back") == seen(source)
    assert levels(database) == {int(VerifyLevel.HASH)}


@pytest.mark.parametrize("level", [VerifyLevel.SIZE, VerifyLevel.ACK, VerifyLevel.HASH, VerifyLevel.READBACK])
def test_each_item_says_the_level_that_it_reached(
    database: Database, source: Path, seaweed: S3Server, prefix: str, level: VerifyLevel
) -> None:
    ended = Way(database, fs(source), s3(seaweed, prefix), copying(verify=level)).run()
    assert ended.failed == 0
    assert levels(database) == {int(max(level, VerifyLevel.HASH))}


def test_a_level_that_the_destination_cannot_reach_is_said_before_anything_is_carried(
    database: Database, source: Path, seaweed: S3Server, prefix: str
) -> None:
    ended = Way(database, fs(source), s3(seaweed, prefix), copying(verify=VerifyLevel.COLD)).run()
    assert ended.state == "failed_to_start"
    assert "readback" in (ended.info or "")
    with closing(open_connection("s3", seaweed.settings(prefix=prefix), make=True)) as connector:
        assert list(connector.children("")) == []


def test_content_that_comes_from_elsewhere_is_proved_cold_on_a_disk(
    database: Database, source: Path, seaweed: S3Server, prefix: str, tmp_path: Path
) -> None:
    Way(database, fs(source), s3(seaweed, prefix)).run()
    with database.begin() as tx:
        tx.execute(sa.text("DELETE FROM items"))
    ended = Way(database, s3(seaweed, prefix), fs(tmp_path / "back"), copying(verify=VerifyLevel.COLD)).run()
    assert ended.failed == 0
    assert levels(database) == {int(VerifyLevel.COLD)}


# -- parts


def test_a_big_file_goes_in_parts_that_are_not_sent_again_after_a_stop(
    database: Database, seaweed: S3Server, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    size = 3 * 64 * MIB + 12_345
    with open(tmp_path / "source/big", "wb") as file:
        for number in range(4):
            file.write(content(min(64 * MIB, size - number * 64 * MIB), number))
    with behind(seaweed) as (server, proxy):
        way = Way(database, fs(tmp_path / "source"), s3(server, prefix))
        with way.engine(crew=1) as engine:
            execution_id = way.begin()
            engine.nudge()
            until(lambda: proxy.sent("PUT") > 40 * MIB)
        before = proxy.sent("PUT")
        assert not way.find(execution_id).has_ended
        with way.engine() as engine:
            ended = way.wait(engine, execution_id)
        assert (ended.result, ended.failed) == ("clean", 0), ended.info
        assert proxy.sent("PUT") <= size + 4 * 64 * MIB
        assert before > 0
    assert rclone_check(seaweed, tmp_path / "source", prefix, "--download") == 0
    back = Way(database, s3(seaweed, prefix), fs(tmp_path / "back")).run()
    assert back.failed == 0
    assert subprocess.run(["cmp", tmp_path / "source/big", tmp_path / "back/big"]).returncode == 0


def test_what_is_written_meanwhile_is_not_replaced_by_parts(
    database: Database, seaweed: S3Server, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    with open(tmp_path / "source/big", "wb") as file:
        file.truncate(65 * MIB)
    with behind(seaweed, Trouble(method="POST", path="*/big*uploadId=*", delay=1.0)) as (server, proxy):
        way = Way(database, fs(tmp_path / "source"), s3(server, prefix))
        with way.engine() as engine, closing(open_connection("s3", seaweed.settings(prefix=prefix))) as connector:
            execution_id = way.begin()
            engine.nudge()
            until(lambda: bool(proxy.fired))
            connector.write("big", [b"somebody else's"], Facts(size=15))
            ended = way.wait(engine, execution_id)
            assert ended.failed == 1
            entry = connector.stat("big")
            assert entry is not None
            assert entry.size == 15


# -- a bad network


def behind(server: S3Server, *script: Trouble):
    return _Behind(server, script)


class _Behind:
    """A server behind a bad network."""

    def __init__(self, server: S3Server, script: tuple[Trouble, ...]) -> None:
        self._proxied = proxied(int(server.endpoint.rpartition(":")[2]), *script)

    def __enter__(self) -> tuple[S3Server, Proxy]:
        proxy = self._proxied.__enter__()
        return S3Server(proxy.endpoint), proxy

    def __exit__(self, *error: object) -> None:
        self._proxied.__exit__(*error)


SIXTEENTHS = [number / 16 for number in range(16)]
TROUBLES = {
    "cuts what we send": [Trouble(method="PUT", nth=2 * n + 1, cut_up=at) for n, at in enumerate(SIXTEENTHS)],
    "flips what we send": [Trouble(method="PUT", nth=2 * n + 1, flip_up=at) for n, at in enumerate(SIXTEENTHS)],
    "loses answers": [Trouble(method="PUT", nth=7 * n + 1, is_lost=True) for n in range(5)],
    "resets": [Trouble(nth=9 * n + 8, is_reset=True) for n in range(5)],
    "errs": [Trouble(method="PUT", nth=5 * n + 2, status=500) for n in range(6)],
    "delays": [Trouble(nth=20 * n + 8, delay=0.3) for n in range(5)],
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_network_that_troubles_uploads_leaves_every_item_right_or_said(
    database: Database, source: Path, seaweed: S3Server, prefix: str, trouble: str, tmp_path: Path
) -> None:
    with behind(seaweed, *TROUBLES[trouble]) as (server, proxy):
        ended = Way(database, fs(source), s3(server, prefix)).run()
        assert ended.state == "complete", ended.info
        assert proxy.fired
    back = Way(database, s3(seaweed, prefix), fs(tmp_path / "back"))
    assert back.run().failed == 0
    there, here = seen(tmp_path / "back"), seen(source)
    assert there == {path: here[path] for path in there}
    assert len(here) - len(there) <= ended.failed


DOWN_TROUBLES = {
    "cuts what we read": [
        Trouble(method="GET", path="*/a/*", nth=2 * n + 1, cut_down=at) for n, at in enumerate(SIXTEENTHS)
    ],
    "flips what we read": [
        Trouble(method="GET", path="*/a/*", nth=2 * n + 1, flip_down=at) for n, at in enumerate(SIXTEENTHS)
    ],
    "resets": [Trouble(method="GET", nth=9 * n + 8, is_reset=True) for n in range(5)],
}


@pytest.mark.parametrize("trouble", DOWN_TROUBLES)
def test_a_network_that_troubles_downloads_leaves_every_item_right_or_said(
    database: Database, source: Path, seaweed: S3Server, prefix: str, trouble: str, tmp_path: Path
) -> None:
    Way(database, fs(source), s3(seaweed, prefix)).run()
    with behind(seaweed, *DOWN_TROUBLES[trouble]) as (server, proxy):
        ended = Way(database, s3(server, prefix), fs(tmp_path / "back")).run()
        assert ended.state == "complete", ended.info
        assert proxy.fired
    there, here = seen(tmp_path / "back"), seen(source)
    assert there == {path: here[path] for path in there}
    assert len(here) - len(there) <= ended.failed


def rclone_check(server: S3Server, folder: Path, prefix: str, *more: str) -> int:
    """Have rclone compare a folder with a prefix; gives its exit code."""
    environment = {
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": server.endpoint,
        "RCLONE_S3_ACCESS_KEY_ID": ACCESS_KEY,
        "RCLONE_S3_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    command = [program("rclone"), "--config", os.devnull, "check", str(folder), f":s3:{BUCKET}/{prefix}", *more]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, timeout=120).returncode


def test_a_server_that_lies_about_conditions_is_found_out_and_overwrites_nothing(
    database: Database, source: Path, lying_s3: S3Server, prefix: str
) -> None:
    way = Way(database, fs(source), s3(lying_s3, prefix), copying(item_overwrite=ItemOverwrite.SKIP))
    with closing(open_connection("s3", lying_s3.settings(prefix=prefix), make=True)) as connector:
        connector.write("a/07", [b"somebody else's"], Facts(size=15))
        ended = way.run()
        assert ended.state == "complete", ended.info
        with connector.read("a/07") as chunks:
            assert b"".join(chunks) == b"somebody else's"
    with database.read() as tx:
        (measured,) = tx.execute(sa.text("SELECT measured FROM connections WHERE platform = 's3'")).scalars()
    assert '"creates_only": false' in measured
