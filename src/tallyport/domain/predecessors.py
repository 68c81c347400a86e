"""Jobs that must be complete before another may begin."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from tallyport.domain.states import FINAL, State


class OnFailure(StrEnum):
    """What becomes of a waiting job when a predecessor failed or was canceled. Stored."""

    HOLD = "hold"  # waits on, and says for whom: a retry of the predecessor releases it
    FAIL = "fail"  # fails as well
    RUN = "run"  # runs all the same


class Go(StrEnum):
    """Answer: may the job begin?"""

    YES = "yes"
    WAIT = "wait"
    FAIL = "fail"


class Predecessor(NamedTuple):
    """A job that must be complete first."""

    id: str
    name: str
    state: State
    is_deleted: bool = False


class Verdict(NamedTuple):
    """Whether a job may begin, and for whom it waits."""

    go: Go
    info: str | None = None


def verdict(predecessors: Sequence[Predecessor], on_failure: OnFailure) -> Verdict:
    """Say whether a job with these predecessors may begin now."""
    lost = [one for one in predecessors if one.is_deleted or (one.state in FINAL and one.state is not State.COMPLETE)]
    open_ = [one for one in predecessors if one.state is not State.COMPLETE and one not in lost]
    if lost and on_failure is OnFailure.FAIL:
        return Verdict(Go.FAIL, f"not begun: {_named(lost)}")
    if lost and on_failure is OnFailure.HOLD:
        return Verdict(Go.WAIT, f"waits for {_named(lost)}; retry it, or start the job without it")
    if open_:
        return Verdict(Go.WAIT, f"waits for {_named(open_)}")
    return Verdict(Go.YES)


def cycle(job_id: str, wanted: Iterable[str], predecessors_of: Callable[[str], Iterable[str]]) -> list[str] | None:
    """Give the way from a job back to itself that wanted predecessors would make, or None."""
    ways = [[one] for one in wanted]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == job_id:
            return [job_id, *way]
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, one] for one in predecessors_of(way[-1])]
    return None


def _named(several: Sequence[Predecessor]) -> str:
    words = [f"job {one.name} ({one.id}), {'deleted' if one.is_deleted else one.state}" for one in several[:5]]
    more = f" and {len(several) - 5} more" if len(several) > 5 else ""
    return "; ".join(words) + more
