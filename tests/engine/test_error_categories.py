"""What error categories do to a run: how often items are tried, flagging at once, halting for good."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.connectors.protocol import Facts
from tallyport.domain.categories import read_category
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.items import Status
from tallyport.engine import transfer
from tallyport.store import error_categories, items, jobs
from tests.engine.conftest import Port, copy


def add(port: Port, **values: Any) -> None:
    base = {"name": "mine", "filter": {"rules": [{"type": "filter_context", "text": "[exception] = 'io_error'"}]}}
    with port.database.begin() as tx:
        error_categories.add(tx, read_category(base | values))


@pytest.fixture
def broken(port: Port, monkeypatch: pytest.MonkeyPatch) -> Port:
    """A world in which bad.txt cannot be read."""
    real = transfer.StreamPassage.carry

    def carry(self: Any, to: Any, path: str, *more: Any) -> Any:
        if path == "bad.txt":
            raise TallyportError(ErrorKind.IO_ERROR, "cannot read bad.txt: input/output error", path=path)
        return real(self, to, path, *more)

    monkeypatch.setattr(transfer.StreamPassage, "carry", carry)
    for name in ("bad.txt", "good.txt"):
        port.source.write(name, [b"x"], Facts())
    port.start()
    return port


def bad(port: Port) -> tuple[Status, int]:
    with port.database.read() as tx:
        row = items.at_path(tx, port.job.number, "bad.txt")
    assert row is not None
    return Status(row.status), row.attempts


def test_without_categories_an_item_is_flagged_after_its_tries_over_executions(broken: Port) -> None:
    seen = []
    for _ in range(4):
        broken.run(copy())
        seen.append(bad(broken))
    assert seen == [(Status.RETRY, 1), (Status.RETRY, 2), (Status.FLAGGED, 3), (Status.FLAGGED, 3)]


@pytest.mark.parametrize("tries", [1, 5])
def test_a_category_sets_how_often_its_failures_are_tried(broken: Port, tries: int) -> None:
    add(broken, max_retry=tries)
    for number in range(1, tries + 1):
        broken.run(copy())
        assert bad(broken) == (Status.FLAGGED if number == tries else Status.RETRY, number)


def test_ignored_failures_are_flagged_at_once(broken: Port) -> None:
    add(broken, action="ignore")
    broken.run(copy())
    assert bad(broken) == (Status.FLAGGED, 1)


def test_failures_of_other_kinds_keep_to_their_own_limit(broken: Port) -> None:
    add(broken, action="ignore", filter={"rules": [{"type": "filter_pattern", "text": "*.docx"}]})
    broken.run(copy())
    assert bad(broken) == (Status.RETRY, 1)


def test_a_halting_category_ends_the_run_and_forbids_later_ones(broken: Port) -> None:
    add(broken, action="halt", name="disk trouble", job=broken.job.id)
    for n in range(30):
        broken.source.make_container(f"later{n}", Facts())
        broken.source.write(f"later{n}/x", [b"x"], Facts())
    run = broken.run(copy(parallel_writes=1))
    assert run.state == "failed"
    assert "disk trouble" in (run.info or "")
    with broken.database.read() as tx:
        job = jobs.find(tx, broken.job.id)
    assert job is not None
    assert job.closed


def test_a_category_of_another_job_does_not_count(broken: Port) -> None:
    from dataclasses import replace

    with broken.database.begin() as tx:
        other = jobs.add(tx, replace(broken.job, id=jobs.new_id(), number=0))
    add(broken, action="halt", job=other.id)
    assert broken.run(copy()).state == "complete"
