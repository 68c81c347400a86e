"""I9: no decision hangs on how far the clocks of the two sides are off."""

from __future__ import annotations

from hypothesis import given, settings

from tallyport.domain.actions import Flag, Reason, Skip, Transfer
from tallyport.domain.capabilities import Limits
from tallyport.domain.decide import decide
from tallyport.domain.entries import Entry, Kind, Pair, Side
from tallyport.domain.policies import ConflictResolution, ItemOverwrite, Policies, TransferType
from tallyport.domain.rules import rules_for
from tests.domain.test_decide_properties import Dice, drawn
from tests.domain.worlds import DESTINATION, SOURCE

NEWER_WINS = {
    TransferType.SYNC: ConflictResolution.LATEST,
    TransferType.COPY: ConflictResolution.LATEST,
    TransferType.MOVE: ConflictResolution.COPY,  # it has nothing to say there
}


def two_clocks(dice: Dice):
    """Draw two contents with their true times, how far each clock may be off and is, and who asks."""
    here, there = (Entry("a", Kind.FILE, 1, dice.of(range(200)), hash=content) for content in (b"x", b"y"))
    sides = [Limits(time_precision=dice.of([1, 2, 10]), clock_skew=dice.of([0, 1, 7, 50])) for _ in Side]
    off = [dice.of(range(-side.clock_skew, side.clock_skew + 1)) for side in sides]
    return here, there, sides, off, dice.of(list(NEWER_WINS)), dice.of([True, False])


def shown(entry: Entry, limits: Limits, off: int) -> Entry:
    """Give an entry as a side shows it, whose clock is off and counts coarsely."""
    moment = entry.modified + off
    return entry._replace(modified=moment - moment % limits.time_precision)


@given(drawn(10, two_clocks))
@settings(max_examples=3000)
def test_no_decision_hangs_on_how_far_the_two_clocks_are_off(case):
    """I9: who is written over is the older one by a true clock, or nobody is."""
    here, there, sides, off, kind, first = case
    first = first and kind is not TransferType.COPY  # its first run asks item_overwrite alone
    chosen = Policies(transfer_type=kind, conflict_resolution=NEWER_WINS[kind])
    rules = rules_for(chosen, *sides, started=0, first_run=first)
    source, destination = (shown(*each) for each in zip((here, there), sides, off, strict=True))
    action = decide(Pair("a", source, destination), rules)
    if rules.clock_bound and abs(source.modified - destination.modified) < rules.clock_bound:
        assert type(action) is Flag
        assert action.reason is Reason.TIMES_TOO_CLOSE
    elif rules.clock_bound:
        wins = DESTINATION if here.modified > there.modified else SOURCE
        assert here.modified != there.modified
        if type(action) is Transfer:
            assert action.to is wins
        else:
            assert action == Skip(Reason.DESTINATION_NEWER)
            assert wins is SOURCE
    else:
        assert type(action) is not Flag, "one clock can tell"


def test_two_places_of_one_server_have_one_clock():
    server = Limits(clock_skew=50)
    older, newer = Entry("a", Kind.FILE, 1, 10, hash=b"x"), Entry("a", Kind.FILE, 1, 12, hash=b"y")
    latest = Policies(transfer_type=TransferType.SYNC, conflict_resolution=ConflictResolution.LATEST)
    assert type(decide(Pair("a", newer, older), rules_for(latest, server, server, started=0))) is Flag
    one = rules_for(latest, server, server, started=0, one_clock=True)
    assert decide(Pair("a", newer, older), one) == Transfer(DESTINATION, Reason.CHANGED_BOTH, None, True)
    assert decide(Pair("a", older, newer), one) == Transfer(SOURCE, Reason.CHANGED_BOTH, None, True)


def test_the_overwrite_policy_speaks_before_two_clocks_do():
    server = Limits(clock_skew=50)
    one, other = Entry("a", Kind.FILE, 1, 10, hash=b"x"), Entry("a", Kind.FILE, 1, 12, hash=b"y")
    kept = Policies(
        transfer_type=TransferType.SYNC,
        conflict_resolution=ConflictResolution.LATEST,
        item_overwrite=ItemOverwrite.SKIP,
    )
    action = decide(Pair("a", one, other), rules_for(kept, server, server, started=0))
    assert action == Skip(Reason.IGNORED_OVERWRITE_POLICY)
