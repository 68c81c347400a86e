"""What is told to those who listen: closed topics, and what a listener can choose by."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.states import State


class Topic(StrEnum):
    """What happened. A word is never given another meaning."""

    CREATED = "job:created"  # made; may plan
    UPDATED = "job:updated"  # anything about it changed
    READY = "job:ready"  # may be worked
    SCHEDULED = "job:scheduled"  # given a later time
    COMPLETED = "job:completed"  # its run ended well; of completed and failed one, once
    FAILED = "job:failed"  # its run ended otherwise, or could not start
    PARTS_COMPLETED = "job:parts-completed"  # all of its parts have ended
    OUTCOME_ACKNOWLEDGED = "job:outcome-acknowledged"  # a person saw the result
    DELETED = "job:deleted"
    CANCELED = "job:canceled"
    PAUSED = "job:paused"
    RESUMED = "job:resumed"
    RETRIED = "job:retried"


_TOLD = re.compile(r"[a-z][a-z0-9_.-]{0,63}:[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


def is_told(topic: str) -> bool:
    """Tell whether clients may tell events of a topic: not of jobs, whose events are ours."""
    return _TOLD.fullmatch(topic) is not None and not topic.startswith("job:")


EXTENSIONS = frozenset({Topic.CANCELED, Topic.PAUSED, Topic.RESUMED, Topic.RETRIED})
"""Topics that the vendor's listeners do not know; left out in strict mode."""

OF_STATE = {
    State.READY: Topic.READY,
    State.SCHEDULED: Topic.SCHEDULED,
    State.COMPLETE: Topic.COMPLETED,
    State.FAILED: Topic.FAILED,
    State.FAILED_TO_START: Topic.FAILED,
    State.CANCELED: Topic.CANCELED,
    State.PAUSED: Topic.PAUSED,
}
"""The topic of reaching a state; other states are updates."""

# Columns of a job that the engine keeps for itself: a change of these is nothing to tell.
BOOKKEEPING = frozenset(
    {"executions", "successes", "failures", "closed", "root_item_id", "reset", "execution_id", "result", "held"}
)


class Labels(NamedTuple):
    """What listeners choose by."""

    domain: str  # what the job acts on
    operation: str
    environment: str
    space: str | None


def labels(job: Job) -> Labels:
    """Give the labels of a job: those its maker gave it, else those of a transfer."""
    extra = job.extra
    space = extra.get("spaceId", None if job.category_id is None else job.category_id)
    return Labels(
        domain=str(extra.get("type") or "file"),
        operation=str(extra.get("operation") or "transfer"),
        environment=str(extra.get("environmentId") or "production"),
        space=None if space is None else str(space),
    )


def of_move(came_from: Iterable[str], to: str) -> list[Topic]:
    """Give what is told when a run goes from one state to another. A canceled job is updated, too."""
    found = []
    before = set(came_from)
    if to in (State.READY, State.EXECUTING) and before and before <= {State.PAUSED, State.PAUSING}:
        found.append(Topic.RESUMED)
    if (topic := OF_STATE.get(State(to))) is not None:
        found.append(topic)
    return [*found, Topic.UPDATED]


def of_change(before: Job, changed: Iterable[str], after: Job) -> list[Topic]:
    """Give what is told when columns of a job changed."""
    names = set(changed)
    if "deleted_at" in names and after.deleted_at is not None:
        return [Topic.DELETED]
    found: list[Topic] = []
    if after.state != before.state:
        found += of_move([before.state], after.state)
    elif names - BOOKKEEPING:
        found.append(Topic.UPDATED)
    if "next_run_at" in names and after.next_run_at not in (None, before.next_run_at) and Topic.SCHEDULED not in found:
        found.insert(0, Topic.SCHEDULED)
    if (topic := _of_agent(before, after)) is not None:
        found.insert(0, topic)
    return found


def facts(job: Job, execution: Execution | None) -> dict[str, object]:
    """Give what is kept with an event of how the job was then."""
    run = job.extra.get("run")
    own = run if isinstance(run, dict) else {}
    info = execution.info if execution is not None else own.get("info", job.extra.get("info"))
    found: dict[str, object] = {
        "name": job.name,
        "kind": job.kind,
        "state": job.state,
        "result": job.result,
        "info": info,
        "input": job.extra.get("input"),
        "parent": job.parent_id,
        "part": job.part,
        "progress": own.get("progress"),
    }
    if execution is not None:
        found |= {
            "attempt": execution.attempt,
            "files": execution.files,
            "bytes": execution.bytes,
            "transferred": execution.transferred,
            "transferred_bytes": execution.transferred_bytes,
            "unchanged": execution.unchanged,
            "skipped": execution.skipped,
            "failed": execution.failed,
            "deleted": execution.deleted,
        }
    return {key: value for key, value in found.items() if value is not None}


def _of_agent(before: Job, after: Job) -> Topic | None:
    """Tell what is kept with a job that an outside agent works, and shows in no state."""
    was, now = before.extra.get("run"), after.extra.get("run")
    was, now = (was if isinstance(was, dict) else {}), (now if isinstance(now, dict) else {})
    if now.get("acknowledged_at") is not None and was.get("acknowledged_at") is None:
        return Topic.OUTCOME_ACKNOWLEDGED
    if now.get("retried_at") is not None and now.get("retried_at") != was.get("retried_at"):
        return Topic.RETRIED
    return None
