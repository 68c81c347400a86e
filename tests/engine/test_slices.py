"""Huge containers are cut in slices of both sides, and worked by several engines; so are the parts of a huge file."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.connectors.memory_tree import forget
from tallyport.domain.connections import Connection
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.paths import to_bytes
from tallyport.domain.policies_json import policies_to_json
from tallyport.engine import slices
from tallyport.engine.dispatch import InlineDispatcher
from tallyport.engine.ends import PART_SIZE
from tallyport.engine.engine import Crews, Engine
from tallyport.engine.roster import Roster
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.engine.work import PartWork, VisitWork
from tallyport.store import carried_parts, connections, executions, frontier, items, jobs
from tallyport.store.database import Database, open_database
from tallyport.testing.postgres import PostgresServer
from tallyport.testing.worlds import differences, tree
from tests.engine.conftest import copy
from tests.engine.test_many_engines import world

names = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=4), unique=True)


def pages(found: list[str]) -> list[list[Entry]]:
    entries = [Entry(name, Kind.FILE, 1, 2, b"t") for name in sorted(found, key=to_bytes)]
    return [entries[at : at + 3] for at in range(0, len(entries), 3)]


@given(names, names, st.integers(1, 5), st.none() | st.text("abc", min_size=1, max_size=2))
def test_every_entry_of_both_sides_after_a_name_is_in_exactly_one_slice(here, there, size, begun) -> None:
    after = to_bytes(begun or "")
    before, slices.SIZE = slices.SIZE, size
    try:
        made = list(slices.cut(pages(here), pages(there), after))
    finally:
        slices.SIZE = before
    assert [one.through is None for one in made] == [False] * (len(made) - 1) + [True]
    edges = [after, *(one.through for one in made)]
    assert [one.after for one in made] == edges[:-1]
    for side, wanted in (("here", here), ("there", there)):
        cut = [entry.name for one in made for entry in getattr(one, side)]
        assert cut == [name for name in sorted(wanted, key=to_bytes) if to_bytes(name) > after]
    for one in made:
        for entry in (*one.here, *(one.there or ())):
            assert one.after < to_bytes(entry.name)
            assert one.through is None or to_bytes(entry.name) <= one.through


@given(names, st.none() | names)
def test_a_slice_reads_as_it_was_written(here, there) -> None:
    for one in slices.cut(pages(here), None if there is None else pages(there), b""):
        assert slices.read(slices.write(one)) == one


class Meeting:
    """Engines that wait for each other: work is shared when two have some of it in hand at the same time."""

    def __init__(self) -> None:
        self._came: set[object] = set()
        self._changed = threading.Condition()

    def come(self, who: object) -> None:
        with self._changed:
            self._came.add(who)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: len(self._came) >= 2, 90), (
                f"nobody else was given any of it: {self._came}"
            )


class Watched(ThreadCrew):
    """A crew that says when it is given slices, or parts of a file."""

    def __init__(self, meeting: Meeting) -> None:
        super().__init__(2, leased=True)
        self.meeting = meeting

    def submit(self, terms, works, **how) -> int:
        if any(type(work) is PartWork or (type(work) is VisitWork and work.slice) for work in works):
            self.meeting.come(self)
        return super().submit(terms, works, **how)


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    opened = open_database(postgres.create())
    yield opened
    opened.close()


@pytest.fixture
def engines(database: Database) -> Iterator[list[Engine]]:
    meeting = Meeting()
    made = [
        Engine(database, InlineDispatcher(4, 0.2), Crews(crew, crew), roster=Roster(database))
        for crew in (Watched(meeting) for _ in range(3))
    ]
    for engine in made:
        engine.start()
    yield made
    for engine in made:
        engine.stop()


def ended(database: Database, execution_id: int, *, meanwhile=lambda: None) -> Execution:
    deadline = time.monotonic() + 150
    while True:
        with database.read() as tx:
            found = executions.find(tx, execution_id)
        assert found is not None
        if found.has_ended:
            return found
        assert time.monotonic() < deadline, found
        meanwhile()
        time.sleep(0.02)


def begin(database: Database, job: Job, **policies: object) -> int:
    with database.begin() as tx:
        chosen = policies_to_json(copy(parallel_writes=4, **policies))
        return executions.add(tx, job_id=job.id, trigger="cli", policies=chosen).id


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "ABOVE", 100)
    monkeypatch.setattr(slices, "SIZE", 20)


@pytest.mark.needs("pg_ctlcluster")
@pytest.mark.usefixtures("small")
def test_one_huge_container_is_worked_by_several_engines(database: Database, engines: list[Engine]) -> None:
    job, source, destination = world(database, "huge")
    tree("\n".join([*(f"f{n:04}.txt {n % 7}b v1" for n in range(300)), "sub/g.txt 3b v1"]), source)
    tree("f0007.txt 0b v1\nonly-there.txt 4b v1", destination)
    run = ended(database, begin(database, job))
    assert (run.state, run.failed, run.folders, run.files) == ("complete", 0, 2, 301)
    assert run.transferred + run.unchanged == 301
    assert [line for line in differences(source, destination) if "only-there" not in line] == []
    # The second time it is one visit, which signs it; the third costs a look.
    for _ in range(2):
        again = ended(database, begin(database, job))
        assert (again.state, again.files, again.unchanged, again.transferred) == ("complete", 301, 301, 0)
    forget("huge-source")
    forget("huge-destination")


@pytest.mark.needs("pg_ctlcluster")
@pytest.mark.usefixtures("small")
def test_batches_taken_away_while_a_container_is_cut_and_worked_lose_and_count_nothing_twice(
    database: Database, engines: list[Engine]
) -> None:
    job, source, destination = world(database, "cut")
    tree("\n".join(f"f{n:04}.txt {n % 7}b v1" for n in range(400)), source)
    chance, left = random.Random(7), [6]

    def take_away() -> None:
        if left[0] <= 0:
            return
        with database.read() as tx:
            taken = [one for one in frontier.open_batches(tx) if one.state == "running" and chance.random() < 0.7]
        for batch in taken:  # each by itself: who holds one and asks for another may wait for who waits for it
            with database.begin() as tx:
                frontier.fence(tx, batch.id)
                left[0] -= 1

    run = ended(database, begin(database, job), meanwhile=take_away)
    assert (run.state, run.failed, run.files, run.folders) == ("complete", 0, 400, 1)
    assert run.transferred + run.unchanged == 400
    assert differences(source, destination) == []
    forget("cut-source")
    forget("cut-destination")


@pytest.mark.needs("pg_ctlcluster")
def test_one_huge_file_is_moved_in_parts_by_several_engines(
    database: Database, engines: list[Engine], tmp_path: Path
) -> None:
    ends = []
    for side in ("source", "destination"):
        (tmp_path / side).mkdir()
        with database.begin() as tx:
            settings = {"path": str(tmp_path / side)}
            made = Connection(
                id=connections.new_id(), name=side, platform="fs", settings=settings, created_at=1, modified_at=1
            )
            connections.add(tx, made)
            ends.append(made.id)
    with database.begin() as tx:
        both = {"source_connection": ends[0], "destination_connection": ends[1]}
        job = jobs.add(tx, Job(id=jobs.new_id(), name="big", transfer_type="copy", created_at=1, modified_at=1, **both))
    size = 9 * PART_SIZE + 5  # a batch takes four parts at a time, and an engine here has two at most
    with open(tmp_path / "source" / "big", "wb") as stream:
        stream.write(b"first")
        stream.truncate(size - 4)
        stream.seek(0, 2)
        stream.write(b"last")
    run = ended(database, begin(database, job))
    assert (run.state, run.failed, run.transferred, run.transferred_bytes) == ("complete", 0, 1, size)
    with open(tmp_path / "destination" / "big", "rb") as stream:
        assert stream.read(5) == b"first"
        stream.seek(-4, 2)
        assert stream.read() == b"last"
        assert stream.tell() == size
    with database.read() as tx:
        (item,) = [one for one in items.page(tx, job.number, limit=10) if one.path == "big"]
        told = carried_parts.page(tx, database, item.id, limit=100)
    assert [(one.start, one.size) for one in told] == [(n * PART_SIZE, PART_SIZE if n < 9 else 5) for n in range(10)]
    assert {one.state for one in told} == {"carried"}
    assert 1 < len({one.worker for one in told}) <= len(engines)
    assert {one.worker for one in told} <= {engine.owner for engine in engines}
