"""What the items of a job are, counted in many ways, with those of its children and parts.

Reads whole jobs: for reports, not for pages.
"""

import bisect
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.domain.entries import Kind
from tallyport.domain.filters import GROUPS
from tallyport.domain.jobs import Job
from tallyport.store import below
from tallyport.store.tables import containers, items

SIZES = (0, 1 << 10, 1 << 20, 10 << 20, 100 << 20, 1 << 30, 10 << 30)  # lower bounds of classes, bytes
AGES = (0, 30, 90, 365, 3 * 365, 7 * 365)  # lower bounds of classes, days
_DAY = 86_400 * 1_000_000_000  # nanoseconds
_MOST_EXTENSIONS = 30
_CHUNK = 20_000


class Counted(NamedTuple):
    """Some items."""

    number: int
    bytes: int


class Line(NamedTuple):
    """Items of one status, reason and kind."""

    status: int
    reason: str
    kind: int
    number: int
    bytes: int


class Breakdown(NamedTuple):
    """The items of a job and of those below it as of one moment."""

    lines: Sequence[Line]
    sides: Mapping[str, Counted]  # both, source, destination
    levels: Mapping[int, int]  # verify level: items that are done
    sizes: Sequence[Counted]  # files by class of SIZES
    ages: Sequence[Counted]  # files by class of AGES
    extensions: Sequence[tuple[str, Counted]]  # of files, most bytes first; the rest as "other"
    days: Sequence[tuple[int, Counted]] = ()  # files by their age in whole days, the youngest first
    depths: Sequence[tuple[int, Counted]] = ()  # files by the containers above them, those of the root first
    contents: Sequence[tuple[str, Counted]] = ()  # files by predefined group of their extension


def of_job(tx: sa.Connection, job: Job, now: int) -> Breakdown:
    """Count the items of a job, of its children and of their parts; ``now`` in microseconds."""
    family = below.family(tx, job)
    mine = items.c.job == job.number if len(family) == 1 else items.c.job.in_(below.numbers(job.id))
    size = sa.func.coalesce(sa.func.sum(items.c.s_size), 0)
    count = sa.func.count()
    lines = [
        Line(status, reason, kind, int(n), int(total))
        for status, reason, kind, n, total in tx.execute(
            sa.select(items.c.status, items.c.reason, items.c.kind, count, size)
            .where(mine)
            .group_by(items.c.status, items.c.reason, items.c.kind)
            .order_by(count.desc())
        )
    ]
    here = sa.case(
        (sa.and_(items.c.s_modified.isnot(None), items.c.d_modified.isnot(None)), "both"),
        (items.c.d_modified.isnot(None), "destination"),
        else_="source",
    )
    larger = sa.func.coalesce(sa.func.sum(sa.func.coalesce(items.c.s_size, items.c.d_size)), 0)
    sides = {
        side: Counted(int(n), int(total))
        for side, n, total in tx.execute(sa.select(here, count, larger).where(mine).group_by(here))
    }
    done = items.c.status.in_((1, 2))
    levels = {
        level: int(n)
        for level, n in tx.execute(sa.select(items.c.level, count).where(mine, done).group_by(items.c.level))
    }
    files = (mine, items.c.kind == int(Kind.FILE))
    days = _days(tx, files, now)
    extensions, contents = _extensions(tx, files)
    return Breakdown(
        lines,
        sides,
        levels,
        _classes(tx, files, _class(items.c.s_size, SIZES), len(SIZES)),
        _folded(days),
        extensions,
        days,
        _depths(tx, files, family),
        contents,
    )


def _class(value: sa.ColumnElement[int], bounds: Sequence[int]) -> sa.ColumnElement[int]:
    """Give the number of the class a value is in."""
    whens = [(value >= bound, at) for at, bound in reversed(list(enumerate(bounds)))]
    return sa.case(*whens, else_=0)


def _classes(
    tx: sa.Connection, where: Sequence[sa.ColumnElement[bool]], which: sa.ColumnElement[int], many: int
) -> list[Counted]:
    size = sa.func.coalesce(sa.func.sum(items.c.s_size), 0)
    found = {
        int(at): Counted(int(n), int(total))
        for at, n, total in tx.execute(sa.select(which, sa.func.count(), size).where(*where).group_by(which))
    }
    return [found.get(at, Counted(0, 0)) for at in range(many)]


def _days(tx: sa.Connection, where: Sequence[sa.ColumnElement[bool]], now: int) -> list[tuple[int, Counted]]:
    """Count files by age in days; those of tomorrow are of today."""
    size = sa.func.coalesce(sa.func.sum(items.c.s_size), 0)
    age = now * 1_000 - items.c.s_modified
    day = sa.case((items.c.s_modified.is_(None), 0), (age < 0, 0), else_=age // _DAY)
    found = tx.execute(sa.select(day.label("day"), sa.func.count(), size).where(*where).group_by("day").order_by("day"))
    return [(int(at), Counted(int(n), int(total))) for at, n, total in found]


def _folded(days: Sequence[tuple[int, Counted]]) -> list[Counted]:
    """Add days up to the classes of AGES."""
    found = [Counted(0, 0)] * len(AGES)
    for day, one in days:
        at = bisect.bisect_right(AGES, day) - 1
        found[at] = Counted(found[at].number + one.number, found[at].bytes + one.bytes)
    return found


def _depths(
    tx: sa.Connection, where: Sequence[sa.ColumnElement[bool]], family: Mapping[int, int]
) -> list[tuple[int, Counted]]:
    """Count files by the number of containers above them: the database adds up each container."""
    size = sa.func.coalesce(sa.func.sum(items.c.s_size), 0)
    query = (
        sa.select(containers.c.job, containers.c.path, sa.func.count(), size)
        .join(items, items.c.parent_id == containers.c.item_id)
        .where(*where)
        .group_by(containers.c.item_id, containers.c.job, containers.c.path)
    )
    counts: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    for block in tx.execute(query.execution_options(yield_per=_CHUNK)).partitions():
        for member, path, number, total in block:
            depth = family[member] + (bytes(path).count(b"/") + 1 if path else 0)
            counts[depth] += int(number)
            sizes[depth] += int(total)
    return [(depth, Counted(counts[depth], sizes[depth])) for depth in sorted(counts)]


_CONTENTS = {ending: name for name, group in reversed(list(GROUPS.items())) for ending in group.endings}


def _extensions(
    tx: sa.Connection, where: Sequence[sa.ColumnElement[bool]]
) -> tuple[list[tuple[str, Counted]], list[tuple[str, Counted]]]:
    """Count files by extension, and by the predefined group an extension is in."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    contents: dict[str, Counted] = {}
    for name, size in _names(tx, where):
        extension = os.path.splitext(name.decode("utf-8", "replace"))[1].lower()[:16] or "none"
        counts[extension] += 1
        sizes[extension] += size or 0
        before = contents.get(group := _CONTENTS.get(extension, "other"), Counted(0, 0))
        contents[group] = Counted(before.number + 1, before.bytes + (size or 0))
        if len(counts) > 50_000:  # names that are all different: keep those that matter
            for rare, _ in sizes.most_common()[1_000:]:
                counts["other"] += counts.pop(rare)
                sizes["other"] += sizes.pop(rare)
    ordered = [one for one, _ in sizes.most_common() if one != "other"]
    rest = [*ordered[_MOST_EXTENSIONS:], *(["other"] if "other" in counts else [])]
    found = [(one, Counted(counts[one], sizes[one])) for one in ordered[:_MOST_EXTENSIONS]]
    if rest:
        found.append(("other", Counted(sum(counts[one] for one in rest), sum(sizes[one] for one in rest))))
    return found, sorted(contents.items(), key=lambda pair: -pair[1].bytes)


def _names(tx: sa.Connection, where: Sequence[sa.ColumnElement[bool]]) -> Iterator[tuple[bytes, int | None]]:
    query = sa.select(items.c.name, items.c.s_size).where(*where)
    for block in tx.execute(query.execution_options(yield_per=_CHUNK)).partitions():
        for name, size in block:
            yield bytes(name), size
