"""What shall happen to one item, and why. The one place where that is said.

Table, then guards. The table (``rules.py``) is looked up by what changed at the source and at the destination;
where both sides hold something and neither is known to come from the other they *meet* and are compared. A fact
that is missing comes back as ``Inspect`` or ``Look``: the engine fetches it and asks again. What was only glimpsed
at the source is looked at where it is compared; what is new there goes as it is, and is seen when it is read.
"""

from tallyport.domain.actions import Action, Flag, Inspect, Look, Reason, Skip, Stamp, Transfer
from tallyport.domain.changes import Change, change, same_content, same_time
from tallyport.domain.entries import Baseline, Entry, Kind, Pair, Side
from tallyport.domain.naming import conflict_name
from tallyport.domain.rules import ADOPT, FORGET, GONE_HERE, MEET, REST, VISIT, Rules, Winner

_FILE, _CONTAINER, _SYMLINK, _SPECIAL = Kind.FILE, Kind.CONTAINER, Kind.SYMLINK, Kind.SPECIAL
_SAME, _TOUCHED, _MODIFIED, _DELETED = Change.SAME, Change.TOUCHED, Change.MODIFIED, Change.DELETED
_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_LOOK = Look(_DESTINATION)
_LOOK_CLOSELY = Look(_SOURCE)
_STAMP = Stamp(_DESTINATION, Reason.METADATA_CHANGED)
_STAMP_BACK = Stamp(_SOURCE, Reason.METADATA_CHANGED)
_INSPECT = {sides: Inspect(sides) for sides in map(frozenset, ({_SOURCE}, {_DESTINATION}, {_SOURCE, _DESTINATION}))}
_IGNORED_KIND = Skip(Reason.IGNORED_ITEM_TYPE)
_IGNORED_BY_USER = Skip(Reason.IGNORED_BY_USER)
_STAYS_FLAGGED = Skip(Reason.STAYS_FLAGGED)
_KIND_CONFLICT = Flag(Reason.KIND_CONFLICT, "one side has a container, or a device, where the other has a file")
_CONFLICT = Flag(Reason.CONFLICT, "both sides changed, and conflict_resolution is failure")


def decide(pair: Pair, rules: Rules) -> Action:
    """Say what to do with one item.

    Total and deterministic. Sees two entries, their baseline and the rules; nothing else.
    """
    action = propose(pair, rules)
    for guard in rules.guards:
        if type(action) is not Transfer:
            break
        action = guard(action, pair, rules)
    return action


def propose(pair: Pair, rules: Rules) -> Action:
    """Say what the table wants, before guards."""
    path, source, destination, baseline, _, attempts, flagged, ignored, seen = pair
    if source is None and destination is None and seen:
        return FORGET
    if ignored or flagged or attempts >= rules.max_attempts:
        return _IGNORED_BY_USER if ignored else _STAYS_FLAGGED
    if rules.judge_source is not None or rules.judge_destination is not None:
        if rules.judges_times and source is not None and source.glimpsed:
            return _LOOK_CLOSELY
        reason = _filtered(path, source, destination, rules)
        if reason is not None:
            return Skip(reason)
    at_source = _FILE if source is None else source.kind
    at_destination = _FILE if destination is None else destination.kind
    if at_source is not _FILE or at_destination is not _FILE or not rules.carries_files:
        by_kind = _decide_by_kind(source, destination, rules)
        if by_kind is not None:
            return by_kind
        if at_source is _CONTAINER or at_destination is _CONTAINER:
            return _decide_container(source, destination, baseline, seen, rules)
    if baseline is None or baseline[0] is None or baseline[1] is None:
        # Half a baseline is none: a side that never settled proves nothing about deletes.
        if not seen:
            return _LOOK
        if destination is not None and source is not None and source.glimpsed:
            return _LOOK_CLOSELY
        cell = rules.files[6 * (source is not None) + (destination is not None)]
        return _meet(pair, rules, rules.winner_unknown) if cell is MEET else cell
    if source is not None and source.glimpsed:
        return _LOOK_CLOSELY
    source_change = change(source, baseline[0])
    if not seen:
        return _decide_unseen(source_change, rules)
    destination_change = change(destination, baseline[1])
    if source_change is _TOUCHED or destination_change is _TOUCHED:
        return _decide_touched(pair, source_change, destination_change, baseline, rules)
    cell = rules.files[6 * source_change + destination_change]
    return _meet(pair, rules, rules.winner) if cell is MEET else cell


def _filtered(path: str, source: Entry | None, destination: Entry | None, rules: Rules) -> Reason | None:
    """Say why the filters leave an item out. The other side's entry stands in for one that is not there."""
    reason = None
    entry = source or destination
    if rules.judge_source is not None and entry is not None:
        reason = rules.judge_source(path, entry, source is not None)
    entry = destination or source
    if reason is None and rules.judge_destination is not None and entry is not None:
        reason = rules.judge_destination(path, entry, destination is not None)
    return reason


def _decide_by_kind(source: Entry | None, destination: Entry | None, rules: Rules) -> Action | None:
    """Settle what hangs on kinds alone: devices, symlinks by policy, a container against a file."""
    here = None if source is None else source.kind
    there = None if destination is None else destination.kind
    if here is _SPECIAL and (rules.one_way or there is None or there is _SPECIAL):
        return _IGNORED_KIND
    if there is _SPECIAL and here is None:
        return _IGNORED_KIND
    if not rules.carries_files and (here or there) is not _CONTAINER:
        return _IGNORED_KIND
    judged = here is _SYMLINK or (there is _SYMLINK and (not rules.one_way or type(rules.symlinks) is Skip))
    if rules.symlinks is not None and judged:
        return rules.symlinks
    if here is None or there is None:
        return None
    if here is _SPECIAL or there is _SPECIAL or (here is _CONTAINER) is not (there is _CONTAINER):
        return _KIND_CONFLICT
    return None


def _decide_container(
    source: Entry | None, destination: Entry | None, baseline: Baseline | None, seen: bool, rules: Rules
) -> Action:
    """Decide on a container: it is there or not, and was or was not."""
    if baseline is None or baseline.source is None or baseline.destination is None:
        if not seen:
            return _LOOK
        cell = rules.containers[6 * (source is not None) + (destination is not None)]
    elif seen:
        here = _DELETED if source is None else _SAME
        there = _DELETED if destination is None else _SAME
        cell = rules.containers[6 * here + there]
    else:
        cell = VISIT if rules.trusts_baseline else _LOOK
    assert cell is not MEET, "containers are merged"
    return cell


def _decide_unseen(source_change: Change, rules: Rules) -> Action:
    """Decide from the source and the baseline alone, where that is enough."""
    if source_change is _SAME and rules.trusts_baseline:
        return REST
    if source_change is _DELETED and rules.files[6 * _DELETED + _SAME] is GONE_HERE:
        return GONE_HERE
    return _LOOK


def _decide_touched(pair: Pair, here: Change, there: Change, baseline: Baseline, rules: Rules) -> Action:
    """Decide where only the platform's tag differs: by the baseline's hash; without one, as modified."""
    touched = {side for side, how in ((_SOURCE, here), (_DESTINATION, there)) if how is _TOUCHED}
    if here is _SAME and type(rules.files[6 * _SAME + _MODIFIED]) is Skip:
        touched.discard(_DESTINATION)  # a real change there would be left alone as well
        there = _SAME
    if baseline.hash is not None:
        missing = frozenset(side for side in touched if _hash_missing(pair, side))
        if missing:
            return _INSPECT[missing]
    if _SOURCE in touched:
        here = _by_hash(pair.source, baseline.hash)
    if _DESTINATION in touched:
        there = _by_hash(pair.destination, baseline.hash)
    cell = rules.files[6 * here + there]
    if cell is MEET:
        return _meet(pair, rules, rules.winner)
    if not touched or here is not _SAME or there is not _SAME:
        return cell
    if rules.one_way:  # the source's times and permissions count
        return cell if rules.removes_source and _SOURCE not in touched else _stamp(rules)
    if len(touched) == 2:
        return ADOPT
    if _SOURCE in touched:
        return _stamp(rules)
    return _STAMP_BACK if rules.stamps_source else ADOPT


def _by_hash(entry: Entry | None, known: bytes | None) -> Change:
    if entry is None or entry.hash is None or known is None or entry.hash != known:
        return _MODIFIED
    return _SAME


def _hash_missing(pair: Pair, side: Side) -> bool:
    """Tell whether a hash could still be asked for."""
    entry = pair.source if side is _SOURCE else pair.destination
    return entry is not None and entry.hash is None and entry.kind is _FILE and side not in pair.facts_asked


def _meet(pair: Pair, rules: Rules, winner: Winner) -> Action:
    """Compare what both sides hold. Equal: adopt it. Else somebody must win."""
    source, destination = pair.source, pair.destination
    assert source is not None, "only what is there can meet"
    assert destination is not None, "only what is there can meet"
    equal = same_content(source, destination, source.hash, destination.hash)
    if equal is None:
        missing = frozenset(side for side in Side if _hash_missing(pair, side))
        if missing:
            return _INSPECT[missing]
        equal = same_time(source.modified, destination.modified, rules.time_precision)
    if not equal:
        return _resolve(source, destination, rules, winner)
    if rules.one_way and _differs_in_facts(source, destination, rules):
        return _stamp(rules)
    return ADOPT


def _differs_in_facts(source: Entry, destination: Entry, rules: Rules) -> bool:
    """Tell whether times or permission bits of equal content differ at the destination."""
    if source.kind is not _FILE:
        return False
    if rules.policies.timestamps and not same_time(source.modified, destination.modified, rules.time_precision):
        return True
    if source.mode is None or destination.mode is None:
        return False
    return (source.mode ^ destination.mode) & 0o777 != 0  # setuid and its kin are not carried


def _stamp(rules: Rules) -> Action:
    return _STAMP if rules.stamps_destination else ADOPT


def _cannot_tell(apart: int, bound: int) -> Flag:
    """Flag what the newer one should win, where the two clocks cannot tell which that is."""
    message = f"the newer one should win, but the two times lie {apart / 1e9:.3f} s apart"
    return Flag(Reason.TIMES_TOO_CLOSE, f"{message}, and the clocks of the two sides agree to {bound / 1e9:.3f} s only")


def _resolve(source: Entry, destination: Entry, rules: Rules, winner: Winner) -> Action:
    """Settle a conflict. Equal times of one clock prefer the source; the loser's copy is named after its own time."""
    if rules.overwrite_veto is not None and (rules.one_way or winner is Winner.NOBODY):
        winner = Winner.SOURCE if rules.one_way else Winner.LATEST  # the veto outranks: let the guard speak
    if winner is Winner.NOBODY:
        return _CONFLICT
    apart = abs(source.modified - destination.modified)
    if winner is Winner.LATEST and apart < rules.clock_bound and rules.overwrite_veto is None:
        return _cannot_tell(apart, rules.clock_bound)
    source_newer = source.modified > destination.modified or same_time(
        source.modified, destination.modified, rules.time_precision
    )
    keep = winner is Winner.BOTH
    if winner is Winner.SOURCE or (source_newer and winner is not Winner.DESTINATION) or (keep and rules.one_way):
        loser, limits, to = destination, rules.destination, _DESTINATION
    elif rules.one_way:
        newer = winner is Winner.LATEST
        return Skip(Reason.DESTINATION_NEWER if newer else Reason.DESTINATION_WINS)
    else:
        loser, limits, to = source, rules.source, _SOURCE
    keep_as = conflict_name(loser.name, loser.modified, limits) if keep else None
    return Transfer(to, Reason.CHANGED_BOTH, None, True, keep_as)
