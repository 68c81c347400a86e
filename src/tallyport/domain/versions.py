"""Earlier contents of an item."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tallyport.domain.access import Principal
from tallyport.domain.capabilities import Limits
from tallyport.domain.policies import Policies, VersioningPreserve, VersioningSelect


class Version(NamedTuple):
    """One content that an item had, or has. Times are nanoseconds since 1970, sizes bytes."""

    id: str  # the platform's own; opaque
    size: int
    modified: int
    is_current: bool = False
    author: Principal | None = None


def carries_versions(policies: Policies) -> bool:
    """Tell whether a job carries more than the newest content, where both platforms keep earlier ones."""
    return (
        policies.versioning_preserve is VersioningPreserve.NATIVE and policies.versioning_select is VersioningSelect.ALL
    )


def goes_in_series(policies: Policies, taking: Limits, *, both_know: bool) -> bool:
    """Tell whether files come with their earlier contents: to where they would be replaced at once, none is sent."""
    return both_know and taking.versions and carries_versions(policies)


def most_kept(taking: Limits, limit: int | None, *, has_versions: bool) -> int | None:
    """Give how many contents of one file stand at a side in the end at most; None where nothing limits them.

    ``has_versions``: they come one after the other, up to the job's own ``limit``.
    """
    if not has_versions or not taking.versions:
        return 1
    limits = [most for most in (limit, taking.max_versions) if most is not None]
    return max(1, min(limits)) if limits else None


def chosen(versions: Sequence[Version], *limits: int | None) -> Sequence[Version]:
    """Choose what is carried of contents given oldest first: the newest, then those before it, up to every limit."""
    most = min((limit for limit in limits if limit is not None), default=len(versions))
    return versions[max(0, len(versions) - max(1, most)) :]


Same = Callable[[Version, Version], bool]


def missing(wanted: Sequence[Version], there: Sequence[Version], same: Same) -> Sequence[Version]:
    """Give what is still to be written for ``there`` to end with ``wanted``, oldest first.

    What is there may end with the beginning of the series: an earlier execution carried it, or one that was killed.
    """
    for count in range(min(len(wanted), len(there)), 0, -1):
        ending = there[len(there) - count :]
        if all(same(mine, theirs) for mine, theirs in zip(wanted[:count], ending, strict=True)):
            return wanted[count:]
    return wanted
