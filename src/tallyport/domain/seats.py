"""Seats: how many transfers may be under way at a connection at one time, dealt to batches of all its jobs.

A batch is given its seats when it is made and keeps them until it ends or is taken away from a worker that is gone.
So the sum over all workers never exceeds the cap, and nobody has to give seats back.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

UNCAPPED = 0  # in place of a number of seats
MOST = 10_000  # that a cap can be


class Claimant(NamedTuple):
    """An execution under way that uses a connection."""

    execution_id: int
    seats: int  # of its batches that are out
    last: int  # its newest batch; 0 before the first


class Capped(NamedTuple):
    """A connection with a cap, and who uses it."""

    cap: int
    claimants: Sequence[Claimant]


def free(end: Capped, execution_id: int) -> int:
    """Say how many more seats of a connection an execution may take now.

    Nobody takes more than an even share. A seat is left to each execution that holds none and waits for longer.
    """
    by_id = {one.execution_id: one for one in end.claimants}
    mine = by_id.get(execution_id, Claimant(execution_id, 0, 0))
    turn = (mine.seats > 0, mine.last, mine.execution_id)
    before = sum((one.seats > 0, one.last, one.execution_id) < turn for one in end.claimants if not one.seats)
    taken = sum(one.seats for one in end.claimants)
    share = -(-end.cap // max(1, len(by_id.keys() | {execution_id})))
    return max(0, min(end.cap - taken - before, share - mine.seats))


def dealt(ends: Iterable[Capped], execution_id: int, *, wanted: int, most: int) -> tuple[int, ...]:
    """Give the seats of each batch that may be made now, at most ``wanted`` batches of at most ``most`` seats.

    A batch takes half of what is left, so that the next ones find some, and a single one is not slow.
    """
    room = [free(end, execution_id) for end in ends]
    if not room:
        return (UNCAPPED,) * wanted
    left = min(room)
    seats: list[int] = []
    while left > 0 and len(seats) < wanted:
        seats.append(min(most, (left + 1) // 2))
        left -= seats[-1]
    return tuple(seats)
