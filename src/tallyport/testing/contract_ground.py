"""What the tests of the contract stand on: the connector under test, a place of its own, and a few words."""

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

import pytest

from tallyport.connectors.protocol import (
    Connector,
    Precondition,
)
from tallyport.domain.entries import Entry
from tallyport.testing.ability_contract import AbilityContract
from tallyport.testing.worlds import put


class ContractGround(AbilityContract):
    """Where a connector is put to the test. What is not as usual is corrected by the subclass."""

    part_size: ClassVar[int] = 1024 * 1024  # of one request; content of more than two is carried
    changed_names: ClassVar[frozenset[str]] = frozenset()  # labels of AWKWARD_NAMES that this server alone spoils
    many: ClassVar[int] = 250  # entries of a long listing: more than two pages
    names_are_bytes: ClassVar[bool] = False  # any bytes are a name
    keeps_times: ClassVar[bool] = True  # a time given with a write is kept
    keeps_container_times: ClassVar[bool] = True  # a container can be stamped
    atomic_precondition: ClassVar[bool] = True  # holds when the write becomes visible, not only when it begins
    one_creator: ClassVar[bool] = True  # of several at once that must be new, one wins
    looks: ClassVar[int] = 1  # listings until a change shows
    longest_name: ClassVar[int | None] = None  # of this server, where it takes less than the platform
    above: ClassVar[str] = ""  # what the platform counts to a path besides: the root of the connection, with its slash

    @pytest.fixture
    def connector(self) -> Iterator[Connector]:
        raise NotImplementedError("give the connector under test in a fixture of this name")

    def abandon(self, connector: Connector, path: str, token: str) -> None:
        """Leave a temporary marked with ``token`` in a container, as a crash in mid-write would."""
        pytest.skip("the test class does not say how a crash leaves a temporary")

    def pause(self) -> None:
        """Wait between two looks at a listing that lags."""

    # -- words of the tests

    def put(self, connector: Connector, path: str, data: bytes = b"content", when: Precondition | None = None) -> Entry:
        return put(connector, path, data, when)

    def listed(self, connector: Connector, path: str, until: Callable[[dict[str, Entry]], bool]) -> dict[str, Entry]:
        """List by name, again while the listing may lag behind."""
        for _ in range(self.looks):
            entries = list(connector.children(path))
            found = {entry.name: entry for entry in entries}
            assert len(found) == len(entries), "an entry was listed twice"
            if until(found):
                break
            self.pause()
        return found

    def names(self, connector: Connector, path: str, expected: Iterable[str]) -> set[str]:
        wanted = set(expected)
        return set(self.listed(connector, path, lambda found: set(found) == wanted))
