"""Earlier contents of an item."""

from typing import NamedTuple

from tallyport.domain.access import Principal


class Version(NamedTuple):
    """One content that an item had, or has. Times are nanoseconds since 1970, sizes bytes."""

    id: str  # the platform's own; opaque
    size: int
    modified: int
    is_current: bool = False
    author: Principal | None = None
