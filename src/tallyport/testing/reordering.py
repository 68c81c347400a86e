"""What a file system may have made of a run when the power went: every state that the syncs of its log allow.

Between two syncs a file system may persist what was asked of it in any order, or not at all. So after a power cut at
some point of a log, a change is there for certain when a sync that covers it ended before that point, is not there when
it had not begun, and may be either otherwise. Of a file that has content, a name and a row in the ledger that leaves a
few states at each point; :func:`judged` goes through all of them, at every point at which they change.

https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai (application-level crash consistency)
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from tallyport.testing.faults import NEVER, Reader, Steps, calls

Span = tuple[int, int]
"""Where a call began and where it ended in a log."""


class Change(NamedTuple):
    """One thing that a run did to a file, and the syncs that would cover it."""

    done: Span
    syncs: Sequence[Span]

    def states(self, point: int) -> tuple[bool, ...]:
        """Say whether it may be absent, may be there, or both, after a power cut at a point of the log."""
        if self.done[0] >= point:
            return (False,)
        is_certain = any(self.done[1] < begun and ended < point for begun, ended in self.syncs)
        return (True,) if is_certain else (False, True)


class Judged(NamedTuple):
    """What was gone through, and what was wrong in some state of it."""

    states: int
    wrong: list[str]


def judged(log: Iterable[str], *, destination: str, ledger: str, planned: Collection[str] = ()) -> Judged:
    """Go through each state of each file: its name shows its content whole, and what is done is there.

    ``planned`` files are named in the ledger before they are done; of them only the content behind the name is judged.
    """
    reader = Reader(destination.rstrip("/"), ledger.rstrip("/"), ".tallyport-")
    for call in calls(log):
        reader.take(call)
    count = 0
    wrong: dict[str, None] = {}
    for path, steps in reader.files.items():
        name = path.rpartition("/")[2]
        if steps.shown is None or steps.is_anonymous or name.startswith("#"):  # judged under the name that it got
            continue
        rows = [] if name in planned else [place for place, text in reader.commits if name in text]
        for content, shown, recorded in _states(reader, steps, rows[:1]):
            count += 1
            if shown and not content:
                wrong[f"{path!a}: its name may be there without its content"] = None
            if recorded and not (shown and content):
                wrong[f"{path!a}: it may be done and not there"] = None
    return Judged(count, list(wrong))


def _states(reader: Reader, steps: Steps, rows: Sequence[int]) -> Iterator[tuple[bool, bool, bool]]:
    """Give (content, name, row) as each power cut may leave them; the points are where anything begins or ends."""
    assert steps.shown is not None
    whole = reader.all_syncs
    content = Change((steps.written, steps.written), [*steps.synced, *whole])
    name = Change(steps.shown, [*reader.folder_syncs.get(steps.shown_in, ()), *whole])
    # A row is in a file that others make room for at any time: what was written of it may be there from its begin on.
    row = Change((rows[0], NEVER), ()) if rows else None
    spans = [steps.shown, *content.syncs, *name.syncs, (steps.written, steps.written), *((at, at) for at in rows)]
    points = sorted({edge + after for span in spans for edge in span if edge != NEVER for after in (0, 1)})
    for point in points:
        contents = (True,) if steps.is_link else content.states(point)
        recorded = (False,) if row is None else row.states(point)
        yield from product(contents, name.states(point), recorded)
