"""Jobs: what a person defined, and the verbs on it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tallyport.client import shapes
from tallyport.client.errors import TimedOut
from tallyport.client.paging import pages
from tallyport.client.shapes import Connection, Group, Job
from tallyport.client.transport import Transport

FIRST_LOOK, LONGEST_LOOK = 0.05, 2.0  # seconds between two looks of `wait`


class Jobs:
    """``client.jobs``."""

    def __init__(
        self,
        transport: Transport,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._sleep = sleep
        self._clock = clock

    def create(
        self,
        body: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        source: Connection | str | None = None,
        destination: Connection | str | None = None,
        source_path: str | None = None,
        destination_path: str | None = None,
        transfer_type: str | None = None,
        policies: Mapping[str, Any] | None = None,
        start: bool = False,
    ) -> Job:
        """Make a job from a whole body, from parts, or from a body with parts in place of its own.

        ``policies`` are keys of the transfer block. ``start`` runs it at once.
        """
        whole: dict[str, Any] = {"kind": "transfer", "schedule": {"mode": "manual"}, **(body or {})}
        block: dict[str, Any] = {**whole.get("transfer", {}), **(policies or {})}
        if transfer_type is not None:
            block["transfer_type"] = transfer_type
        for side, connection, path in (
            ("source", source, source_path),
            ("destination", destination, destination_path),
        ):
            if connection is not None:
                block[side] = {"connection": {"id": _id(connection)}}
            if path is not None:
                block[side] = {**block.get(side, {}), "target": {"path": path}}
        whole["transfer"] = block
        if name is not None:
            whole["name"] = name
        if start:
            whole["status"] = "start"
        return shapes.job(self._transport.post("/v1/jobs", whole))

    def get(self, job: Job | str) -> Job:
        """Give a job as it is now."""
        return shapes.job(self._transport.get(_at(job)))

    def list(self, *, status: str | None = None, text: str | None = None) -> Iterator[Job]:
        """Give every job, newest first."""
        for document in pages(self._transport, "/v1/jobs", "jobs", {"status": status, "q": text}, limit=100):
            yield shapes.job(document)

    def patch(self, job: Job | str, changes: Mapping[str, Any]) -> Job:
        """Change parts of a job. A run under way keeps what it began with."""
        return shapes.job(self._transport.patch(_at(job), dict(changes)))

    def start(self, job: Job | str) -> Job:
        """Run it now. Does nothing when it runs already."""
        return self._verb(job, "start")

    def pause(self, job: Job | str) -> Job:
        """Stop after the items in flight; ``resume`` goes on."""
        return self._verb(job, "pause")

    def resume(self, job: Job | str) -> Job:
        """Go on after a pause."""
        return self._verb(job, "resume")

    def cancel(self, job: Job | str) -> Job:
        """End the run under way for good, after the items in flight."""
        return self._verb(job, "cancel")

    def retry(
        self,
        job: Job | str,
        *,
        reason: str | None = None,
        scope: str | None = None,
        items: Sequence[str | int] | None = None,
    ) -> Job:
        """Try the unresolved items again, and only those.

        ``reason`` (a code, or the message of a group) or ``items`` choose among them; ``scope`` is ``failed``,
        ``pending`` or ``all``.
        """
        body = None if items is None else {"items": [str(one) for one in items]}
        return shapes.job(self._transport.post(f"{_at(job)}/retry", body, params={"reason": reason, "scope": scope}))

    def retry_list(self, job: Job | str, content: bytes) -> tuple[int, int]:
        """Try the items of an edited CSV of failed items again; gives how many, and how many are resolved by now.

        Raises Invalid naming each row that cannot be used; nothing is done then.
        """
        document = self._transport.post_raw(f"{_at(job)}/failed-items/import", content, "text/csv")
        meta = document.get("meta") or {}
        return int(meta.get("total_count", 0)), int(meta.get("resolved", 0))

    def clone(self, job: Job | str, changes: Mapping[str, Any] | None = None) -> Job:
        """Make a new job from this one, with changes merged in."""
        return shapes.job(self._transport.post(f"{_at(job)}/clone", dict(changes or {})))

    def split(self, job: Job | str, parts: int | str | Sequence[Mapping[str, Any]], *, parallel: bool = False) -> Job:
        """Split a job into parts, by number, by its weight (``"auto"``) or one for each object, and run it so."""
        wanted = parts if isinstance(parts, int | str) else [dict(one) for one in parts]
        return shapes.job(self._transport.post(f"{_at(job)}/split", {"parts": wanted, "runInParallel": parallel}))

    def parts(self, job: Job | str) -> Iterator[Job]:
        """Give the parts a job was split into, in their order."""
        query = {"parent": _id(job), "sortDirection": "asc", "profile": "both"}
        for document in pages(self._transport, "/v1/jobs", "jobs", query, limit=100):
            yield shapes.job(document)

    def plan(self, job: Job | str, *, anew: bool = False) -> Mapping[str, Any]:
        """Give what a run would carry, and what a look at the source found."""
        document = self._transport.get(f"{_at(job)}/plan", {"anew": anew or None})
        found: Mapping[str, Any] = document["data"]["plan"]
        return found

    def history(self, job: Job | str) -> Iterator[Mapping[str, Any]]:
        """Give the runs of a job, newest first, as the server shows them."""
        for document in pages(self._transport, f"{_at(job)}/history", "job_executions", {}, limit=100):
            yield document.get("job_execution", document)

    def reconcile(self, run: int | str, *, timeout: float | None = None) -> Mapping[str, Any]:
        """Hold both ends of a run's job against its ledger, and wait until that is counted.

        Raises TimedOut; the server goes on counting.
        """
        until = None if timeout is None else self._clock() + timeout
        while True:
            document = self._transport.post(f"/v1/transfers/executions/{quote(str(run), safe='')}/reconcile", None)
            found: Mapping[str, Any] = document["data"]
            if found["is_ready"]:
                return found
            if until is not None and self._clock() + LONGEST_LOOK / 2 > until:
                raise TimedOut(f"run {run} is still being counted after {timeout} s")
            self._sleep(LONGEST_LOOK / 2)

    def schedule(self, job: Job | str, schedule: Mapping[str, Any], *, held: bool = False) -> Job:
        """Give a job another schedule; ``held`` keeps its next run until somebody starts it."""
        body: dict[str, Any] = {"schedule": dict(schedule)}
        if held:
            body["status"] = "paused"
        return self.patch(job, body)

    def delete(self, job: Job | str) -> None:
        """Delete a job; a run under way is canceled first."""
        self._transport.delete(_at(job))

    def losses(self, job: Job | str, *, what: str | None = None) -> Iterator[Mapping[str, Any]]:
        """Give each item that lacks something at the destination, with what it is; ``what`` names one thing alone."""
        asked: dict[str, Any] = {"limit": 1_000} | ({} if what is None else {"what": what})
        while True:
            document = self._transport.get(f"{_at(job)}/losses", asked)
            yield from document["item"]
            if not document["meta"]["has_more"]:
                return
            asked["cursor"] = document["meta"]["next_cursor"]

    def loss_totals(self, job: Job | str) -> Sequence[Mapping[str, Any]]:
        """Give how many items of a job lack what at the destination."""
        found: Sequence[Mapping[str, Any]] = self._transport.get(f"{_at(job)}/losses", {"limit": 1})["losses"]
        return found

    def failed(self, job: Job | str) -> Sequence[Group]:
        """Give what is failed in a job now, grouped by cause, the largest group first."""
        document = self._transport.get(f"{_at(job)}/failed-items", {"group_by": "reason"})
        groups = document if isinstance(document, list) else document.get("data") or document.get("groups") or []
        return [shapes.group(member) for member in groups]

    def wait(self, job: Job | str, *, timeout: float | None = None, seen: Callable[[Job], object] | None = None) -> Job:
        """Wait until the newest run has ended or is paused. ``seen`` is called with each state of it.

        Raises TimedOut; the run goes on.
        """
        until = None if timeout is None else self._clock() + timeout
        delay = FIRST_LOOK
        while True:
            found = self.get(job)
            if seen is not None:
                seen(found)
            if found.has_ended or found.is_paused:
                return found
            if until is not None and self._clock() + delay > until:
                raise TimedOut(f"job {found.name or found.id} is still {found.state} after {timeout} s")
            self._sleep(delay)
            delay = min(delay * 1.5, LONGEST_LOOK)

    def _verb(self, job: Job | str, verb: str) -> Job:
        return shapes.job(self._transport.patch(_at(job), {}, params={verb: True}))


def _id(value: Any) -> str:
    return str(getattr(value, "id", value))


def _at(job: Job | str) -> str:
    return f"/v1/jobs/{quote(_id(job), safe='')}"
