"""Every cell of the policies against what changed on each side: the data, and what may be said of it.

``policy_table.csv`` is what is expected. The rules below were written from the public description of the
policies, not from the code; they hold over the data, and the data holds over the decisions.
"""

from __future__ import annotations

import itertools

import pytest

from tallyport.domain.block_words import KEY_WORDS, RULE_WORDS
from tallyport.domain.changes import Change, change
from tallyport.domain.entries import Kind
from tallyport.domain.filters import RULE_TYPES
from tallyport.domain.policies import ConflictResolution, DeletePropagation, ItemOverwrite, TransferType
from tallyport.domain.transfer_block import KEYS
from tools import policy_table
from tools.policy_table import SITUATIONS, cells, expected, outcomes

TABLE = expected()
INDEX = {situation.name: index for index, situation in enumerate(SITUATIONS)}
FILES = [situation.name for situation in SITUATIONS if not situation.name.startswith("container")]
CONTAINERS = [situation.name for situation in SITUATIONS if situation.name.startswith("container")]
OVERWRITE = ItemOverwrite.OVERWRITE
ONE_WAY = [kind for kind in TransferType if kind is not TransferType.SYNC]


def test_the_words_of_the_table_are_those_of_the_policies():
    assert {cell[0] for cell in TABLE} == set(TransferType)


def rows(*kinds, situations=None, **chosen):
    """Give (conflict, deletes, overwrite, situation, outcome) of every cell of some transfer types."""
    for cell, row in TABLE.items():
        if cell[0] not in kinds:
            continue
        if "overwrite" in chosen and cell[3] != chosen["overwrite"]:
            continue
        for name in situations or INDEX:
            yield (*cell[1:], name, row[INDEX[name]])


def outcome(kind, situation, conflict=ConflictResolution.COPY, deletes=DeletePropagation.MIRROR, overwrite=OVERWRITE):
    return TABLE[kind, conflict, deletes, overwrite][INDEX[situation]]


def test_the_data_names_every_cell_once():
    assert set(TABLE) == set(cells())
    assert len(TABLE) == 6 * 5 * 4 * 3
    assert all(len(row) == len(SITUATIONS) for row in TABLE.values())


def test_the_situations_are_every_pair_of_changes_that_can_be():
    """An item has a baseline on both sides or none, which leaves these of the changes of two sides."""
    unknown, known = {Change.ABSENT, Change.NEW}, {Change.SAME, Change.TOUCHED, Change.MODIFIED, Change.DELETED}
    reachable = {*itertools.product(unknown, repeat=2), *itertools.product(known, repeat=2)}
    for here, there in itertools.product(Change, repeat=2):
        is_reached = (here in unknown) == (there in unknown)
        assert ((here, there) in reachable) == is_reached
    found: dict[tuple[Change, Change], list[str]] = {}
    for situation in SITUATIONS:
        source, destination, baseline = situation.pair[1:4]
        is_container = any(entry is not None and entry.kind is Kind.CONTAINER for entry in (source, destination))
        if situation.name.startswith("container"):
            assert is_container or (source is None and destination is None)
            continue
        here = change(source, None if baseline is None else baseline.source)
        there = change(destination, None if baseline is None else baseline.destination)
        found.setdefault((here, there), []).append(situation.name)
        assert situation.name.removeprefix("first ").split(" ")[0] == f"{here.name}|{there.name}".lower()
    assert set(found) == reachable
    both_there = {pair for pair in reachable if not {Change.ABSENT, Change.DELETED} & {*pair}}
    assert {pair for pair, names in found.items() if len(names) > 1} <= both_there


@pytest.mark.parametrize("kind", TransferType)
def test_every_decision_is_what_the_data_expects(kind):
    for cell in cells():
        if cell[0] == kind:
            assert outcomes(cell) == TABLE[cell], cell


def test_one_way_jobs_never_write_at_the_source():
    for *_, found in rows(*ONE_WAY):
        assert not found.startswith(("<", "make<", "stamp<"))


def test_copy_publish_and_taxonomy_never_delete_at_the_source():
    assert not any(
        found.startswith("delete<")
        for *_, found in rows(TransferType.COPY, TransferType.PUBLISH, TransferType.TAXONOMY)
    )


def test_move_and_migrate_delete_at_the_source_only_what_stands_unchanged_on_both_sides():
    kinds = (TransferType.MOVE, TransferType.MIGRATE)
    stands = {"same|same", "same|touched"}  # and reads as it did
    assert {name for *_, name, found in rows(*kinds) if found.startswith("delete")} == stands
    assert {found for *_, found in rows(*kinds, situations=["same|same"])} == {"delete< moved"}


def test_a_copy_job_repeats_deletes_under_mirror_only():
    """ignore_both and ignore_destination act as ignore_source there."""
    for _, deletes, _, name, found in rows(TransferType.COPY):
        if "delete>" in found:
            assert deletes == DeletePropagation.MIRROR
            assert name in ("deleted|same", "deleted|touched", "container deleted|same")
    for deletes in DeletePropagation:
        wanted = "delete>" if deletes == DeletePropagation.MIRROR else "skip"
        assert outcome(TransferType.COPY, "deleted|same", deletes=deletes) == f"{wanted} deleted_at_source"


def test_what_was_deleted_at_the_destination_of_a_copy_is_not_made_again_until_its_source_changes():
    for *_, found in rows(TransferType.COPY, situations=["same|deleted"]):
        assert found == "skip deleted_at_destination"
    for *_, found in rows(TransferType.COPY, situations=["modified|deleted"]):
        assert found == "> changed_at_source"


@pytest.mark.parametrize(
    ("deletes", "follows_source", "follows_destination"),
    [
        (DeletePropagation.MIRROR, True, True),
        (DeletePropagation.IGNORE_SOURCE, False, True),
        (DeletePropagation.IGNORE_DESTINATION, True, False),
        (DeletePropagation.IGNORE_BOTH, False, False),
    ],
)
def test_deletes_in_a_sync_job(deletes, follows_source, follows_destination):
    for name in ("deleted|same", "container deleted|same"):
        found = outcome(TransferType.SYNC, name, deletes=deletes)
        assert (found == "delete> deleted_at_source") == follows_source
    for name in ("same|deleted", "container same|deleted"):
        found = outcome(TransferType.SYNC, name, deletes=deletes)
        assert (found == "delete< deleted_at_destination") == follows_destination


def test_a_change_beats_a_delete_wherever_the_changed_side_may_be_carried():
    for _, _, _, _, found in rows(TransferType.SYNC, situations=["modified|deleted"]):
        assert found == "> changed_at_source"
    for _, _, _, _, found in rows(TransferType.SYNC, situations=["deleted|modified"]):
        assert found == "< changed_at_destination"


@pytest.mark.parametrize("kind", ONE_WAY)
def test_delete_propagation_has_a_say_in_sync_and_copy_only(kind):
    if kind is TransferType.COPY:
        return
    for conflict, overwrite in itertools.product(ConflictResolution, ItemOverwrite):
        assert len({TABLE[kind, conflict, deletes, overwrite] for deletes in DeletePropagation}) == 1


@pytest.mark.parametrize("kind", [TransferType.PUBLISH, TransferType.MOVE, TransferType.MIGRATE, TransferType.TAXONOMY])
def test_conflict_resolution_has_a_say_in_sync_and_copy_only(kind):
    for deletes, overwrite in itertools.product(DeletePropagation, ItemOverwrite):
        assert len({TABLE[kind, conflict, deletes, overwrite] for conflict in ConflictResolution}) == 1


def test_publish_mirrors_the_source_whatever_stands_at_the_destination():
    for *_, name, found in rows(TransferType.PUBLISH, overwrite=OVERWRITE, situations=FILES):
        source, _, rest = name.removeprefix("first ").partition("|")
        if source in ("absent", "deleted"):
            assert found.startswith(("delete>", "forget"))
        elif "equal" in rest or {source, rest} <= {"same", "touched"}:
            assert found.startswith(("adopt", "stamp>", "skip unchanged"))
        else:
            assert found.startswith(">")


SIDES = {"source": ">", "destination": "<"}


@pytest.mark.parametrize("situation", ["new|new", "modified|modified"])
@pytest.mark.parametrize("newer", ["source", "destination"])
@pytest.mark.parametrize(
    ("kind", "conflict", "expectation"),
    [
        # the table of winners: n = the newer, s = the source, + = the other is kept
        (TransferType.SYNC, ConflictResolution.COPY, "n+"),
        (TransferType.SYNC, ConflictResolution.LATEST, "n!"),
        (TransferType.SYNC, ConflictResolution.SOURCE, ">!"),
        (TransferType.SYNC, ConflictResolution.DESTINATION, "<!"),
        (TransferType.SYNC, ConflictResolution.FAILURE, "flag"),
        (TransferType.COPY, ConflictResolution.COPY, ">+"),
        (TransferType.COPY, ConflictResolution.LATEST, "newer or leave"),
        (TransferType.COPY, ConflictResolution.SOURCE, ">!"),
        (TransferType.COPY, ConflictResolution.DESTINATION, "skip"),
        (TransferType.COPY, ConflictResolution.FAILURE, "flag"),
        (TransferType.PUBLISH, ConflictResolution.LATEST, ">!"),
        (TransferType.MIGRATE, ConflictResolution.DESTINATION, ">!"),
        (TransferType.MOVE, ConflictResolution.SOURCE, "newer or leave"),
    ],
)
def test_who_wins(situation, newer, kind, conflict, expectation):
    if expectation == "newer or leave":
        expectation = ">!" if newer == "source" else "skip"
    expectation = expectation.replace("n", SIDES[newer]) if expectation[0] == "n" else expectation
    found = outcome(kind, f"{situation} {newer} newer", conflict)
    assert found.split(" ")[0] == expectation


def test_conflict_resolution_is_not_asked_in_the_first_run_of_a_copy_job():
    for conflict in ConflictResolution:
        for newer in SIDES:
            assert outcome(TransferType.COPY, f"first new|new {newer} newer", conflict) == ">! changed_both"


def test_equal_content_is_adopted_by_every_job_that_carries_files():
    for *_, found in rows(
        *(kind for kind in TransferType if kind is not TransferType.TAXONOMY),
        situations=["new|new equal", "modified|modified equal"],
    ):
        assert found == "adopt same_content"


@pytest.mark.parametrize("overwrite", [ItemOverwrite.SKIP, ItemOverwrite.FAIL])
def test_item_overwrite_outranks_conflict_and_delete(overwrite):
    """Nothing is ever replaced; where something would have been, the veto is the reason."""
    veto = {"skip": "skip ignored_overwrite_policy", "fail": "flag overwrite_refused"}[overwrite]
    for cell, row in TABLE.items():
        if cell[3] != overwrite:
            continue
        free = TABLE[(*cell[:3], OVERWRITE)]
        for found, otherwise in zip(row, free, strict=True):
            assert "!" not in found
            assert "+" not in found
            if "!" in otherwise or "+" in otherwise:
                assert found == veto
            elif found != otherwise:
                assert otherwise.split(" ")[0] in ("flag", "skip")  # a conflict that nobody would have won
                assert found == veto


def test_containers_are_merged_and_never_conflict():
    for *_, name, found in rows(*TransferType, situations=CONTAINERS):
        assert found.split(" ")[0] in ("make>", "make<", "enter", "delete>", "delete<", "skip", "forget")
        if name in ("container new|new", "container same|same"):
            assert found.startswith("enter")


def test_taxonomy_carries_containers_only():
    for *_, name, found in rows(TransferType.TAXONOMY):
        if name in FILES:
            assert found in ("skip ignored_item_type", "forget deleted_both")
    assert outcome(TransferType.TAXONOMY, "container new|absent") == "make> new_at_source"


def test_what_is_gone_from_both_sides_is_forgotten():
    for *_, found in rows(*TransferType, situations=["deleted|deleted", "container deleted|deleted"]):
        assert found == "forget deleted_both"


def test_nothing_is_deleted_without_a_baseline_but_extras_of_a_publish_job():
    unknown = [name for name in INDEX if "new" in name.split(" ")[0].split("|") or "new|" in name or "|new" in name]
    for kind in TransferType:
        for *_, name, found in rows(kind, situations=unknown):
            if found.startswith("delete"):
                assert kind is TransferType.PUBLISH
                assert found == "delete> not_at_source"
                assert name.endswith("absent|new")


def test_the_page_is_made_from_the_table_and_the_code():
    assert policy_table.main(["--check"]) == 0


def test_every_type_of_filter_rule_has_words():
    assert list(RULE_WORDS) == list(RULE_TYPES)


def test_every_key_has_words():
    assert set(KEY_WORDS) == set(KEYS)


def test_what_is_only_touched_is_never_carried_again_nor_a_conflict():
    for *_, found in rows(*TransferType, situations=["touched|same", "same|touched", "touched|touched"]):
        assert found.split(" ")[0] in ("stamp>", "stamp<", "adopt", "skip", "delete<")
    for kind in (TransferType.MOVE, TransferType.MIGRATE):
        assert {found for *_, found in rows(kind, situations=["touched|same"])} == {"stamp> metadata_changed"}
    for *_, found in rows(*ONE_WAY):
        assert not found.startswith("stamp<")
