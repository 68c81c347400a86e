"""Canaries of a probe that was killed are told from those of one that runs."""

from __future__ import annotations

from tallyport.domain.connections import Canaries
from tallyport.domain.jobs import Job
from tallyport.store import probes
from tallyport.store.database import Database
from tallyport.store.names import probes as table
from tallyport.store.phrases import sa
from tallyport.store.probes import ProbeBook

CANARIES = Canaries("here/und dr\u00fcben", ".tallyport-probe-1234", (("new-parts", "handle"),))


def books(database: Database, job: Job) -> tuple[ProbeBook, ProbeBook]:
    """Give those of two processes."""
    connection = job.destination_connection or ""
    return ProbeBook(database, connection, "mine"), ProbeBook(database, connection, "theirs")


def test_what_a_process_before_this_one_left_in_a_file_is_told(database: Database, job: Job) -> None:
    mine, theirs = books(database, job)
    theirs.begin(CANARIES._replace(uploads=()))
    theirs.note(CANARIES)
    assert mine.left() == ([CANARIES] if database.is_sqlite else []), "on a shared database it may be running"


def test_on_a_shared_database_a_probe_is_over_after_the_longest_time(database: Database, job: Job) -> None:
    mine, theirs = books(database, job)
    theirs.begin(CANARIES)
    with database.begin() as tx:
        tx.execute(sa.update(table).values(begun_at=table.c.begun_at - probes.LONGEST))
    assert mine.left() == [CANARIES]


def test_a_probe_of_this_process_is_not_over_until_it_says_so(database: Database, job: Job) -> None:
    mine, theirs = books(database, job)
    mine.begin(CANARIES)
    assert mine.left() == []
    mine.end(CANARIES, is_gone=False)
    assert mine.left() == theirs.left() == [CANARIES]
    mine.end(CANARIES, is_gone=True)
    assert mine.left() == theirs.left() == []


def test_another_connection_has_probes_of_its_own(database: Database, job: Job) -> None:
    mine, _ = books(database, job)
    mine.begin(CANARIES)
    mine.end(CANARIES, is_gone=False)
    assert ProbeBook(database, "another").left() == []
