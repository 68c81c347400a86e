"""What a job renamed gets its own name again on the way back: the ledger is read backwards (``names_from``)."""

from __future__ import annotations

import dataclasses
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Facts
from tallyport.connectors.surveying import side_of, survey
from tallyport.domain.losses import Fact, facts_of
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import items, jobs
from tallyport.store.database import Database
from tallyport.store.original_names import names_of
from tests.engine.pairs import End, Way, pictured
from tests.engine.places import Places, kind
from tests.engine.test_name_corpus import PLATFORMS, RULES, corpus

WINDOWS = PLATFORMS["windows"]


def place(folder: Path) -> End:
    return End("fs", {"path": str(folder)})


def planted(root: Path, *paths: str) -> Path:
    for path in paths:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(os.fsencode(f"content of {path}"))
        os.utime(target, ns=(10**18, 10**18))
    root.mkdir(exist_ok=True)
    return root


def copy(**changes: Any) -> Policies:
    return dataclasses.replace(defaults_for(TransferType.COPY), max_items_per_container=None, **changes)


def back(first: Way, to: Path | End, *, path: str | None = None) -> Way:
    """Make the job that reads what another wrote, or what is above it or below."""
    there = End("memory", {}, first.job.destination_path if path is None else path)
    way = Way(first.database, there, to if isinstance(to, End) else place(to), copy(names_from=first.job.id))
    with first.database.begin() as tx:
        jobs.change(tx, way.job.id, source_connection=first.job.destination_connection)
        found = jobs.find(tx, way.job.id)
    assert found is not None
    way.job = found
    return way


def contents(root: Path) -> dict[str, bytes | None]:
    """Give everything below a folder, without times: not every server keeps those."""
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in root.glob("**/*")}


def rows(way: Way) -> dict[str, tuple[int, str, set[Fact]]]:
    """Give each item of a job: status, what its name went through, what it lacks."""
    with way.database.read() as tx:
        found = items.iterate(tx, way.job.number)
        return {row.path: (row.status, row.processing or "", set(facts_of(row.lost or 0))) for row in found}


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    return f"back-{request.node.name}-{os.getpid()}"


@pytest.mark.parametrize("rules", ["default", "encode", "both"])
@pytest.mark.parametrize("platform", ["windows", "short", "cases"])
def test_every_awkward_name_comes_back(
    database: Database, tmp_path: Path, store: str, platform: str, rules: str
) -> None:
    names = [name for name in corpus() if name not in (".", "..")]
    source = planted(tmp_path / "source", *names[::2], *(f"{names[n]}/{names[n - 4]}" for n in range(5, len(names), 8)))
    there = End("memory", {"store": store, **PLATFORMS[platform]}, "/kept")
    first = Way(database, place(source), there, copy(max_attempts=1, **RULES[rules]))
    done = first.run()
    assert done.state == "complete", done.info
    carried = {path for path, (status, _, _) in rows(first).items() if status in (1, 2)}
    assert done.transferred > 200
    target = tmp_path / "back"
    home = back(first, target)
    assert home.run().failed == 0
    assert pictured(target) == {path: told for path, told in pictured(source).items() if path in carried}
    again = home.run()
    assert (again.writes, again.transferred) == (0, 0)


@pytest.mark.parametrize("name", [kind("smb"), kind("nextcloud"), kind("s3")])
def test_names_come_back_from_real_servers(database: Database, places: Places, tmp_path: Path, name: str) -> None:
    names = corpus()[::5]
    source = planted(tmp_path / "source", *names, *(f"in \u00fc: {name}/{name}" for name in ("a:b", "c?d", "aux.txt")))
    there = places.new(name).end
    first = Way(database, place(source), there, copy(max_attempts=1))
    done = first.run()
    assert done.state == "complete", done.info
    carried = {path for path, (status, _, _) in rows(first).items() if status in (1, 2)}
    home = back(first, tmp_path / "back", path=there.path)
    assert home.run().failed == 0
    found = contents(source)
    assert contents(tmp_path / "back") == {path: found[path] for path in found if path in carried}
    assert home.run().writes == 0


def test_what_was_renamed_says_that_it_is_restored_and_lacks_nothing(
    database: Database, tmp_path: Path, store: str
) -> None:
    source = planted(tmp_path / "source", "a:b/c?d/x*y", "a:b/plain", "same/A", "same/a")
    first = Way(database, place(source), End("memory", {"store": store, **WINDOWS}, "/kept"), copy())
    assert first.run().failed == 0
    lacking = {path for path, (_, _, lost) in rows(first).items() if Fact.NAMES in lost}
    assert lacking == {"a:b", "a:b/c?d", "a:b/c?d/x*y", "same/a"}
    home = back(first, tmp_path / "back")
    home.run()
    found = {path: (words, Fact.NAMES in lost) for path, (_, words, lost) in rows(home).items() if words}
    assert found == {
        "a_b": ("restored", False),
        "a_b/c_d": ("restored", False),
        "a_b/c_d/x_y": ("restored", False),
        "same/a(1)": ("restored", False),
    }


def test_a_part_of_it_or_what_is_around_it_comes_back_too(database: Database, tmp_path: Path, store: str) -> None:
    source = planted(tmp_path / "source", "a:b/c?d/x*y", "z?")
    there = End("memory", {"store": store, **WINDOWS}, "/deep/kept")
    first = Way(database, place(source), there, copy())
    first.run()
    part = back(first, tmp_path / "part", path="/deep/kept/a_b")
    part.run()
    assert set(pictured(tmp_path / "part")) == {"c?d", "c?d/x*y"}
    around = back(first, tmp_path / "around", path="/deep")
    around.run()
    assert {"kept/a:b/c?d/x*y", "kept/z?"} <= set(pictured(tmp_path / "around"))


def test_what_others_put_there_keeps_its_name(database: Database, tmp_path: Path, store: str) -> None:
    source = planted(tmp_path / "source", "a:b")
    there = End("memory", {"store": store, **WINDOWS}, "/kept")
    first = Way(database, place(source), there, copy())
    first.run()
    with closing(open_connection(there.platform, there.settings, "/kept")) as connector:
        connector.write("new_one", [b"of others"], Facts(size=9))
    home = back(first, tmp_path / "back")
    home.run()
    assert set(pictured(tmp_path / "back")) == {"a:b", "new_one"}


def test_a_name_that_the_new_destination_refuses_too_is_changed_and_lacks_it(
    database: Database, tmp_path: Path, store: str
) -> None:
    source = planted(tmp_path / "source", "a:b?")
    first = Way(database, place(source), End("memory", {"store": store, **WINDOWS}, "/kept"), copy())
    first.run()
    other = End("memory", {"store": f"{store}-other", "forbidden_characters": ":/\0"}, "/there")
    way = back(first, other)
    way.run()
    (status, words, lost) = rows(way)["a_b_"]
    assert (status, words, Fact.NAMES in lost) == (2, "restored,renamed", True)


def test_the_plan_and_the_simulation_say_what_the_run_does(database: Database, tmp_path: Path, store: str) -> None:
    source = planted(tmp_path / "source", "a:b/c?d", "plain")
    there = End("memory", {"store": store, **WINDOWS}, "/kept")
    first = Way(database, place(source), there, copy())
    first.run()
    home = back(first, tmp_path / "back")
    names = names_of(database, home.policies, ("kept",))
    with (
        closing(open_connection("memory", there.settings, "/kept")) as here,
        closing(open_connection("fs", {"path": str(tmp_path)})) as target,
    ):
        side = side_of(target)
        found = survey(here, side.limits, home.policies, now=0, goes_on=lambda: True, there=side, originals=names)
    told = found.document()
    assert told["renamed"]["first"] == [
        {"path": "/a_b", "name": "a:b", "how": ["restored"]},
        {"path": "/a_b/c_d", "name": "c?d", "how": ["restored"]},
    ]
    assert "names" not in {loss["what"] for loss in told["losses"]}
    home.policies = copy(names_from=first.job.id, simulation=True)
    home.run()
    planned = {path: words for path, (_, words, _) in rows(home).items()}
    home.policies = copy(names_from=first.job.id)
    home.run()
    assert {path: words for path, (_, words, _) in rows(home).items() if path} == {
        path: words for path, words in planned.items() if path
    }


def test_a_run_does_not_begin_where_the_other_job_is_gone_or_wrote_another_place(
    database: Database, tmp_path: Path, store: str
) -> None:
    source = planted(tmp_path / "source", "a:b")
    first = Way(database, place(source), End("memory", {"store": store, **WINDOWS}, "/kept"), copy())
    first.run()
    elsewhere = back(first, tmp_path / "one", path="/other")
    ended = elsewhere.run()
    assert (ended.state, "its destination is another place" in (ended.info or "")) == ("failed_to_start", True)
    gone = back(first, tmp_path / "two")
    with database.begin() as tx:
        jobs.change(tx, first.job.id, deleted_at=1)
    ended = gone.run()
    assert (ended.state, "there is no job" in (ended.info or "")) == ("failed_to_start", True)
    assert not (tmp_path / "two").exists()
