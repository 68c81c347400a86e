"""A job split into parts: who gets what, how far the whole is, and how it ended."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tallyport.domain import paths
from tallyport.domain.jobs import Job
from tallyport.domain.policies import OnInitialize, Policies, Split, TransferType
from tallyport.domain.states import FINAL, Result, State

LEAST, MOST = 2, 1_000  # parts of one job
MOST_CHILDREN = 100_000  # entries below the source that are balanced
AUTO = "auto"  # in place of a number of parts: as many as the measured weight asks for
BY_WEIGHT = "{} parts, as many as its measured weight asks for"
PART_ITEMS = 2_000_000  # of one part, about, where nobody says how many parts there are
PART_BYTES = 4 << 40


class Child(NamedTuple):
    """What stands directly below the source of a job."""

    name: str
    items: int
    bytes: int


class Share(NamedTuple):
    """What one part gets."""

    data: Mapping[str, Any]  # as shown
    paths: tuple[str, ...] | None = None  # as in domain/paths.py; None is everything
    filters: tuple[Mapping[str, Any], ...] = ()
    weight: int = 1


class Part(NamedTuple):
    """A part as far as the whole depends on it."""

    state: State
    result: Result | None
    progress: int  # per cent
    weight: int


class Ending(NamedTuple):
    """How a job of parts ended."""

    state: State
    result: Result | None
    info: str


def balance(children: Iterable[Child], wanted: int) -> list[list[Child]]:
    """Deal children into at most so many groups of about the same bytes; of the same items when no byte is known.

    Deterministic: the largest first, each to the group that has least.
    """
    known = sorted(children, key=lambda child: child.name)
    by_bytes = any(child.bytes for child in known)
    known.sort(key=lambda child: -(child.bytes if by_bytes else child.items))
    groups: list[list[Child]] = [[] for _ in range(min(wanted, len(known)))]
    loads = [(0, 0, place) for place in range(len(groups))]
    for child in known:
        load, count, place = heapq.heappop(loads)
        groups[place].append(child)
        heapq.heappush(loads, (load + (child.bytes if by_bytes else child.items), count + 1, place))
    return groups


def dealt(children: Sequence[Child], count: int) -> list[Share]:
    """Deal children into at most so many shares of about the same weight."""
    groups = balance(children, count)
    by_bytes = any(child.bytes for child in children)
    return [
        Share(
            data={"part": number, "total": len(groups), "paths": [f"/{paths.display(c.name)}" for c in group]},
            paths=tuple(child.name for child in group),
            weight=max(1, sum(child.bytes if by_bytes else child.items for child in group)),
        )
        for number, group in enumerate(groups)
    ]


def splits_itself(policies: Policies) -> bool:
    """Say whether a job asks to be split at its first run.

    Parts are dealt from what stands below the source, so only jobs that look at the source alone are: what stands at
    the destination only would be in no part. Later runs are whole, and find what is new since.
    """
    one_way = (TransferType.COPY, TransferType.MOVE, TransferType.MIGRATE)
    return (
        policies.split is Split.AUTO
        and policies.transfer_type in one_way
        and policies.on_initialize is OnInitialize.NONE
        and not policies.simulation
    )


def fitting(children: Sequence[Child]) -> int:
    """Say how many parts the weight of a source asks for: 1 when it is no more than one part's.

    A child is never torn apart, so one that outweighs a part is a part of its own.
    """
    items, size = sum(child.items for child in children), sum(child.bytes for child in children)
    return max(1, min(MOST, len(children), max(-(-items // PART_ITEMS), -(-size // PART_BYTES))))


def overlap(several: Sequence[Sequence[str]]) -> tuple[str, str] | None:
    """Give two paths of which one lies in the other, over all parts, or None."""
    every = sorted(tuple(paths.segments(path)) for part in several for path in part)
    for before, after in pairwise(every):
        if after[: len(before)] == before:
            return "/".join(before), "/".join(after)
    return None


def limits(wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Give, for each container on the way to some paths, the only names to look at in it."""
    found: dict[str, set[str]] = {}
    for path in wanted:
        way = ""
        for name in paths.segments(path):
            found.setdefault(way, set()).add(name)
            way = paths.join(way, name)
    return {container: tuple(sorted(names)) for container, names in found.items()}


def limits_of(job: Job) -> dict[str, tuple[str, ...]]:
    """Give the limits of a job that is a part; none of another."""
    given = job.extra.get("part_paths") if job.part is not None else None
    return limits([str(path) for path in given]) if isinstance(given, list) else {}


def progress(parts: Iterable[Part]) -> int:
    """Give the weighted progress of the whole; 100 only when every part is complete."""
    known = list(parts)
    whole = sum(part.weight for part in known)
    if not whole:
        return 0
    if all(part.state is State.COMPLETE for part in known):
        return 100
    done = sum(part.weight * (100 if part.state is State.COMPLETE else part.progress) for part in known)
    return min(99, done // whole)


def counts(parts: Iterable[Part]) -> Mapping[str, int]:
    """Count parts by how they ended."""
    known = list(parts)
    return {
        "total": len(known),
        "completed": sum(part.state is State.COMPLETE for part in known),
        "failed": sum(part.state in (State.FAILED, State.FAILED_TO_START) for part in known),
        "canceled": sum(part.state is State.CANCELED for part in known),
    }


def ending(parts: Sequence[Part], *, halts: bool) -> Ending | None:
    """Say how the whole ended; None while a part is open, unless one failed and ``halts`` is set."""
    told = counts(parts)
    lost = told["failed"] + told["canceled"]
    broken = told["failed"] + sum(part.result is Result.ERRORS for part in parts)
    info = f"{told['total']} parts: {told['completed']} complete, {told['failed']} failed, {told['canceled']} canceled"
    if halts and broken:
        return Ending(State.FAILED, None, f"{info}; stopped by the failure policy")
    if any(part.state not in FINAL for part in parts):
        return None
    if parts and lost == told["total"]:
        return Ending(State.FAILED, None, info)
    results = {part.result for part in parts}
    if lost or Result.ERRORS in results:
        return Ending(State.COMPLETE, Result.ERRORS, info)
    if Result.WARNINGS in results:
        return Ending(State.COMPLETE, Result.WARNINGS, info)
    return Ending(State.COMPLETE, Result.NO_CHANGES if results == {Result.NO_CHANGES} else Result.CLEAN, info)
