"""Tasks between any two connections: a part of a big file, its whole, and the other names of a file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tallyport.connectors.protocol import Links, Precondition
from tallyport.domain.actions import Reason
from tallyport.domain.entries import Entry, Kind, Side, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.losses import BITS, Fact, Loss
from tallyport.domain.paths import split
from tallyport.domain.standing import Standing
from tallyport.engine import uploads
from tallyport.engine.crossing_stream import error_of, hash_of
from tallyport.engine.passage import Landed, expected_at, item_done, others_of, plain, planned_source, task_error
from tallyport.engine.work import FinishWork, LinkWork, PartWork, TaskReport

if TYPE_CHECKING:
    from tallyport.engine.transfer import StreamPassage

_DESTINATION = Side.DESTINATION
_ABSENT = Precondition(absent=True)


def part(passage: "StreamPassage", work: PartWork) -> TaskReport:
    """Carry one part of a big file into its upload."""
    try:
        passage.present(_DESTINATION, work.path, work.d_path)
        return TaskReport(work.task_id, hash=passage.patiently(lambda: uploads.part(passage, work)))
    except TallyportError as error:
        return task_error(work.task_id, error)


def finish(passage: "StreamPassage", work: FinishWork) -> TaskReport:
    """Make a big file of its parts, and prove it."""
    try:
        if work.replaces:
            passage.present(_DESTINATION, work.path, work.d_path)
        keeping, kept = _keeping(passage, work)
        entry, content = passage.patiently(lambda: uploads.finish(passage, keeping))
        level = passage.prove(passage.destination, work.d_path, entry, content, work.size)
        landed = Landed(entry, content, work.size, level)
        source = Entry(split(work.path)[1], Kind.FILE, *work.source)
        if passage.carrier is not None:
            source = passage.source.stat(work.path) or source
        landed = passage.with_companions(
            _DESTINATION, work.path, source, work.d_path, landed, is_new=not keeping.replaces
        )
    except TallyportError as error:
        return task_error(work.task_id, error)
    losses = landed.losses
    done = item_done(work.item, landed.entry, content=content, level=level, moved=work.size, losses=losses, kept=kept)
    return TaskReport(work.task_id, done, losses=plain(losses))


def link(passage: "StreamPassage", work: LinkWork) -> list[TaskReport]:
    """Carry one of several names of a file, and make the others at the destination."""
    reports: list[TaskReport] = []
    made: tuple[str, bytes | None, tuple[Loss, ...]] | None = None
    carried: list[tuple[int, tuple[Any, ...], str, bytes | None, int, int, tuple[Loss, ...], str]] = []
    others = others_of(work)
    made = _made_earlier(passage, work, others)
    seen = [_seen(passage, work, position) for position in range(len(work.task_ids))]
    for position, task_id in enumerate(work.task_ids):
        path, d_path = work.paths[position], work.d_paths[position]
        item: tuple[Any, ...] = work.items[position]
        try:
            replaces = _as_it_stands(passage, d_path, seen[position])
            passage.guard()
            entry = passage.source.stat(path)
            if entry is None:
                raise error_of(ErrorKind.NOT_FOUND, "read", path, "it vanished since it was listed")
            if fingerprint(entry) != planned_source(item):
                raise error_of(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed since it was listed")
            kept = ""
            if replaces is not None:
                passage.present(_DESTINATION, path, d_path)
            if made is not None and passage.has_links and isinstance(passage.destination, Links):
                if replaces is not None and passage.keepers:
                    replaces, kept = passage.keepers[_DESTINATION].keep(d_path, replaces)
                when = _ABSENT if replaces is None else Precondition(entry=replaces)
                passage.destination.make_hard_link(d_path, made[0], when=when)
                item = (*item[:3], str(Reason.LINKED), *item[4:])
                carried.append((task_id, item, d_path, made[1], passage.level, 0, made[2], kept))
            else:
                if others:  # what stood there is another file by now
                    item = (*item[:19], (item[19] or 0) | BITS[Fact.HARD_LINKS])
                landed = passage.carry(_DESTINATION, path, entry, d_path, replaces)
                made = d_path, landed.hash, landed.losses
                proved = landed.hash, landed.level or 0, landed.moved, landed.losses, landed.kept
                carried.append((task_id, item, d_path, *proved))
        except TallyportError as error:
            reports.append(task_error(task_id, error))
    passage.changed()
    passage.settle()
    for task_id, item, d_path, content, level, moved, losses, kept in carried:
        entry = passage.destination.stat(d_path)
        if entry is None:
            gone = error_of(ErrorKind.NOT_FOUND, "link", d_path, "it vanished at once")
            reports.append(task_error(task_id, gone))
            continue
        done = item_done(item, entry, content=content, level=level, moved=moved, losses=losses, kept=kept)
        reports.append(TaskReport(task_id, done, losses=plain(losses)))
    return reports


def _seen(passage: "StreamPassage", work: LinkWork, position: int) -> Entry | None:
    """See what a name is to replace, as it was decided on; None where it replaces nothing."""
    if not work.replaces[position]:
        return None
    d_path = work.d_paths[position]
    expected = expected_at(split(d_path)[1], work.items[position])
    try:
        there = passage.destination.stat(d_path)
    except TallyportError:
        return expected  # said where it is to be made
    is_still = there is not None and expected is not None and fingerprint(there) == fingerprint(expected)
    return there if is_still else expected


def _as_it_stands(passage: "StreamPassage", d_path: str, seen: Entry | None) -> Entry | None:
    """Give what is to be replaced as it is now: replacing one name of a file changes the tag of the others."""
    if seen is None or seen.links == 1:
        return seen
    now = passage.destination.stat(d_path)
    is_of_it = now is not None and now[:4] == seen[:4] and now.links < seen.links
    return now if is_of_it else seen


def _made_earlier(
    passage: "StreamPassage", work: LinkWork, others: Sequence[Standing]
) -> tuple[str, bytes | None, tuple[Loss, ...]] | None:
    """Give a name that an earlier run made, if it still is as it was left and holds what the source holds."""
    if not others or not passage.has_links:
        return None
    try:
        content = hash_of(passage.source, work.paths[0])
        for one in others:
            there = passage.destination.stat(one.d_path)
            is_left = there is not None and there.kind is Kind.FILE and tuple(fingerprint(there)) == tuple(one.there)
            if is_left and content == one.hash:
                return one.d_path, content, ()
    except TallyportError:
        pass  # said where it is to be carried
    return None


def _keeping(passage: "StreamPassage", work: FinishWork) -> tuple[FinishWork, str]:
    """Keep what a big file replaces, where the job asks for that; gives the work as it stands after that."""
    if not work.replaces or not passage.keepers:
        return work, ""
    expect = expected_at(split(work.d_path)[1], work.item)
    if expect is None:
        return work, ""
    now, place = passage.keepers[_DESTINATION].keep(work.d_path, expect)
    if now is None:
        return work._replace(replaces=False), place
    return work._replace(item=(*work.item[:9], now.size, now.modified, now.tag, *work.item[12:])), place
