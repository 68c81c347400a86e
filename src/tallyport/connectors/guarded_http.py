"""HTTP whose every connection goes to a checked address: pools for urllib3, and for libraries that stand on it.

The name stays in the Host header, in SNI and in the check of the certificate. Whatever is asked for next, after a
redirect too, is a new connection and checked like the first.
"""

import socket
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from tallyport.connectors import hosts


class Guarded:
    """Mixed into a connection of urllib3: what it connects to was checked."""

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        if connection.proxy is not None:  # whoever runs this machine chose the proxy
            made: socket.socket = super()._new_conn()  # type: ignore[misc]
            return made
        try:
            made = hosts.connect(connection._dns_host.strip("[]"), connection.port, connection.timeout)
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, f"{connection.host} does not answer") from error
        except OSError as error:
            raise NewConnectionError(connection, f"cannot be connected to: {error}") from error
        for option in connection.socket_options or ():
            made.setsockopt(*option)
        return made


class GuardedHttp(Guarded, HTTPConnection):
    """A plain connection."""


class GuardedHttps(Guarded, HTTPSConnection):
    """A connection over TLS."""


class GuardedHttpPool(HTTPConnectionPool):
    """Plain connections to one host."""

    ConnectionCls = GuardedHttp


class GuardedHttpsPool(HTTPSConnectionPool):
    """Connections over TLS to one host."""

    ConnectionCls = GuardedHttps


def pool_classes() -> dict[str, Any]:
    """Give the pools for each scheme, as a ``PoolManager`` of urllib3 takes them."""
    return {"http": GuardedHttpPool, "https": GuardedHttpsPool}
