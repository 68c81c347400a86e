"""Undoes an execution: puts back what it replaced and deleted, as its quarantine holds it. Or empties that for good.

The quarantine folder is the truth: what is in it is put back, item by item, whatever was done before a crash. An
item whose place somebody changed since is refused and stays in quarantine.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Connector, Copies, Facts, Locks, Moves, Precondition
from tallyport.connectors.quarantine import facts_of, kept, stamp_container
from tallyport.domain import paths
from tallyport.domain.actions import Reason
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.locks import mark_of
from tallyport.domain.policies import LockPropagation
from tallyport.domain.policies_json import policies_from_json
from tallyport.domain.undoing import Left, Undo, undo
from tallyport.engine.passage import quarantine_of
from tallyport.engine.work import Terms
from tallyport.store import audit, executions, failures, items, rows
from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tallyport.store.phrases import sa

_COMMIT = 200  # items between two looks at the execution
_ABSENT = Precondition(absent=True)


class Order(NamedTuple):
    """What an execution of this kind is to do."""

    verb: str  # undo purge
    execution_id: int  # whose quarantine


def order_of(execution: Execution) -> Order | None:
    """Give the order of an execution that works a quarantine; None for all others."""
    if execution.trigger not in ("undo", "purge") or execution.scope is None:
        return None
    return Order(execution.trigger, int(json.loads(execution.scope)["quarantine_of"]))


class Outcome(NamedTuple):
    """One item that was looked at."""

    path: str
    side: Side
    entry: Entry
    error: TallyportError | None = None
    item_id: int | None = None


class Undoing:
    """Works the quarantine of one execution."""

    def __init__(
        self, database: Database, ids: Ids, job: Job, execution: Execution, terms: Terms, audit_level: int
    ) -> None:
        found = order_of(execution)
        root = quarantine_of(terms.quarantine, 0 if found is None else found.execution_id)
        if found is None or root is None:
            raise AssertionError("only an execution with an order and a quarantine is worked here")
        self._database = database
        self._ids = ids
        self._job = job
        self._execution = execution
        self._order = found
        self._root = root
        policies = policies_from_json(terms.policies)
        self._ends = {Side.DESTINATION: terms.destination, Side.SOURCE: terms.source}
        self._accounts = {Side.DESTINATION: policies.destination_account, Side.SOURCE: policies.source_account}
        self._drops_rows = job.transfer_type == "sync"  # without a baseline sync finds a conflict, never a delete
        self._audit_level = audit_level
        self._locks = policies.lock_propagation is not LockPropagation.IGNORE

    def run(self, stopped: Callable[[], bool]) -> bool:
        """Work both sides to the end; False where a stop came first."""
        for side, (platform, settings, path) in self._ends.items():
            act_as = self._accounts[side]
            with closing(open_connection(platform, json.loads(settings), path, act_as=act_as)) as connector:
                work = self._put_back if self._order.verb == "undo" else self._purge
                outcomes: list[Outcome] = []
                for outcome in work(connector, side):
                    outcomes.append(outcome)
                    if len(outcomes) >= _COMMIT:
                        self._record(outcomes)
                        outcomes = []
                        if stopped():
                            return False
                self._record(outcomes)
        return True

    # -- undo

    def _put_back(self, connector: Connector, side: Side) -> Iterator[Outcome]:
        for path, entry, stood in kept(connector, self._root):
            if entry.kind is Kind.CONTAINER:
                if self._restore_container(connector, path, entry, stood=stood):
                    yield Outcome(path, side, entry)
                continue
            left = self._left(side, path)
            number = None if left is None else left[1]
            try:
                if self._restore(connector, side, path, entry, None if left is None else left[0]):
                    yield Outcome(path, side, entry, item_id=number)
            except TallyportError as error:
                yield Outcome(path, side, entry, error, number)
        _remove_empty(connector, self._root)

    def _restore_container(self, connector: Connector, path: str, entry: Entry, *, stood: bool) -> bool:
        """Put back a container, its content by now in it; tells whether it was gone."""
        place = paths.join(self._root, path)
        try:
            connector.delete(place)
        except TallyportError:
            return False  # what is still in it was refused, and said so
        if stood:
            return False
        _make(connector, path)
        stamp_container(connector, path, entry)
        return True

    def _restore(self, connector: Connector, side: Side, path: str, entry: Entry, left: Left | None) -> bool:
        """Put one item back; tells whether anything was to be done."""
        place = paths.join(self._root, path)
        here = connector.stat(path)
        verdict = undo(entry, here, left, self._order.execution_id)
        if verdict is Undo.REFUSE:
            what = f"cannot put back {paths.display(path)!r} at the {side}: something else stands there since"
            raise TallyportError(ErrorKind.ALREADY_EXISTS, what, path=path)
        if verdict is Undo.REST:
            connector.delete(place)
            return False
        _make(connector, paths.split(path)[0])
        if here is not None and self._locks and isinstance(connector, Locks):
            connector.hold(path, mark_of(self._job.id, side, path))  # one that the run made on what it wrote
        if verdict is Undo.EXCHANGE and here is not None:
            _move(connector, path, self._free_place(connector, path), here)
        _move(connector, place, path, entry)
        return True

    def _free_place(self, connector: Connector, path: str) -> str:
        """Give where what an undone execution had written is kept."""
        number = 0
        while True:
            place = paths.join(f"{self._root}.undone{number or ''}", path)
            if connector.stat(place) is None:
                _make(connector, paths.split(place)[0])
                return place
            number += 1

    def _left(self, side: Side, path: str) -> tuple[Left, int] | None:
        """Give what the ledger says of a path on one side, and the id of the item."""
        with self._database.read() as tx:
            row = items.standing_at(tx, self._job.number, path, at_destination=side is Side.DESTINATION)
        return None if row is None else (Left(row[1], row[2]), row[0])

    # -- purge

    def _purge(self, connector: Connector, side: Side) -> Iterator[Outcome]:
        container, name = paths.split(self._root)
        if connector.stat(container) is None:
            return
        mine = [
            paths.join(container, entry.name)
            for entry in connector.children(container)
            if entry.name == name or entry.name.startswith(f"{name}.")
        ]
        for root in mine:
            for path, entry, _ in kept(connector, root):
                try:
                    connector.delete(paths.join(root, path))
                    if entry.kind is not Kind.CONTAINER:
                        yield Outcome(path, side, entry)
                except TallyportError as error:
                    yield Outcome(path, side, entry, error)
            _remove_empty(connector, root)

    # -- the record

    def _record(self, outcomes: list[Outcome]) -> None:
        if not outcomes:
            return
        word = "restored" if self._order.verb == "undo" else "purged"
        with self._database.begin() as tx:
            done = [one for one in outcomes if one.error is None]
            refused = [one for one in outcomes if one.error is not None]
            totals = Counter({"failed": len(refused), "writes": len(done), "files": len(outcomes)})
            totals["failed_folders"] = sum(one.entry.kind is Kind.CONTAINER for one in refused)
            if word == "restored":
                totals["transferred"] = len(done)
                totals["transferred_bytes"] = sum(one.entry.size for one in done if one.entry.kind is Kind.FILE)
            else:
                totals["deleted"] = len(done)
            executions.count(tx, self._execution.id, totals)
            failures.write(tx, self._database, [self._failure(one) for one in refused])
            lines = [(3, f"item.{word}", paths.to_bytes(one.path), f"{word} at the {one.side}", None) for one in done]
            lines += [(5, "item.failed", paths.to_bytes(one.path), str(one.error), None) for one in refused]
            told = [line for line in lines if line[0] >= self._audit_level]
            audit.write(tx, self._database, self._ids, self._job.id, self._execution.id, told)
            if word == "restored":
                self._forget(tx, done)

    def _failure(self, one: Outcome) -> tuple[object, ...]:
        entry, error = one.entry, one.error
        kind = Reason.UNEXPECTED.value if error is None else error.kind.value
        number = one.item_id or self._ids.take()
        path = paths.to_bytes(one.path)
        facts = (int(entry.kind), 4, kind, "" if error is None else error.message, entry.size)
        return (self._execution.id, number, path, *facts, rows.time_in(entry.modified), 1, rows.now())

    def _forget(self, tx: sa.Connection, done: list[Outcome]) -> None:
        """Have the next execution look again at what was put back."""
        items.clear_signatures(tx, self._job.number)
        if self._drops_rows:
            items.delete(tx, [one.item_id for one in done if one.item_id and one.entry.kind is not Kind.CONTAINER])


def _make(connector: Connector, container: str) -> None:
    place = ""
    for name in paths.segments(container):
        place = paths.join(place, name)
        if connector.stat(place) is None:
            connector.make_container(place, Facts())


def _move(connector: Connector, path: str, to: str, entry: Entry) -> None:
    """Rename; where a platform cannot, copy and then remove: inside the platform where that can be had."""
    if isinstance(connector, Moves):
        connector.rename(path, to)
        return
    if isinstance(connector, Copies) and entry.kind is Kind.FILE:
        connector.copy(path, to, Facts(), when=_ABSENT)
    else:
        with connector.read(path) as chunks:
            connector.write(to, chunks, facts_of(entry), when=_ABSENT)
    connector.delete(path, expect=connector.stat(path))


def _remove_empty(connector: Connector, root: str) -> None:
    """Remove a quarantine that has become empty, and the folder above it when that is empty as well."""
    for place in (root, paths.split(root)[0]):
        try:
            if place and connector.stat(place) is not None:
                connector.delete(place)
        except TallyportError:
            return  # something is kept in it
