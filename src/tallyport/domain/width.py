"""How many calls at once suit a platform: found by trying, as a road finds its flow.

More are tried while that brings more content; fewer when it brings less, and half when the platform asks for a
slower pace. What counts is bytes a second plus a weight for each call, so that many small files and few large ones
are both flow. It is reckoned from how long calls took, as if all places were busy: neither a pause between two folders
nor calls that happen to end together is a platform that gives less.

https://doi.org/10.1016/0169-7552(89)90019-6 (additive increase, multiplicative decrease)
"""

from dataclasses import dataclass, replace

CALL_WEIGHT = 64 * 1024  # bytes that one call counts besides its content
WINDOW = 1.0  # seconds, at least, of flow that is compared with the flow before
GAIN = 1.03  # more flow than that: wider
LOSS = 0.85  # less flow than that: narrower
BACK = 0.75  # of the width, when the flow fell
THROTTLED = 0.5  # of the width, when the platform said so
CALM = 10.0  # seconds between two tries of one more, when nothing changes
MOST = 1_024  # places that anybody ever works at once; what says more makes no sense
DAY = 24 * 3600.0  # seconds for which others begin with what was found; then the platform may be another


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """The width now, and the flow of the present window. Times are seconds of any clock."""

    most: int
    now: float = 4.0
    last: float = 4.0  # before it was made wider
    is_starting: bool = True  # doubles with every window until the flow stops growing
    began: float = 0.0  # the window
    weight: float = 0.0
    spent: float = 0.0  # seconds that the calls took, all together
    busy: int = 0  # calls that ended while all places were taken
    calls: int = 0
    flow: float = 0.0  # of the window before
    grew: float = 0.0  # when it was last made wider
    throttled: float = -60.0

    @property
    def places(self) -> int:
        return max(1, min(self.most, int(self.now)))


def begun(at: float, *, most: int, found: int | None = None) -> Width:
    """Begin with as many places as suited before; without such a number with few, and double them."""
    if found is None:
        return Width(most=most, began=at)
    now = float(min(most, found))
    return Width(most=most, now=now, last=now, is_starting=False, began=at, grew=at)


def widened(width: Width, most: int, found: int | None) -> Width:
    """Allow as many places as a job asks for: half of them at once, or as many as are known to suit."""
    if most <= width.most:
        return width
    if found is None:
        return replace(width, most=most, now=max(width.now, most / 2), last=most / 2)
    now = max(width.now, float(min(most, found)))
    return replace(width, most=most, now=now, last=now)


def is_untried(width: Width) -> bool:
    """Tell whether nothing was learnt yet."""
    return width.is_starting and not width.flow


def found(width: Width) -> int | None:
    """Say how many places were found to suit, one more that is just being tried left out; None while they double."""
    return None if width.is_starting else max(1, min(width.most, int(width.last)))


def start_of(places: int, age: float) -> int | None:
    """Say with how many to begin where somebody found so many suited, so many seconds ago; None: as if nobody had."""
    return places if 1 <= places <= MOST and abs(age) <= DAY else None


def done(width: Width, moved: int, at: float, *, seconds: float, was_full: bool) -> Width:
    """A call ended well that took so long."""
    width = replace(
        width,
        weight=width.weight + CALL_WEIGHT + moved,
        spent=width.spent + seconds,
        calls=width.calls + 1,
        busy=width.busy + was_full,
    )
    if at - width.began < WINDOW or width.calls < width.places:
        return width
    return _judged(width, at)


def throttled(width: Width, at: float) -> Width:
    """The platform asked for a slower pace. Answers to calls of before the last such answer count once."""
    if at - width.throttled < WINDOW:
        return width
    half = max(1.0, width.now * THROTTLED)
    return _begin(replace(width, now=half, last=half, is_starting=False, throttled=at, flow=0.0), at)


def _judged(width: Width, at: float) -> Width:
    """Compare the window that ends with the one before it."""
    if width.busy * 2 < width.calls:
        return _begin(width, at)  # places were free most of the time: the flow says nothing about their number
    flow = width.places * width.weight / max(width.spent, 1e-9)
    before, was_widened = width.flow, width.now > width.last
    width = _begin(replace(width, flow=flow), at)
    if not before and not width.is_starting:
        return width  # it was made narrower: what flowed before is no measure for fewer places
    if flow > before * GAIN:
        wider = width.now * 2 if width.is_starting else width.now + 1
        return replace(width, now=min(float(width.most), wider), last=width.now, grew=at)
    if flow < before * LOSS:
        narrower = width.last if was_widened else max(1.0, width.now * BACK)
        return replace(width, now=narrower, last=narrower, is_starting=False, flow=0.0)
    width = replace(width, now=width.last, is_starting=False)  # wider brought nothing
    if at - width.grew > CALM and at - width.throttled > CALM:
        return replace(width, now=min(float(width.most), width.now + 1), last=width.now, grew=at)
    return width


def _begin(width: Width, at: float) -> Width:
    return replace(width, began=at, weight=0.0, spent=0.0, calls=0, busy=0)
