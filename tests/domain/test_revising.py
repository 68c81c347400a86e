"""What a change of a job means for its running execution, and for what was settled before."""

from dataclasses import fields, replace

from tallyport.domain.policies import LIVE, UNDECIDING, Bandwidth, Policies, TransferType
from tallyport.domain.revising import deciding, revised


def test_a_running_execution_takes_up_limits_and_nothing_else():
    running = Policies(transfer_type=TransferType.COPY, simulation=True)
    wanted = Policies(upload=Bandwidth(bytes_per_second=5), parallel_writes=9, max_deletes=3)
    after = revised(running, wanted)
    for field in fields(Policies):
        expected = wanted if field.name in LIVE else running
        assert getattr(after, field.name) == getattr(expected, field.name)


def test_policies_are_as_deciding_as_others_that_differ_in_limits_only():
    base = Policies(transfer_type=TransferType.COPY)
    assert deciding(replace(base, parallel_writes=9, max_deletes=1)) == deciding(base)
    assert deciding(replace(base, timestamps=False)) != deciding(base)
    assert set(LIVE) < set(UNDECIDING)
