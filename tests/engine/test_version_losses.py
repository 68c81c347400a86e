"""Earlier contents that stay behind are in the plan and in each file's row, whichever platform keeps them and however
many run again; where nothing stays behind nobody looks for them.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.protocol import Facts
from tallyport.connectors.surveying import side_of, survey
from tallyport.domain.losses import BITS, Fact
from tallyport.domain.policies import (
    Policies,
    TransferType,
    VersioningPreserve,
    VersioningSelect,
)
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import items
from tallyport.store.database import Database
from tallyport.testing.worlds import read_all
from tests.engine.conftest import Port
from tests.engine.pairs import Way, lost
from tests.engine.places import SECOND, Places, kind
from tests.engine.test_losses import foretold
from tests.engine.test_versions_across import START, kept, opened, snapshots

COPY = defaults_for(TransferType.COPY)
NEWEST = dataclasses.replace(COPY, versioning_select=VersioningSelect.LATEST)
VERSIONS = BITS[Fact.VERSIONS]
TIMES = {"once": 1, "twice": 2, "box/thrice": 3, "box/deep/twice": 2, "large": 2}


def written(source: Memory, times: dict[str, int]) -> None:
    for path, number in times.items():
        for folder in ("box", "box/deep"):
            if path.startswith(folder):
                source.make_container(folder, Facts())
        for content in range(number):
            data = (b"%d" % content) * (3_000_000 if path == "large" else 1)
            source.write(path, [data], Facts(modified=START + content * SECOND))


def told(port: Port) -> set[str]:
    """Give the files whose rows say that earlier contents stayed behind."""
    with port.database.read() as tx:
        return {row.path for row in items.iterate(tx, port.job.number, lost=VERSIONS)}


def planned(source: Memory, there: Settings, policies: Policies) -> int:
    side = side_of(Memory(there))
    found = survey(source, side.limits, policies, now=0, goes_on=lambda: True, there=side).document()
    return sum(loss["count"] for loss in found["losses"] if loss["what"] == "versions")


MORE_THAN_ONE = {"twice", "box/thrice", "box/deep/twice", "large"}


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "asked"])
@pytest.mark.parametrize("glimpses", [False, True], ids=["whole", "glimpsed"])
@pytest.mark.parametrize(
    ("there", "policies", "expected"),
    [
        ({}, {}, MORE_THAN_ONE),
        ({"versions": True}, {}, set()),
        ({"versions": True}, {"versioning_preserve": VersioningPreserve.NONE}, MORE_THAN_ONE),
        ({"versions": True}, {"versioning_select": VersioningSelect.LATEST}, MORE_THAN_ONE),
        ({"versions": True}, {"versioning_from_source_max": 2}, {"box/thrice"}),
        ({"versions": True, "max_versions": 2}, {}, {"box/thrice"}),
        ({"versions": True, "refused_extensions": "exe"}, {}, set()),
    ],
    ids=["none there", "all", "preserve none", "latest", "two from the source", "two there", "nothing converted"],
)
def test_each_file_that_leaves_contents_behind_says_so(
    port: Port, there: dict[str, object], policies: dict[str, object], expected: set[str], counts: bool, glimpses: bool
) -> None:
    keeps = {"versions": True, "counts": counts, "glimpses": glimpses}
    source = Memory(Settings(store=port.stores[0], **keeps))
    written(source, TIMES)
    port.slow(0, **keeps)
    port.slow(1, **there)
    chosen = dataclasses.replace(COPY, **policies)
    port.start()
    run = port.run(chosen)
    assert (run.failed, run.transferred) == (0, 5), run.info
    assert told(port) == expected
    assert planned(source, Settings(**there), chosen) == len(expected)
    again = port.run(chosen)
    assert again.writes == 0
    assert told(port) == expected


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "asked"])
def test_later_runs_hold_what_stayed_and_tell_what_changed(port: Port, counts: bool) -> None:
    keeps = {"versions": True, "counts": counts}
    source = Memory(Settings(store=port.stores[0], **keeps))
    written(source, TIMES)
    port.slow(0, **keeps)
    port.start()
    port.run(COPY)
    source.stamp("twice", Facts(modified=START + 500 * SECOND))  # its time alone
    source.write("once", [b"more"], Facts(modified=START + 600 * SECOND))
    source.write("new", [b"0"], Facts())
    run = port.run(COPY)
    assert run.failed == 0
    assert told(port) == MORE_THAN_ONE | {"once"}
    source.delete("twice")
    source.write("twice", [b"a file of its own"], Facts())
    port.run(COPY)
    assert told(port) == (MORE_THAN_ONE | {"once"}) - {"twice"}


def test_what_both_sides_hold_already_is_told_too(port: Port) -> None:
    keeps = {"versions": True, "counts": False}
    source = Memory(Settings(store=port.stores[0], **keeps))
    written(source, {"once": 1, "twice": 2})
    for path in ("once", "twice"):
        seen = source.stat(path)
        assert seen is not None
        port.destination.write(path, [read_all(source, path)], Facts(modified=seen.modified))
    port.slow(0, **keeps)
    port.start()
    run = port.run(COPY)
    assert (run.failed, run.transferred) == (0, 0)
    assert told(port) == {"twice"}


def test_a_file_carried_as_an_archive_has_its_newest_content_alone(port: Port) -> None:
    there = {"versions": True, "refused_extensions": "exe"}
    source = Memory(Settings(store=port.stores[0], versions=True))
    written(source, {"a.exe": 2, "b.txt": 2, "c.exe": 1})
    port.slow(0, versions=True)
    port.slow(1, **there)
    port.start()
    run = port.run(COPY)
    assert run.failed == 0
    assert told(port) == {"a.exe"}
    assert planned(source, Settings(**there), COPY) == 1


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "asked"])
def test_a_sync_tells_of_each_side_what_stays_at_it(port: Port, counts: bool) -> None:
    keeps = {"versions": True, "counts": counts}
    sync = dataclasses.replace(
        defaults_for(TransferType.SYNC), versioning_from_source_max=2, versioning_from_destination_max=1
    )
    here, there = (Memory(Settings(store=store, **keeps)) for store in port.stores)
    written(here, {"here twice": 2, "here thrice": 3})
    written(there, {"there once": 1, "there twice": 2})
    for side in (0, 1):
        port.slow(side, **keeps)
    port.start()
    run = port.run(sync)
    assert (run.failed, run.transferred) == (0, 4)
    assert told(port) == {"here thrice", "there twice"}
    assert port.run(sync).writes == 0
    assert told(port) == {"here thrice", "there twice"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write down who is asked for contents."""
    paths: list[str] = []
    for name in ("versions", "counted"):
        method = getattr(Memory, name)

        def asking(self: Memory, path: str, *, method=method, name=name, **more: object) -> object:
            if self.settings.store.startswith("source"):
                paths.append(f"{name} {path}")
            return method(self, path, **more)

        monkeypatch.setattr(Memory, name, asking)
    return paths


def test_nobody_is_asked_where_nothing_can_stay_behind(port: Port, asked: list[str]) -> None:
    written(port.source, {"once": 1, "twice": 2})
    port.start()
    port.run(COPY)  # a source without versions
    assert asked == []


def test_a_simulation_and_an_unchanged_folder_cost_no_look_at_versions(port: Port, asked: list[str]) -> None:
    written(Memory(Settings(store=port.stores[0], versions=True)), TIMES)
    port.slow(0, versions=True)
    port.start()
    port.run(dataclasses.replace(COPY, simulation=True))
    assert asked == []
    port.run(COPY)
    assert sorted(one for one in asked if one.startswith("counted")) == ["counted ", "counted box", "counted box/deep"]
    asked.clear()
    assert port.run(COPY).writes == 0
    assert asked == []


def test_an_item_tried_again_alone_is_asked_about(port: Port, asked: list[str]) -> None:
    source = Memory(Settings(store=port.stores[0], versions=True))
    written(source, {"twice": 2, "once": 1})
    port.destination.make_container("twice", Facts())
    port.slow(0, versions=True)
    port.start()
    first = port.run(COPY)
    assert first.failed == 1
    assert told(port) == set()
    port.destination.delete("twice")
    asked.clear()
    run = port.run(COPY, trigger="retry", retry_of=first.id, scope='{"unresolved": true}', state="created")
    assert (run.failed, run.transferred) == (0, 1)
    assert asked == ["versions twice"]
    assert told(port) == {"twice"}


NAMES = {"plain": 1, "two words": 2, "box/letter ü": 3, "box/deep/z": 2}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        kind("s3", "azure"),
        kind("s3", "wsgidav"),
        kind("azure", "s3"),
        kind("gcs_kept", "sftp"),
        kind("smb", "wsgidav"),
        kind("nextcloud", "s3"),
    ],
)
@pytest.mark.parametrize("policies", [COPY, NEWEST], ids=["all", "latest"])
def test_plan_and_ledger_agree_between_servers(
    database: Database, places: Places, one: str, other: str, policies: Policies
) -> None:
    source, there = kept(places, one), places.new(other).end
    with closing(opened(source)) as connector:
        for path, number in NAMES.items():
            for folder in ("box", "box/deep"):
                if path.startswith(folder):
                    connector.make_container(folder, Facts())
            times = [(b"x" * (content + 1), START + content * SECOND) for content in range(number)]
            for text, moment in times if one != "smb" else times[-1:]:
                connector.write(path, [text], Facts(size=len(text), modified=moment))
            if one == "smb":
                snapshots(places, source, times[:-1], path)
    said = foretold(source, there, policies)
    assert said["versions"] == 3
    way = Way(database, source, there, policies)
    run = way.run()
    assert run.failed == 0, run.info
    assert run.transferred_bytes == sum(NAMES.values()), "where the newest alone stays, no other is sent"
    assert lost(way) == said
    with way.database.read() as tx:
        told = {row.path for row in items.iterate(tx, way.job.number, lost=VERSIONS)}
    assert told == {path for path, number in NAMES.items() if number > 1}
    assert way.run().writes == 0
    assert lost(way) == said


def test_a_pair_that_keeps_as_many_loses_none(database: Database, places: Places) -> None:
    source, there = kept(places, "s3"), kept(places, "s3")
    with closing(opened(source)) as connector:
        for content in range(3):
            connector.write("a", [b"%d" % content], Facts(size=1, modified=START + content * SECOND))
    for most, number in ((None, 0), (2, 1), (3, 0)):
        policies = dataclasses.replace(COPY, versioning_from_source_max=most)
        said = foretold(source, there, policies)
        assert said.get("versions", 0) == number
    policies = dataclasses.replace(COPY, versioning_from_source_max=2)
    way = Way(database, source, there, policies)
    way.run()
    assert lost(way)["versions"] == 1
