"""What a child of a folder mapping takes over from its parent."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tallyport.domain import folder_mapping as rules
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.filters import judge_for
from tallyport.domain.folder_mapping import Folder
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies
from tallyport.domain.transfer_block import read_transfer_block

ANN = Folder("Ann", "Ann")


def parent(**block: Any) -> Job:
    ends: dict[str, Any] = {
        "source": {"connection": {"id": "one"}, "target": {"path": "/homes"}, "size_estimate": {"count": 9}},
        "destination": {"connection": {"id": "two"}},
    }
    return Job(
        id="p",
        name="home",
        kind=rules.KIND,
        source_path="homes",
        transfer=ends | block,
        priority=3,
        created_at=1,
        modified_at=1,
    )


def block_of(job: Job, folder: Folder = ANN) -> dict[str, Any]:
    found: dict[str, Any] = rules.inherited(job, folder)["transfer"]
    read_transfer_block(found)  # is one
    return found


def excluding(*paths: str) -> dict[str, Any]:
    return {"action": "exclude", "rules": [{"type": "filter_path", "paths": list(paths)}]}


def test_both_ends_are_one_level_deeper_and_nothing_is_said_of_the_size() -> None:
    block = block_of(parent(transfer_type="copy"), Folder("A:n", "A_n"))
    assert block["source"] == {"connection": {"id": "one"}, "target": {"path": "/homes/A:n"}}
    assert block["destination"] == {"connection": {"id": "two"}, "target": {"path": "/A_n"}}
    assert block["transfer_type"] == "copy"


def test_what_a_parent_says_of_itself_is_not_said_of_its_children() -> None:
    job = dataclasses.replace(
        parent(),
        schedule={"mode": "auto"},
        stop_policy={"on_execute": 5},
        extra={"children": {"schedule": {"mode": "manual"}}},
    )
    found = rules.inherited(job, ANN)
    assert (found["schedule"], found["stop_policy"], found["priority"]) == ({"mode": "manual"}, {}, 3)


def judged(blocks: Any, path: str, kind: Kind = Kind.FILE) -> bool:
    policies = read_transfer_block({"filter": {"source": blocks}}, endpoints_required=False).policies
    judge = judge_for(policies.filter_source, started=1)
    return judge is None or judge(path, Entry(path.rpartition("/")[2], kind, 1, 1), True) is None


@pytest.mark.parametrize(
    "blocks",
    [
        [excluding("/Ann/old", "/Ben")],
        [excluding("/Ben/old")],
        [{"action": "include", "rules": [{"type": "filter_path", "paths": ["/Ann", "/Ben/x"]}]}],
        [{"action": "include", "rules": [{"type": "filter_path", "paths": ["/Ann/old/deep"]}]}],
        [
            {
                "action": "include",
                "rules": [
                    {"type": "filter_path", "paths": ["/Ben"]},
                    {"type": "filter_extension", "extensions": ["txt"]},
                ],
            }
        ],
        [{"rules": [{"type": "filter_path", "rules": [{"paths": ["/Ann/old"]}, {"paths": ["/Ben"]}]}]}],
        [{"rules": [{"type": "path", "paths": "/Ann/old"}]}, {"rules": [{"type": "filter_hidden"}]}],
    ],
)
def test_a_filter_says_the_same_of_a_folder_by_its_own_paths(blocks: list[dict[str, Any]]) -> None:
    cut = block_of(parent(filter={"source": blocks}))["filter"]["source"]
    for below in ("a.txt", "old/b.txt", "old/deep/c.bin", "Ben/x", "old"):
        for kind in (Kind.FILE, Kind.CONTAINER):
            assert judged(cut, below, kind) == judged(blocks, f"Ann/{below}", kind), (below, kind)


def test_a_filter_of_the_destination_that_names_other_folders_alone_lets_nothing_through() -> None:
    blocks = [{"action": "include", "rules": [{"type": "filter_path", "paths": ["/Ben"]}]}]
    cut = block_of(parent(filter={"destination": blocks}))["filter"]["destination"]
    assert not judged(cut, "a.txt")


def test_a_filter_of_the_destination_is_cut_by_the_name_there() -> None:
    cut = block_of(parent(filter={"destination": [excluding("/A_n/old", "/A:n/x")]}), Folder("A:n", "A_n"))
    assert cut["filter"]["destination"] == [excluding("/old")]


def child_of(job: Job) -> Job:
    inherited = rules.inherited(job, ANN)
    return Job(
        id="c",
        name="c",
        source_path="homes/Ann",
        destination_path="Ann",
        transfer=inherited["transfer"],
        priority=3,
        extra={rules.INHERITED: inherited, "metadata": {"k": 1}},
        created_at=1,
        modified_at=1,
    )


def test_a_child_takes_over_what_changed_and_keeps_what_it_says_of_its_own() -> None:
    before = parent(audit_level="info", verify="hash")
    child = child_of(before)
    own = dataclasses.replace(child, transfer={**child.transfer, "audit_level": "trace"}, priority=9)
    after = dataclasses.replace(parent(audit_level="info", batch_mode="none"), priority=3)
    values = rules.taken_over(own, rules.inherited(after, ANN))
    assert values.keys() == {"extra", "transfer"}
    assert (values["transfer"]["audit_level"], values["transfer"]["batch_mode"]) == ("trace", "none")
    assert "verify" not in values["transfer"]
    assert values["extra"]["metadata"] == {"k": 1}
    assert rules.taken_over(dataclasses.replace(own, **values), rules.inherited(after, ANN)) == {}


def test_folders_are_placed_in_the_order_of_their_names_and_known_ones_keep_theirs() -> None:
    limits = Limits(case_sensitive=False, forbidden_characters="/\0:")
    names = ["b:c", "ann", "Zed", "Ann"]
    policies = dataclasses.replace(Policies(), segment_transform=True)
    found = rules.placed(names, {"Zed": "Z"}, policies, limits, "")
    assert [folder.name for folder in found.folders] == ["Ann", "Zed", "b:c"]
    assert found.folders[1] == Folder("Zed", "Z")
    assert [name for name, _ in found.skipped] == ["ann"]
    strict = rules.placed(names, {}, dataclasses.replace(policies, segment_transform=False), limits, "")
    assert [name for name, _ in strict.skipped] == ["ann", "b:c"]
