"""What holds for every visit of an execution."""

from typing import NamedTuple

from tallyport.domain.policies import Policies
from tallyport.domain.rules import Rules
from tallyport.engine.throttle import Meter


class Orders(NamedTuple):
    """What holds for every visit of an execution."""

    policies: Policies
    rules: Rules
    part_size: int
    salt: bytes = b""  # whatever else decisions depend on: another salt, another signature
    meter: Meter | None = None  # None = nothing limits the rate, ever
    regrants: bool = False  # reset=permissions: what was carried gets its grants again, content is not looked at
