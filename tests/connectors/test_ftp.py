"""FTP keeps the contract on vsftpd with the strictest TLS and on pyftpdlib, and never lets a name be a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tallyport.connectors.ftp import Ftp, Settings, end_transfer, open_ftp
from tallyport.connectors.ftp_listing import facts_entry, line_entry, moment_of, moment_text
from tallyport.connectors.protocol import Connector, Facts
from tallyport.connectors.registry import platform
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind
from tallyport.testing.connector_contract import ConnectorContract, refused
from tallyport.testing.ftp_servers import FtpServer, pyftpdlib, vsftpd


@pytest.fixture(scope="module")
def plain() -> Iterator[FtpServer]:
    with pyftpdlib() as server:
        yield server


@pytest.fixture(scope="module")
def strict() -> Iterator[FtpServer]:
    with vsftpd(tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def on_plain(plain: FtpServer) -> Iterator[Ftp]:
    with closing(open_ftp(Settings(**plain.settings))) as connector:
        yield connector


@pytest.fixture(scope="module")
def on_strict(strict: FtpServer) -> Iterator[Ftp]:
    with closing(open_ftp(Settings(**strict.settings))) as connector:
        yield connector


class FtpContract(ConnectorContract):
    keeps_container_times = False
    atomic_precondition = False

    def abandon(self, connector: Connector, path: str, token: str) -> None:
        assert isinstance(connector, Ftp)
        with connector._session.control("write", path) as ftp:
            name = connector._temporaries.name(token)
            with ftp.transfercmd(f"STOR {connector._at(path)}/{name}") as data:
                data.sendall(b"half of it")
                end_transfer(data)
            ftp.voidresp()


class TestPyftpdlib(FtpContract):
    """A server with MLSD, MFMT and SITE CHMOD."""

    @pytest.fixture
    def connector(self, request: pytest.FixtureRequest, plain: FtpServer, on_plain: Ftp) -> Connector:
        return one_to_close(request, plain) or on_plain


@pytest.mark.needs("vsftpd")
class TestVsftpd(FtpContract):
    """A server with LIST and MDTM alone, and data connections that must go on with the TLS session."""

    many = 60

    @pytest.fixture
    def connector(self, request: pytest.FixtureRequest, strict: FtpServer, on_strict: Ftp) -> Connector:
        return one_to_close(request, strict) or on_strict


def one_to_close(request: pytest.FixtureRequest, server: FtpServer) -> Ftp | None:
    """Open a connection of its own for the test that closes it; the others share one."""
    return open_ftp(Settings(**server.settings)) if "closing" in request.node.name else None


# -- names and commands


@pytest.mark.parametrize("name", ["a\r\nDELE kept", "a\nDELE kept", "a\rb", "\n"])
def test_a_line_break_never_begins_another_command(on_plain: Ftp, name: str) -> None:
    on_plain.write("kept", [b"x"], Facts())
    for act in (
        lambda: on_plain.write(name, [b"x"], Facts()),
        lambda: on_plain.make_container(name, Facts()),
        lambda: on_plain.rename("kept", name),
        lambda: on_plain.stat(name),
        lambda: on_plain.delete(name),
        lambda: on_plain.stamp(name, Facts(modified=0)),
        lambda: list(on_plain.children(name)),
        lambda: on_plain.sweep(name, "t"),
    ):
        with refused(ErrorKind.INVALID_NAME):
            act()
    assert on_plain.stat("kept") is not None


@pytest.mark.parametrize("name", ["host", "username", "password", "path"])
def test_a_setting_cannot_hold_a_line_break(plain: FtpServer, name: str) -> None:
    with refused(ErrorKind.CONFIG):
        platform("ftp").read_settings({**plain.settings, name: "a\r\nQUIT"})


# -- signing in


def test_a_wrong_password_is_unauthenticated(plain: FtpServer) -> None:
    with refused(ErrorKind.UNAUTHENTICATED):
        open_ftp(Settings(**{**plain.settings, "password": "wrong"}))


def test_a_server_without_tls_gets_no_password(plain: FtpServer) -> None:
    with refused(ErrorKind.CONFIG):
        open_ftp(Settings(**{**plain.settings, "tls": "required"}))


@pytest.mark.needs("vsftpd")
def test_a_certificate_that_nobody_vouches_for_is_refused(strict: FtpServer) -> None:
    settings = {name: value for name, value in strict.settings.items() if name != "ca_certificates"}
    with refused(ErrorKind.CONFIG):
        open_ftp(Settings(**settings))


def test_a_folder_that_is_not_there_is_not_found_unless_it_is_to_be_made(plain: FtpServer) -> None:
    with refused(ErrorKind.NOT_FOUND):
        open_ftp(Settings(**plain.settings), "new/below")
    with closing(open_ftp(Settings(**plain.settings), "new/below", make=True)) as connector:
        connector.write("a", [b"x"], Facts())
        assert connector.location.endswith("/new/below")


def test_weaker_guarantees_are_declared(on_plain: Ftp) -> None:
    limits = on_plain.limits
    stronger = (limits.creates_only, limits.replaces_checked, limits.acknowledges, limits.atomic_replace)
    assert not any(stronger)


# -- listings


@pytest.mark.parametrize(
    ("line", "name", "kind", "size"),
    [
        ("-rw-r--r--    1 1000     1000           12 Nov 26 19:38 a b.txt", "a b.txt", Kind.FILE, 12),
        ("-rw-r--r--    1 ftp      ftp             5 Jan 01  2001  lead", " lead", Kind.FILE, 5),
        ("drwxr-xr-x    2 1000     1000         4096 Nov 26 19:38 box", "box", Kind.CONTAINER, 0),
        ("lrwxrwxrwx    1 1000     1000            3 Nov 26 19:38 link -> a.t", "link", Kind.SYMLINK, 0),
        ("-rw-r--r--+ 1 domain users 7 2026-01-02 10:11 dated", "dated", Kind.FILE, 7),
        ("prw-r--r--    1 0 0 0 Nov 26 19:38 pipe", "pipe", Kind.SPECIAL, 0),
        ("11-26-26  07:38PM       <DIR>          box", "box", Kind.CONTAINER, 0),
        ("11-26-2026  19:38                 1234 a.txt", "a.txt", Kind.FILE, 1234),
    ],
)
def test_a_line_of_a_listing_is_read(line: str, name: str, kind: Kind, size: int) -> None:
    entry = line_entry(line)
    assert entry is not None
    assert (entry.name, entry.kind, entry.size) == (name, kind, size)


@pytest.mark.parametrize("line", ["", "total 12", "drwxr-xr-x 2 0 0 4096 Nov 26 19:38 .", "nonsense"])
def test_a_line_that_is_no_entry_is_none(line: str) -> None:
    assert line_entry(line) is None


def test_facts_are_read() -> None:
    entry = facts_entry("type=file;size=7;modify=20260102030405.25;unix.mode=0640;unique=1g2; a; b=c ")
    assert entry is not None
    assert (entry.name, entry.size, entry.mode, entry.tag) == ("a; b=c ", 7, 0o640, b"1g2")
    assert entry.modified == moment_of("20260102030405") + 250_000_000
    assert facts_entry("type=cdir;modify=20260102030405; .") is None
    link = facts_entry("type=OS.unix=slink:/there; link")
    assert link is not None
    assert (link.kind, link.target) == (Kind.SYMLINK, "/there")


@pytest.mark.parametrize("text", ["", "yesterday", "20261399000000", "2026010203040"])
def test_a_time_that_is_none_is_zero(text: str) -> None:
    assert moment_of(text) == 0


def test_a_time_is_written_as_it_is_read() -> None:
    assert moment_of(moment_text(1_600_000_000 * 10**9)) == 1_600_000_000 * 10**9
