"""What every connector keeps: the contract of ``connectors/protocol.py`` as tests.

A connector's own test file is a class and one fixture::

    class TestSftp(ConnectorContract):
        @pytest.fixture
        def connector(self, sftp_server: SftpServer) -> Iterator[Connector]:
            with closing(open_sftp(sftp_server.settings)) as connector:
                yield connector

Tests that need an ability or a limit that the connector does not have are skipped and say so. What protocol
and limits cannot tell is said by the class attributes. Each test works inside a container of its own, so a
server may be shared by all of them.
"""

from tallyport.connectors.protocol import (
    Connector,
)
from tallyport.testing.bunch_contract import BunchContract
from tallyport.testing.changing_contract import ChangingContract
from tallyport.testing.contract_words import (
    refused,
)
from tallyport.testing.naming_contract import NamingContract
from tallyport.testing.reading_contract import ReadingContract

__all__ = ["ConnectorContract", "refused"]


class ConnectorContract(ReadingContract, NamingContract, ChangingContract, BunchContract):
    """The contract. Subclass it, give the fixture ``connector``, and correct what is not as usual."""

    # -- the end

    def test_closing_twice_is_harmless(self, connector: Connector) -> None:
        connector.close()
        connector.close()
