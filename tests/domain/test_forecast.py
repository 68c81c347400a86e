"""A forecast tells what a pair of connections will lose of a tree: all of it, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import PLAIN, Settings
from tallyport.connectors.surveying import ask, side_of, survey
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.forecast import Side, Tree, document, forecast, shortfall_of
from tallyport.domain.losses import Fact
from tallyport.domain.policies import (
    PermissionsPolicy,
    Policies,
    PropertiesPolicy,
    VersioningPreserve,
    VersioningSelect,
)
from tallyport.testing.worlds import tree

EVERYTHING = Side(
    Limits(max_size=100, symlinks=True, hard_links=True, permissions=True, owners=True, versions=True),
    ("Grants", "Links", "Locks", "Properties", "Versions", "denials"),
)
NOTHING = Side(Limits(max_size=100, sets_times=False, dates_containers=False))
ASKING = Policies(permissions_policy=PermissionsPolicy.ADD, preserve_owners=True, timestamps=True)


def full(source: Side = EVERYTHING, destination: Side = NOTHING, policies: Policies = ASKING) -> Tree:
    found = Tree(shortfall_of(source, destination, policies), counts_versions=True)
    found.add(Entry("a", Kind.FILE, 5, 1_500_000_001, mode=0o644, owner=7, contents=3))
    found.add(Entry("b", Kind.FILE, 5, 2_000_000_000, mode=0o600, links=2))
    found.add(Entry("big", Kind.FILE, 500, 1_500_000_001, mode=0o600, owner=7))  # lost as a whole, counted once
    found.add(Entry("c", Kind.CONTAINER, mode=0o755))
    found.add(Entry("l", Kind.SYMLINK, target="a"))
    found.add(Entry("p", Kind.SPECIAL))
    found.asked, found.named = 3, 2
    found.access["ntfs"], found.denied, found.denied_to_many = 3, 2, 1
    return found


def facts(source: Side, destination: Side, policies: Policies = ASKING, of: Tree | None = None) -> dict[Fact, int]:
    told = forecast(destination, of or full(source, destination, policies), policies)
    return {loss.fact: loss.number for loss in told}


def test_between_two_that_can_everything_only_what_nobody_carries_is_lost() -> None:
    newest = replace(ASKING, versioning_preserve=VersioningPreserve.NONE)
    assert facts(EVERYTHING, EVERYTHING, newest) == {Fact.SPECIAL: 1, Fact.SIZE: 1, Fact.VERSIONS: 1}


def test_files_that_come_with_their_earlier_contents_are_no_names_of_one_file() -> None:
    assert facts(EVERYTHING, EVERYTHING) == {Fact.SPECIAL: 1, Fact.SIZE: 1, Fact.HARD_LINKS: 1}


def test_a_destination_that_can_nothing_loses_all_that_the_tree_has() -> None:
    assert facts(EVERYTHING, NOTHING) == {
        Fact.SYMLINKS: 1,
        Fact.HARD_LINKS: 1,
        Fact.SPECIAL: 1,
        Fact.SIZE: 1,
        Fact.TIMES: 2,
        Fact.FOLDER_TIMES: 1,
        Fact.MODES: 3,
        Fact.OWNERS: 1,
        Fact.ACCESS: 3,
        Fact.PROPERTIES: 2,
        Fact.VERSIONS: 1,
    }


def test_coarser_times_lose_only_those_that_are_finer() -> None:
    seconds = Side(replace(EVERYTHING.limits, time_precision=1_000_000_000), EVERYTHING.abilities)
    assert facts(EVERYTHING, seconds)[Fact.PRECISION] == 1
    assert Fact.PRECISION not in facts(seconds, seconds)


def test_lists_that_can_only_allow_lose_denials_and_permission_bits_those_to_many() -> None:
    allowing = Side(
        replace(EVERYTHING.limits, permissions=False), [one for one in EVERYTHING.abilities if one != "denials"]
    )
    assert facts(EVERYTHING, allowing)[Fact.DENIALS] == 2
    posix = Side(EVERYTHING.limits, allowing.abilities)
    assert facts(EVERYTHING, posix)[Fact.DENIALS] == 1
    assert Fact.DENIALS not in facts(EVERYTHING, posix, replace(ASKING, permissions_policy=PermissionsPolicy.NONE))


def test_a_look_at_a_share_counts_its_own_lists_and_not_those_that_it_hands_down() -> None:
    group, account = (Principal(kind, "7", "staff") for kind in (PrincipalKind.GROUP, PrincipalKind.ACCOUNT))
    read = frozenset({AccessRight.READ})
    source = tree("handed 1b v1\ndenied 1b v1\ngroup 1b v1\ngiven 1b v1")
    source.set_access("given", Access(grants=(Grant(account, read),)))
    source.set_access("denied", Access(grants=(Grant(account, read, deny=True),)))
    source.set_access("group", Access(grants=(Grant(group, read, deny=True),)))
    source.set_access("handed", Access(grants=(Grant(group, read, inherited=True),)))
    found = Tree()
    for entry in source.children(""):
        ask(source, entry.name, entry, found)
    assert (sum(found.access.values()), found.denied, found.denied_to_many) == (3, 2, 1)


def test_an_empty_tree_loses_nothing() -> None:
    assert facts(EVERYTHING, NOTHING, of=Tree()) == {}


@pytest.mark.parametrize(
    ("policies", "fact"),
    [
        (replace(ASKING, timestamps=False), Fact.TIMES),
        (replace(ASKING, preserve_owners=False), Fact.OWNERS),
        (replace(ASKING, permissions_policy=PermissionsPolicy.NONE), Fact.ACCESS),
        (replace(ASKING, permissions_policy=PermissionsPolicy.NONE), Fact.PROPERTIES),
        (replace(ASKING, properties=PropertiesPolicy.NONE), Fact.PROPERTIES),
    ],
)
def test_what_nobody_asked_for_is_not_lost(policies: Policies, fact: Fact) -> None:
    assert fact not in facts(EVERYTHING, NOTHING, policies)


@pytest.mark.parametrize(
    ("destination", "policies", "why"),
    [
        (NOTHING, ASKING, "the destination keeps the newest content alone"),
        (EVERYTHING, replace(ASKING, versioning_preserve=VersioningPreserve.NONE), "the job carries the newest"),
        (EVERYTHING, replace(ASKING, versioning_select=VersioningSelect.LATEST), "the job carries the newest"),
        (EVERYTHING, replace(ASKING, versioning_from_source_max=2), "the newest 2 are carried"),
        (Side(replace(EVERYTHING.limits, max_versions=2), EVERYTHING.abilities), ASKING, "the newest 2 are carried"),
    ],
)
def test_earlier_contents_that_stay_behind_are_told_whoever_wills_it(
    destination: Side, policies: Policies, why: str
) -> None:
    told = {loss.fact: loss for loss in forecast(destination, full(EVERYTHING, destination, policies), policies)}
    assert (told[Fact.VERSIONS].number, told[Fact.VERSIONS].of) == (1, 3)
    assert why in told[Fact.VERSIONS].words


def test_as_many_contents_as_are_carried_are_not_lost() -> None:
    assert Fact.VERSIONS not in facts(EVERYTHING, EVERYTHING, replace(ASKING, versioning_from_source_max=3))


def test_every_loss_says_how_many_of_how_many_and_why() -> None:
    for one in document(forecast(NOTHING, full(), ASKING)):
        assert 0 < one["count"] <= one["of"]
        assert len(one["why"]) > 10


def test_a_look_at_the_source_counts_what_the_destination_cannot_hold() -> None:
    source = tree("a.txt 3b v1 @5\nbox/b.txt 4b v1\nlink -> a.txt\nother.txt = a.txt")
    there = side_of(Memory(PLAIN))
    found = survey(source, there.limits, Policies(), now=0, goes_on=lambda: True, there=there).document()
    assert {loss["what"]: loss["count"] for loss in found["losses"]} == {"symlinks": 1, "hard_links": 2}


def test_without_a_destination_nothing_is_forecast() -> None:
    source = tree("a.txt 3b v1")
    assert survey(source, Limits(), Policies(), now=0, goes_on=lambda: True).document()["losses"] is None


def test_a_folding_destination_is_told_of_names_that_become_one() -> None:
    source = tree("a.txt 3b v1\nA.TXT 3b v2")
    there = side_of(Memory(Settings(case_insensitive=True)))
    found = survey(source, there.limits, Policies(), now=0, goes_on=lambda: True, there=there).document()
    assert found["names"]["collision"]["count"] == 1
    assert found["renamed"]["count"] == 1
