"""Sample data to try the server on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tallyport.control import connections, jobs, reading, sample
from tallyport.control.desk import OWNER, Desk
from tallyport.control.reading import WantedJobs
from tallyport.control.refusals import Conflict
from tallyport.store.database import Database, open_database


@pytest.fixture
def database(tmp_path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


def test_the_sample_is_two_folders_their_connections_and_a_job_that_is_not_started(database, tmp_path) -> None:
    desk = Desk(database=database)
    picture = sample.make(desk, OWNER).picture
    assert picture.job.name == sample.JOB
    assert picture.execution is None
    assert picture.source is not None
    assert picture.source.settings == {"path": str(tmp_path / "sample" / "source")}
    for part in sample.PARTS:
        for name in part.files:
            assert os.path.getsize(tmp_path / "sample" / "source" / part.path / name) > 0
    assert (tmp_path / "sample" / "source" / sample.BLOCKED).is_file()
    assert (tmp_path / "sample" / "destination" / sample.BLOCKED).is_dir()


def test_a_sample_that_stands_is_not_made_again(database, tmp_path) -> None:
    desk = Desk(database=database)
    sample.make(desk, OWNER)
    changed = tmp_path / "sample" / "source" / "Photos" / "IMG_0000.jpg"
    changed.write_text("mine")
    with pytest.raises(Conflict, match="the sample is there already"):
        sample.make(desk, OWNER)
    assert changed.read_text() == "mine"
    assert reading.jobs_page(desk, WantedJobs(), offset=0, limit=10)[1] == 1


def test_the_sample_can_be_made_anew_when_its_connections_are_gone(database) -> None:
    desk = Desk(database=database)
    first = sample.make(desk, OWNER).picture
    jobs.delete(desk, first.job.id, OWNER)
    for end in (first.source, first.destination):
        assert end is not None
        connections.delete(desk, end.id, OWNER)
    assert sample.make(desk, OWNER).picture.job.id != first.job.id
