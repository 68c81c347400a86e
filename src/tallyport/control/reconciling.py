"""What stands at both ends of a job now, held against its ledger: is every item there, or reported?

Both trees are listed container by container; nothing is kept of them but one container's names, sums and the first
paths that do not add up.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Connector
from tallyport.connectors.temporaries import is_temporary
from tallyport.control import access
from tallyport.control.aside import Aside
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import find_execution, find_job
from tallyport.control.refusals import Conflict
from tallyport.domain.connections import Connection
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.items import DONE, Status
from tallyport.domain.jobs import Job
from tallyport.domain.paths import join
from tallyport.domain.policies import Policies, Symlinks
from tallyport.domain.policies_json import policies_from_json
from tallyport.store import connections, items
from tallyport.store.database import Database
from tallyport.store.vault import Vault

_STALE = 15.0  # seconds after which a count is made anew when somebody asks
SHOWN = 100  # paths of each kind of trouble
_BLOCK = 500  # names looked up at once
_REPORTED = {Status.SKIPPED: "left_out", Status.IGNORED: "left_out", Status.RETRY: "failed", Status.FLAGGED: "failed"}


class Known(NamedTuple):
    """What the ledger holds of a name."""

    item_id: int
    status: Status
    reason: str
    d_name: str | None


class Reconciliation:
    """Counts of a job's two ends. An item is a file, a container or a link."""

    def __init__(self) -> None:
        self.source: Counter[str] = Counter()  # by kind
        self.destination: Counter[str] = Counter()
        self.matched = 0  # items of the source that stand at the destination
        self.left_out: Counter[str] = Counter()  # by reason
        self.failed: Counter[str] = Counter()
        self.pending = 0  # known, and not finished
        self.only_there = 0  # items of the destination that the source does not account for
        self.missing = 0  # carried once, and gone from the destination
        self.unknown = 0  # at the source, and not in the ledger: newer than the last run
        self.unread = 0  # containers that could not be listed
        self.shown: dict[str, list[str]] = {"missing": [], "unknown": [], "unread": []}

    @property
    def reported(self) -> int:
        return self.left_out.total() + self.failed.total()

    @property
    def adds_up(self) -> bool:
        """Whether every item of the source is at the destination or reported, and every one there is accounted for."""
        is_whole = self.source.total() == self.matched + self.reported and not self.unread
        return is_whole and self.destination.total() == self.matched + self.only_there

    def trouble(self, what: str, path: str) -> None:
        setattr(self, what, getattr(self, what) + 1)
        if len(self.shown[what]) < SHOWN:
            self.shown[what].append(path)

    def document(self) -> dict[str, object]:
        return {
            "source": {"items": self.source.total(), **self.source},
            "destination": {"items": self.destination.total(), **self.destination},
            "at_the_destination": self.matched,
            "left_out": dict(self.left_out),
            "failed": dict(self.failed),
            "pending": self.pending,
            "only_at_the_destination": self.only_there,
            "missing": self.missing,
            "not_in_the_ledger": self.unknown,
            "not_listed": self.unread,
            "adds_up": self.adds_up,
            "paths": {word: paths for word, paths in self.shown.items() if paths},
        }


class Reconciliations:
    """Counts in one thread at a time, for whoever asks again until one is made. One per server."""

    def __init__(self) -> None:
        self._kept: Aside[Reconciliation | TallyportError] = Aside("reconciliation", _STALE, gives_last=False)

    def of_execution(self, desk: Desk, execution_id: int, by: Caller) -> Reconciliation | None:
        """Give what stands at both ends of an execution's job, or None while that is counted: ask again in a second."""
        with desk.database.read() as tx:
            execution = find_execution(tx, execution_id)
            job = find_job(tx, execution.job_id)
            access.require_job(tx, job, by)
            ends = [connections.find(tx, end or "") for end in (job.source_connection, job.destination_connection)]
        if not job.managed:
            raise Conflict("a job that an outside agent works has no items of ours")
        if job.root_item_id is None:
            raise Conflict("the job has not run: there is no ledger to hold its ends against")
        if None in ends:
            raise Conflict("a connection of this job was deleted")
        desk.require_reach(*ends)

        def count() -> Reconciliation | TallyportError:
            try:
                return reconcile(desk.database, job, policies_from_json(execution.policies), desk.vault)
            except TallyportError as error:  # told to whoever asked, not to the log
                return error

        found = self._kept.of((execution.id, job.version, job.execution_id), count)
        if isinstance(found, TallyportError):
            raise found
        return found


def reconcile(database: Database, job: Job, policies: Policies, vault: Vault) -> Reconciliation:
    """List both ends of a job and hold them against its ledger. Writes nothing."""
    with database.read() as tx:
        ends = [connections.find(tx, end) for end in (job.source_connection, job.destination_connection) if end]
    if len(ends) != 2 or ends[0] is None or ends[1] is None or job.root_item_id is None:
        raise TallyportError(ErrorKind.CONFIG, "the job has not run, or a connection of it is gone", operation="count")
    follow = policies.symlinks is Symlinks.FOLLOW_INSIDE
    source = _open(ends[0], vault, job.source_path, follow=follow, act_as=policies.source_account)
    try:
        destination = _open(ends[1], vault, job.destination_path, act_as=policies.destination_account)
        try:
            found = Reconciliation()
            _Count(database, source, destination, found, policies.quarantine or "").container("", "", job.root_item_id)
            return found
        finally:
            destination.close()
    finally:
        source.close()


def _open(end: Connection, vault: Vault, path: str, *, act_as: str, follow: bool = False) -> Connector:
    return open_connection(end.platform, vault.settings(end), path, read_only=True, follow=follow, act_as=act_as)


class _Count:
    def __init__(
        self,
        database: Database,
        source: Connector,
        destination: Connector,
        found: Reconciliation,
        hidden: str,
    ) -> None:
        self._database = database
        self._source = source
        self._destination = destination
        self._found = found
        self._hidden = hidden  # the quarantine of either side

    def container(self, path: str, d_path: str, item_id: int) -> None:
        """Count what is in a container that stands on both sides, and in those below it."""
        waiting = [(path, d_path, item_id)]
        while waiting:  # no deeper than memory allows, however deep the tree
            waiting += self._one(*waiting.pop())

    def _one(self, path: str, d_path: str, item_id: int) -> list[tuple[str, str, int]]:
        found, below = self._found, []
        try:
            there = {entry.name: entry.kind for entry in self._children(self._destination, d_path)}
            names = self._children(self._source, path)
            while page := list(islice(names, _BLOCK)):
                rows = self._known(item_id, [entry.name for entry in page])
                for entry in page:
                    found.source[_word(entry.kind)] += 1
                    row = rows.get(entry.name)
                    d_name = entry.name if row is None or row.d_name is None else row.d_name
                    if not self._settled(join(path, entry.name), row, d_name in there):
                        continue
                    assert row is not None
                    found.destination[_word(there.pop(d_name))] += 1
                    if entry.kind is Kind.CONTAINER:
                        below.append((join(path, entry.name), join(d_path, d_name), row.item_id))
        except TallyportError:
            found.trouble("unread", path)
            return []
        for name, kind in there.items():
            self._extra(join(d_path, name), kind)
        return below

    def _settled(self, path: str, row: Known | None, is_there: bool) -> bool:
        """Count what an item of the source is; tells whether it stands at the destination as one that was carried."""
        found = self._found
        if row is None:
            found.trouble("unknown", path)
            return False
        word = _REPORTED.get(row.status)
        if word is not None:
            getattr(found, word)[row.reason] += 1
        elif row.status is Status.PENDING:
            found.pending += 1
        elif is_there and row.status in DONE:
            found.matched += 1
            return True
        else:
            found.trouble("missing", path)
        return False

    def _extra(self, path: str, kind: Kind) -> None:
        """Count an item that only the destination has, with all that is in it."""
        waiting = [(path, kind)]
        while waiting:
            at, what = waiting.pop()
            self._found.destination[_word(what)] += 1
            self._found.only_there += 1
            if what is Kind.CONTAINER:
                try:
                    waiting += [(join(at, e.name), e.kind) for e in self._children(self._destination, at)]
                except TallyportError:
                    self._found.trouble("unread", at)

    def _children(self, connector: Connector, path: str) -> Iterator[Entry]:
        hidden = self._hidden if not path else ""
        found = (entry for entry in connector.children(path) if not hidden or entry.name != hidden)
        return (entry for entry in found if not is_temporary(entry.name))

    def _known(self, container: int, names: list[str]) -> dict[str, Known]:
        with self._database.read() as tx:
            return {row[0]: Known(row[1], Status(row[2]), row[3], row[4]) for row in items.named(tx, container, names)}


def _word(kind: Kind) -> str:
    return {Kind.FILE: "files", Kind.CONTAINER: "folders", Kind.SYMLINK: "links"}.get(kind, "others")
