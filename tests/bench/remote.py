"""Measures the way to and from other platforms beside rclone, each against the same local server.

W5 and W6 put 10 000 objects of 16 KiB into S3 and get them again, W7 does both with one file of 2 GiB; ``sftp`` and
``smb`` write 10 000 files of 16 KiB to a share and read them again. Ours goes through a saved connection, as a job
does, with its ledger and its hash; the destination is probed before the rounds begin, as it is once in its life.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tallyport.testing import object_servers, share_servers, trees
from tests.bench import measure
from tests.bench.measure import Cost
from tests.bench.programs import OURS, rclone_path

SMALL = 16 * trees.KIB
FILES = 10_000
BIG = 2048 * trees.MIB
BACK = "back"  # folder of what was got
MANY = 100  # files whose removal slows down whoever makes files next
WIDTH = 32  # at once, for everybody, unless another number is asked for
HEADINGS = ["", "wall s", "", "CPU s", "memory MB", "ours is faster by", "ours needs less CPU by", "goal", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server that runs, as ours and as rclone reach it."""

    platform: str
    settings: Mapping[str, object]
    remote: str  # what rclone calls its root
    options: tuple[str, ...] = ()  # of rclone
    empty: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One thing that is measured."""

    title: str
    server: Callable[[], contextlib.AbstractContextManager[Place]]
    goals: Mapping[str, float]  # way → how much longer rclone must take
    ways: tuple[str, ...] = ("put", "get")
    is_big: bool = False


@contextlib.contextmanager
def s3() -> Iterator[Place]:
    """SeaweedFS."""
    with object_servers.seaweed() as server:
        options = [
            *("--s3-provider", "Other", "--s3-endpoint", server.endpoint, "--s3-region", "us-east-1"),
            *("--s3-access-key-id", object_servers.ACCESS_KEY, "--s3-secret-access-key", object_servers.SECRET_KEY),
        ]
        yield Place(
            platform="s3",
            settings=server.settings(),
            remote=f":s3:{object_servers.BUCKET}",
            options=tuple(options),
            empty=lambda: None,  # each run has a prefix of its own
        )


@contextlib.contextmanager
def sftp() -> Iterator[Place]:
    """OpenSSH."""
    with share_servers.openssh() as server:
        key = os.path.join(os.path.dirname(server.folder), "bench-key")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as stream:
            stream.write(server.private_key)
        options = ("--sftp-host", "127.0.0.1", "--sftp-port", str(server.port), "--sftp-user", server.username)
        # Its check by md5sum on the server would cost a command for each file.
        more = ("--sftp-key-file", key, "--sftp-disable-hashcheck")
        yield Place(
            platform="sftp",
            settings=server.settings,
            remote=f":sftp:{server.folder}",
            options=options + more,
            empty=lambda: wiped(server.folder),
        )


@contextlib.contextmanager
def smb() -> Iterator[Place]:
    """Samba."""
    with share_servers.samba() as server:
        obscured = subprocess.run(
            [rclone_path(), "obscure", server.password], check=True, capture_output=True, text=True
        ).stdout.strip()
        options = ("--smb-host", "127.0.0.1", "--smb-port", str(server.port), "--smb-user", server.username)
        yield Place(
            platform="smb",
            settings=server.settings(),
            remote=":smb:files",
            options=(*options, "--smb-pass", obscured),
            empty=lambda: wiped(server.folder),
        )


REMOTES = {
    "W5": Remote(title="S3, 10 000 objects of 16 KiB put", server=s3, ways=("put",), goals={"put": 2.4}),
    "W6": Remote(title="S3, 10 000 objects of 16 KiB got", server=s3, ways=("get",), goals={"get": 2.4}),
    "W7": Remote(title="S3, one file of 2 GiB both ways", server=s3, is_big=True, goals={"put": 1.5, "get": 1.5}),
    "sftp": Remote(title="SFTP, 10 000 files of 16 KiB both ways", server=sftp, goals={"put": 1.0, "get": 1.0}),
    "smb": Remote(title="SMB, 10 000 files of 16 KiB both ways", server=smb, goals={"put": 1.0, "get": 1.0}),
}


def measured(
    name: str, folder: str, scale: float, rounds: int, width: int, say: Callable[[str], None]
) -> list[list[str]]:
    """Measure one of them, and give the lines of its table."""
    chosen = REMOTES[name]
    source = os.path.join(folder, "source")
    if chosen.is_big:
        size = max(int(BIG * scale), 1)
        made = trees.bench_tree(source, files=1, folders=1, smallest=size, largest=size)
    else:
        files = max(int(FILES * scale), 1)
        made = trees.bench_tree(source, files=files, folders=max(files // 100, 1), smallest=SMALL, largest=SMALL)
    costs: dict[tuple[str, str], list[Cost]] = {}
    with chosen.server() as place:
        data = os.path.join(folder, f"data-{name}")
        save(place, data)
        for number in range(rounds + 1):
            for who in ("tallyport", "rclone") if number % 2 else ("rclone", "tallyport"):
                for way, cost in both_ways(who, place, source, folder, data, number, made.files, width):
                    if way not in chosen.ways:
                        continue
                    say(f"round {number}  {who:<10} {way}  {cost.wall:7.2f} s  {cost.cpu:7.2f} s CPU")
                    if number:  # the first warms the server up, and has ours probe it
                        costs.setdefault((who, way), []).append(cost)
    trees.remove_tree(source)
    shutil.rmtree(data)
    shutil.rmtree(os.path.join(folder, BACK))
    return lines(chosen, costs, made.files, made.bytes)


def both_ways(
    who: str, place: Place, source: str, folder: str, data: str, number: int, files: int, width: int
) -> Iterator[tuple[str, Cost]]:
    """Put the tree there and get it back, and see that all of it came."""
    there = f"bench-{who}-{number}"
    back = os.path.join(folder, BACK, there)
    for way in ("put", "get"):
        if way == "get":
            os.makedirs(back)
        else:
            measure.warm(source)
        os.sync()
        call = command(who, way, place, source if way == "put" else back, there, data, width)
        cost = measure.run(call, env=environment())
        if cost.status:
            raise SystemExit(f"{who} {way} ended with {cost.status}: {cost.out[-500:]}")
        yield way, cost
    if trees.count(back).files != files:
        raise SystemExit(f"{who} did not bring all files back")
    if files < MANY:
        shutil.rmtree(
            back
        )  # else at the end: ext4 looks for minutes at every inode that was given free, before it makes one
    place.empty()


def command(who: str, way: str, place: Place, here: str, there: str, data: str, width: int) -> list[str]:
    """Give the call that carries one way."""
    if who == "rclone":
        ends = [here, f"{place.remote}/{there}"]
        every = [rclone_path(), "--config", os.devnull, "copy", "--transfers", str(width), "--checkers", str(width)]
        return [*every, *place.options, *(ends if way == "put" else ends[::-1])]
    ends = [here, f"bench:/{there}"]
    policies = ["--policy", f"performance.parallel_writes.requested={width}", "--policy", "durability=none"]
    return [*OURS, "copy", *(ends if way == "put" else ends[::-1]), "--data", data, "-q", *policies]


def save(place: Place, data: str) -> None:
    """Save the connection in a data folder under the name ``bench``, as a server would."""
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from tests.bench.remote import saved\n"
        "saved(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))\n"
    )
    given = [sys.executable, "-c", script, data, place.platform, json.dumps(place.settings)]
    subprocess.run(given, check=True, env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path)})


def saved(data: object, platform: str, settings: Mapping[str, object]) -> None:
    """Write the connection into the ledger of a data folder."""
    from pathlib import Path

    from tallyport import app
    from tallyport.connectors import registry
    from tallyport.domain import secrets
    from tallyport.domain.connections import Connection
    from tallyport.store import connections, rows

    folder = Path(str(data))
    folder.mkdir(parents=True, exist_ok=True)
    shown, hidden = secrets.split(settings, registry.platform(platform).secret_names())
    at = rows.now()
    new = Connection(
        id=connections.new_id(),
        name="bench",
        platform=platform,
        settings=shown,
        created_at=at,
        created_by="bench",
        modified_at=at,
    )
    with app.open_store(folder) as database, database.begin() as tx:
        connections.add(tx, replace(new, sealed=app.own_vault(folder).seal(new.id, hidden)))


def lines(chosen: Remote, costs: Mapping[tuple[str, str], Sequence[Cost]], files: int, size: int) -> list[list[str]]:
    """Arrange the results: rates, CPU for 10 000 files or a GiB, and how we stand."""
    of = "a GiB" if chosen.is_big else "10 000 files"
    rate = "MB/s" if chosen.is_big else "files/s"
    found = [[*HEADINGS[:2], rate, f"CPU s for {of}", *HEADINGS[4:]]]
    for way in chosen.ways:
        ours, peer = (measure.middle(costs[who, way]) for who in ("tallyport", "rclone"))
        for who, cost in (("tallyport", ours), ("rclone copy", peer)):
            speed = size / 1e6 / cost.wall if chosen.is_big else files / cost.wall
            cpu = cost.cpu / (size / 2**30) if chosen.is_big else cost.cpu / files * 10_000
            found.append(
                [f"{who}, {way}", f"{cost.wall:.2f}", f"{speed:,.0f}", f"{cpu:.2f}", f"{cost.memory / 1e6:.0f}"]
                + [""] * 4
            )
        ratio, goal = peer.wall / ours.wall, chosen.goals[way]
        verdict = "met" if ratio >= goal else f"missed by {1 - ratio / goal:.0%}"
        cpu_ratio = f"{peer.cpu / max(ours.cpu, 0.001):.2f} x"
        found.append([f"· {way}", "", "", "", "", f"{ratio:.2f} x", cpu_ratio, f">= {goal:g} x", verdict])
    return found


def environment() -> dict[str, str]:
    """Give the variables that programs are measured under: none from outside, and compiled modules are kept."""
    unwanted = ("TALLYPORT_", "AWS_", "RCLONE_", "PYTHONDONTWRITEBYTECODE")  # for the last see run.environment
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def wiped(folder: str) -> None:
    """Empty a served folder."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not name.startswith("."):
            shutil.rmtree(path)
