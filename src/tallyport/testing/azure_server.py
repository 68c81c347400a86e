"""Azurite, Microsoft's emulator of Azure Blob Storage, for tests: a real server on loopback (``servers.py``).

It keeps conditions, blocks, snapshots, leases and MD5. It has no versions but snapshots, and it believes any SAS of
its one account.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from tallyport.testing.object_servers import program
from tallyport.testing.servers import HOST, answers, free_port, running, scratch

ACCOUNT = "devstoreaccount1"
# The key of everybody's emulator: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "contract"
PROGRAM = "azurite-blob"


class AzureServer(NamedTuple):
    """A server that speaks the blob service, with one container."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}/{ACCOUNT}"

    def settings(self, **more: object) -> dict[str, object]:
        """Give the settings document of a connection to its container."""
        return {"account": ACCOUNT, "container": CONTAINER, "endpoint": self.endpoint, "key": KEY, **more}

    @property
    def connection_string(self) -> str:
        return f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.endpoint}"


def is_installed() -> bool:
    """Tell whether ``dev.py`` could install it."""
    return os.path.isabs(program(PROGRAM))


@contextmanager
def azurite() -> Iterator[AzureServer]:
    """Run Azurite until the block ends."""
    with scratch("azurite") as folder:
        port = free_port()
        server = AzureServer(port)
        command = [program(PROGRAM), "--blobHost", HOST, "--blobPort", str(port), "--location", folder]
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        with running(command, port, folder, is_ready=lambda: answers(port) and has_container(server, CONTAINER)):
            yield server


def has_container(server: AzureServer, name: str) -> bool:
    """Make a container, or find that it is not time yet."""
    from tallyport.connectors.azure_http import Container
    from tallyport.connectors.object_http import Refused
    from tallyport.connectors.registry import platform
    from tallyport.domain.errors import TallyportError

    settings = platform("azure_blob").read_settings(server.settings(container=name))
    with closing(Container(settings)) as container:  # type: ignore[arg-type]
        try:
            with container.translated("open", name):
                container.call("PUT", None, query={"restype": "container"})
        except TallyportError as error:
            return isinstance(error.__cause__, Refused) and error.__cause__.code == "ContainerAlreadyExists"
    return True
