"""Places on every kind of server, as we and as rclone name them. Each server is started when first asked for."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tallyport.testing import azure_server, ftp_servers, gcs_server, nextcloud_server, object_servers, share_servers
from tallyport.testing.object_servers import S3Server, program
from tallyport.testing.proxy import Proxy, Trouble, proxied
from tests.engine.pairs import End

SECOND = 1_000_000_000
OBJECTS = ("s3", "azure", "gcs", "gcs_emulator")
SHARES = ("sftp", "smb", "wsgidav", "nextcloud", "ftp", "ftps")
PRECISION = {**dict.fromkeys(SHARES, SECOND), "smb": 100}  # of times, in nanoseconds; elsewhere 1
PROGRAMS = {"sftp": "sshd", "smb": "smbd", "ftps": "vsftpd"}
IN_CI = os.environ.get("CI", "").lower() == "true"


def kind(*names: str) -> Any:
    """Give a row of a table of tests: kinds of servers, marked with the programs that they need."""
    return pytest.param(*names, marks=[pytest.mark.needs(PROGRAMS[name]) for name in names if name in PROGRAMS])


class Served(NamedTuple):
    """A server that runs."""

    platform: str
    port: int
    settings: Callable[[int], dict[str, object]]  # to reach it by a port
    remote: str  # as rclone names its root
    stores: tuple[str, str] = ("PUT", "*")  # method and path of the requests that store content of items
    seen_by_referee: tuple[str, ...] = ()  # how to have rclone compare what the server shows it


class Place(NamedTuple):
    """A folder of a server."""

    end: End
    served: Served

    def refereed(self, folder: Path) -> None:
        """Have rclone read this place and a folder, and say that they are equal."""
        remote = f"{self.served.remote}{self.end.path[1:]}"
        command = [program("rclone"), "check", "--download", "--config", os.devnull, *self.served.seen_by_referee]
        done = subprocess.run([*command, str(folder), remote], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "0 differences found" in done.stderr, done.stderr

    def by(self, port: int, **more: object) -> Place:
        """Give the same place, reached by another port."""
        return Place(self.end._replace(settings={**self.served.settings(port), **more}), self.served)

    def refusing(self, nth: int, status: int, *, times: int | None = 1, wait: int | None = None) -> Trouble:
        """Have the server refuse content of files, from the nth on."""
        method, path = self.served.stores
        headers = () if wait is None else (("Retry-After", str(wait)),)
        content = path if path != "*" else "*/file-*"  # not what is written to try the server out
        return Trouble(method=method, path=content, nth=nth, times=times, status=status, headers=headers)

    @contextmanager
    def troubled(self, *script: Trouble) -> Iterator[tuple[Place, Proxy]]:
        """Reach the place over a network that has troubles."""
        with proxied(self.served.port, *script) as proxy:
            yield self.by(proxy.port), proxy


class Places:
    """Servers, and new places on them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._known: dict[str, Served] = {}
        self.folders: dict[str, str] = {}  # where the files of a server are on this machine

    def served(self, name: str) -> Served:
        if name not in self._known:
            self._known[name] = getattr(self, f"_{name}")()
        return self._known[name]

    def new(self, name: str) -> Place:
        served = self.served(name)
        return Place(End(served.platform, served.settings(served.port), f"/at-{uuid.uuid4().hex[:8]}"), served)

    # -- stores of objects

    def _s3(self) -> Served:
        server = self._stack.enter_context(object_servers.seaweed())
        login = f"access_key_id={object_servers.ACCESS_KEY},secret_access_key='{object_servers.SECRET_KEY}'"
        where = f'provider=Other,endpoint="{server.endpoint}",region=us-east-1'
        remote = f":s3,{where},{login}:{object_servers.BUCKET}/"
        return Served("s3", port_of(server.endpoint), lambda port: S3Server(at(port)).settings(), remote)

    def _azure(self) -> Served:
        if not azure_server.is_installed() and not IN_CI:
            pytest.skip("needs Azurite: python3 dev.py setup, with npm")
        server = self._stack.enter_context(azure_server.azurite())
        login = f'account={azure_server.ACCOUNT},key="{azure_server.KEY}",endpoint="{server.endpoint}"'

        def settings(port: int) -> dict[str, object]:
            return server.settings(endpoint=f"{at(port)}/{azure_server.ACCOUNT}")

        return Served("azure_blob", server.port, settings, f":azureblob,{login}:{azure_server.CONTAINER}/")

    def _gcs(self) -> Served:
        return self._google(self._stack.enter_context(gcs_server.fake_gcs(token="")))

    def _gcs_kept(self) -> Served:
        return self._google(self._stack.enter_context(gcs_server.fake_gcs(token="", is_kept=True)))

    def _gcs_emulator(self) -> Served:
        if gcs_server.emulator() is None and not IN_CI:
            pytest.skip("needs fake-gcs-server, which has no program for this machine")
        return self._google(self._stack.enter_context(gcs_server.fake_gcs_server()))

    def _google(self, server: gcs_server.GcsServer) -> Served:
        login = f'anonymous=true,endpoint="{server.endpoint}/storage/v1/"'
        remote = f":googlecloudstorage,{login}:{gcs_server.BUCKET}/"
        stores = ("POST", "*uploadType*")
        return Served("gcs", server.port, lambda port: server.settings(endpoint=at(port)), remote, stores)

    # -- shares

    def _sftp(self) -> Served:
        server = self._stack.enter_context(share_servers.openssh())
        key = os.path.join(os.path.dirname(server.folder), "userkey")
        remote = f":sftp,host=127.0.0.1,port={server.port},user={server.username},key_file={key}:{server.folder}/"
        return Served("sftp", server.port, lambda port: {**server.settings, "port": port}, remote)

    def _smb(self) -> Served:
        server = self._stack.enter_context(share_servers.samba())
        self.folders["smb"] = server.folder
        login = f"user={server.username},pass={obscured(server.password)}"
        remote = f":smb,host=127.0.0.1,port={server.port},{login}:files/"
        return Served("smb", server.port, lambda port: {**server.settings("files"), "port": port}, remote)

    def _wsgidav(self) -> Served:
        return self._dav(self._stack.enter_context(share_servers.wsgidav()))

    def _nextcloud(self) -> Served:
        return self._dav(self._stack.enter_context(nextcloud_server.nextcloud()))

    def _dav(self, server: share_servers.DavServer) -> Served:
        remote = f':webdav,url="{server.url}",user=u,pass={obscured("p")}:'
        here = port_of(server.url)

        def settings(port: int) -> dict[str, object]:
            return {**server.settings, "url": server.url.replace(f":{here}", f":{port}")}

        return Served("webdav", here, settings, remote, ("PUT", "*.tallyport-[0-9a-f]*"))

    def _ftp(self) -> Served:
        server = self._stack.enter_context(ftp_servers.pyftpdlib())
        self.folders["ftp"] = server.folder
        remote = f":ftp,host=127.0.0.1,port={server.port},user=u,pass={obscured(server.password)}:"
        return Served("ftp", server.port, lambda port: {**server.settings, "port": port}, remote)

    def _ftps(self) -> Served:
        server = self._stack.enter_context(ftp_servers.vsftpd(tls=True))
        options = "explicit_tls=true,no_check_certificate=true"
        login = f"user={server.username},pass={obscured(server.password)}"
        remote = f":ftp,host=127.0.0.1,port={server.port},{login},{options}:"
        hidden = ("--exclude", ".*")  # rclone does not ask vsftpd for hidden files
        return Served(
            "ftp", server.port, lambda port: {**server.settings, "port": port}, remote, seen_by_referee=hidden
        )


def at(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def port_of(url: str) -> int:
    return int(url.split("/")[2].rpartition(":")[2])


def obscured(password: str) -> str:
    command = [program("rclone"), "obscure", password]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
