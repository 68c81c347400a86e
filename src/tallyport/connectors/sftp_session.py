"""One SSH connection with an SFTP channel: host keys, sign-in, and a new connection when the old one broke.

A host key is verified always: against a fingerprint, against lines of a known_hosts file, or against the file of
the account that runs Tallyport. A key that none of them knows is refused with its fingerprint in the message.
"""

import asyncio
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from tallyport.connectors import event_loop, hosts, reach
from tallyport.connectors.setting_checks import not_positive, wrong_port
from tallyport.connectors.sftp_lane import VERSION, Lane, open_lane
from tallyport.connectors.sftp_wire import gather
from tallyport.domain.errors import ErrorKind, TallyportError

# The fastest first: with hardware AES half the work of the library's default.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)

# Where the loop waits for a connection: to connect, the library needs one of the threads of the loop itself.
CONNECTING = ThreadPoolExecutor(8, thread_name_prefix="sftp-connect")

# It logs each connection, with the user's name, at a level that is on by default.
logging.getLogger("asyncssh").setLevel(logging.WARNING)


def _wrong_root(path: str) -> str | None:
    if "\0" in path:
        return "cannot hold a NUL character"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the server is and how to sign in."""

    host: str = field(metadata={"help": "name or address of the server"})
    port: int = field(default=22, metadata={"help": "its port", "check": wrong_port})
    username: str = field(metadata={"help": "account on the server"})
    password: str | None = field(default=None, metadata={"help": "of the account", "secret": True})
    private_key: str | None = field(
        default=None,
        metadata={"help": "private key, the text of the file (OpenSSH or PEM)", "secret": True, "lines": True},
    )
    private_key_password: str | None = field(
        default=None, metadata={"help": "what the private key is locked with", "secret": True}
    )
    agent: bool = field(
        default=False, metadata={"help": "use the keys of the SSH agent of this machine (the server must allow it)"}
    )
    host_key: str | None = field(
        default=None, metadata={"help": "fingerprint of the server's key, as ssh-keygen -l shows it: SHA256:..."}
    )
    known_hosts: str | None = field(
        default=None, metadata={"help": "lines of a known_hosts file with the server's key", "lines": True}
    )
    path: str = field(
        default="", metadata={"help": "folder on the server; empty: where the account lands", "check": _wrong_root}
    )
    owners: bool | None = field(
        default=None, metadata={"help": "the account may give files away; usual: only root may"}
    )
    prove_with_sha256sum: bool = field(
        default=False,
        metadata={"help": "have the server's sha256sum prove each written file (needs an account with a shell)"},
    )
    timeout: float = field(
        default=30.0, metadata={"help": "seconds a call may stay without an answer", "check": not_positive}
    )


class Session:
    """The connection behind a connector, made when first needed. May be used from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.where = f"{settings.host}:{settings.port}"
        self._lock = threading.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self._lane: Lane | None = None
        self._has_lane = True
        self._is_closed = False

    def client(self) -> asyncssh.SFTPClient:
        """Give the SFTP channel, of a new connection when there is none or it broke."""
        with self._lock:
            if self._client is None or self._connection is None or self._connection.is_closed():
                if self._is_closed:
                    raise TallyportError(ErrorKind.UNAVAILABLE, f"the connection to {self.where} was closed")
                made = self._socket()
                try:
                    self._connection, self._client = event_loop.run(self._connect(made))
                except BaseException:
                    made.close()
                    raise
            return self._client

    def connection(self) -> asyncssh.SSHClientConnection:
        """Give the SSH connection itself."""
        self.client()
        assert self._connection is not None
        return self._connection

    def lane(self) -> Lane | None:
        """Give the channel for small files, or None where the server has none: it is asked once."""
        lane = self._lane
        if lane is not None and lane.is_open:
            return lane
        client = self.client()
        with self._lock:
            connection = self._connection
            if client.version != VERSION or not self._has_lane or connection is None:
                return None
            if self._lane is None or not self._lane.is_open:
                self._lane = event_loop.run(open_lane(connection, self.settings.timeout))
                self._has_lane = self._lane is not None
            return self._lane

    def standing(self) -> asyncssh.SFTPClient | None:
        """Give the channel if there is one that is not known to be broken. Never waits."""
        connection, client = self._connection, self._client
        return client if connection is not None and not connection.is_closed() else None

    def drop(self) -> None:
        """Let go of a connection that broke; the next call makes another one."""
        with self._lock:
            connection, self._connection, self._client, self._lane = self._connection, None, None, None
        if connection is not None:
            event_loop.run(_abort(connection))

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._is_closed = True
            connection, client, self._connection, self._client = self._connection, self._client, None, None
            if connection is not None and client is not None:
                event_loop.run(_end(connection, client))

    def _socket(self) -> socket.socket:
        settings = self.settings
        if settings.agent:
            what = "the setting agent uses the keys of the SSH agent of the account that runs this server"
            reach.check_own_credentials(what, "give private_key or password")
        try:
            made = hosts.connect(settings.host, settings.port, settings.timeout)
        except TimeoutError as error:
            raise self._silent() from error
        except OSError as error:
            raise self._unreachable(error) from error
        made.setblocking(False)
        return made

    async def _connect(self, made: socket.socket) -> tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]:
        settings = self.settings
        visitor = _Visitor(settings)
        try:
            async with asyncio.timeout(settings.timeout):
                connection = await asyncssh.connect(
                    settings.host,
                    settings.port,
                    sock=made,
                    config=None,
                    client_factory=lambda: visitor,
                    known_hosts=_known_hosts(settings),
                    username=settings.username,
                    password=settings.password,
                    client_keys=_keys(settings),
                    agent_path=() if settings.agent else None,
                    preferred_auth="publickey,keyboard-interactive,password",
                    encryption_algs=CIPHERS,
                    compression_algs=["none"],
                    keepalive_interval=settings.timeout / 2,
                    keepalive_count_max=2,
                    gss_host=None,
                )
                gather(connection)
                try:
                    return connection, await connection.start_sftp_client(path_encoding=None, sftp_version=6)
                except BaseException:
                    connection.abort()
                    raise
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._refused_host(visitor, error) from error
        except asyncssh.PermissionDenied as error:
            message = f"{self.where} refuses to sign in {settings.username!r}: correct the password or the key"
            raise TallyportError(ErrorKind.UNAUTHENTICATED, message, operation="open") from error
        except asyncssh.ChannelOpenError as error:
            message = f"{self.where} has no SFTP for {settings.username!r}: {error.reason}"
            raise TallyportError(ErrorKind.CONFIG, message, operation="open") from error
        except TimeoutError as error:
            raise self._silent() from error
        except (asyncssh.Error, OSError) as error:
            raise self._unreachable(error) from error

    def _silent(self) -> TallyportError:
        within = f"{self.settings.timeout:g} seconds"
        message = f"{self.where} did not answer within {within}: check host, port and firewall"
        return TallyportError(ErrorKind.TIMEOUT, message, operation="open")

    def _unreachable(self, error: Exception) -> TallyportError:
        message = f"cannot reach {self.where}: {_words(error)}; check host, port and network"
        return TallyportError(ErrorKind.UNAVAILABLE, message, operation="open")

    def _refused_host(self, visitor: "_Visitor", error: Exception) -> TallyportError:
        seen = visitor.seen or "none that could be read"
        if self.settings.host_key is not None:
            known = f"the setting host_key says {self.settings.host_key}"
        elif self.settings.known_hosts is not None:
            known = "no line of the setting known_hosts has it"
        else:
            known = "nobody has said yet that it is the right one"
        message = (
            f"{self.where} shows the host key {seen} and {known}: ask whoever runs the server for the fingerprint; "
            "if it is this one, put it into the setting host_key"
        )
        return TallyportError(ErrorKind.CONFIG, message, operation="open", setting="host_key")


class _Visitor(asyncssh.SSHClient):
    """Looks at the host key that a server shows."""

    def __init__(self, settings: Settings) -> None:
        self._wanted = settings.host_key
        self.seen = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.seen = key.get_fingerprint()
        wanted = (self._wanted or "").strip()
        algorithm = wanted.partition(":")[0].lower()
        if not wanted:
            return False
        if algorithm not in ("sha256", "md5"):
            wanted, algorithm = f"SHA256:{wanted}", "sha256"
        shown = key.get_fingerprint(algorithm)
        return shown.rstrip("=") == algorithm.upper() + wanted[len(algorithm) :].rstrip("=")


def _known_hosts(settings: Settings) -> Any:
    if settings.host_key is not None:
        return ([], [], [])  # none are known by line: the visitor decides
    if settings.known_hosts is None:
        return ()  # of the account that runs us
    try:
        return asyncssh.import_known_hosts(settings.known_hosts)
    except ValueError as error:
        message = f"the setting known_hosts cannot be read: {error}"
        raise TallyportError(ErrorKind.CONFIG, message, operation="open") from error


def _keys(settings: Settings) -> list[asyncssh.SSHKey] | None:
    if settings.private_key is None:
        return None
    try:
        return [asyncssh.import_private_key(settings.private_key, settings.private_key_password)]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        message = f"the setting private_key cannot be read: {error}"
        raise TallyportError(ErrorKind.CONFIG, message, operation="open") from error


def _words(error: Exception) -> str:
    return (getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error)).lower()


async def _abort(connection: asyncssh.SSHClientConnection) -> None:
    connection.abort()


async def _end(connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient) -> None:
    """Leave in good order, but not wait for a server that is gone."""
    try:
        async with asyncio.timeout(5):
            client.exit()
            connection.close()
            await connection.wait_closed()
    except (TimeoutError, asyncssh.Error, OSError):
        connection.abort()
