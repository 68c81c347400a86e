"""Watching: what was missed comes first, then how it stands, then what happens; and it ends when it must."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from tallyport.api.events.hub import EVERY, Hub
from tallyport.control import users
from tallyport.domain.jobs import Job
from tallyport.store import executions, jobs, rows
from tallyport.store.tables import tokens
from tests.client.server import Served, serving


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    with serving(tmp_path) as found:
        yield found


def new_job(served: Served) -> str:
    with served.database.begin() as tx:
        return jobs.add(tx, Job(id=jobs.new_id(), name="watched", created_at=rows.now(), modified_at=rows.now())).id


class Stream:
    """One open stream, read event by event."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def next(self) -> tuple[str, str | None, Any]:
        """Give the name, the id and the data of the next event."""
        found: dict[str, str] = {}
        for line in self._lines:
            if line == "" and "data" in found:
                return found["event"], found.get("id"), json.loads(found["data"])
            name, _, value = line.partition(": ")
            if name in ("event", "id", "data"):
                found[name] = value
        raise EOFError

    def until(self, name: str) -> tuple[str, str | None, Any]:
        while (found := self.next())[0] != name:
            pass
        return found


@contextmanager
def watching(served: Served, path: str, *, token: str | None = None, **headers: str) -> Iterator[Stream]:
    given = {"Authorization": f"Bearer {token or served.token}", "Accept": "text/event-stream", **headers}
    with httpx2.stream("GET", f"{served.url}{path}", headers=given, timeout=60) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer.iter_lines())


def run(served: Served, job_id: str) -> int:
    with served.database.begin() as tx:
        return executions.add(tx, job_id=job_id, trigger="manual", policies="{}").id


def test_a_watcher_sees_what_happens_and_how_far_it_is(served: Served) -> None:
    job_id = new_job(served)
    with watching(served, f"/v1/jobs/{job_id}/events?after=0") as stream:
        assert stream.next()[0] == "job:created"
        number = run(served, job_id)
        name, first, event = stream.until("job:ready")
        assert event["payload"]["executionId"] == number
        assert first == event["id"]
        with served.database.begin() as tx:
            executions.move(tx, number, ("ready",), "executing")
            executions.count(tx, number, {"files": 10, "transferred": 4, "bytes": 100, "transferred_bytes": 40})
        while True:
            name, id_, data = stream.until("progress")
            assert (name, id_) == ("progress", None)
            if data["transferred"] == 4:
                break
        assert (data["progress"], data["state"]) == (40, "executing")


def test_a_stream_is_resumed_where_it_broke_off_with_nothing_lost_or_told_twice(served: Served) -> None:
    job_id, other = new_job(served), new_job(served)
    number = run(served, job_id)
    with watching(served, f"/v1/jobs/{job_id}/events?after=0") as stream:
        seen = [stream.next()[1] for _ in range(2)]
    with served.database.begin() as tx:
        executions.move(tx, number, ("ready",), "executing")
        jobs.change(tx, other, name="noise")
        executions.move(tx, number, ("executing",), "complete", result="clean")
    with watching(served, f"/v1/jobs/{job_id}/events", **{"Last-Event-ID": str(seen[-1])}) as stream:
        names = []
        while "job:completed" not in names:
            name, id_, _ = stream.next()
            names.append(name)
            if id_ is not None:
                assert id_ not in seen
                seen.append(id_)
    assert [int(one) for one in seen] == sorted(map(int, seen))


def test_all_jobs_are_watched_by_topic(served: Served) -> None:
    with watching(served, "/v1/events?topic=job:created") as stream:
        # The stream is open when its first line is here: what is made from now on is told.
        one, other = new_job(served), new_job(served)
        assert [stream.next()[2]["context"]["jobId"] for _ in range(2)] == [one, other]


def test_an_id_that_is_not_kept_any_more_is_said(served: Served) -> None:
    job_id = new_job(served)
    with watching(served, f"/v1/jobs/{job_id}/events", **{"Last-Event-ID": "999999"}) as stream:
        assert stream.next()[0] == "gap"
        run(served, job_id)
        assert stream.until("job:ready")


def test_a_stream_of_a_deleted_job_ends(served: Served) -> None:
    job_id = new_job(served)
    with watching(served, f"/v1/jobs/{job_id}/events") as stream:
        with served.database.begin() as tx:
            jobs.change(tx, job_id, deleted_at=rows.now())
        assert stream.until("job:deleted")
        with pytest.raises(EOFError):
            stream.next()


def test_a_deletion_between_the_answer_and_the_first_look_ends_the_stream(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the server is to look, nothing that happens after its answer is lost."""
    real = Hub._begin

    async def late(hub: Hub) -> None:
        with served.database.begin() as tx:
            jobs.change(tx, job_id, deleted_at=rows.now())
        await real(hub)

    monkeypatch.setattr(Hub, "_begin", late)
    job_id = new_job(served)
    with watching(served, f"/v1/jobs/{job_id}/events") as stream:
        assert stream.until("job:deleted")
        with pytest.raises(EOFError):
            stream.next()


def test_a_revoked_token_ends_its_stream(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallyport.api.events.hub.TOKENS_EVERY", 0.0)
    token = users.create_token(served.database, "ann", "read")
    job_id = new_job(served)
    with watching(served, f"/v1/jobs/{job_id}/events", token=token) as stream:
        with served.database.begin() as tx:
            tx.execute(tokens.update().where(tokens.c.scopes == "read").values(revoked_at=rows.now()))
        with pytest.raises(EOFError):
            stream.until("never")


def test_many_watchers_cost_one_look(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallyport.control import watching as looks

    made: list[int] = []
    real = looks.look

    def counted(*arguments: Any) -> Any:
        made.append(len(arguments[2]))
        return real(*arguments)

    monkeypatch.setattr(looks, "look", counted)
    job_id = new_job(served)
    done: list[str] = []

    def watch() -> None:
        with watching(served, f"/v1/jobs/{job_id}/events") as stream:
            ready.release()
            done.append(stream.until("job:ready")[0])

    ready = threading.Semaphore(0)
    threads = [threading.Thread(target=watch) for _ in range(20)]
    for thread in threads:
        thread.start()
    for _ in threads:
        ready.acquire(timeout=60)
    before, begun = len(made), time.monotonic()
    run(served, job_id)
    for thread in threads:
        thread.join(60)
    assert done == ["job:ready"] * 20
    assert len(made) - before <= (time.monotonic() - begun) / EVERY + 2  # one at a time for all, however long they take
    assert set(made) <= {0, 1}


def test_a_server_that_stops_ends_its_streams(served: Served) -> None:
    job_id = new_job(served)
    with watching(served, f"/v1/jobs/{job_id}/events") as stream:
        served.close_streams()
        with pytest.raises(EOFError):
            stream.until("never")
    answer = httpx2.get(f"{served.url}/v1/jobs/{job_id}/events", headers={"Authorization": f"Bearer {served.token}"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert signal.SIGTERM
