"""A simulation's row is that of the run that follows, but for three words that only a run can come to."""

import pytest

from tallyport.domain.entries import Kind
from tallyport.domain.foretelling import Told, foretells, leaving
from tallyport.domain.items import Status

FILE, FOLDER = Kind.FILE, Kind.CONTAINER


@pytest.mark.parametrize(
    ("simulated", "run", "is_so"),
    [
        (Told(FILE, Status.SUCCESS, "moved"), Told(FILE, Status.SUCCESS, "moved"), True),
        (Told(FILE, Status.SUCCESS, "new_at_source"), Told(FILE, Status.SUCCESS, "moved"), False),
        (Told(FOLDER, Status.PENDING, "new_at_source"), Told(FOLDER, Status.SUCCESS, "unchanged"), True),
        (Told(FOLDER, Status.PENDING, "new_at_source"), Told(FOLDER, Status.SUCCESS, "moved"), False),
        (Told(FOLDER, Status.PENDING, "not_at_source"), Told(FOLDER, Status.SUCCESS, "unchanged"), False),
        (Told(FILE, Status.PENDING, "new_at_source"), Told(FILE, Status.SUCCESS, "unchanged"), False),
        (Told(FILE, Status.RETRY, "conflict"), Told(FILE, Status.FLAGGED, "conflict"), True),
        (Told(FILE, Status.RETRY, "conflict"), Told(FILE, Status.FLAGGED, "too_large"), False),
        (Told(FILE, Status.SUCCESS, "moved"), Told(FOLDER, Status.SUCCESS, "moved"), False),
    ],
)
def test_words_that_correspond(simulated: Told, run: Told, is_so: bool) -> None:
    assert foretells(simulated, run) is is_so


def test_what_a_move_carries_or_finds_equal_leaves_and_nothing_else() -> None:
    assert {
        leaving(Status.SUCCESS, reason)
        for reason in ("new_at_source", "same_content", "unchanged", "deleted_at_destination")
    } == {"moved"}
    assert leaving(Status.PROCESSED, "changed_at_source") == "moved"
    assert leaving(Status.SKIPPED, "ignored_pattern") == "ignored_pattern"
    assert leaving(Status.RETRY, "conflict") == "conflict"
    assert leaving(Status.SUCCESS, "not_at_source") == "not_at_source"
