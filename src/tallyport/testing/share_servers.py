"""Servers of files for tests: OpenSSH, the SSH server of asyncssh in this process, Samba, WsgiDAV and Apache."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tallyport.testing.object_servers import program
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


def keys(folder: str) -> tuple[str, str]:
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
        fingerprint, user_key = keys(folder)
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
    *,
    version: int = 6,
    server: Callable[..., Any] | None = None,
    login: Callable[..., Any] | None = None,
    window: int | None = None,
) -> Iterator[SshServer]:
    """Serve from this process over a given version of SFTP.

    With a ``window`` the ``login`` serves sessions itself (``session_requested``), in bytes.
    """
    import asyncssh

    from tallyport.connectors import event_loop

    with scratch("asyncssh") as folder:
        fingerprint, user_key = keys(folder)
        files = os.path.join(folder, "files")
        os.mkdir(files)
        serves: dict[str, Any] = {"window": window, "encoding": None}  # sessions of the login's own
        if window is None:
            serves = {"sftp_factory": server or asyncssh.SFTPServer, "sftp_version": version}

        async def listen() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen(
                HOST,
                0,
                server_factory=login or asyncssh.SSHServer,
                server_host_keys=[os.path.join(folder, "hostkey")],
                authorized_client_keys=os.path.join(folder, "authorized"),
                **serves,
            )

        async def close(acceptor: asyncssh.SSHAcceptor) -> None:
            acceptor.close()
            await acceptor.wait_closed()

        acceptor = event_loop.run(listen())
        try:
            yield SshServer(acceptor.get_port(), "somebody", user_key, fingerprint, files)
        finally:
            event_loop.run(close(acceptor))


@contextmanager
def lying_sftp() -> Iterator[tuple[dict[str, object], str]]:
    """Serve by ``rclone serve sftp``, which renames over what stands there; gives settings and the folder."""
    with scratch("rclone-sftp") as folder:
        fingerprint, _ = keys(folder)
        files = os.path.join(folder, "files")
        os.mkdir(files)
        port = free_port()
        command = [program("rclone"), "--config", os.devnull, "serve", "sftp", "--addr", f"{HOST}:{port}"]
        command += [
            "--user",
            "u",
            "--pass",
            "p",
            "--key",
            os.path.join(folder, "hostkey"),
            "--vfs-cache-mode",
            "writes",
        ]
        command += ["--cache-dir", os.path.join(folder, "cache"), files]
        with running(command, port, folder):
            yield {"host": HOST, "port": port, "username": "u", "password": "p", "host_key": fingerprint}, files


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


class DavServer(NamedTuple):
    """A WebDAV server."""

    url: str
    username: str
    password: str
    folder: str

    @property
    def settings(self) -> dict[str, object]:
        """Give a connection's settings for it."""
        return {"url": self.url, "username": self.username, "password": self.password}


@contextmanager
def wsgidav() -> Iterator[DavServer]:
    """Run WsgiDAV, which keeps dead properties and lets a file's time be set."""
    with scratch("wsgidav") as folder:
        files = os.path.join(folder, "files")
        os.mkdir(files)
        port = free_port()
        config = {
            "host": HOST,
            "port": port,
            "server": "cheroot",
            "provider_mapping": {"/": files},
            "simple_dc": {"user_mapping": {"*": {"u": {"password": "p"}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "lock_storage": True,
            "property_manager": True,
            "mutable_live_props": ["{DAV:}getlastmodified"],
            "logging": {"enable": False},
        }
        path = os.path.join(folder, "config.json")
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(config, stream)
        command = [sys.executable, "-m", "wsgidav.server.server_cli", "--config", path]
        with running(command, port, folder):
            yield DavServer(f"http://{HOST}:{port}", "u", "p", files)


_APACHE = """
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
User {user}
Group {group}
{modules}
DavLockDB {folder}/locks/db
DocumentRoot {folder}/files
TypesConfig /dev/null
<Directory {folder}/files>
  Dav On
  AuthType Basic
  AuthName test
  AuthUserFile {folder}/users
  Require valid-user
</Directory>
"""
_MODULES = (
    *("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic"),
    *("dav", "dav_fs", "dav_lock", "mime"),
)


@contextmanager
def apache() -> Iterator[DavServer]:
    """Run Apache with mod_dav_fs, whose fresh files have weak ETags and whose times cannot be set."""
    program = shutil.which("apache2")
    assert program is not None
    libraries = next(path for path in ("/usr/lib/apache2/modules", "/usr/libexec/apache2") if os.path.isdir(path))
    with scratch("apache") as folder:
        files, locks = os.path.join(folder, "files"), os.path.join(folder, "locks")
        port = free_port()
        loads = [
            f"LoadModule {name}_module {libraries}/mod_{name}.so"
            for name in _MODULES
            if os.path.exists(f"{libraries}/mod_{name}.so")
        ]
        user, group = ("www-data", "www-data") if os.geteuid() == 0 else (str(os.geteuid()), f"#{os.getegid()}")
        for path in (files, locks):
            os.mkdir(path)
            if os.geteuid() == 0:
                shutil.chown(path, user, group)
        with open(os.path.join(folder, "users"), "w", encoding="utf-8") as stream:
            digest = base64.b64encode(hashlib.sha1(b"p", usedforsecurity=False).digest()).decode()
            stream.write(f"u:{{SHA}}{digest}\n")
        config = os.path.join(folder, "apache.conf")
        with open(config, "w", encoding="utf-8") as stream:
            stream.write(_APACHE.format(folder=folder, port=port, user=user, group=group, modules="\n".join(loads)))
        with running([program, "-D", "FOREGROUND", "-f", config], port, folder):
            yield DavServer(f"http://{HOST}:{port}", "u", "p", files)
