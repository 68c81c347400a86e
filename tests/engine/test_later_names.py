"""A name of a file (hard link) that comes after the others is linked to them, or says that it stands alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallyport.domain.executions import Execution
from tallyport.domain.losses import Fact
from tallyport.domain.policies import TransferType
from tallyport.domain.policies_json import policies_to_json
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import executions, items
from tallyport.store.database import Database
from tests.engine.pairs import End, Way, lost

COPY = defaults_for(TransferType.COPY)
PLAIN = "the way between two folders"
STREAMED = "the way between any two"


@pytest.fixture(params=[PLAIN, STREAMED])
def way(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Way:
    """Give a job between two folders; what has a versioned end goes the way of any two connections."""
    for name in ("source/box", "there"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "source/a").write_bytes(b"content")
    for name in ("b", "box/c"):
        os.link(tmp_path / "source/a", tmp_path / "source" / name)
    source = {"path": str(tmp_path / "source"), "versioning": request.param == STREAMED}
    there = End("fs", {"path": str(tmp_path / "there")})
    return Way(database, End("fs", source), there, COPY)


def blocked(way: Way, there: Path) -> int:
    """Carry two of three names: a folder stands in the place of the third."""
    (there / "b/in the way").mkdir(parents=True)
    first = way.run()
    assert (first.transferred, first.failed) == (2, 1), first.info
    (there / "b/in the way").rmdir()
    (there / "b").rmdir()
    return first.id


def retried(way: Way, first: int) -> Execution:
    """Try what failed again, and that alone."""
    given = {"trigger": "retry", "retry_of": first, "scope": '{"unresolved": true}', "state": "created"}
    with way.database.begin() as tx:
        made = executions.add(tx, job_id=way.job.id, policies=policies_to_json(way.policies), **given)
    with way.engine() as engine:
        return way.wait(engine, made.id)


def numbers(folder: Path, *names: str) -> set[int]:
    return {os.stat(folder / name).st_ino for name in names}


def reason_of(way: Way, path: str) -> str:
    with way.database.read() as tx:
        return next(row.reason for row in items.iterate(tx, way.job.number) if row.path == path)


def test_a_name_that_failed_is_linked_to_the_others_once_it_can_be(way: Way, tmp_path: Path) -> None:
    there = tmp_path / "there"
    again = retried(way, blocked(way, there))
    assert (again.failed, again.transferred) == (0, 1), again.info
    assert len(numbers(there, "a", "b", "box/c")) == 1
    assert reason_of(way, "b") == "linked"
    assert lost(way) == {}
    last = way.run()
    assert (last.transferred, last.writes, last.failed) == (0, 0, 0)


def test_a_name_that_somebody_makes_later_is_linked_too(way: Way, tmp_path: Path) -> None:
    way.run()
    os.link(tmp_path / "source/a", tmp_path / "source/box/later")
    way.run()
    assert len(numbers(tmp_path / "there", "a", "b", "box/c", "box/later")) == 1


@pytest.mark.parametrize("how", ["written over", "dated anew", "gone"])
def test_where_the_others_are_not_as_they_were_left_it_stands_alone_and_says_so(
    way: Way, tmp_path: Path, how: str
) -> None:
    there = tmp_path / "there"
    first = blocked(way, there)
    for name in ("a", "box/c"):
        if how == "written over":
            (there / name).unlink()
            (there / name).write_bytes(b"another")
        elif how == "dated anew":
            os.utime(there / name, ns=(1, 1))
        else:
            (there / name).unlink()
    again = retried(way, first)
    assert (again.failed, again.transferred) == (0, 1), again.info
    assert (there / "b").read_bytes() == b"content"
    assert len(numbers(there, "b")) == 1
    assert os.stat(there / "b").st_nlink == 1
    assert lost(way) == {str(Fact.HARD_LINKS): 1}


def test_all_names_of_a_file_get_its_new_content_in_one_run(way: Way, tmp_path: Path) -> None:
    way.run()
    (tmp_path / "source/a").write_bytes(b"changed")
    os.utime(tmp_path / "source/a", ns=(5, 5))
    again = way.run()
    assert (again.failed, again.transferred) == (0, 3), again.info
    there = tmp_path / "there"
    assert {(there / name).read_bytes() for name in ("a", "b", "box/c")} == {b"changed"}
    assert len(numbers(there, "a", "b", "box/c")) == 1


def test_a_name_whose_content_changed_is_not_linked_to_what_was_carried_before(way: Way, tmp_path: Path) -> None:
    there = tmp_path / "there"
    first = blocked(way, there)
    (tmp_path / "source/a").write_bytes(b"changed")  # all names are of the new content
    retried(way, first)
    assert (there / "b").read_bytes() == b"changed"
    assert (there / "a").read_bytes() == b"content"
    way.run()
    assert {(there / name).read_bytes() for name in ("a", "b", "box/c")} == {b"changed"}
    assert len(numbers(there, "a", "b", "box/c")) == 1
    assert lost(way) == {}
