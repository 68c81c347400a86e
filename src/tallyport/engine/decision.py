"""The decision on one item of a visit, with the facts fetched that it asks for."""

from tallyport.domain.actions import Action, Flag, Inspect, Look, Reason
from tallyport.domain.decide import decide
from tallyport.domain.entries import Baseline, Entry, Fingerprint, Pair, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.inspecting import left_out, purged
from tallyport.domain.items import Status
from tallyport.domain.paths import join
from tallyport.domain.rules import Rules
from tallyport.engine.opened import Opened
from tallyport.engine.passage import Crossing
from tallyport.engine.work import Known

DECISIONS = 6  # on one item at one time, each with a fact more

_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_PENDING, _FLAGGED, _IGNORED = int(Status.PENDING), int(Status.FLAGGED), int(Status.IGNORED)
_UNSETTLED = Fingerprint(-1, -1, b"")  # equals no entry: the source of an item planned and not finished


def decide_on(
    visit: Opened,
    name: str,
    d_name: str,
    source: Entry | None,
    destination: Entry | None,
    seen: bool,
    row: Known | None,
    rules: Rules,
) -> tuple[Action, Pair]:
    """Ask what to do, fetching the facts that are asked for.

    A look at the source is left to the caller, who can make many at once.
    """
    crossing = visit.crossing
    pair = Pair(
        join(visit.work.path, name),
        source,
        destination,
        _baseline(row, source),
        frozenset(),
        0 if row is None else row.attempts,
        row is not None and row.status == _FLAGGED,
        row is not None and row.status == _IGNORED,
        seen,
    )
    if visit.work.purges:
        return purged(destination), pair
    if visit.work.left_out:
        return left_out(Reason(visit.work.left_out), source), pair
    for _ in range(DECISIONS):
        action = decide(pair, rules)
        if type(action) is Look:
            if action.side is _SOURCE:
                return action, pair
            pair = pair._replace(destination=crossing.look(_DESTINATION, d_name), destination_seen=True)
        elif type(action) is Inspect:
            for side in action.sides:
                pair = _with_hash(pair, side, crossing)
        else:
            return action, pair
    return Flag(Reason.UNEXPECTED, "no decision was reached"), pair


def _baseline(row: Known | None, source: Entry | None) -> Baseline | None:
    """Give what both sides were when the item was last settled.

    What was planned over somebody's file and never carried is no baseline: no baseline, no delete.
    """
    if row is None or row.s_size is None or row.d_size is None:
        return None
    destination = Fingerprint(row.d_size, row.d_modified or 0, row.d_tag or b"")
    if row.s_modified is None and source is not None:  # planned over what stands there, and never carried
        return Baseline(_UNSETTLED, destination, None)
    if row.status == _PENDING:
        return None if source is None and row.hash is None else Baseline(_UNSETTLED, destination, None)
    return Baseline(Fingerprint(row.s_size, row.s_modified or 0, row.s_tag or b""), destination, row.hash)


def _with_hash(pair: Pair, side: Side, crossing: Crossing) -> Pair:
    """Fetch the hash of one side of a pair."""
    entry = pair.source if side is _SOURCE else pair.destination
    asked = pair.facts_asked | {side}
    if entry is None:
        return pair._replace(facts_asked=asked)
    try:
        entry = entry._replace(hash=crossing.content_hash(side, entry))
    except TallyportError as error:
        if error.kind is not ErrorKind.UNSUPPORTED:
            raise
    if side is _SOURCE:
        return pair._replace(source=entry, facts_asked=asked)
    return pair._replace(destination=entry, facts_asked=asked)


def known_hash(pair: Pair) -> bytes | None:
    """Give the hash of equal content, where a side told it."""
    for entry in (pair.source, pair.destination):
        if entry is not None and entry.hash is not None:
            return entry.hash
    return None
