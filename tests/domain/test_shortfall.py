"""What an item will lack is told from its listing: what stands there wants this, what cannot stand there only that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.losses import BITS, WORDS, Fact, Loss, Lost, bits_of, fact_of, facts_of
from tallyport.domain.policies import Policies, Symlinks
from tallyport.domain.shortfall import Shortfall, shortfalls

FULL = Limits(symlinks=True, hard_links=True, permissions=True, owners=True)
KEEPING = replace(FULL, versions=True)
BARE = Limits(sets_times=False, dates_containers=False, max_size=10)
SECONDS = replace(FULL, time_precision=1_000_000_000)
ASKING = Policies(preserve_owners=True)
FILE = Entry("f", Kind.FILE, 5, 1_500_000_001, mode=0o644, owner=7, links=2)
FOLDER = Entry("d", Kind.CONTAINER, modified=1_500_000_001, mode=0o755, owner=7)
LINK = Entry("l", Kind.SYMLINK, modified=1_500_000_001, owner=7)


def of(entry: Entry, giving: Limits, taking: Limits, policies: Policies = ASKING) -> set[Fact]:
    return set(facts_of(Shortfall(giving, taking, policies).of(entry)))


@pytest.mark.parametrize("entry", [FILE, FOLDER, LINK])
def test_between_equals_nothing_is_lost(entry: Entry) -> None:
    assert of(entry, FULL, FULL) == set()


def test_each_kind_of_item_lacks_what_it_had() -> None:
    assert of(FILE, FULL, BARE) == {Fact.TIMES, Fact.MODES, Fact.OWNERS, Fact.HARD_LINKS}
    assert of(FOLDER, FULL, BARE) == {Fact.FOLDER_TIMES, Fact.MODES, Fact.OWNERS}


def test_what_cannot_stand_there_lacks_itself_and_nothing_else() -> None:
    assert of(replace_(FILE, size=11), FULL, BARE) == {Fact.SIZE}
    assert of(LINK, FULL, BARE) == {Fact.SYMLINKS}
    assert of(Entry("p", Kind.SPECIAL, owner=7), FULL, FULL) == {Fact.SPECIAL}
    assert of(LINK, FULL, BARE, replace(ASKING, symlinks=Symlinks.SKIP)) == {Fact.OWNERS, Fact.TIMES}, (
        "nobody asked for it"
    )


def test_only_a_time_that_is_finer_than_the_step_is_cut() -> None:
    assert of(FILE, FULL, SECONDS) == of(FOLDER, FULL, SECONDS) == of(LINK, FULL, SECONDS) == {Fact.PRECISION}
    assert of(replace_(FILE, modified=2_000_000_000), FULL, SECONDS) == set()
    assert of(FILE, SECONDS, SECONDS) == set()
    assert of(FILE, FULL, SECONDS, replace(ASKING, timestamps=False)) == set()


def test_a_folder_without_a_time_at_the_source_has_none_to_lose() -> None:
    assert of(FOLDER, replace(FULL, dates_containers=False), SECONDS) == set()
    assert Fact.FOLDER_TIMES not in of(FOLDER, replace(FULL, dates_containers=False), BARE)


def test_names_of_one_file_are_lost_where_each_is_a_series_of_contents() -> None:
    assert facts_of(Shortfall(FULL, FULL, ASKING, has_versions=True).of(FILE)) == (Fact.HARD_LINKS,)


@pytest.mark.parametrize(
    ("taking", "most", "left"),
    [(FULL, None, {2, 3}), (KEEPING, None, set()), (KEEPING, 2, {3}), (replace(KEEPING, max_versions=1), 2, {2, 3})],
)
def test_a_file_with_more_contents_than_stand_there_in_the_end_leaves_some_behind(
    taking: Limits, most: int | None, left: set[int]
) -> None:
    policies = replace(ASKING, versioning_from_source_max=most)
    shortfall = shortfalls(KEEPING, taking, policies, has_versions=True)[Side.DESTINATION]
    file = replace_(FILE, links=1)
    assert {n for n in range(4) if Fact.VERSIONS in facts_of(shortfall.of(replace_(file, contents=n)))} == left
    assert shortfall.leaves_versions("f") == bool(left)
    assert shortfall.of(replace_(FOLDER, contents=9)) == shortfall.of(FOLDER)


def test_what_becomes_an_archive_leaves_its_earlier_contents_behind() -> None:
    taking = replace(KEEPING, refused_extensions=frozenset({"exe"}))
    shortfall = Shortfall(KEEPING, taking, ASKING, has_versions=True)
    some = replace_(FILE, contents=2, links=1)
    assert facts_of(shortfall.of(some._replace(name="a.exe"))) == (Fact.VERSIONS,)
    assert shortfall.of(some) == 0
    assert [shortfall.leaves_versions(name) for name in ("a.exe", "a.txt")] == [True, False]


def test_each_side_lacks_of_what_comes_from_the_other() -> None:
    sides = shortfalls(FULL, BARE, ASKING)
    assert Fact.MODES in facts_of(sides[Side.DESTINATION].of(FILE))
    assert sides[Side.SOURCE].of(FILE) == 0


def test_every_loss_of_the_audit_is_of_a_fact_and_every_fact_has_words() -> None:
    assert {fact_of(what, "") for what in Lost} <= set(Fact)
    assert fact_of(Lost.ACCESS_RULE, "the denial for ann was not kept") is Fact.DENIALS
    assert set(WORDS) == set(Fact)
    assert bits_of([Loss("owner", "x"), Loss("owner", "y")]) == BITS[Fact.OWNERS]


def test_bits_are_stored_and_never_move() -> None:
    assert list(BITS.values()) == [1 << place for place in range(len(Fact))]
    assert (BITS[Fact.SYMLINKS], BITS[Fact.NAMES], BITS[Fact.IMPERSONATION]) == (1, 1 << 13, 1 << 17)
    assert facts_of(None) == ()


def replace_(entry: Entry, **facts: int) -> Entry:
    return entry._replace(**facts)  # type: ignore[arg-type]
