"""SFTP keeps the contract on OpenSSH and on asyncssh, and its own promises about host keys and symlinks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import asyncssh
import pytest

from tallyport.connectors import event_loop
from tallyport.connectors.protocol import Connector, Copies, Facts, Precondition, Uploads
from tallyport.connectors.registry import platform
from tallyport.connectors.sftp import Settings, Sftp, open_sftp
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import ConnectorContract, refused
from tallyport.testing.share_servers import SshServer, asyncssh_server, openssh
from tallyport.testing.worlds import content, read_all


@pytest.fixture(scope="module")
def sshd() -> Iterator[SshServer]:
    with openssh() as server:
        yield server


@pytest.fixture(scope="module")
def small() -> Iterator[SshServer]:
    with asyncssh_server() as server:
        yield server


@pytest.fixture(scope="module")
def on_openssh(sshd: SshServer) -> Iterator[Sftp]:
    with closing(open_sftp(Settings(**sshd.settings))) as connector:
        yield connector


@pytest.fixture(scope="module")
def on_asyncssh(small: SshServer) -> Iterator[Sftp]:
    with closing(open_sftp(Settings(**small.settings))) as connector:
        yield connector


class SftpContract(ConnectorContract):
    names_are_bytes = True

    def abandon(self, connector: Connector, path: str, token: str) -> None:
        assert isinstance(connector, Uploads)
        connector.begin_upload(f"{path}/any", Facts(), token=token)


@pytest.mark.needs("sshd")
class TestOpenSsh(SftpContract):
    """Version 3, with times to the second."""

    @pytest.fixture
    def connector(self, request: pytest.FixtureRequest, sshd: SshServer, on_openssh: Sftp) -> Connector:
        return one_to_close(request, sshd) or on_openssh


class TestAsyncssh(SftpContract):
    """Version 6, with times to the nanosecond."""

    @pytest.fixture
    def connector(self, request: pytest.FixtureRequest, small: SshServer, on_asyncssh: Sftp) -> Connector:
        return one_to_close(request, small) or on_asyncssh


def one_to_close(request: pytest.FixtureRequest, server: SshServer) -> Sftp | None:
    """Open a connection of its own for the test that closes it; the others share one."""
    return open_sftp(Settings(**server.settings)) if "closing" in request.node.name else None


# -- who the server is


def opened(server: SshServer, **changes: object) -> Sftp:
    settings = {**server.settings, **changes}
    return open_sftp(Settings(**{name: value for name, value in settings.items() if value is not None}))


def known_hosts_line(server: SshServer) -> str:
    with open(os.path.join(os.path.dirname(server.folder), "hostkey.pub"), encoding="utf-8") as stream:
        return f"[127.0.0.1]:{server.port} {stream.read()}"


def test_an_unknown_host_key_is_refused_and_told(small: SshServer) -> None:
    with pytest.raises(TallyportError, match=small.host_key.replace("+", "[+]")) as caught:
        opened(small, host_key=None, known_hosts="")
    assert caught.value.kind is ErrorKind.CONFIG
    assert "host_key" in caught.value.message


def test_another_host_key_than_the_one_that_was_given_is_refused(small: SshServer) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint()
    with refused(ErrorKind.CONFIG):
        opened(small, host_key=other)


def test_a_host_key_may_be_given_as_a_line_of_known_hosts(small: SshServer) -> None:
    with closing(opened(small, host_key=None, known_hosts=known_hosts_line(small))) as connector:
        assert connector.stat("") is not None


def test_a_known_hosts_line_of_another_server_is_refused(small: SshServer) -> None:
    line = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with refused(ErrorKind.CONFIG):
        opened(small, host_key=None, known_hosts=f"[127.0.0.1]:{small.port} {line}")


def test_known_hosts_that_cannot_be_read_are_a_setting_to_correct(small: SshServer) -> None:
    with refused(ErrorKind.CONFIG):
        opened(small, host_key=None, known_hosts="no such line")


# -- who we are


def test_a_key_that_the_server_does_not_know_is_unauthenticated(small: SshServer) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with refused(ErrorKind.UNAUTHENTICATED):
        opened(small, private_key=other)


def test_a_key_that_cannot_be_read_is_a_setting_to_correct(small: SshServer) -> None:
    with refused(ErrorKind.CONFIG):
        opened(small, private_key="not a key")


def test_a_locked_key_is_opened_with_its_password(small: SshServer) -> None:
    locked = asyncssh.import_private_key(small.private_key).export_private_key(passphrase="open").decode()
    with closing(opened(small, private_key=locked, private_key_password="open")) as connector:
        assert connector.stat("") is not None
    with refused(ErrorKind.CONFIG):
        opened(small, private_key=locked, private_key_password="wrong")


class _Passwords(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("somebody", "right")


@pytest.mark.parametrize("password", ["right", "wrong", ""])
def test_a_password_signs_in(small: SshServer, password: str) -> None:
    with asyncssh_server(login=_Passwords) as server:
        if password == "right":
            with closing(opened(server, private_key=None, password=password)) as connector:
                assert connector.stat("") is not None
        else:
            with pytest.raises(TallyportError) as caught:
                opened(server, private_key=None, password=password)
            assert caught.value.kind is ErrorKind.UNAUTHENTICATED
            assert "right" not in caught.value.message


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with asyncssh_server() as server:
        gone = server
    with refused(ErrorKind.UNAVAILABLE):
        opened(gone)


def test_a_folder_that_is_not_there_is_not_found_unless_it_is_to_be_made(small: SshServer) -> None:
    settings = Settings(**small.settings)
    with refused(ErrorKind.NOT_FOUND):
        open_sftp(settings, "new/below")
    with closing(open_sftp(settings, "new/below", make=True)) as connector:
        connector.write("a", [b"x"], Facts())
        assert connector.location.endswith("/new/below")
    assert os.path.exists(os.path.join(small.folder, "new/below/a"))


def test_a_connection_that_broke_is_made_again(small: SshServer) -> None:
    with closing(opened(small)) as connector:
        event_loop.run(_cut(connector))
        assert connector.stat("") is not None


async def _cut(connector: Sftp) -> None:
    assert connector._session._connection is not None
    connector._session._connection.abort()


# -- what it promises besides the contract


@pytest.mark.needs("sshd")
def test_an_upload_goes_on_in_another_process_and_shows_nothing_before_its_end(sshd: SshServer) -> None:
    data = content(3_000_000, 1)
    facts = Facts(size=len(data), modified=1_600_000_000 * 10**9)
    with closing(opened(sshd)) as first:
        assert isinstance(first, Uploads)
        handle = first.begin_upload("big", facts, token="t1")
        tail = first.put_part("big", handle, 1, 2_000_000, [data[2_000_000:]], 1_000_000)
        with refused(ErrorKind.CHANGED_DURING_COPY):
            first.put_part("big", handle, 0, 0, [data[:5]], 2_000_000)
        assert first.stat("big") is None
        assert "big" not in {entry.name for entry in first.children("")}
    with closing(opened(sshd)) as second:
        head = second.put_part("big", handle, 0, 0, [data[:1_500_000], data[1_500_000:2_000_000]], 2_000_000)
        entry = second.finish_upload("big", handle, [head, tail], facts, when=Precondition(absent=True))
        assert (entry.size, entry.modified, entry.mode) == (len(data), facts.modified, 0o644)
        assert read_all(second, "big") == data
        with refused(ErrorKind.NOT_FOUND):
            second.finish_upload("big", handle, [head, tail], facts)
        second.abandon_upload("big", handle)
        second.delete("big")


@pytest.mark.needs("sshd")
def test_an_upload_that_lacks_a_part_is_not_published(sshd: SshServer) -> None:
    with closing(opened(sshd)) as connector:
        handle = connector.begin_upload("holes", Facts(), token="t1")
        receipt = connector.put_part("holes", handle, 0, 0, [b"x" * 1000], 1000)
        with refused(ErrorKind.CHANGED_DURING_COPY, ErrorKind.CORRUPT):
            connector.finish_upload("holes", handle, [receipt], Facts(size=2000))
        assert connector.stat("holes") is None
        assert connector.sweep("", "t1") == 1


@pytest.mark.parametrize("handle", ["../../etc/passwd", "other.txt", ""])
def test_a_handle_is_no_way_to_another_file(small: SshServer, handle: str) -> None:
    with closing(opened(small)) as connector:
        connector.write("other.txt", [b"kept"], Facts())
        with refused(ErrorKind.NOT_FOUND):
            connector.put_part("a", handle, 0, 0, [b"x"], 1)
        with refused(ErrorKind.NOT_FOUND):
            connector.abandon_upload("a", handle)
        assert read_all(connector, "other.txt") == b"kept"


@pytest.mark.needs("sshd")
def test_a_copy_on_the_server_keeps_content_time_and_mode(sshd: SshServer) -> None:
    data = content(2_500_000, 2)
    with closing(opened(sshd)) as connector:
        assert isinstance(connector, Copies)
        seen = connector.write("one", [data], Facts(modified=1_500_000_000 * 10**9, mode=0o640))
        copied = connector.copy("one", "two", Facts(), when=Precondition(absent=True))
        assert (copied.size, copied.modified, copied.mode) == (seen.size, seen.modified, seen.mode)
        assert read_all(connector, "two") == data
        with refused(ErrorKind.ALREADY_EXISTS):
            connector.copy("one", "two", Facts(), when=Precondition(absent=True))


def test_a_folder_swapped_for_a_symlink_leads_nowhere(small: SshServer) -> None:
    """Somebody on the server may swap a folder that we know; we look again after a while."""
    outside = os.path.join(os.path.dirname(small.folder), "outside")
    os.makedirs(outside, exist_ok=True)
    with closing(opened(small)) as connector:
        connector.make_container("box", Facts())
        connector._trusted.clear()
        os.rename(os.path.join(small.folder, "box"), os.path.join(small.folder, "moved"))
        os.symlink(outside, os.path.join(small.folder, "box"))
        with refused(ErrorKind.NOT_FOUND):
            connector.write("box/a", [b"x"], Facts())
        assert os.listdir(outside) == []
        seen = connector.stat("box")
        assert seen is not None
        assert seen.kind is Kind.SYMLINK
        connector.delete("box")


@pytest.mark.needs("sshd")
def test_the_servers_sha256sum_can_prove_a_write(sshd: SshServer) -> None:
    with closing(opened(sshd, prove_with_sha256sum=True)) as connector:
        assert connector.limits.acknowledges
        for name in ("plain", "it's \\ odd\n"):
            connector.write(name, [b"content"], Facts())
            assert read_all(connector, name) == b"content"


def test_a_server_without_a_shell_says_so_when_it_is_to_prove_a_write(small: SshServer) -> None:
    with closing(opened(small, prove_with_sha256sum=True)) as connector:
        with refused():
            connector.write("unproved", [b"content"], Facts())
        assert connector.stat("unproved") is None


class _Full(asyncssh.SFTPServer):
    """A disk without room."""

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        raise asyncssh.SFTPFailure("Failure")

    def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        return asyncssh.SFTPVFSAttrs(bsize=4096, frsize=4096, blocks=10, bfree=0, bavail=0, files=9, ffree=9, favail=9)


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_bare_failure_on_a_full_disk_is_told_as_no_space(size: int) -> None:
    with asyncssh_server(version=3, server=_Full) as server, closing(opened(server)) as connector:
        with refused(ErrorKind.NO_SPACE):
            connector.write("a", [content(size, 1)], Facts())
        assert connector.stat("a") is None


class _Plain(asyncssh.SFTPServer):
    """A server without any extension that helps."""

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("no such rename")


def test_a_server_that_cannot_replace_in_one_step_is_declared_so() -> None:
    with asyncssh_server(version=3, server=_Plain) as server, closing(opened(server)) as connector:
        assert not connector.limits.atomic_replace
        connector.write("a", [b"old"], Facts())
        connector.write("a", [b"new"], Facts())
        assert read_all(connector, "a") == b"new"


def test_the_registry_knows_it(small: SshServer) -> None:
    sftp = platform("sftp")
    secret = {field.name for field in sftp.settings_fields() if field.secret}
    assert secret == {"password", "private_key", "private_key_password"}
    assert sftp.read_settings(small.settings) == Settings(**small.settings)
