"""Over plain http nothing damaged counts as read: a known hash finds it, and else what is read is read twice."""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.protocol import Facts, Precondition
from tallyport.connectors.registry import platform
from tallyport.connectors.s3_sdk import client_of
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.entries import Entry, Side
from tallyport.domain.errors import ErrorKind
from tallyport.engine.version_series import Series
from tallyport.store.database import Database
from tallyport.testing import object_servers
from tallyport.testing.contract_words import refused
from tallyport.testing.object_servers import BUCKET, S3Server
from tallyport.testing.proxy import Proxy, Trouble, proxied
from tallyport.testing.worlds import content
from tests.engine.pairs import End, Way
from tests.engine.test_streams import copying, fs, s3

MIB = 1024 * 1024
EVEN, ODD, BIG = (5, 5, 2), (5, 6, 2), (8,) * 8 + (1,)


@pytest.fixture(scope="module")
def seaweed() -> Iterator[S3Server]:
    with object_servers.seaweed() as server:
        yield server


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


def stored(server: S3Server, key: str, parts: Sequence[int]) -> str:
    """Store an object as others do, in parts of so many MiB; gives the SHA-256 of its content."""
    client = client_of(platform("s3").read_settings(server.settings()))
    upload = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    sent, running = [], hashlib.sha256()
    for number, size in enumerate(parts, 1):
        data = content(size * MIB, number)
        running.update(data)
        answer = client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=data)
        sent.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": sent})
    return running.hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def came(proxy: Proxy) -> int:
    return sum(one.down for one in proxy.matching("GET", "*/object*"))


@pytest.mark.parametrize(("parts", "times"), [(EVEN, 1), (ODD, 2), ((1,), 1)], ids=["even", "odd", "one"])
@pytest.mark.parametrize("is_damaged", [False, True])
def test_an_object_in_parts_is_read_right_and_twice_only_where_its_parts_are_not_known(
    database: Database,
    seaweed: S3Server,
    prefix: str,
    tmp_path: Path,
    parts: Sequence[int],
    times: int,
    is_damaged: bool,
) -> None:
    expected = stored(seaweed, f"{prefix}/object", parts)
    script = [Trouble(method="GET", path="*/object*", flip_down=0.7)] if is_damaged else []
    with proxied(int(seaweed.endpoint.rpartition(":")[2]), *script) as proxy:
        ended = Way(database, s3(S3Server(proxy.endpoint), prefix), fs(tmp_path / "back")).run()
        assert (ended.result, ended.failed) == ("clean", 0), ended.info
        assert bool(proxy.fired) is is_damaged
        if not is_damaged:
            assert came(proxy) == times * sum(parts) * MIB
    assert sha256(tmp_path / "back/object") == expected


@pytest.mark.parametrize(("level", "times"), [(VerifyLevel.HASH, 2), (VerifyLevel.SIZE, 1)])
def test_ranges_of_a_big_object_are_read_twice_unless_sizes_are_proof_enough(
    database: Database, seaweed: S3Server, prefix: str, tmp_path: Path, level: VerifyLevel, times: int
) -> None:
    expected = stored(seaweed, f"{prefix}/a/object", BIG)
    flip = Trouble(method="GET", path="*/object*", flip_down=0.7)
    with proxied(int(seaweed.endpoint.rpartition(":")[2])) as proxy:
        there = End("s3", seaweed.settings(prefix=f"{prefix}/b"))
        policies = copying(verify=level)
        ended = Way(database, s3(S3Server(proxy.endpoint), f"{prefix}/a"), there, policies).run()
        assert (ended.result, ended.failed) == ("clean", 0), ended.info
        assert came(proxy) == times * sum(BIG) * MIB
        if level is VerifyLevel.SIZE:
            return
        proxy.script.append(flip)
        other = End("s3", seaweed.settings(prefix=f"{prefix}/c"))
        assert Way(database, s3(S3Server(proxy.endpoint), f"{prefix}/a"), other).run().failed == 0
        assert proxy.fired
    assert Way(database, other, fs(tmp_path / "back")).run().failed == 0
    assert sha256(tmp_path / "back/object") == expected


def kept() -> tuple[Memory, Memory]:
    """Give two connections that keep versions, and a file of two contents in the first."""
    ours, theirs = (Memory(Settings(store=f"doubted-{uuid.uuid4().hex}", versions=True)) for _ in range(2))
    for number, data in enumerate((b"one", b"two")):
        ours.write("a", [data], Facts(size=3, modified=10**18 + number * 10**9))
    return ours, theirs


class Flipping:
    """A connection with versions whose way flips a bit in every second reading of one."""

    def __init__(self, inner: Memory) -> None:
        self.inner = inner
        self.limits = dataclasses.replace(inner.limits, checks_way=False)
        self.readings = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @contextmanager
    def read_version(self, path: str, version: str) -> Iterator[Iterator[bytes]]:
        self.readings += 1
        with self.inner.read_version(path, version) as chunks:
            data = b"".join(chunks)
        yield iter([data if self.readings % 2 else bytes([data[0] ^ 1]) + data[1:]])


def test_an_earlier_content_is_read_twice_where_the_way_checks_nothing() -> None:
    ours, theirs = kept()
    flipping = Flipping(ours)
    series = Series(cast(Any, flipping), theirs, Side.DESTINATION, "a", "a", copying(), lambda _: None)
    with refused(ErrorKind.CORRUPT):
        series.carry_earlier(Facts(modified=1), Precondition(absent=True))
    assert theirs.stat("a") is None
    assert flipping.readings == 2


class Spoiling:
    """A connection over whose way a bit flips in all that is written; it tells no hash of it."""

    def __init__(self, inner: Memory) -> None:
        self.inner = inner
        self.limits = dataclasses.replace(inner.limits, checks_way=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition) -> Entry:
        data = b"".join(content)
        return self.inner.write(path, [bytes([data[0] ^ 1]) + data[1:]], facts, when=when)._replace(hash=None)


def test_an_earlier_content_that_is_not_stored_as_it_was_sent_is_taken_away_again() -> None:
    ours, theirs = kept()
    series = Series(ours, cast(Any, Spoiling(theirs)), Side.DESTINATION, "a", "a", copying(), lambda _: None)
    with refused(ErrorKind.CORRUPT):
        series.carry_earlier(Facts(modified=1), Precondition(absent=True))
    assert theirs.stat("a") is None
