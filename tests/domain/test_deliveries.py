"""What becomes of a delivery after an attempt."""

from __future__ import annotations

import pytest

from tallyport.domain.deliveries import WAITS, Fate, judge


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_success_is_a_delivery(status: int) -> None:
    assert judge(status, 1, retry_after=None, chance=0.5).fate is Fate.DELIVERED


def test_gone_is_gone_at_the_first_attempt_and_at_the_last() -> None:
    assert judge(410, 1, retry_after=None, chance=0.5).fate is Fate.GONE
    assert judge(410, 99, retry_after=None, chance=0.5).fate is Fate.GONE


@pytest.mark.parametrize("status", [None, 300, 301, 302, 400, 401, 404, 408, 429, 500, 503])
def test_everything_else_is_tried_again_until_it_is_a_dead_letter(status: int | None) -> None:
    assert [judge(status, n, retry_after=None, chance=0.5).wait for n in range(1, len(WAITS) + 1)] == list(WAITS)
    assert judge(status, len(WAITS) + 1, retry_after=None, chance=0.5).fate is Fate.DEAD


def test_the_wait_has_jitter_either_way() -> None:
    waits = [judge(500, 3, retry_after=None, chance=chance).wait for chance in (0.0, 0.5, 1.0)]
    assert waits == [240.0, 300.0, 360.0]


def test_a_receiver_in_trouble_rests_and_one_bad_message_does_not_stop_the_others() -> None:
    assert all(judge(s, 1, retry_after=None, chance=0.5).rests for s in (None, 408, 429, 500, 503))
    assert not any(judge(s, 1, retry_after=None, chance=0.5).rests for s in (301, 400, 404))


def test_a_receiver_may_ask_for_a_longer_wait_within_bounds() -> None:
    assert judge(503, 1, retry_after=600, chance=0.5).wait == 600
    assert judge(503, 4, retry_after=1, chance=0.5).wait == WAITS[3]
    assert judge(429, 1, retry_after=1e9, chance=0.5).wait == 24 * 3600
