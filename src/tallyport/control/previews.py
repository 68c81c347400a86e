"""What an expression would make of some items of a job: a few records, nothing stored, no content read."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from tallyport.connectors.opening import open_connection
from tallyport.connectors.surveying import walk
from tallyport.control import access, plans
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture, find_job, look
from tallyport.control.refusals import Conflict, Invalid, Problem
from tallyport.domain import expressions, naming, paths, transfer_block
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Kind
from tallyport.domain.expressions import Program, Unusable, Value
from tallyport.domain.filters import judge_for
from tallyport.domain.items import FAILED, Status
from tallyport.store import items

MOST = 100  # records of one preview
MOST_LOOKED_AT = 100_000  # items searched for them
LOOK_SECONDS = 10.0
HINT = "the expression language is described in docs/reference/expressions.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which items are previewed; absent means any."""

    outcome: str | None = None  # valid error: by how the item stands now
    field: str | None = None  # of what `value` is looked for in
    value: str | None = None
    text: str | None = None  # anywhere in the path
    ids: frozenset[str] | None = None  # only these; with another filter, all but these

    @property
    def is_filter(self) -> bool:
        """Tell whether ids leave out instead of choosing."""
        return bool(self.outcome or self.value or self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One item before and after."""

    id: str
    before: Mapping[str, Value]
    after: Mapping[str, Value]
    messages: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by field: what is wrong with it

    @property
    def is_valid(self) -> bool:
        """Tell whether the destination would take it."""
        return not self.messages


def preview(desk: Desk, job_id: str, text: str, wanted: Wanted, by: Caller) -> list[Changed]:
    """Give what an expression would make of at most ``MOST`` items of a job."""
    program = _read(text)
    with desk.database.read() as tx:
        picture = look(tx, find_job(tx, job_id))
        access.require_job(tx, picture.job, by)
    if not picture.job.managed:
        raise Conflict("a job that an outside agent works has no items of ours")
    limits = plans.limits_of(desk, picture.destination)
    chosen = list(islice((one for one in _records(desk, picture) if _fits(one[1], one[0], wanted)), MOST))
    made = [_changed(program, item, record, limits) for item, record in chosen]
    return _collisions(made, limits)


def _read(text: str) -> Program:
    if expressions.looks_like_javascript(text):
        message = f"this looks like JavaScript, which is never run here: {HINT}; for instance name = lower(name)"
        raise Invalid([Problem("/mutateRecord", "unknown_value", message, tuple(sorted(expressions.FUNCTIONS)))])
    try:
        return expressions.read(text)
    except Unusable as error:
        raise Invalid([Problem("/mutateRecord", "unknown_value", f"{error.message}; {HINT}")]) from error


def _records(desk: Desk, picture: Picture) -> Iterator[tuple[str, dict[str, Value]]]:
    """Give items: those that are known, or before the first run those that stand at the source."""
    job = picture.job
    if job.root_item_id is not None:
        with desk.database.read() as tx:
            every = list(range(7))
            for row in islice(items.iterate(tx, job.number, statuses=every, reasons=[]), MOST_LOOKED_AT):
                if row.parent_id != 0:
                    yield str(row.id), _record(row.path, row.kind, row.s_size, row.s_modified, row.status)
        return
    if picture.source is None:
        raise Conflict("a connection of this job was deleted")
    desk.require_reach(picture.source)
    policies = transfer_block.read_transfer_block(dict(job.transfer)).policies
    judge = judge_for(policies.filter_source, started=time.time_ns())
    settings, act_as = desk.vault.settings(picture.source), policies.source_account
    connector = open_connection(picture.source.platform, settings, job.source_path, read_only=True, act_as=act_as)
    until = time.monotonic() + LOOK_SECONDS
    try:
        for path, entry in islice(walk(connector, judge, lambda _path, _why: None), MOST_LOOKED_AT):
            yield f"/{paths.display(path)}", _record(path, entry.kind, entry.size, entry.modified, None)
            if time.monotonic() > until:
                return
    finally:
        connector.close()


def _record(path: str, kind: int, size: int | None, modified: int | None, status: int | None) -> dict[str, Value]:
    return {
        "name": paths.split(path)[1],
        "path": path,
        "size": size if kind == Kind.FILE else None,
        "modified": None if modified is None else modified // 1_000_000_000,
        "type": "folder" if kind == Kind.CONTAINER else "file",
        "status": None if status is None else Status(status).name.lower(),
    }


def _fits(record: Mapping[str, Value], item: str, wanted: Wanted) -> bool:
    if wanted.ids is not None and (item in wanted.ids) == wanted.is_filter:
        return False
    is_failed = record["status"] in {status.name.lower() for status in FAILED}
    if wanted.outcome is not None and is_failed != (wanted.outcome == "error"):
        return False
    if wanted.text is not None and wanted.text.casefold() not in str(record["path"]).casefold():
        return False
    if wanted.value is not None:
        sought = [record.get(wanted.field)] if wanted.field is not None else list(record.values())
        return any(wanted.value.casefold() in str(one).casefold() for one in sought if one is not None)
    return True


def _changed(program: Program, item: str, record: Mapping[str, Value], limits: Limits) -> Changed:
    before = {key: value for key, value in record.items() if key != "status"}
    try:
        after = expressions.changes(program, before)
    except Unusable as error:
        return Changed(id=item, before=before, after=before, messages={"name": [error.message]})
    return Changed(
        id=item, before=before, after=after, messages=_refusals(str(after["name"]), str(after["path"]), limits)
    )


def _refusals(name: str, path: str, limits: Limits) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    segments = paths.segments(path) or [""]
    for place, segment in enumerate(segments):
        key = "name" if place == len(segments) - 1 else "path"
        problem = paths.check_segment(segment) or naming.refusal(segment, limits)
        if problem is not None:
            found.setdefault(key, []).append(problem)
    if "/" in name:
        found.setdefault("name", []).append("a name cannot hold a slash: assign to path to move an item")
    room = naming.room_for(paths.split(path)[0], limits) if path else limits.max_name
    if naming.length(segments[-1]) > room:
        found.setdefault("name", []).append(f"the name has {naming.length(segments[-1])} bytes, {room} fit here")
    return found


def _collisions(made: Sequence[Changed], limits: Limits) -> list[Changed]:
    """Say of each item whose place another one takes too."""
    places: dict[str, list[Changed]] = {}
    for one in made:
        places.setdefault(naming.key(str(one.after["path"]), limits), []).append(one)
    found: list[Changed] = []
    for one in made:
        others = [other for other in places[naming.key(str(one.after["path"]), limits)] if other is not one]
        messages = {key: list(told) for key, told in one.messages.items()}
        if others:
            named = ", ".join(f"/{paths.display(str(other.before['path']))}" for other in others[:3])
            messages.setdefault("path", []).append(f"the same place as {named}")
        found.append(Changed(id=one.id, before=one.before, after=one.after, messages=messages))
    return found
