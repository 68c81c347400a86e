"""What holds for every visit of an execution."""

from collections.abc import Sequence
from typing import NamedTuple

from tallyport.domain.policies import Policies
from tallyport.domain.rules import Rules
from tallyport.engine.throttle import Throttle


class Orders(NamedTuple):
    """What holds for every visit of an execution."""

    policies: Policies
    rules: Rules
    part_size: int
    salt: bytes = b""  # whatever else decisions depend on: another salt, another signature
    throttles: Sequence[Throttle] = ()
