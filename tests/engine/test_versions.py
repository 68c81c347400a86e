"""Earlier contents of files: carried oldest first, within every limit, and never a partial series shown as complete."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.connectors.local_versions import VersionedFolder
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.memory_tree import forget
from tallyport.connectors.protocol import Facts
from tallyport.domain.policies import VersioningPreserve, VersioningSelect
from tallyport.engine.passage import open_passage
from tallyport.store import connections
from tests.engine.conftest import Port, copy
from tests.engine.test_awkward_destinations import ledger, names, read, write

DAY = 86_400 * 10**9
START = 10**18


def add(connector: Any, path: str, *texts: str, first: int = 0) -> None:
    for number, text in enumerate(texts, first):
        write(connector, path, text.encode(), modified=START + number * DAY)


def series(connector: Any, path: str) -> list[str]:
    found = []
    for version in connector.versions(path):
        with connector.read_version(path, version.id) as chunks:
            found.append(b"".join(chunks).decode())
    return found


@pytest.fixture
def kept(port: Port) -> Any:
    """Give a function that makes both sides keep versions and starts the engine."""

    def make(source: dict[str, Any] | None = None, destination: dict[str, Any] | None = None) -> Port:
        for side, more in enumerate((source, destination)):
            settings = {"versions": True} | (more or {})
            forget(port.stores[side])
            port.slow(side, **settings)
            made = Memory(Settings(store=port.stores[side], **settings))
            if side == 0:
                port.source = made
            else:
                port.destination = made
        port.start()
        return port

    return make


def test_every_version_arrives_oldest_first(kept: Any) -> None:
    port = kept()
    add(port.source, "docs/a.txt", "one", "two", "three")
    run = port.run(copy())
    assert (run.transferred, run.failed) == (1, 0)
    assert series(port.destination, "docs/a.txt") == ["one", "two", "three"]
    assert [v.modified for v in port.destination.versions("docs/a.txt")] == [START, START + DAY, START + 2 * DAY]
    assert port.run(copy(full_look=True)).writes == 0


def test_a_later_run_carries_only_what_is_new(kept: Any) -> None:
    port = kept()
    add(port.source, "a.txt", "one", "two")
    port.run(copy())
    add(port.source, "a.txt", "three", "four", first=2)
    run = port.run(copy())
    assert series(port.destination, "a.txt") == ["one", "two", "three", "four"]
    assert run.transferred_bytes == len("three") + len("four")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"versioning_select": VersioningSelect.LATEST}, ["four"]),
        ({"versioning_preserve": VersioningPreserve.NONE}, ["four"]),
        ({"versioning_from_source_max": 2}, ["three", "four"]),
        ({"versioning_from_source_max": 1}, ["four"]),
        ({"versioning_from_destination_max": 1}, ["one", "two", "three", "four"]),
    ],
)
def test_policies_choose_the_versions(kept: Any, changes: dict[str, Any], expected: list[str]) -> None:
    port = kept()
    add(port.source, "a.txt", "one", "two", "three", "four")
    port.run(copy(**changes))
    assert series(port.destination, "a.txt") == expected


def test_a_destination_that_keeps_few_gets_the_newest(kept: Any) -> None:
    port = kept(destination={"max_versions": 2})
    add(port.source, "a.txt", "one", "two", "three", "four")
    run = port.run(copy())
    assert series(port.destination, "a.txt") == ["three", "four"]
    assert run.transferred_bytes == len("three") + len("four")
    assert port.run(copy(full_look=True)).writes == 0


def test_a_side_without_versions_gets_the_newest_content(port: Port) -> None:
    forget(port.stores[0])
    port.slow(0, versions=True)
    port.source = Memory(Settings(store=port.stores[0], versions=True))
    add(port.source, "a.txt", "one", "two")
    port.start()
    port.run(copy())
    assert read(port.destination, "a.txt") == b"two"


@pytest.mark.parametrize("stamps", [True, False])
def test_a_series_cut_short_is_not_complete_and_is_gone_on_with(kept: Any, stamps: bool) -> None:
    """As a kill leaves it: two of four contents at the destination, nothing of it in the ledger."""
    port = kept()
    add(port.source, "first.txt", "x")
    port.run(copy(timestamps=stamps))  # a job that ran before: conflict_resolution would have its say
    add(port.source, "a.txt", "one", "two", "three", "four")
    add(port.destination, "a.txt", "one", "two")
    run = port.run(copy(timestamps=stamps, full_look=True))
    assert run.failed == 0
    assert series(port.destination, "a.txt") == ["one", "two", "three", "four"]
    assert names(port.destination) == ["a.txt", "first.txt"], "no conflict copy of our own work"


def test_a_failure_in_the_middle_leaves_the_item_failed(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallyport.domain.errors import ErrorKind, TallyportError
    from tallyport.engine import version_series

    port = kept()
    add(port.source, "a.txt", "one", "two", "three")
    real, calls = version_series.Series._write, []

    def break_down(self: Any, version: Any, *more: Any) -> Any:
        calls.append(version)
        if len(calls) == 2:
            raise TallyportError(ErrorKind.IO_ERROR, "cannot read", path="a.txt")
        return real(self, version, *more)

    monkeypatch.setattr(version_series.Series, "_write", break_down)
    assert port.run(copy()).failed == 1
    assert ledger(port)["a.txt"][0] == 3
    assert port.run(copy()).failed == 0
    assert series(port.destination, "a.txt") == ["one", "two", "three"]


# -- virtual versions of a folder


def folder(tmp_path: Any, name: str) -> VersionedFolder:
    (tmp_path / name).mkdir(exist_ok=True)
    return VersionedFolder(str(tmp_path / name))


def test_numbered_files_are_folded_into_the_file_they_belong_to(tmp_path: Any) -> None:
    texts = {"a.txt": "three", "a.txt[1]": "one", "a.txt[2]": "two"}
    for name, text in (texts | {"lone.txt[1]": "mine", "b[x]": "b", "c[0]": "c", "c": "c"}).items():
        (tmp_path / name).write_text(text)
    one = VersionedFolder(str(tmp_path))
    assert sorted(entry.name for entry in one.children("")) == ["a.txt", "b[x]", "c", "c[0]", "lone.txt[1]"]
    assert series(one, "a.txt") == ["one", "two", "three"]
    assert series(one, "c") == ["c"]


def test_writing_versions_ends_in_the_same_layout(tmp_path: Any) -> None:
    one = folder(tmp_path, "one")
    add(one, "a.txt", "one", "two", "three")
    found = {path.name: path.read_text() for path in (tmp_path / "one").iterdir()}
    assert found == {"a.txt": "three", "a.txt[1]": "one", "a.txt[2]": "two"}
    entry = one.stat("a.txt")
    assert entry is not None
    assert (entry.links, entry.modified) == (1, START + 2 * DAY)
    one.rename("a.txt", "b.txt")
    assert series(one, "b.txt") == ["one", "two", "three"]
    one.delete("b.txt", expect=one.stat("b.txt"))
    assert list((tmp_path / "one").iterdir()) == []


def test_a_write_that_ended_between_numbering_and_replacing_is_no_version(tmp_path: Any) -> None:
    one = folder(tmp_path, "one")
    add(one, "a.txt", "one")
    one.make_hard_link("a.txt[1]", "a.txt")
    assert series(one, "a.txt") == ["one"]
    entry = one.stat("a.txt")
    assert entry is not None
    assert entry.links == 1
    add(one, "a.txt", "two", first=1)
    assert series(one, "a.txt") == ["one", "two"]


def test_a_write_that_fails_numbers_nothing(tmp_path: Any) -> None:
    one = folder(tmp_path, "one")
    add(one, "a.txt", "one")

    def content():
        yield b"half"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        one.write("a.txt", content(), Facts())
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["a.txt"]


def test_versions_go_from_a_platform_to_a_folder_and_back(port: Port, tmp_path: Any) -> None:
    forget(port.stores[0])
    port.slow(0, versions=True)
    port.source = Memory(Settings(store=port.stores[0], versions=True))
    add(port.source, "docs/a.txt", "one", "two", "three")
    there = folder(tmp_path, "there")
    with port.database.begin() as tx:
        settings = {"path": str(tmp_path / "there"), "versioning": True}
        connections.change(tx, port.job.destination_connection or "", platform="fs", settings=settings)
    port.start()
    assert port.run(copy()).failed == 0
    assert series(there, "docs/a.txt") == ["one", "two", "three"]
    assert (tmp_path / "there" / "docs" / "a.txt[2]").read_text() == "two"
    assert port.run(copy(full_look=True)).writes == 0


def test_a_folder_that_keeps_versions_does_not_take_the_lean_way(tmp_path: Any) -> None:
    from tests.engine.desk import Desk

    (tmp_path / "a").mkdir()
    for versioning, kind in ((True, "StreamPassage"), (False, "LocalPassage")):
        import json

        end = ("fs", json.dumps({"path": str(tmp_path / "a"), "versioning": versioning}), "")
        desk = Desk(end, end, copy())
        passage = open_passage(desk.terms(), copy())
        assert type(passage).__name__ == kind
        passage.close()
