"""What a change of a job means for its execution that is under way."""

from dataclasses import replace

from tallyport.domain.policies import LIVE, UNDECIDING, Policies


def revised(running: Policies, wanted: Policies) -> Policies:
    """Give the policies a running execution goes on with: its own, but for limits that may change meanwhile."""
    return replace(running, **{name: getattr(wanted, name) for name in LIVE})


def deciding(policies: Policies) -> Policies:
    """Give policies that are equal whenever decisions are: what no decision depends on is at its default."""
    plain = Policies()
    return replace(policies, **{name: getattr(plain, name) for name in UNDECIDING})
