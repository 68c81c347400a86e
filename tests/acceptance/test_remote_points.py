"""C2, I1, I6: a run to a server is killed before each request that changes something there, and goes on.

The points are counted by the server while a run goes through, so that a request which is new is a point by itself.
From a point on nothing reaches the server, and the run is killed as soon as it asks. In CI at one in the middle; in
the nightly run at every one, with a file that goes in parts. The first run to a server measures it: it is killed in
the midst of that, too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncssh
import botocore.session
import pytest

from tallyport.connectors.hashing import PART
from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Connector
from tallyport.domain.entries import Kind
from tallyport.domain.paths import join
from tallyport.testing import compare, object_servers, share_servers
from tallyport.testing.object_servers import ACCESS_KEY, BUCKET, SECRET_KEY
from tallyport.testing.proxy import Trouble, proxied
from tallyport.testing.worlds import read_all
from tests.bench.remote import saved

CHANGING = "[PD]*"  # PUT, POST, DELETE


class Ground(Protocol):
    """A server that can be cut off at a request."""

    environment: dict[str, str]

    def address(self, name: str) -> str:
        """Name an empty place there."""

    def prepare(self, data: Path) -> None:
        """Make its connection known to a data folder."""

    def cut(self, at: int) -> None:
        """Let nothing that changes anything pass from the so manieth request on, counted anew; 0 lets all pass."""

    def count(self) -> int:
        """Count those requests since then."""

    def is_struck(self) -> bool:
        """Tell whether one was held back."""

    def check(self, source: Path, name: str) -> None:
        """Fail unless all of the source is there, and nothing else."""


class Bucket:
    """A bucket behind what can hold its requests back."""

    def __init__(self, server: object_servers.S3Server, proxy: Any) -> None:
        self._server, self._proxy = server, proxy
        self.environment = {
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def address(self, name: str) -> str:
        return f"s3://{BUCKET}/{name}"

    def prepare(self, data: Path) -> None:
        """Nothing: its address says it all."""

    def cut(self, at: int) -> None:
        self._proxy.script = [Trouble(method=CHANGING, nth=at, times=None, is_reset=True)] if at else []
        self._proxy.passed.clear()
        self._proxy.fired.clear()

    def count(self) -> int:
        return len(self._proxy.matching(CHANGING))

    def is_struck(self) -> bool:
        return bool(self._proxy.fired)

    def check(self, source: Path, name: str) -> None:
        with closing(open_connection("s3", self._server.settings(), name)) as there:
            assert dict(files(there)) == files_of(source)
        client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self._server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
        found = client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{name}/").get("Uploads", [])
        assert found == [], "uploads are left open"


class Shell:
    """Files behind SFTP, served from this process."""

    def __init__(self) -> None:
        self.environment: dict[str, str] = {}
        self._at = self._seen = 0
        self._struck = threading.Event()
        self.server: share_servers.SshServer | None = None

    def address(self, name: str) -> str:
        return f"bench:/{name}"

    def prepare(self, data: Path) -> None:
        assert self.server is not None
        saved(data, "sftp", self.server.settings)

    def cut(self, at: int) -> None:
        self._at, self._seen = at, 0
        self._struck.clear()

    def count(self) -> int:
        return self._seen

    def is_struck(self) -> bool:
        return self._struck.is_set()

    def check(self, source: Path, name: str) -> None:
        assert self.server is not None
        there = os.path.join(self.server.folder, name)
        assert compare.differences(str(source), there, times=False, modes=False, owners=False, holes=False) == []
        assert compare.leftovers(self.server.folder) == []

    def step(self) -> None:
        """Count a request that changes something, or hold it back."""
        self._seen += 1
        if self._at and self._seen >= self._at:
            self._struck.set()
            raise asyncssh.SFTPConnectionLost("cut off")


def files(connector: Connector, path: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in connector.children(path):
        below = join(path, entry.name)
        if entry.kind is Kind.CONTAINER:
            yield from files(connector, below)
        else:
            yield below, read_all(connector, below)


def files_of(source: Path) -> dict[str, bytes]:
    return {str(path.relative_to(source)): path.read_bytes() for path in source.rglob("*") if path.is_file()}


@contextmanager
def bucket() -> Iterator[Ground]:
    with object_servers.seaweed() as server, proxied(int(server.endpoint.rpartition(":")[2])) as proxy:
        yield Bucket(server, proxy)


@contextmanager
def shell() -> Iterator[Ground]:
    ground = Shell()

    def stepping(name: str) -> Callable[..., Any]:
        def act(self: asyncssh.SFTPServer, *given: Any) -> Any:
            if name != "open" or given[1] & (asyncssh.FXF_WRITE | asyncssh.FXF_CREAT):
                ground.step()
            return getattr(asyncssh.SFTPServer, name)(self, *given)

        return act

    names = ("open", "write", "remove", "mkdir", "rmdir", "rename", "posix_rename", "setstat", "fsetstat", "symlink")
    server_class = type("Stepping", (asyncssh.SFTPServer,), {name: stepping(name) for name in names})
    with share_servers.asyncssh_server(version=3, server=server_class) as server:
        ground.server = server
        yield ground


GROUNDS: dict[str, Callable[[], Any]] = {"s3": bucket, "sftp": shell}


def command(tmp_path: Path, ground: Ground, name: str, data: str = "data") -> list[str]:
    words = ["copy", str(tmp_path / "source"), ground.address(name), "--data", str(tmp_path / data), "-q"]
    return [sys.executable, "-m", "tallyport", *words]


def struck(tmp_path: Path, ground: Ground, chosen: Callable[[int], list[int]]) -> None:
    """Run once and count the points, then kill a run at each that is chosen, and let it end."""
    environment = {**os.environ, **ground.environment}
    ground.prepare(tmp_path / "data")
    for name in ("measured", "whole"):  # the first run to a server also measures it
        ground.cut(0)
        whole = subprocess.run(
            command(tmp_path, ground, name), env=environment, capture_output=True, text=True, timeout=240
        )
        assert whole.returncode == 0, whole.stderr
        ground.check(tmp_path / "source", name)
    points = ground.count()
    print(f"{points} points")
    for point in chosen(points):
        name = f"point-{point}"
        strike(ground, command(tmp_path, ground, name), environment, point, points)
        ground.check(tmp_path / "source", name)


def measured(tmp_path: Path, ground: Ground, chosen: Callable[[int], list[int]]) -> None:
    """The same for the requests that measure a server: the first run of a ledger has those, the second has not."""
    environment = {**os.environ, **ground.environment}
    counts: list[int] = []
    ground.prepare(tmp_path / "data")
    for name in ("first", "second"):
        ground.cut(0)
        subprocess.run(command(tmp_path, ground, name), env=environment, check=True, timeout=240)
        counts.append(ground.count())
    points = counts[0] - counts[1]
    print(f"{points} points")
    assert points > 10, "the first run measures"
    for point in chosen(points):
        name = f"measured-{point}"
        ground.prepare(tmp_path / name)
        strike(ground, command(tmp_path, ground, name, name), environment, point, points)
        ground.check(tmp_path / "source", name)


def strike(ground: Ground, words: list[str], environment: dict[str, str], point: int, points: int) -> None:
    """Kill a run at a point, and let it end at the next start."""
    ground.cut(point)
    program = subprocess.Popen(words, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not ground.is_struck() and program.poll() is None:
        assert time.monotonic() < end, f"point {point} of {points} was not reached"
        time.sleep(0.01)
    if program.poll() is None:
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    was_struck = ground.is_struck()
    ground.cut(0)
    again = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=240)
    assert again.returncode == 0, f"point {point} of {points}: {again.stderr}"
    assert was_struck or point > points - 3, f"point {point} of {points} was not reached"


def fill(source: Path, *, big: bool) -> None:
    (source / "folder/below").mkdir(parents=True)
    for number, path in enumerate(("a", "folder/b", "folder/below/c")):
        (source / path).write_bytes(bytes([number]) * 3_000)
    if big:
        with open(source / "folder/big", "wb") as stream:
            stream.write(os.urandom(1 << 20) * ((PART >> 20) + 2))


@pytest.mark.acceptance
@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", GROUNDS)
def test_a_run_to_a_server_that_is_killed_at_a_request_goes_on_and_loses_nothing(tmp_path: Path, kind: str) -> None:
    fill(tmp_path / "source", big=False)
    with GROUNDS[kind]() as ground:
        struck(tmp_path, ground, lambda points: [points // 2])


@pytest.mark.acceptance
@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", GROUNDS)
def test_a_run_to_a_server_is_killed_at_every_request_and_loses_nothing(tmp_path: Path, kind: str) -> None:
    fill(tmp_path / "source", big=True)
    with GROUNDS[kind]() as ground:
        struck(tmp_path, ground, lambda points: list(range(1, points + 1)))


@pytest.mark.acceptance
@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", GROUNDS)
def test_a_run_that_is_killed_while_it_measures_a_server_leaves_no_canaries_there(tmp_path: Path, kind: str) -> None:
    fill(tmp_path / "source", big=False)
    with GROUNDS[kind]() as ground:
        measured(tmp_path, ground, lambda points: [points // 2])


@pytest.mark.acceptance
@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", GROUNDS)
def test_a_run_is_killed_at_every_request_that_measures_a_server_and_leaves_no_canaries(
    tmp_path: Path, kind: str
) -> None:
    fill(tmp_path / "source", big=False)
    with GROUNDS[kind]() as ground:
        measured(tmp_path, ground, lambda points: list(range(1, points + 1)))
