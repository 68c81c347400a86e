"""What does not fit the destination: types, names, lengths, sizes, collisions, each with all values."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.memory_tree import forget
from tallyport.connectors.protocol import Facts
from tallyport.domain.entries import Kind
from tallyport.domain.policies import (
    DuplicateNames,
    EmptyContainers,
    LargeItem,
    Policies,
    RestrictedContent,
    TransferType,
)
from tallyport.store import audit, items
from tests.engine.conftest import Port, copy


def write(connector: Any, path: str, content: bytes = b"x", modified: int = 10**18) -> None:
    place = ""
    for segment in path.split("/")[:-1]:
        place = f"{place}/{segment}".strip("/")
        connector.make_container(place, Facts())
    connector.write(path, [content], Facts(modified=modified))


def read(connector: Any, path: str) -> bytes:
    with connector.read(path) as chunks:
        return b"".join(chunks)


def names(connector: Any, path: str = "") -> list[str]:
    found = []
    for entry in connector.children(path):
        place = f"{path}/{entry.name}".strip("/")
        if entry.kind is Kind.CONTAINER:
            found += [f"{place}/", *names(connector, place)]
        else:
            found.append(place)
    return sorted(found)


def ledger(port: Port) -> dict[str, tuple[int, str, str]]:
    with port.database.read() as tx:
        return {
            item.path: (int(item.status), item.reason, item.processing or "")
            for item in items.iterate(tx, port.job.number, statuses=tuple(range(7)), reasons=())
            if item.path
        }


@pytest.fixture
def awkward(port: Port) -> Any:
    """Give a function that makes the destination awkward and starts the engine."""

    def make(**settings: Any) -> Memory:
        forget(port.stores[1])
        port.slow(1, **settings)
        port.destination = Memory(Settings(store=port.stores[1], **settings))
        port.start()
        return port.destination

    return make


# -- restricted_content


def test_a_refused_type_is_carried_as_an_archive(port: Port, awkward: Any) -> None:
    destination = awkward(refused_extensions="cmd exe")
    write(port.source, "bin/db123.cmd", b"echo off")
    write(port.source, "bin/plain.txt", b"text")
    run = port.run(copy())
    assert (run.transferred, run.failed) == (2, 0)
    assert names(destination) == ["bin/", "bin/db123.zip", "bin/plain.txt"]
    with zipfile.ZipFile(io.BytesIO(read(destination, "bin/db123.zip"))) as archive:
        assert archive.read("db123.cmd") == b"echo off"
    assert ledger(port)["bin/db123.cmd"] == (2, "new_at_source", "converted")


def test_a_second_run_does_not_convert_again_and_a_change_does(port: Port, awkward: Any) -> None:
    destination = awkward(refused_extensions="cmd")
    write(port.source, "db123.cmd", b"one")
    port.run(copy())
    before = destination.stat("db123.zip")
    assert port.run(copy()).writes == 0
    assert port.run(copy(full_look=True)).writes == 0
    assert destination.stat("db123.zip") == before
    write(port.source, "db123.cmd", b"two", modified=10**18 + 10**9)
    assert port.run(copy()).transferred == 1
    assert names(destination) == ["db123.zip"]
    with zipfile.ZipFile(io.BytesIO(read(destination, "db123.zip"))) as archive:
        assert archive.read("db123.cmd") == b"two"
    assert ledger(port)["db123.cmd"] == (2, "changed_at_source", "converted")


@pytest.mark.parametrize("duplicates", DuplicateNames)
def test_an_archive_whose_name_is_taken_follows_duplicate_names(port: Port, awkward: Any, duplicates: Any) -> None:
    destination = awkward(refused_extensions="cmd exe")
    for name in ("db123.cmd", "db123.exe", "db123.zip"):
        write(port.source, name, name.encode())
    port.run(copy(duplicate_names=duplicates))
    rows = ledger(port)
    if duplicates is DuplicateNames.WARN:
        assert names(destination) == ["db123.zip"]
        assert [row[:2] for row in rows.values()].count((5, "ignored_duplicate_name")) == 2
    else:
        assert names(destination) == ["db123(1).zip", "db123(2).zip", "db123.zip"]
        assert rows["db123.exe"][2] == "converted,deduplicated"
    again = port.run(copy(duplicate_names=duplicates, full_look=True))
    assert again.writes == 0
    assert len(names(destination)) + again.skipped == 3


@pytest.mark.parametrize(
    ("policy", "status", "reason"),
    [
        (RestrictedContent.FAIL, 4, "unsupported"),
        (RestrictedContent.WARN, 5, "ignored_restricted_content_policy"),
        (RestrictedContent.SKIP, 5, "ignored_restricted_content_policy"),
    ],
)
def test_a_refused_type_is_held_back(port: Port, awkward: Any, policy: Any, status: int, reason: str) -> None:
    destination = awkward(refused_extensions="cmd")
    write(port.source, "db123.cmd")
    write(port.source, "a.txt")
    port.run(copy(restricted_content=policy))
    assert names(destination) == ["a.txt"]
    assert ledger(port)["db123.cmd"] == (status, reason, "")
    with port.database.read() as tx:
        levels = {line.level for line in audit.page(tx, job_id=port.job.id) if line.path == "db123.cmd"}
    assert levels == {{RestrictedContent.FAIL: 5, RestrictedContent.WARN: 4, RestrictedContent.SKIP: 3}[policy]}


def test_in_a_sync_an_archive_that_changed_is_not_carried_back(port: Port, awkward: Any) -> None:
    destination = awkward(refused_extensions="cmd")
    write(port.source, "db123.cmd", b"one")
    sync = Policies(transfer_type=TransferType.SYNC)
    port.run(sync)
    write(destination, "db123.zip", b"somebody's", modified=10**18 + 10**10)
    port.run(sync)
    assert read(port.source, "db123.cmd") == b"one"
    assert read(destination, "db123.zip") == b"somebody's"
    assert ledger(port)["db123.cmd"][:2] == (4, "unsupported")


# -- names


def test_refused_characters_become_underscores_or_hexadecimal_or_flag(port: Port, awkward: Any) -> None:
    destination = awkward(forbidden_characters="!:")
    write(port.source, "Congrats!.txt")
    write(port.source, "a:b/c!d.txt")
    assert port.run(copy()).failed == 0
    assert names(destination) == ["Congrats_.txt", "a_b/", "a_b/c_d.txt"]
    assert ledger(port)["Congrats!.txt"] == (2, "new_at_source", "renamed")
    assert port.run(copy(full_look=True)).writes == 0


def test_refused_characters_are_encoded_where_asked(port: Port, awkward: Any) -> None:
    destination = awkward(forbidden_characters="白雜")
    write(port.source, "123白雜.txt")
    port.run(copy(encode_invalid_characters=True))
    assert names(destination) == ["123E799BDE99B9C.txt"]
    assert ledger(port)["123白雜.txt"] == (2, "new_at_source", "encoded")


def test_without_transform_a_refused_name_is_flagged(port: Port, awkward: Any) -> None:
    destination = awkward(forbidden_characters="!")
    write(port.source, "Congrats!.txt")
    write(port.source, "bad!/inner.txt")
    run = port.run(copy(segment_transform=False))
    assert names(destination) == []
    assert run.failed == 2
    assert ledger(port)["Congrats!.txt"][1] == "invalid_name"


def test_an_item_that_failed_once_keeps_to_the_name_rules_when_it_is_tried_again(port: Port, awkward: Any) -> None:
    destination = awkward(forbidden_characters="!")
    write(port.source, "Congrats!.txt")
    port.run(copy(segment_transform=False, max_attempts=5))
    assert port.run(copy(max_attempts=5)).failed == 0
    assert names(destination) == ["Congrats_.txt"]


@pytest.mark.parametrize("truncates", [False, True])
def test_a_name_too_long_is_cut_where_asked(port: Port, awkward: Any, truncates: bool) -> None:
    destination = awkward(max_name=12)
    for letter in "ab":
        write(port.source, "x" * 20 + letter + ".txt")
    run = port.run(copy(segment_truncate=truncates))
    if truncates:
        assert names(destination) == ["xxxxx(1).txt", "xxxxxxxx.txt"]
        assert {row[2] for row in ledger(port).values()} == {"truncated", "truncated,deduplicated"}
        assert port.run(copy(segment_truncate=True, full_look=True)).writes == 0
    else:
        assert (names(destination), run.failed) == ([], 2)


def test_a_path_too_long_is_cut_in_the_file_name_or_flagged(port: Port, awkward: Any) -> None:
    destination = awkward(max_path=16)
    write(port.source, "folder/12345678901234.txt")
    write(port.source, "folder/deeper-than-this/a.txt")
    run = port.run(copy(segment_truncate=True))
    assert names(destination) == ["folder/", "folder/12345.txt", "folder/deeper-th/"]
    assert run.failed == 1
    assert ledger(port)["folder/deeper-than-this/a.txt"][1] == "invalid_name"


@pytest.mark.parametrize("duplicates", DuplicateNames)
def test_names_that_are_one_at_the_destination_are_numbered_or_left_out(
    port: Port, awkward: Any, duplicates: DuplicateNames
) -> None:
    destination = awkward(case_insensitive=True)
    for name in ("README", "ReadMe", "readme", "Dir/a", "dir/b"):
        write(port.source, name, name.encode())
    run = port.run(copy(duplicate_names=duplicates))
    if duplicates is DuplicateNames.RENAME:
        assert names(destination) == ["Dir/", "Dir/a", "README", "ReadMe(1)", "dir(1)/", "dir(1)/b", "readme(2)"]
    else:
        assert names(destination) == ["Dir/", "Dir/a", "README"]
        assert run.skipped == 3
        with port.database.read() as tx:
            levels = {line.level for line in audit.page(tx, job_id=port.job.id) if line.path == "readme"}
        assert levels == {4}
    assert port.run(copy(duplicate_names=duplicates, full_look=True)).writes == 0


# -- sizes and numbers


@pytest.mark.parametrize(
    ("policy", "status", "reason"), [("fail", 4, "too_large"), ("skip", 5, "ignored_large_item_policy")]
)
def test_a_file_above_the_cap_is_flagged_or_skipped(
    port: Port, awkward: Any, policy: str, status: int, reason: str
) -> None:
    destination = awkward(max_size=10)
    write(port.source, "big.bin", bytes(11))
    write(port.source, "fits.bin", bytes(10))
    port.run(copy(large_item=LargeItem(policy)))
    assert names(destination) == ["fits.bin"]
    assert ledger(port)["big.bin"][:2] == (status, reason)


def test_a_container_above_its_limit_is_flagged_and_not_entered(port: Port, awkward: Any) -> None:
    destination = awkward()
    for n in range(4):
        write(port.source, f"full/{n}")
    write(port.source, "fine/1")
    run = port.run(copy(max_items_per_container=3))
    assert [name for name in names(destination) if name.startswith("full/") and name != "full/"] == []
    assert "fine/1" in names(destination)
    assert (run.failed, ledger(port)["full"][:2]) == (1, (4, "too_many_items"))


@pytest.mark.parametrize("policy", EmptyContainers)
def test_empty_containers_are_made_or_left_out_after_filters(port: Port, awkward: Any, policy: Any) -> None:
    from tallyport.domain.policies import FilterBlock, FilterRule

    destination = awkward()
    port.source.make_container("hollow", Facts())
    write(port.source, "filtered/a.tmp")
    write(port.source, "outer/inner/a.tmp")
    write(port.source, "kept/a.txt")
    blocks = (FilterBlock(action="exclude", rules=(FilterRule(type="extension", extensions=(".tmp",)),)),)
    port.run(copy(empty_containers=policy, filter_source=blocks))
    made = [name for name in names(destination) if name.endswith("/")]
    if policy is EmptyContainers.SKIP:
        assert made == ["kept/"]
        assert ledger(port)["hollow"][:2] == (5, "ignored_empty_container_policy")
    else:
        assert made == ["filtered/", "hollow/", "kept/", "outer/", "outer/inner/"]


def test_several_names_of_one_file_become_files_where_no_hard_link_can_be_made(port: Port, awkward: Any) -> None:
    write(port.source, "a", b"same")
    write(port.source, "box/d")
    for name in ("b", "box/c"):
        port.source.make_hard_link(name, "a")
    awkward(hard_links=False)
    run = port.run(copy())
    assert (run.failed, run.transferred) == (0, 4), run.info
    assert [read(port.destination, name) for name in ("a", "b", "box/c")] == [b"same"] * 3
    assert port.run(copy(full_look=True)).writes == 0


def test_a_folder_under_another_name_says_in_what_it_differs(port: Port, awkward: Any) -> None:
    awkward(forbidden_characters=":/")
    write(port.source, "a:b/c:d/x.txt")
    write(port.source, "plain/x.txt")
    for _ in range(2):
        port.run(copy())
        found = ledger(port)
        assert {path: found[path] for path in ("a:b", "a:b/c:d", "plain")} == {
            "a:b": (2, "unchanged", "renamed"),
            "a:b/c:d": (2, "unchanged", "renamed"),
            "plain": (1, "unchanged", ""),
        }
