"""The children of a folder mapping: made, changed, put aside and taken up again. Everything here is harmless to repeat.

Children are told apart by their source path: of one folder there is never more than one.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tallyport.domain import folder_mapping as rules
from tallyport.domain import paths, schedules, transfer_block
from tallyport.domain.documents import BlockErrors
from tallyport.domain.folder_mapping import Folder
from tallyport.domain.jobs import Job
from tallyport.store import beginnings, executions, jobs, rows
from tallyport.store.endings import TOTALS
from tallyport.store.names import executions as runs
from tallyport.store.names import jobs as table
from tallyport.store.names import unresolved
from tallyport.store.phrases import sa


class Children(NamedTuple):
    """The children of a parent, counted, with the totals of their newest runs."""

    by_state: Mapping[str, int]
    disabled: int
    with_errors: int  # complete, with items that failed
    unresolved: int  # items that are failed now
    totals: Mapping[str, int]

    @property
    def number(self) -> int:
        return sum(self.by_state.values())


def known(tx: sa.Connection, parent: Job) -> dict[str, str]:
    """Give the folders that have a child, by name, with what they are called at the destination."""
    query = sa.select(table.c.source_path, table.c.destination_path).where(*_of(parent.id))
    found = {}
    for row in tx.execute(query):
        source, destination = paths.from_bytes(bytes(row[0])), paths.from_bytes(bytes(row[1]))
        found[paths.split(source)[1]] = paths.split(destination)[1]
    return found


def page(tx: sa.Connection, parent_id: str, *, after: str = "", limit: int = 100) -> list[Job]:
    """Give children after an id, by their ids."""
    query = sa.select(table).where(*_of(parent_id), table.c.id > after).order_by(table.c.id).limit(limit)
    return [rows.to_value(Job, row) for row in tx.execute(query).mappings()]


def count(tx: sa.Connection, parent_id: str) -> Children:
    """Count the children and add up what their newest runs did."""
    states = sa.select(table.c.state, sa.func.count()).where(*_of(parent_id)).group_by(table.c.state)
    disabled = sa.select(sa.func.count()).where(*_of(parent_id), table.c.disabled.isnot(None))
    errors = sa.select(sa.func.count()).where(*_of(parent_id), table.c.result == "errors")
    sums = sa.select(*[sa.func.coalesce(sa.func.sum(runs.c[name]), 0) for name in TOTALS]).where(
        runs.c.id == table.c.execution_id, *_of(parent_id)
    )
    failed = sa.select(sa.func.coalesce(sa.func.sum(unresolved.c.number), 0)).where(
        unresolved.c.job == table.c.number, *_of(parent_id)
    )
    totals = tx.execute(sums).one()
    return Children(
        {row[0]: int(row[1]) for row in tx.execute(states)},
        int(tx.execute(disabled).scalar_one()),
        int(tx.execute(errors).scalar_one()),
        int(tx.execute(failed).scalar_one()),
        {name: int(value) for name, value in zip(TOTALS, totals, strict=True)},
    )


def make(tx: sa.Connection, parent: Job, folders: Iterable[Folder]) -> list[Job]:
    """Store a child for each of some folders that has none, and set it going by the schedule of the children."""
    wanted = list(folders)
    at_source = {rows.columns({"source_path": _source(parent, one)})["source_path"]: one for one in wanted}
    here = table.c.source_path.in_(list(at_source))
    standing = {bytes(row[0]) for row in tx.execute(sa.select(table.c.source_path).where(*_of(parent.id), here))}
    # a child that was deleted while it ran is brought to a safe point first: the next run makes another
    stopping = sa.select(table.c.source_path).where(
        table.c.parent_id == parent.id,
        here,
        runs.c.id == table.c.execution_id,
        runs.c.ended_at.is_(None),
    )
    standing |= {bytes(row[0]) for row in tx.execute(stopping)}
    made = []
    for path, folder in at_source.items():
        if path in standing:
            continue
        child = jobs.add(tx, _child(parent, folder))
        if child.schedule_mode == schedules.Mode.AUTO:
            beginnings.schedule(tx, child, by=parent.created_by)
        made.append(child)
    return made


def pass_on(tx: sa.Connection, parent: Job, child: Job) -> str | None:
    """Have a child take over what changed at its parent; gives what came of it, None when nothing did."""
    values = rules.taken_over(child, rules.inherited(parent, rules.folder_of(child)))
    if not values:
        return None
    try:
        block = transfer_block.read_transfer_block(dict(values.get("transfer", child.transfer)))
        schedule = schedules.read_schedule(dict(values.get("schedule", child.schedule)))
    except BlockErrors as error:  # what the child says of its own does not go with it
        return f"keeps its own settings, which do not go with those of its parent: {error}"
    values["transfer_type"] = block.policies.transfer_type.value
    if "stop_policy" in values:
        values["closed"] = False
    if "schedule" in values:
        values["schedule_mode"] = schedule.mode.value
        values |= {} if schedule.mode is schedules.Mode.AUTO else {"held": False, "next_run_at": None}
    jobs.change(tx, child.id, **values)
    fresh = jobs.find(tx, child.id)
    is_planned = schedule.mode is schedules.Mode.AUTO and "schedule" in values
    if fresh is not None and is_planned and not fresh.closed and executions.active(tx, child.id) is None:
        beginnings.schedule(tx, fresh, by=parent.created_by)
    return "changed with its parent"


def put_aside(tx: sa.Connection, child: Job) -> bool:
    """Keep a child whose folder is gone from running; its history stays. False when it was kept from it before."""
    return child.disabled is None and jobs.change(tx, child.id, disabled=rules.GONE)


def take_up(tx: sa.Connection, child: Job) -> bool:
    """Let a child run again whose folder came back; one that a person disabled stays so."""
    return child.disabled == rules.GONE and jobs.change(tx, child.id, disabled=None)


def _of(parent_id: str) -> tuple[Any, ...]:
    is_child = (table.c.part.is_(None), table.c.deleted_at.is_(None), table.c.managed.is_(True))
    return (table.c.parent_id == parent_id, *is_child)


def _source(parent: Job, folder: Folder) -> str:
    return paths.join(parent.source_path, folder.name)


def _child(parent: Job, folder: Folder) -> Job:
    inherited = rules.inherited(parent, folder)
    at = rows.now()
    return Job(
        id=jobs.new_id(),
        name=rules.name_of(parent, folder),
        source_connection=parent.source_connection,
        source_path=_source(parent, folder),
        destination_connection=parent.destination_connection,
        destination_path=paths.join(parent.destination_path, folder.destination),
        transfer_type=parent.transfer_type,
        transfer=inherited["transfer"],
        schedule=inherited["schedule"],
        schedule_mode=schedules.read_schedule(dict(inherited["schedule"])).mode.value,
        stop_policy=inherited["stop_policy"],
        category_id=parent.category_id,
        priority=parent.priority,
        parent_id=parent.id,
        extra={rules.INHERITED: inherited},
        created_at=at,
        created_by=parent.created_by,
        modified_at=at,
    )
