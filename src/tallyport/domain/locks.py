"""A lock or check-out that somebody holds on an item."""

from typing import NamedTuple

from tallyport.domain.access import Principal


class Lock(NamedTuple):
    """Who keeps others from changing an item."""

    owner: Principal | None = None  # None: the platform does not say
    until: int | None = None  # nanoseconds since 1970; None: until it is taken away
    token: str = ""  # the platform's own name of the lock
