"""Undoing: what stands in an item's place decides whether it is put back."""

from tallyport.domain.entries import Entry, Fingerprint, Kind
from tallyport.domain.undoing import Left, Undo, undo

KEPT = Entry("a", Kind.FILE, 3, 1, b"old")
HERE = Entry("a", Kind.FILE, 5, 2, b"new")
AS_LEFT = Left(7, Fingerprint(5, 2, b"new"))


def test_a_free_place_is_filled():
    assert undo(KEPT, None, AS_LEFT, 7) is Undo.RESTORE


def test_what_the_execution_left_is_exchanged():
    assert undo(KEPT, HERE, AS_LEFT, 7) is Undo.EXCHANGE


def test_what_anybody_changed_since_is_refused():
    assert undo(KEPT, HERE._replace(tag=b"newer"), AS_LEFT, 7) is Undo.REFUSE
    assert undo(KEPT, HERE, None, 7) is Undo.REFUSE
    assert undo(KEPT, HERE, AS_LEFT._replace(execution_id=8), 7) is Undo.REFUSE, "a later execution wrote it"
    assert undo(KEPT, Entry("a", Kind.CONTAINER), AS_LEFT, 7) is Undo.REFUSE


def test_a_second_name_of_what_stands_there_rests():
    linked = KEPT._replace(links=2, link_id=(1, 2))
    assert undo(linked, HERE._replace(links=2, link_id=(1, 2)), None, 7) is Undo.REST
