"""The contract holds for the memory connector, plain and as awkward as it can be, and through every layer."""

from __future__ import annotations

import pytest

from tallyport.connectors.layers import Bucket, Limited, Measured, Retrying, Throttled
from tallyport.connectors.memory import PLAIN, Memory, Settings
from tallyport.connectors.protocol import Connector
from tallyport.testing.connector_contract import ConnectorContract


class TestMemory(ConnectorContract):
    names_are_bytes = True

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory()

    def abandon(self, connector: Connector, path: str, token: str) -> None:
        assert isinstance(connector, Memory)
        connector.leave_temporary(path, token)


class TestMemoryLikeAnOldShare(ConnectorContract):
    """Case folds, times are even seconds, names are short and strict, files are small."""

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory(
            Settings(
                case_insensitive=True,
                time_precision=2_000_000_000,
                forbidden_characters='\\:*?"<>|\n\r\t\x1b\x7f',
                forbidden_endings=". ",
                max_name=200,
                max_size=4_000_000_000,
                symlinks=False,
                hard_links=False,
                permissions=False,
            )
        )


class TestMemoryLikeAnObjectStore(ConnectorContract):
    """Listings lag, hashes come with the entry; nothing can be renamed, stamped or linked."""

    looks = 30

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory(
            Settings(
                lag=9,
                free_hashes=True,
                max_size=4 * 1024 * 1024,
                stamps=False,
                moves=False,
                hashes=False,
                symlinks=False,
                hard_links=False,
                sweeps=False,
            )
        )


class TestPlainMemory(ConnectorContract):
    """Only what every platform can do."""

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory(PLAIN)


class TestMemoryBelowItsRoot(ConnectorContract):
    """A job's path: the root of the connector is a container of the tree."""

    names_are_bytes = True

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory(Settings(), "deep/inside", make=True)


class TestMemoryInAllLayers(ConnectorContract):
    """Layers change nothing that the contract can see."""

    names_are_bytes = True

    @pytest.fixture
    def connector(self) -> Connector:
        return Retrying(Throttled(Limited(Measured(Memory()), 3), Bucket(None)))
