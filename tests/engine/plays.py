"""Small worlds with a run or two, and what is seen afterwards: the plays of ``test_every_policy``."""

from __future__ import annotations

import os
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors import local_calls
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.memory_tree import forget
from tallyport.connectors.protocol import Facts
from tallyport.domain import parts
from tallyport.domain.access import Access, AccessRight, Grant, Link, Principal, PrincipalKind
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.executions import Execution
from tallyport.domain.items import Status
from tallyport.domain.locks import Lock
from tallyport.domain.transfer_block import read_transfer_block
from tallyport.engine.throttle import rates_now
from tallyport.store import audit, connections, items, jobs, losses
from tests.engine.conftest import Port
from tests.engine.test_local_engine import LocalPort

DAY = 86_400_000_000_000
NOW = time.time_ns()
ALICE, BOB = (Principal(PrincipalKind.ACCOUNT, name=name) for name in ("alice", "bob"))
TEAM = Principal(PrincipalKind.GROUP, name="team")
READ = frozenset({AccessRight.READ})

Block = dict[str, Any]
Play = Callable[["Stage", Block], object]


class Stage:
    """A port, and what a play sees on it."""

    def __init__(self, port: Port, patch: pytest.MonkeyPatch) -> None:
        self.port = port
        self.patch = patch

    def run(self, block: Block, **values: Any) -> Execution:
        if self.port.engine is None:
            self.port.start()
        read = read_transfer_block({"transfer_type": "copy", **block}, endpoints_required=False)
        kept = {key: member for key, member in block.items() if key in ("account_map", "group_map", "batch_mode")}
        kept |= {key: member for key, member in block.items() if key == "item_inspection_policy_next"}
        with self.port.database.begin() as tx:
            jobs.change(tx, self.port.job.id, transfer=kept, transfer_type=str(read.policies.transfer_type))
        return self.port.run(read.policies, simulation=read.policies.simulation, **values)

    def put(self, path: str, content: str = "x", *, side: int = 0, age: int = 10, **facts: Any) -> None:
        memory = (self.port.source, self.port.destination)[side]
        folder = os.path.dirname(path)
        for depth in range(folder.count("/") + 1 if folder else 0):
            memory.make_container("/".join(folder.split("/")[: depth + 1]), Facts())
        memory.write(path, [content.encode()], Facts(modified=NOW - age * DAY, **facts))

    def tree(self, side: int = 1) -> dict[str, str]:
        """Give every file of a side with its content; a folder has None."""
        return dict(sorted(_walk((self.port.source, self.port.destination)[side], "")))

    def names(self, side: int = 1) -> list[str]:
        return sorted(self.tree(side))

    def told(self, path: str) -> tuple[str, str]:
        """Give status and reason of an item."""
        row = self.rows()[path]
        return Status(row.status).name.lower(), row.reason

    def rows(self) -> dict[str, Any]:
        with self.port.database.read() as tx:
            return {row.path: row for row in items.iterate(tx, self.port.job.number)}

    def lost(self, run: Execution) -> list[str]:
        with self.port.database.read() as tx:
            return sorted(loss.what for loss in losses.iterate(tx, run.id))

    def events(self) -> set[str]:
        with self.port.database.read() as tx:
            return {row.event for row in audit.page(tx, job_id=self.port.job.id, limit=1_000)}


def _walk(memory: Memory, path: str) -> Iterator[tuple[str, str]]:
    for entry in memory.children(path):
        inner = f"{path}/{entry.name}".lstrip("/")
        if entry.kind is Kind.CONTAINER:
            yield f"{inner}/", ""
            yield from _walk(memory, inner)
        elif entry.kind is Kind.SYMLINK:
            yield inner, f"-> {entry.target}"
        else:
            with memory.read(inner) as chunks:
                yield inner, b"".join(chunks).decode("utf-8", "replace")


# -- plays over two memory worlds


def meet(on: Stage, block: Block) -> object:
    """Both sides have things at the first meeting, the destination a newer `b`."""
    on.put("a", "here")
    on.put("b", "here")
    on.put("d/c", "here")
    on.put("b", "newer", side=1, age=1)
    on.put("x", "there", side=1)
    run = on.run({"limits": {"max_delete_percent": 100}, **block})
    assert run.failed == 0
    trees = (on.tree(0), on.tree(1))
    return tuple({re.sub(r"\(conflict .*\)", "(conflict)", name): text for name, text in one.items()} for one in trees)


def both_change(on: Stage, block: Block) -> object:
    on.put("a", "old")
    on.run({"transfer_type": "sync", **block})
    on.put("a", "here", age=3)
    on.put("a", "there", side=1, age=2)
    on.run({"transfer_type": "sync", **block})
    return sorted(on.tree(0).values()), sorted(on.tree(1).values()), on.rows()["a"].reason


def delete_both(on: Stage, block: Block) -> object:
    for name in ("here", "there", "stays", "too"):
        on.put(name)
    free = {"transfer_type": "sync", "limits": {"max_delete_percent": 100}, **block}
    on.run(free)
    on.port.source.delete("here")
    on.port.destination.delete("there")
    on.run(free)
    return [name for name in on.names(0) if name in ("here", "there")], [
        name for name in on.names(1) if name in ("here", "there")
    ]


def delete_at_source_of_copy(on: Stage, block: Block) -> object:
    for name in "abcdef":
        on.put(name)
    on.run(block)
    on.port.source.delete("a")
    on.run(block)
    return "a" in on.tree()


def fail_one(on: Stage, block: Block) -> object:
    on.port.slow(1, max_size=3)
    on.put("a", "too long")
    run = on.run(block)
    return run.state, run.result


def too_large(on: Stage, block: Block) -> object:
    on.port.slow(1, max_size=3)
    on.put("big", "too long")
    on.put("small", "x")
    run = on.run(block)
    return on.told("big"), on.names(), run.result


def levels(on: Stage, block: Block) -> object:
    """A run that carries, warns and fails, and one that finds nothing to do."""
    on.port.slow(1, max_size=3, refused_extensions="exe")
    on.put("a", "x")
    on.put("a.exe", "x")
    on.put("big", "too long")
    for _ in range(2):
        on.run({"restricted_content": "warn", **block})
    with on.port.database.read() as tx:
        return sorted({row.level for row in audit.page(tx, job_id=on.port.job.id, limit=1_000)})


def batched(on: Stage, block: Block) -> object:
    """How often it is said that items go one by one, in two runs."""
    for name in ("a", "b"):
        on.put(name)
        run = on.run(block)
    with on.port.database.read() as tx:
        lines = audit.page(tx, job_id=on.port.job.id, limit=1_000)
    return on.names(), sum(line.event == "execution.not_batched" for line in lines), run.result


def locked(on: Stage, block: Block) -> object:
    on.put("a")
    on.port.source.lock("a", Lock(ALICE))
    on.run({"account_map": {"map_by": {"passthrough": True}}, **block})
    found = on.port.destination.lock_of("a")
    return None if found is None else "" if found.owner is None else found.owner.name


def crowded(on: Stage, block: Block) -> object:
    for name in ("d/1", "d/2", "d/3"):
        on.put(name)
    on.run(block)
    return on.names(), on.told("d")


def width(on: Stage, block: Block) -> object:
    on.put("a")
    run = on.run(block)
    assert on.port.engine is not None
    policies = read_transfer_block(block, endpoints_required=False).policies
    return run.transferred, policies.parallel_at_most


def splits(on: Stage, block: Block) -> object:
    for number in range(6):
        on.put(f"{number}/a")
    run = on.run(block)
    return run.transferred, parts.splits_itself(
        read_transfer_block({"transfer_type": "copy", **block}, endpoints_required=False).policies
    )


def rates(on: Stage, block: Block) -> object:
    policies = read_transfer_block(block, endpoints_required=False).policies
    noon, night = (datetime(2026, 1, 5, hour, tzinfo=UTC).timestamp() for hour in (12, 23))
    return [tuple(rates_now(policies, when, started=noon)) for when in (noon, night)]


def granted(on: Stage, block: Block) -> object:
    for principal in (ALICE, BOB):
        on.port.destination.add_principal(principal)
    for side in (0, 1):
        on.put("a", side=side)
    link = Link(PrincipalKind.EVERYONE, READ)
    on.port.source.set_access("a", Access(grants=(Grant(ALICE, READ),), links=(link,)))
    on.port.destination.set_access("a", Access(grants=(Grant(BOB, READ),)))
    on.run({"account_map": {"map_by": {"name": True}}, **block})
    found = on.port.destination.access("a")
    return sorted(grant.principal.name for grant in found.grants), len(found.links)


def granted_links(on: Stage, block: Block) -> object:
    block = {"permissions": {"policy": "add", **block["permissions"]}}
    return granted(on, block)


def denied(on: Stage, block: Block) -> object:
    """A denial that the destination cannot keep."""
    block = {"permissions": {"policy": "add", **block["permissions"]}, "group_map": {"map_by": {"name": True}}}
    with on.port.database.begin() as tx:
        folder = Path(on.port.database.url.removeprefix("sqlite:///")).parent / "there"
        folder.mkdir()
        connections.change(tx, on.port.job.destination_connection or "", platform="fs", settings={"path": str(folder)})
    on.put("a")
    nobody = Principal(PrincipalKind.GROUP, name="nogroup")
    on.port.source.set_access("a", Access(grants=(Grant(nobody, READ, deny=True),)))
    run = on.run(block)
    return on.told("a")[0], on.lost(run)


def refuses_grants(on: Stage, block: Block) -> object:
    """A destination that says no to any grant."""
    block = {"permissions": {"policy": "add", **block["permissions"]}, "account_map": {"map_by": {"passthrough": True}}}

    def refuse(*_: object, **__: object) -> Access:
        raise TallyportError(ErrorKind.PERMISSION_DENIED, "only an administrator may")

    on.patch.setattr(Memory, "set_access", refuse)
    on.put("a")
    on.port.source._tree.root.children["a"][1].companions.grants = (Grant(ALICE, READ),)
    run = on.run(block)
    return on.told("a")[0], on.lost(run)


def mapped(on: Stage, block: Block) -> object:
    """Alice and the team of the source are Bob and the crew of the destination."""
    crew = Principal(PrincipalKind.GROUP, name="crew")
    for principal in (BOB, crew):
        on.port.destination.add_principal(principal)
    on.put("a")
    on.port.source.set_access("a", Access(grants=(Grant(ALICE, READ), Grant(TEAM, READ))))
    run = on.run({"permissions": "add", **block})
    found = on.port.destination.access("a")
    return sorted(grant.principal.name for grant in found.grants), on.lost(run)


def owned(on: Stage, block: Block) -> object:
    on.port.destination.add_principal(ALICE)
    on.put("a")
    on.port.source.set_access("a", Access(ALICE))
    on.run({"account_map": {"map_by": {"name": True}}, **block})
    found = on.port.destination.access("a").owner
    return None if found is None else found.name


def dated(on: Stage, block: Block) -> object:
    on.put("a", age=100)
    on.run(block)
    here, there = on.port.source.stat("a"), on.port.destination.stat("a")
    assert here is not None
    assert there is not None
    return here.modified == there.modified


def hollow(on: Stage, block: Block) -> object:
    on.put("full/a")
    on.put("filtered/a.tmp")
    on.port.source.make_container("empty", Facts())
    on.run({"filter": {"source": [{"rules": [{"type": "filter_extension", "extensions": ["tmp"]}]}]}, **block})
    return on.names()


def twins(on: Stage, block: Block) -> object:
    forget(on.port.stores[1])
    on.port.destination = Memory(Settings(store=on.port.stores[1], case_insensitive=True))
    on.port.slow(1, case_insensitive=True)
    on.put("a.txt", "one")
    on.put("A.txt", "two")
    on.run(block)
    return len(on.names()), sorted(on.told(name)[0] for name in ("a.txt", "A.txt"))


def overwritten(on: Stage, block: Block) -> object:
    on.put("a", "here")
    on.put("a", "there", side=1, age=20)
    on.run(block)
    return on.tree()["a"], on.told("a")


def refused(on: Stage, block: Block) -> object:
    on.port.slow(1, refused_extensions="exe")
    on.put("a.exe")
    on.run(block)
    with on.port.database.read() as tx:
        level = max(row.level for row in audit.page(tx, job_id=on.port.job.id, limit=1_000))
    return on.names(), on.told("a.exe")[0], level


def renamed(on: Stage, block: Block) -> object:
    on.port.slow(1, forbidden_characters="/\0:", max_name=12)
    on.put("a:b")
    on.put("long name indeed")
    on.run(block)
    return on.names(), on.told("a:b")[0], on.told("long name indeed")[0]


def versions(on: Stage, block: Block) -> object:
    for side in (0, 1):
        on.port.slow(side, versions=True)
    one = Memory(Settings(store=on.port.stores[0], versions=True))
    other = Memory(Settings(store=on.port.stores[1], versions=True))
    for number in range(4):
        one.write("a", [f"{number}".encode()], Facts())
    on.run(block)
    there = other.versions("a")
    carried = []
    for version in there:
        with other.read_version("a", version.id) as chunks:
            carried.append(b"".join(chunks).decode())
    return carried


def versions_back(on: Stage, block: Block) -> object:
    """A sync takes versions from the destination as well."""
    for side in (0, 1):
        on.port.slow(side, versions=True)
    one = Memory(Settings(store=on.port.stores[0], versions=True))
    other = Memory(Settings(store=on.port.stores[1], versions=True))
    for number in range(4):
        other.write("a", [f"{number}".encode()], Facts())
    on.run({"transfer_type": "sync", **block})
    return len(one.versions("a"))


def sieve(on: Stage, block: Block) -> object:
    """What of a world with something for each rule goes over."""
    on.put("plain.txt", "12345")
    on.put("song.mp3", "1")
    on.put(".hidden", "12")
    on.put("d/deep.txt", "123", age=5_000)
    on.put("d/e/far.txt", "1234567")
    on.put("~own", "x", side=1)
    on.run(block)
    return [name for name in on.names() if not name.endswith("/")]


def sieve_back(on: Stage, block: Block) -> object:
    on.put("plain.txt", "12345", side=1)
    on.put("song.mp3", "1", side=1)
    on.run({"transfer_type": "sync", **block})
    return on.names(0)


def simulated(on: Stage, block: Block) -> object:
    on.put("a")
    run = on.run(block)
    return on.names(), run.transferred, run.simulation


def purged(on: Stage, block: Block) -> object:
    on.put("a")
    on.put("x", side=1)
    run = on.run({"limits": {"max_delete_percent": 100}, **block})
    return on.names(), run.state


def inspected(on: Stage, block: Block) -> object:
    on.put("d/a")
    on.put("b")
    on.put("foreign", side=1)
    on.run({"filter": {"source": [{"rules": [{"type": "filter_path", "paths": ["/d"]}]}]}, **block})
    return sorted(path for path in on.rows() if path)


def imported_grants(on: Stage, block: Block) -> object:
    block = {"permissions": {"policy": "add", **block["permissions"]}}
    return imported(on, block)


def imported(on: Stage, block: Block) -> object:
    on.put("a")
    on.put("lists/grants.csv", "path,name,rights\n/a,alice,read\n")
    on.put("lists/properties.csv", "path,color\n/a,red\n")
    on.port.source.set_properties("a", {"author": b"Ann", "xdg.tags": b"new"})
    run = on.run({"account_map": {"map_by": {"passthrough": True}}, **block})
    found = on.port.destination
    names = sorted(grant.principal.name for grant in found.access("a").grants) if found.stat("a") else None
    return names, dict(found.properties("a")) if found.stat("a") else None, run.failed


def linked(on: Stage, block: Block) -> object:
    on.put("a")
    on.port.source.make_symlink("link", "a", Facts())
    run = on.run(block)
    return on.tree().get("link"), run.failed


def proved(on: Stage, block: Block) -> object:
    on.put("a")
    run = on.run(block)
    return (on.rows()["a"].level, run.state) if run.state == "complete" else run.state


def kept(on: Stage, block: Block) -> object:
    on.put("a", "old")
    on.run(block)
    on.put("a", "new", age=1)
    run = on.run(block)
    return [name.replace(str(run.id), "RUN") for name in on.names() if not name.endswith("/")]


def full_look(on: Stage, block: Block) -> object:
    """Whether the destination is listed again although nothing changed at the source."""
    on.put("a", "x")
    on.run(block)
    listed = []
    children = Memory.children

    def seen(memory: Memory, path: str) -> Any:
        listed.append(memory.settings.store)
        return children(memory, path)

    on.patch.setattr(Memory, "children", seen)
    on.run(block)
    return on.port.stores[1] in listed


def tries(on: Stage, block: Block) -> object:
    on.port.slow(1, read_only=False)
    on.put("a:b")
    on.port.slow(1, forbidden_characters="/\0:")
    for _ in range(2):
        on.run({"segment_transform": False, **block})
    return on.told("a:b")[0]


def braked(on: Stage, block: Block) -> object:
    for name in "abcd":
        on.put(name)
    on.run({"transfer_type": "publish", **block})
    for name in "ab":
        on.port.source.delete(name)
    block = {"limits": {"max_deletes": 100, "max_delete_percent": 100, **block["limits"]}}
    execution = on.port.begin(
        read_transfer_block({"transfer_type": "publish", **block}, endpoints_required=False).policies
    )
    found = on.port.wait(execution, lambda one: one.has_ended or one.state == "waiting")
    return found.state, len(on.names())


def warned(on: Stage, block: Block) -> object:
    read = read_transfer_block({"transfer_type": "copy", **block}, endpoints_required=False)
    on.put("a")
    on.run(block)
    return on.names(), [said.split(":")[0] for said in read.warnings]


def inspected_next(on: Stage, block: Block) -> object:
    """What counts for the next run alone is gone after it."""
    found = [inspected(on, block)]
    with on.port.database.read() as tx:
        job = jobs.find(tx, on.port.job.id)
    assert job is not None
    return found[0], "item_inspection_policy_next" in job.transfer


# -- plays over two local folders


def local_bits(on: Stage, block: Block) -> object:
    here, there = _folders(on)
    (here / "tool").write_text("x")
    (here / "tool").chmod(0o4755)
    on.run(block)
    return bool((there / "tool").stat().st_mode & stat.S_ISUID)


def local_links(on: Stage, block: Block) -> object:
    here, there = _folders(on)
    (here / "a").write_text("x")
    (here / "inside").symlink_to("a")
    (here / "out").symlink_to("/etc/hostname")
    on.run(block)
    told = {name: on.told(name)[0] for name in ("inside", "out")}
    made = {path.name: "link" if path.is_symlink() else "file" for path in there.iterdir() if path.name != "a"}
    return told, made


def local_proof(on: Stage, block: Block) -> object:
    here, _ = _folders(on)
    (here / "a").write_text("x")
    on.run(block)
    return on.rows()["a"].level


def local_synced(on: Stage, block: Block) -> object:
    """What is asked of the disk for a dozen files: each on its own, all at once, or nothing."""
    here, _ = _folders(on)
    for number in range(12):
        (here / str(number)).write_text("x")
    asked: Counter[str] = Counter()

    def counting(name: str) -> Callable[[int], int]:
        def ask(fd: int) -> int:
            asked[name] += 1
            return 0

        return ask

    for module, name in ((os, "fsync"), (os, "fdatasync"), (local_calls, "syncfs")):
        on.patch.setattr(module, name, counting(name))
    Port.start(on.port)  # on threads of the test
    run = on.run(block)
    files = asked["fsync"] + asked["fdatasync"]
    return asked["syncfs"] > 0, files >= 12, files > 0, run.result


def _folders(on: Stage) -> tuple[Path, Path]:
    port = on.port
    assert isinstance(port, LocalPort)
    for folder in (port.here, port.there):
        folder.mkdir(exist_ok=True)
    return port.here, port.there
