"""How the seats of a capped connection are dealt: never more than there are, and everybody gets a turn."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain.seats import UNCAPPED, Capped, Claimant, dealt, free

claimants = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=6).map(
    lambda found: [Claimant(number, seats, last) for number, (seats, last) in enumerate(found, 1)]
)
ends = st.tuples(st.integers(1, 40), claimants).map(lambda found: Capped(*found))


@given(st.lists(ends, min_size=1, max_size=2), st.integers(1, 7), st.integers(0, 9), st.integers(1, 16))
def test_no_end_ever_gives_more_seats_than_it_has(found, execution, wanted, most) -> None:
    seats = dealt(found, execution, wanted=wanted, most=most)
    assert len(seats) <= wanted
    assert all(1 <= one <= most for one in seats)
    for end in found:
        taken = sum(one.seats for one in end.claimants)
        assert sum(seats) <= max(0, end.cap - taken)


@given(ends, st.integers(1, 7))
def test_nobody_takes_more_than_an_even_share(end, execution) -> None:
    mine = sum(one.seats for one in end.claimants if one.execution_id == execution)
    users = len({one.execution_id for one in end.claimants} | {execution})
    assert free(end, execution) + mine <= max(mine, -(-end.cap // users))


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 2**32))
def test_every_execution_gets_a_seat_within_one_round(cap, count, seed) -> None:
    """Whoever looks, and however often: batches end one after the other, and the longest waiting is served."""
    chance = random.Random(seed)
    out: list[tuple[int, int]] = []  # batch, execution
    last = dict.fromkeys(range(1, count + 1), 0)
    served: set[int] = set()
    for batch in range(1, 1 + 4 * count * cap):
        for execution in chance.sample(sorted(last), count):
            held = {one: sum(holder == one for _, holder in out) for one in last}
            end = Capped(cap, [Claimant(one, held[one], last[one]) for one in last])
            if dealt([end], execution, wanted=1, most=1):
                out.append((batch, execution))
                last[execution] = batch * 100 + len(out)
                served.add(execution)
        assert len(out) <= cap
        if out:
            out.pop(0)
    assert served == set(last)


def test_without_a_cap_as_many_batches_as_wanted_are_made() -> None:
    assert dealt([], 1, wanted=3, most=16) == (UNCAPPED,) * 3


def test_a_batch_leaves_half_for_the_next() -> None:
    assert dealt([Capped(8, [])], 1, wanted=9, most=16) == (4, 2, 1, 1)
    assert dealt([Capped(8, [])], 1, wanted=9, most=1) == (1,) * 8
