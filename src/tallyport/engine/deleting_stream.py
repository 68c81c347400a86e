"""Taking one item away from any connection, or into its quarantine, if it is still as it was decided on."""

from collections.abc import Callable
from typing import Any

from tallyport.connectors.protocol import Connector, Syncs
from tallyport.connectors.quarantine import Keeper
from tallyport.domain.entries import Entry, Kind, Side, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import split
from tallyport.engine import uploads
from tallyport.engine.crossing_stream import error_of, hash_of
from tallyport.engine.passage import is_still_used, item_gone, item_kept, task_error
from tallyport.engine.work import DeleteWork, TaskReport


def delete(
    end: Connector, work: DeleteWork, *, keeper: Keeper | None, present: Callable[[Side, str, str], None], syncs: bool
) -> TaskReport:
    """Delete what a task names at the side ``end``, or have it kept; ``present`` shows our own lock on it.

    Big uploads that were never finished are given up. With ``syncs`` the side is asked to keep what it was told.
    """
    if uploads.is_handle(work.temporary):
        try:
            uploads.abandon(end, work.path, work.temporary)
        except TallyportError as error:
            return task_error(work.task_id, error)
        return TaskReport(work.task_id)
    kind = Kind(work.kind)
    expect = None
    if work.expect is not None and kind is not Kind.CONTAINER:
        expect = Entry(split(work.path)[1], kind, *work.expect)
    try:
        if kind is Kind.FILE:
            present(Side(work.side), work.s_path, work.path)
        if expect is not None and not expect.tag and work.side == Side.SOURCE and kind is Kind.FILE:
            expect = _still_as_carried(end, work.path, expect, work.item)
        kept = ""
        if keeper is not None:
            kept = keeper.take(work.path, kind, expect)
        else:
            end.delete(work.path, expect=expect)
        if isinstance(end, Syncs) and syncs:
            end.sync()
    except TallyportError as error:
        if is_still_used(work, error):
            return TaskReport(work.task_id)
        kept_item = item_kept(work, error)
        return TaskReport(work.task_id, kept_item) if kept_item else task_error(work.task_id, error)
    return TaskReport(work.task_id, item_gone(work.item, work.side, kept=kept))


def _still_as_carried(source: Connector, path: str, expect: Entry, item: tuple[Any, ...]) -> Entry:
    """Give one of several names of a source's file as it is, if it holds what was proved at the destination.

    Each removal of a name changes the tag of the others. A platform without tags has size and time alone.
    """
    entry = source.stat(path)
    if entry is None or entry.kind is not expect.kind or not entry.tag:
        return expect
    is_as_listed = fingerprint(entry)[:2] == fingerprint(expect)[:2]
    if not is_as_listed or item[12] is None or hash_of(source, path) != item[12]:
        raise error_of(ErrorKind.CHANGED_DURING_COPY, "remove", path, "it changed since it was carried")
    return entry
