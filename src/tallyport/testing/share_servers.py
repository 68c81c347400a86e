"""Servers of files for tests: OpenSSH, the SSH server of asyncssh in this process, and Samba."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tallyport.testing.servers import HOST, free_port, running, scratch


class SshServer(NamedTuple):
    """An SSH server, what to know of it, and where its files are on this machine."""

    port: int
    username: str
    private_key: str
    host_key: str  # fingerprint
    folder: str

    @property
    def settings(self) -> dict[str, object]:
        """Give a connection's settings for it."""
        return {
            "host": HOST,
            "port": self.port,
            "username": self.username,
            "private_key": self.private_key,
            "host_key": self.host_key,
            "path": self.folder,
        }


def _keys(folder: str) -> tuple[str, str]:
    """Make a host key and a user's key; give the fingerprint of the one and the text of the other."""
    import asyncssh

    host, user = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    for name, key in (("hostkey", host), ("userkey", user)):
        path = os.path.join(folder, name)
        key.write_private_key(path)
        os.chmod(path, 0o600)
    user.write_public_key(os.path.join(folder, "authorized"))
    host.write_public_key(os.path.join(folder, "hostkey.pub"))
    return host.get_fingerprint(), user.export_private_key().decode()


@contextmanager
def openssh() -> Iterator[SshServer]:
    """Run OpenSSH's server for the account that runs the tests."""
    program = shutil.which("sshd")
    assert program is not None
    with scratch("sshd") as folder:
        fingerprint, user_key = _keys(folder)
        files = os.path.join(folder, "files")
        os.mkdir(files)
        port = free_port()
        with open(os.path.join(folder, "config"), "w", encoding="utf-8") as config:
            config.write(
                f"Port {port}\nListenAddress {HOST}\nHostKey {folder}/hostkey\n"
                f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nPermitRootLogin prohibit-password\n"
                "PasswordAuthentication no\nUsePAM no\nSubsystem sftp internal-sftp\nMaxStartups 100\nMaxSessions 100\n"
                f"PidFile {folder}/pid\n"
            )
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # where it locks itself up; the service's start makes it
        with running([program, "-D", "-e", "-f", os.path.join(folder, "config")], port, folder):
            user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
            yield SshServer(port, user, user_key, fingerprint, files)


@contextmanager
def asyncssh_server(
    *, version: int = 6, server: Callable[..., Any] | None = None, login: Callable[..., Any] | None = None
) -> Iterator[SshServer]:
    """Serve from this process over a given version of SFTP."""
    import asyncssh

    from tallyport.connectors import event_loop

    with scratch("asyncssh") as folder:
        fingerprint, user_key = _keys(folder)
        files = os.path.join(folder, "files")
        os.mkdir(files)

        async def listen() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen(
                HOST,
                0,
                server_factory=login or asyncssh.SSHServer,
                server_host_keys=[os.path.join(folder, "hostkey")],
                authorized_client_keys=os.path.join(folder, "authorized"),
                sftp_factory=server or asyncssh.SFTPServer,
                sftp_version=version,
            )

        async def close(acceptor: asyncssh.SSHAcceptor) -> None:
            acceptor.close()
            await acceptor.wait_closed()

        acceptor = event_loop.run(listen())
        try:
            yield SshServer(acceptor.get_port(), "somebody", user_key, fingerprint, files)
        finally:
            event_loop.run(close(acceptor))


class SmbServer(NamedTuple):
    """A Samba server with two shares of one folder: ``files`` with Windows access lists, ``posix`` with POSIX ones."""

    port: int
    username: str
    password: str
    folder: str

    def settings(self, share: str = "files", path: str = "") -> dict[str, object]:
        """Give a connection's settings for it."""
        return {
            "host": HOST,
            "port": self.port,
            "share": share,
            "path": path,
            "username": self.username,
            "password": self.password,
        }


_SAMBA = """
[global]
  server role = standalone server
  workgroup = TEST
  disable netbios = yes
  smb ports = {port}
  interfaces = 127.0.0.1/8
  bind interfaces only = yes
  private dir = {folder}/private
  lock directory = {folder}/lock
  state directory = {folder}/state
  cache directory = {folder}/cache
  pid directory = {folder}/run
  ncalrpc dir = {folder}/run/ncalrpc
  passdb backend = tdbsam:{folder}/private/passdb.tdb
  log file = {folder}/log.%m
  map to guest = Never
  load printers = no
  disable spoolss = yes
  server min protocol = SMB2_10
  ea support = yes
  store dos attributes = yes
[files]
  path = {folder}/share
  read only = no
  vfs objects = shadow_copy2 acl_xattr streams_xattr
  shadow:snapdir = {folder}/share/.snapshots
  shadow:basedir = {folder}/share
  shadow:mountpoint = {folder}/share
  shadow:format = @GMT-%Y.%m.%d-%H.%M.%S
  acl_xattr:ignore system acls = yes
  inherit acls = yes
[posix]
  path = {folder}/share
  read only = no
"""


@contextmanager
def samba() -> Iterator[SmbServer]:
    """Run Samba. Its one account is that of whoever runs the tests, with a password of its own."""
    program = shutil.which("smbd")
    assert program is not None
    with scratch("samba") as folder:
        for name in ("private", "lock", "state", "cache", "run", "run/ncalrpc", "share", "share/.snapshots"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        port = free_port()
        config = os.path.join(folder, "smb.conf")
        with open(config, "w", encoding="utf-8") as stream:
            stream.write(_SAMBA.format(port=port, folder=folder))
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        password = "a b'c"
        subprocess.run(
            ["smbpasswd", "-c", config, "-s", "-a", user],
            input=f"{password}\n{password}\n".encode(),
            check=True,
            capture_output=True,
        )
        command = [program, "--foreground", "--no-process-group", "--debug-stdout", "-s", config]
        with running(command, port, folder):
            yield SmbServer(port, user, password, os.path.join(folder, "share"))
