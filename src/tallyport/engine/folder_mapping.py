"""Runs of folder mappings: the first level of the source is listed, then the children are brought in line with it.

    ready -> executing: listed to its end -> children in small transactions -> complete
                        not listed to its end -> failed; nothing was changed

A run that the end of the process cut short begins anew: what it made is found again by its folder.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from tallyport.connectors.opening import open_connection
from tallyport.connectors.surveying import side_of
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain import folder_mapping as rules
from tallyport.domain import paths, schedules
from tallyport.domain.capabilities import Limits
from tallyport.domain.connections import Connection
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.executions import Execution
from tallyport.domain.filters import judge_for
from tallyport.domain.folder_mapping import Folder, Placed
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies
from tallyport.domain.policies_json import policies_from_json
from tallyport.domain.states import Result, State
from tallyport.engine.background import Background
from tallyport.store import audit, beginnings, connections, executions, folder_mapping, jobs, rows
from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tallyport.store.phrases import sa
from tallyport.store.vault import Vault

CHUNK = 50  # children of one transaction
AT_ONCE = 2  # parents that are worked
LOOK_SECONDS = 1.0  # between two looks at whether the run is still wanted
LOCK = 0x7A13  # of the lock around the children: of several workers one changes them

Line = tuple[int, str, bytes | None, str, int | None]  # of the audit


class _Listing(NamedTuple):
    """What a look at the first level found, to its end."""

    names: Sequence[str]
    files: int  # and what else is no folder


class _Unwanted(Exception):
    """The run was paused, canceled, ended elsewhere, or the process ends."""


class Mapper:
    """Works the runs of folder mappings, on threads of its own."""

    def __init__(self, database: Database, ids: Ids, vault: Vault, wake: Callable[[], None]) -> None:
        self._database = database
        self._ids = ids
        self._vault = vault
        self._background = Background("mapper", AT_ONCE, wake)
        self.stop = self._background.stop

    def look(self, execution: Execution, job: Job) -> None:
        """Take a run as far as it can go now. Returns at once."""
        if self._background.is_busy(execution.id) or self._background.is_stopping:
            return
        if execution.state in (State.CREATED, State.READY):
            with self._database.begin() as tx:
                if beginnings.dispatch(tx, execution, job) or not self._begin(tx, execution, job):
                    return
        elif execution.state in (State.PAUSING, State.CANCELING):
            with self._database.begin() as tx:
                self._stopped(tx, execution)
            return
        elif execution.state != State.EXECUTING:
            return
        self._background.begin(execution.id, partial(self._work, execution, job), partial(self._fail, execution))

    def _begin(self, tx: sa.Connection, execution: Execution, job: Job) -> bool:
        deadline = schedules.deadline(schedules.read_schedule(dict(job.schedule)), rows.now())
        values: dict[str, object] = {"phase": "executing", "wait_until": None, "wait_reason": None}
        values |= {"deadline": deadline} if execution.deadline is None else {}
        if job.reset is not None:
            jobs.change(tx, job.id, reset=None)  # there is nothing to forget: every run looks at everything
        return executions.move(tx, execution.id, (State.READY.value,), State.EXECUTING.value, **values)

    def _stopped(self, tx: sa.Connection, execution: Execution) -> None:
        current = executions.find(tx, execution.id, lock=True)
        if current is not None and current.state == State.PAUSING:
            executions.move(tx, execution.id, (State.PAUSING.value,), State.PAUSED.value)
        elif current is not None and current.state == State.CANCELING:
            executions.move(tx, execution.id, (State.CANCELING.value,), State.CANCELED.value, phase="complete")

    def _work(self, execution: Execution, job: Job) -> None:
        try:
            self._map(execution, job)
        except _Unwanted:
            if not self._background.is_stopping:
                with self._database.begin() as tx:
                    self._stopped(tx, execution)

    def _fail(self, execution: Execution, error: Exception) -> None:
        info = f"the children could not be brought in line: {type(error).__name__}: {error}"
        if isinstance(error, TallyportError):
            info = f"the folders could not be listed to their end, so no child was changed: {error}"
        with self._database.begin() as tx:
            self._note(tx, execution, [(audit.LEVELS["error"], "mapping.failed", None, info, None)])
            open_states = (State.EXECUTING.value, State.PAUSING.value)
            executions.move(tx, execution.id, open_states, State.FAILED.value, phase="complete", info=info)

    def _map(self, execution: Execution, job: Job) -> None:
        policies = policies_from_json(execution.policies)
        with self._database.read() as tx:
            source = connections.find(tx, job.source_connection or "")
            destination = connections.find(tx, job.destination_connection or "")
        if source is None or destination is None:
            raise TallyportError(ErrorKind.CONFIG, "a connection of this job was deleted")
        limits = self._limits(destination, policies)
        listing = self._list(execution, source, job, policies)
        with self._database.read() as tx:
            known = folder_mapping.known(tx, job)
        placed = rules.placed(listing.names, known, policies, limits, job.destination_path)
        with self._database.begin() as tx:
            executions.change(tx, execution.id, folders=len(listing.names), skipped=len(placed.skipped))
        self._settle(execution, job, set(listing.names))
        for chunk in _chunks([one for one in placed.folders if one.name not in known]):
            self._make(execution, job, chunk)
        self._end(execution, placed, listing)

    def _limits(self, destination: Connection, policies: Policies) -> Limits:
        settings = self._vault.settings(destination)
        there = open_connection(
            destination.platform, settings, "/", read_only=True, act_as=policies.destination_account
        )
        try:
            return side_of(there).limits
        finally:
            there.close()

    def _list(self, execution: Execution, source: Connection, job: Job, policies: Policies) -> _Listing:
        """List the first level as the account that the children read with; raises when the list has no proper end."""
        judge = judge_for(policies.filter_source, started=time.time_ns())
        names: dict[str, None] = {}
        others = 0
        looked = time.monotonic()
        here = open_connection(
            *(source.platform, self._vault.settings(source), job.source_path),
            read_only=True,
            act_as=policies.source_account,
        )
        try:
            for entry in here.children(paths.ROOT):
                if is_temporary(entry.name) or (judge is not None and judge(entry.name, entry, True) is not None):
                    continue
                if entry.kind is Kind.CONTAINER:
                    names[entry.name] = None  # of several of one name the first counts
                else:
                    others += 1
                if len(names) > rules.MOST:
                    message = f"more than {rules.MOST} folders stand below the source: leave some out by a filter"
                    raise TallyportError(ErrorKind.CONFIG, message)
                if time.monotonic() - looked >= LOOK_SECONDS:
                    looked = time.monotonic()
                    with self._database.read() as tx:
                        self._require(tx, execution)
        finally:
            here.close()
        return _Listing(list(names), others)

    def _settle(self, execution: Execution, job: Job, there: set[str]) -> None:
        """Bring the children that stand in line with their parent and with what is there."""
        after = ""
        while True:
            with self._database.begin() as tx:
                parent = self._alone(tx, execution, job)
                children = folder_mapping.page(tx, job.id, after=after, limit=CHUNK)
                lines: list[Line] = []
                for child in children:
                    if told := folder_mapping.pass_on(tx, parent, child):
                        lines.append(_line(child, "mapping.changed", told))
                    is_there = rules.folder_of(child).name in there
                    if is_there and folder_mapping.take_up(tx, child):
                        lines.append(_line(child, "mapping.taken_up", "its folder is there again: it may run"))
                    elif not is_there and folder_mapping.put_aside(tx, child):
                        lines.append(_line(child, "mapping.put_aside", f"{rules.GONE}: it runs no more", level="warn"))
                self._count(tx, execution, lines)
            if len(children) < CHUNK:
                return
            after = children[-1].id

    def _make(self, execution: Execution, job: Job, folders: Sequence[Folder]) -> None:
        with self._database.begin() as tx:
            parent = self._alone(tx, execution, job)
            made = folder_mapping.make(tx, parent, folders)
            self._count(tx, execution, [_line(child, "mapping.made", f"child {child.id} made") for child in made])
        self._background.wake()

    def _end(self, execution: Execution, placed: Placed, listing: _Listing) -> None:
        with self._database.begin() as tx:
            self._note(tx, execution, list(_skipped(placed)))
            current = executions.find(tx, execution.id, lock=True)
            if current is None:
                return
            changed = current.writes
            result = Result.WARNINGS if placed.skipped else Result.CLEAN if changed else Result.NO_CHANGES
            info = f"{len(listing.names)} folders: {changed} children made or changed, {len(placed.skipped)} left out"
            if listing.files:
                info += f"; {listing.files} items beside the folders belong to no child"
            states = (State.EXECUTING.value, State.PAUSING.value)
            values = {"result": result.value, "phase": "complete", "info": info, "deadline": None}
            executions.move(tx, execution.id, states, State.COMPLETE.value, **values)

    def _alone(self, tx: sa.Connection, execution: Execution, job: Job) -> Job:
        """Give the parent as it is now; nobody else changes its children before this transaction ends."""
        self._database.alone(tx, LOCK)
        self._require(tx, execution)
        parent = jobs.find(tx, job.id)
        if parent is None or parent.disabled == rules.BEING_DELETED:
            raise _Unwanted
        return parent

    def _require(self, tx: sa.Connection, execution: Execution) -> None:
        now = executions.find(tx, execution.id)
        if self._background.is_stopping or now is None or now.state != State.EXECUTING:
            raise _Unwanted

    def _count(self, tx: sa.Connection, execution: Execution, lines: list[Line]) -> None:
        executions.count(tx, execution.id, {"writes": len(lines)})
        self._note(tx, execution, lines)

    def _note(self, tx: sa.Connection, execution: Execution, lines: list[Line]) -> None:
        least = audit.LEVELS[policies_from_json(execution.policies).audit_level]
        wanted = [line for line in lines if line[0] >= least]
        audit.write(tx, self._database, self._ids, execution.job_id, execution.id, wanted)


def _line(child: Job, event: str, told: str, *, level: str = "info") -> Line:
    name = rules.folder_of(child).name
    return audit.LEVELS[level], event, paths.to_bytes(name), f"{child.name}: {told}", None


def _skipped(placed: Placed) -> Iterator[Line]:
    for name, why in placed.skipped:
        yield audit.LEVELS["warn"], "mapping.left_out", paths.to_bytes(name), f"has no child: {why}", None


def _chunks(folders: Sequence[Folder]) -> Iterator[Sequence[Folder]]:
    for start in range(0, len(folders), CHUNK):
        yield folders[start : start + CHUNK]
