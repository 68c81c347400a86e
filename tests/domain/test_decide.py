"""Decisions told one by one: kinds, symlinks, filters, facts that are fetched, flags that stay."""

from __future__ import annotations

import dataclasses

import pytest

from tallyport.domain.actions import (
    Adopt,
    Delete,
    Enter,
    Flag,
    Forget,
    Inspect,
    Look,
    MakeContainer,
    Reason,
    Skip,
    Stamp,
    Transfer,
)
from tallyport.domain.capabilities import Limits
from tallyport.domain.changes import Change, change, same_content, same_time
from tallyport.domain.decide import decide
from tallyport.domain.entries import Baseline, Entry, Fingerprint, Kind, Pair, Side, fingerprint
from tallyport.domain.policies import (
    EmptyContainers,
    FilterBlock,
    FilterRule,
    LargeItem,
    Policies,
    RestrictedContent,
    Symlinks,
    TransferType,
)
from tallyport.domain.rules import rules_for
from tallyport.domain.transfer_block import defaults_for
from tests.domain.worlds import DESTINATION, POSIX, SOURCE

FILE = Entry("a", Kind.FILE, 3, 10, b"t", mode=0o644)
FOLDER = Entry("a", Kind.CONTAINER)
LINK = Entry("a", Kind.SYMLINK, 1, 10, b"t", target="b")
DEVICE = Entry("a", Kind.SPECIAL)
ONE_WAY = [kind for kind in TransferType if kind is not TransferType.SYNC]


def rules(kind=TransferType.COPY, source=POSIX, destination=POSIX, first=False, **chosen):
    policies = dataclasses.replace(defaults_for(kind), **chosen)
    return rules_for(policies, source, destination, started=0, first_run=first)


def known(entry=FILE, content=b"h"):
    return Baseline(fingerprint(entry), fingerprint(entry), content)


def decided(source=None, destination=None, baseline=None, /, *, by=None, **facts):
    return decide(Pair("a", source, destination, baseline, **facts), by or rules())


# -- what was only glimpsed

GLIMPSE = Entry("a", Kind.FILE, 3, 99, b"t", glimpsed=True)
LOOK_CLOSELY = Look(Side.SOURCE)


def by_date():
    return (FilterBlock(action="exclude", rules=(FilterRule(type="date", range_type="range", until=10),)),)


def by_name():
    return (FilterBlock(action="exclude", rules=(FilterRule(type="pattern", text="*.tmp", targets=("item",)),)),)


def test_a_glimpse_of_what_is_new_is_enough() -> None:
    assert decided(GLIMPSE) == Transfer(Side.DESTINATION, Reason.NEW_AT_SOURCE)
    assert decided(GLIMPSE, by=rules(filter_source=by_name())) == decided(GLIMPSE)


def test_a_glimpse_is_not_compared_with_anything() -> None:
    assert decided(GLIMPSE, FILE) == LOOK_CLOSELY
    assert decided(GLIMPSE, FILE, known()) == LOOK_CLOSELY
    assert decided(GLIMPSE, None, known(), destination_seen=False) == LOOK_CLOSELY
    assert decided(GLIMPSE, by=rules(filter_source=by_date())) == LOOK_CLOSELY


def test_what_is_left_alone_is_not_looked_at_for_it() -> None:
    assert decided(GLIMPSE, FILE, known(), ignored=True) == Skip(Reason.IGNORED_BY_USER)
    assert decided(GLIMPSE, FILE, flagged=True) == Skip(Reason.STAYS_FLAGGED)
    everything = (FilterBlock(action="exclude", rules=(FilterRule(type="size", max=1),)),)
    assert decided(GLIMPSE, FILE, by=rules(filter_source=everything)) == Skip(Reason.IGNORED_SIZE)


# -- changes


@pytest.mark.parametrize(
    ("entry", "before", "expected"),
    [
        (None, None, Change.ABSENT),
        (FILE, None, Change.NEW),
        (FILE, Fingerprint(3, 10, b"t"), Change.SAME),
        (FILE, Fingerprint(3, 10, b"u"), Change.TOUCHED),
        (FILE, Fingerprint(3, 10, b""), Change.SAME),
        (FILE._replace(tag=b""), Fingerprint(3, 10, b"t"), Change.SAME),
        (FILE, Fingerprint(4, 10, b"t"), Change.MODIFIED),
        (FILE, Fingerprint(3, 11, b"t"), Change.MODIFIED),
        (None, Fingerprint(3, 10, b"t"), Change.DELETED),
        (FOLDER._replace(modified=99), Fingerprint(0, 1, b"z"), Change.SAME),
    ],
)
def test_what_changed(entry, before, expected):
    assert change(entry, before) is expected


def test_what_is_equal():
    assert same_content(FILE, FILE, b"h", b"h") is True
    assert same_content(FILE, FILE, b"h", b"i") is False
    assert same_content(FILE, FILE, b"h", None) is None
    assert same_content(FILE, FILE._replace(size=4), None, None) is False
    assert same_content(FILE._replace(size=0), FILE._replace(size=0), None, None) is True
    assert same_content(LINK, LINK, None, None) is True
    assert same_content(LINK, LINK._replace(target="c"), None, None) is False
    assert same_content(LINK, FILE, None, None) is False
    assert same_time(10, 10, 1)
    assert not same_time(10, 11, 1)
    assert same_time(10, 11, 2)


# -- facts that are missing


def test_content_is_compared_by_hash_which_is_asked_for_once():
    both = frozenset({SOURCE, DESTINATION})
    assert decided(FILE, FILE) == Inspect(both)
    hashed = FILE._replace(hash=b"h")
    assert decided(hashed, FILE, facts_asked=frozenset({SOURCE})) == Inspect(frozenset({DESTINATION}))
    assert decided(hashed, hashed, facts_asked=both) == Adopt(Reason.SAME_CONTENT)


def test_without_hashes_times_must_do_within_the_coarser_clock():
    both = frozenset(Side)
    assert decided(FILE, FILE, facts_asked=both) == Adopt(Reason.SAME_CONTENT)
    later = FILE._replace(modified=11)
    found = decided(FILE, later, facts_asked=both)
    assert isinstance(found, Transfer)
    assert found.keep_as is not None
    coarse = rules(destination=Limits(time_precision=2))
    assert decided(FILE, later, facts_asked=both, by=coarse) == Adopt(Reason.SAME_CONTENT)


def test_equal_content_with_other_times_or_bits_is_stamped_in_a_one_way_job():
    hashed = FILE._replace(hash=b"h")
    stamp = Stamp(DESTINATION, Reason.METADATA_CHANGED)
    assert decided(hashed, hashed._replace(modified=11)) == stamp
    assert decided(hashed, hashed._replace(mode=0o600)) == stamp
    assert decided(hashed, hashed._replace(mode=0o4644)) == Adopt(Reason.SAME_CONTENT)
    assert decided(hashed, hashed._replace(modified=11), by=rules(timestamps=False)) == Adopt(Reason.SAME_CONTENT)
    store = rules(destination=Limits(sets_times=False))
    assert decided(hashed, hashed._replace(modified=11), by=store) == Adopt(Reason.SAME_CONTENT)
    assert decided(hashed, hashed._replace(modified=11), by=rules(TransferType.SYNC)) == Adopt(Reason.SAME_CONTENT)


def test_a_touched_source_is_hashed_then_stamped_or_sent():
    touched = FILE._replace(tag=b"u")
    assert decided(touched, FILE, known()) == Inspect(frozenset({SOURCE}))
    equal, other = touched._replace(hash=b"h"), touched._replace(hash=b"i")
    asked = {"facts_asked": frozenset({SOURCE})}
    assert decided(equal, FILE, known(), **asked) == Stamp(DESTINATION, Reason.METADATA_CHANGED)
    send = Transfer(DESTINATION, Reason.CHANGED_AT_SOURCE, None, True)
    assert decided(other, FILE, known(), **asked) == send
    assert decided(touched, FILE, known(), **asked) == send
    assert decided(touched, FILE, known(content=None)) == send


def test_a_touched_destination_matters_only_where_it_could_be_carried_or_replaced():
    touched = FILE._replace(tag=b"u")
    assert decided(FILE, touched, known()) == Skip(Reason.UNCHANGED)
    sync = rules(TransferType.SYNC)
    assert decided(FILE, touched, known(), by=sync) == Inspect(frozenset({DESTINATION}))
    equal = touched._replace(hash=b"h")
    assert decided(FILE, equal, known(), by=sync) == Stamp(SOURCE, Reason.METADATA_CHANGED)
    assert decided(FILE._replace(modified=11), touched, known()) == Inspect(frozenset({DESTINATION}))
    assert decided(FILE._replace(modified=11), equal, known()) == Transfer(
        DESTINATION, Reason.CHANGED_AT_SOURCE, None, True
    )
    both = FILE._replace(tag=b"v", hash=b"h")
    assert decided(both, equal, known(), by=sync) == Adopt(Reason.SAME_CONTENT)


def test_a_touched_file_is_not_deleted_before_its_content_is_known():
    touched = FILE._replace(tag=b"u")
    sync = rules(TransferType.SYNC)
    assert decided(None, touched, known(), by=sync) == Inspect(frozenset({DESTINATION}))
    found = decided(None, touched, known(content=None), by=sync)
    assert found == Transfer(SOURCE, Reason.CHANGED_AT_DESTINATION)


def test_a_move_removes_a_source_that_only_the_destination_was_touched_of():
    move = rules(TransferType.MOVE)
    equal = FILE._replace(tag=b"u", hash=b"h")
    assert decided(FILE, FILE, known(), by=move) == Delete(SOURCE, Reason.MOVED)
    assert decided(equal, FILE, known(), by=move) == Stamp(DESTINATION, Reason.METADATA_CHANGED)


# -- a destination that was not looked at


def test_a_copy_job_trusts_its_baseline():
    unseen = {"destination_seen": False}
    assert decided(FILE, None, known(), **unseen) == Skip(Reason.UNCHANGED)
    assert decided(FILE._replace(size=9), None, known(), **unseen) == Look()
    assert decided(FILE, None, None, **unseen) == Look()
    assert decided(None, None, known(), **unseen) == Skip(Reason.DELETED_AT_SOURCE)
    assert decided(FILE, None, known(), by=rules(full_look=True), **unseen) == Look()
    assert decided(FOLDER, None, known(FOLDER), **unseen) == Enter(Reason.UNCHANGED)
    assert decided(FOLDER, None, None, **unseen) == Look()


@pytest.mark.parametrize("kind", [TransferType.SYNC, TransferType.PUBLISH, TransferType.MOVE])
def test_other_jobs_want_to_see(kind):
    by = rules(kind)
    assert not by.trusts_baseline
    assert decided(FILE, None, known(), by=by, destination_seen=False) == Look()
    assert decided(FOLDER, None, known(FOLDER), by=by, destination_seen=False) == Look()


# -- kinds


@pytest.mark.parametrize("kind", list(TransferType))
def test_a_container_against_a_file_asks_a_person(kind):
    assert decided(FOLDER, FILE, by=rules(kind)).reason is Reason.KIND_CONFLICT
    if kind is not TransferType.TAXONOMY:
        assert decided(FILE, FOLDER, by=rules(kind)).reason is Reason.KIND_CONFLICT


def test_devices_are_left_alone():
    ignored = Skip(Reason.IGNORED_ITEM_TYPE)
    assert decided(DEVICE) == ignored
    assert decided(None, DEVICE) == ignored
    assert decided(DEVICE, FILE) == ignored
    assert decided(FILE, DEVICE).reason is Reason.KIND_CONFLICT
    assert decided(None, DEVICE, by=rules(TransferType.PUBLISH)) == ignored


def test_symlinks_go_by_policy():
    assert decided(LINK) == Transfer(DESTINATION, Reason.NEW_AT_SOURCE)
    assert decided(LINK, LINK) == Adopt(Reason.SAME_CONTENT)
    assert decided(LINK, by=rules(symlinks=Symlinks.SKIP)) == Skip(Reason.IGNORED_SYMLINK_POLICY)
    assert decided(LINK, by=rules(symlinks=Symlinks.FAIL)).reason is Reason.SYMLINK_REFUSED
    assert decided(LINK, by=rules(symlinks=Symlinks.FOLLOW_INSIDE)).reason is Reason.SYMLINK_REFUSED
    assert decided(LINK, by=rules(destination=Limits())).reason is Reason.UNSUPPORTED


def test_symlinks_at_the_destination_concern_a_one_way_job_only_when_they_are_invisible():
    publish = TransferType.PUBLISH
    assert decided(None, LINK, by=rules(publish, symlinks=Symlinks.FAIL)) == Delete(DESTINATION, Reason.NOT_AT_SOURCE)
    assert decided(None, LINK, by=rules(publish, symlinks=Symlinks.SKIP)) == Skip(Reason.IGNORED_SYMLINK_POLICY)
    found = decided(None, LINK, by=rules(TransferType.SYNC, symlinks=Symlinks.FAIL))
    assert found.reason is Reason.SYMLINK_REFUSED


def test_a_file_that_became_a_symlink_is_replaced():
    link = LINK._replace(size=9)
    assert decided(link, FILE, known()) == Transfer(DESTINATION, Reason.CHANGED_AT_SOURCE, None, True)


def test_taxonomy_carries_containers_only():
    by = rules(TransferType.TAXONOMY)
    assert decided(FOLDER, by=by) == MakeContainer(DESTINATION, Reason.NEW_AT_SOURCE)
    assert decided(FILE, by=by) == Skip(Reason.IGNORED_ITEM_TYPE)
    assert decided(LINK, by=rules(TransferType.TAXONOMY, symlinks=Symlinks.FAIL)) == Skip(Reason.IGNORED_ITEM_TYPE)


# -- guards


def test_large_items():
    capped = {"destination": Limits(max_size=2)}
    assert decided(FILE, by=rules(**capped)).reason is Reason.TOO_LARGE
    assert decided(FILE, by=rules(large_item=LargeItem.SKIP, **capped)) == Skip(Reason.IGNORED_LARGE_ITEM_POLICY)
    assert isinstance(decided(FILE._replace(size=2), by=rules(**capped)), Transfer)
    assert decided(FILE, FILE, known(), by=rules(**capped)) == Skip(Reason.UNCHANGED)


def test_refused_types():
    refusing = {"destination": Limits(refused_extensions=frozenset({"exe"}))}
    program = FILE._replace(name="a.EXE")
    assert (
        decided(program, by=rules(restricted_content=RestrictedContent.FAIL, **refusing)).reason is Reason.UNSUPPORTED
    )
    for choice in (RestrictedContent.SKIP, RestrictedContent.WARN):
        found = decided(program, by=rules(restricted_content=choice, **refusing))
        assert found == Skip(Reason.IGNORED_RESTRICTED_CONTENT_POLICY)
    assert isinstance(decided(FILE, by=rules(**refusing)), Transfer)


def test_only_guards_that_can_fire_are_asked():
    assert rules().guards == ()
    assert len(rules(destination=Limits(max_size=1)).guards) == 2  # and symlinks


# -- people


def test_flagged_and_ignored_items_wait_for_a_person():
    assert decided(FILE, flagged=True) == Skip(Reason.STAYS_FLAGGED)
    assert decided(FILE, attempts=3) == Skip(Reason.STAYS_FLAGGED)
    assert isinstance(decided(FILE, attempts=2), Transfer)
    assert isinstance(decided(FILE, attempts=3, by=rules(max_attempts=4)), Transfer)
    assert decided(FILE, ignored=True) == Skip(Reason.IGNORED_BY_USER)
    assert decided(None, None, flagged=True) == Forget(Reason.DELETED_BOTH)


# -- filters


def test_a_filter_speaks_before_the_table_and_for_a_side_that_is_gone():
    rule = FilterBlock(action="exclude", rules=(FilterRule(type="pattern", text="a"),))
    mirror = rules(TransferType.PUBLISH, filter_source=(rule,))
    left = Skip(Reason.IGNORED_PATTERN)
    assert decided(FILE, by=mirror) == left
    assert decided(None, FILE, known(), by=mirror) == left
    assert decided(None, FOLDER, by=mirror) == left


def test_a_filter_on_the_destination_counts_in_a_sync_job_only():
    rule = FilterBlock(action="exclude", rules=(FilterRule(type="pattern", text="a"),))
    assert decided(FILE, by=rules(TransferType.SYNC, filter_destination=(rule,))) == Skip(Reason.IGNORED_PATTERN)
    for kind in (TransferType.COPY, TransferType.PUBLISH, TransferType.MOVE):
        assert isinstance(decided(FILE, by=rules(kind, filter_destination=(rule,))), Transfer)


def test_rules_tell_the_engine_what_is_not_decided_here():
    assert rules(TransferType.MOVE).removes_source
    assert not rules().removes_source
    assert rules(empty_containers=EmptyContainers.SKIP).skips_empty_containers
    assert rules(TransferType.TAXONOMY).carries_files is False
    assert Policies().transfer_type is TransferType.SYNC


def test_a_flag_says_what_a_person_can_do():
    found = decided(FILE, by=rules(destination=Limits(max_size=2)))
    assert isinstance(found, Flag)
    assert found.message == "3 bytes are more than the 2 that the destination takes"
