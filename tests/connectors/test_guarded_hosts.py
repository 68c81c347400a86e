"""No connection is led where its maker may not go, whatever name leads there and whenever the name is asked."""

from __future__ import annotations

import ftplib
import socket
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tallyport.connectors import reach
from tallyport.connectors.ftp import Settings as FtpSettings
from tallyport.connectors.ftp import open_ftp
from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Facts
from tallyport.connectors.registry import platform
from tallyport.connectors.s3 import Settings as S3Settings
from tallyport.connectors.s3 import open_s3
from tallyport.connectors.webdav import Settings as WebdavSettings
from tallyport.connectors.webdav import open_webdav
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.ftp_servers import pyftpdlib
from tallyport.testing.object_servers import S3Server
from tallyport.testing.proxy import Trouble, proxied
from tests.connectors.tls_server import tls_server

PUBLIC = "93.184.216.34"
RESOLVE = socket.getaddrinfo


def settings_of(platform_id: str, host: str) -> dict[str, Any]:
    """Give settings that lead a connection to a host."""
    shown = f"[{host}]" if ":" in host else host
    return {
        "sftp": {"host": host, "username": "u", "password": "p"},
        "smb": {"host": host, "share": "s", "username": "u", "password": "p"},
        "ftp": {"host": host, "username": "u", "password": "p"},
        "webdav": {"url": f"https://{shown}/dav", "username": "u", "password": "p"},
        "s3": {"bucket": "some-bucket", "endpoint": f"https://{shown}", "access_key": "a", "secret_key": "s",
               "addressing": "path"},
        "azure_blob": {"container": "some-container", "endpoint": f"https://{shown}/account", "key": "a2V5"},
        "gcs": {"bucket": "some-bucket", "endpoint": f"https://{shown}", "token": "t"},
    }[platform_id]  # fmt: skip


PLATFORMS = ("sftp", "smb", "ftp", "webdav", "s3", "azure_blob", "gcs")


def opened(platform_id: str, host: str) -> None:
    known = platform(platform_id)
    known.open(known.read_settings(settings_of(platform_id, host))).close()


class Net(NamedTuple):
    """What was asked of the name server, and what was connected to."""

    asked: list[str]
    reached: list[str]


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    """Connect to nothing, and write down what would have been connected to."""
    net = Net([], [])

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        net.reached.append(address[0])
        raise ConnectionRefusedError("nobody is there")

    monkeypatch.setattr(socket, "create_connection", connect)
    return net


def names(monkeypatch: pytest.MonkeyPatch, net: Net, *answers: list[str]) -> None:
    """Answer each question for ``inner.example`` with the next answer, the last for ever."""

    def resolve(host: str, port: int, *more: Any, **named: Any) -> list[tuple[Any, ...]]:
        if host != "inner.example":
            return RESOLVE(host, port, *more, **named)  # type: ignore[return-value]
        answer = answers[min(len(net.asked), len(answers) - 1)]
        net.asked.append(host)
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in answer
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a server whose administrator allowed nothing."""
    monkeypatch.delenv(reach.PRIVATE_NETWORKS)


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "224.0.0.1"])
@pytest.mark.parametrize("platform_id", PLATFORMS)
def test_a_name_that_leads_to_a_forbidden_address_is_refused_even_where_private_networks_are_allowed(
    monkeypatch: pytest.MonkeyPatch, net: Net, platform_id: str, address: str
) -> None:
    names(monkeypatch, net, [address])
    with refused(ErrorKind.CONFIG):
        opened(platform_id, "inner.example")
    assert net.reached == []


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "10.1.2.3", "192.168.0.9", "172.16.0.1",
             "100.64.0.1", "::1", "::ffff:10.0.0.1", "fd00::1", "64:ff9b::a00:1"]
)  # fmt: skip
@pytest.mark.parametrize("platform_id", PLATFORMS)
def test_private_networks_and_this_machine_are_refused_in_every_spelling_unless_allowed(
    net: Net, platform_id: str, host: str
) -> None:
    with pytest.raises(TallyportError, match="leads to") as caught:
        opened(platform_id, host)
    assert caught.value.kind is ErrorKind.CONFIG
    assert reach.PRIVATE_NETWORKS in caught.value.message
    assert net.reached == []


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("platform_id", PLATFORMS)
def test_one_private_address_among_public_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch, net: Net, platform_id: str
) -> None:
    names(monkeypatch, net, [PUBLIC, "10.0.0.7"])
    with refused(ErrorKind.CONFIG):
        opened(platform_id, "inner.example")
    assert net.reached == []


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("platform_id", PLATFORMS)
def test_what_was_checked_is_what_is_connected_to_although_the_name_says_another_thing_next(
    monkeypatch: pytest.MonkeyPatch, net: Net, platform_id: str
) -> None:
    names(monkeypatch, net, [PUBLIC], ["127.0.0.1"])
    with refused(ErrorKind.UNAVAILABLE):
        opened(platform_id, "inner.example")
    assert net.asked == ["inner.example"]
    assert net.reached == [PUBLIC]


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("platform_id", PLATFORMS)
def test_all_addresses_of_a_name_are_tried(monkeypatch: pytest.MonkeyPatch, net: Net, platform_id: str) -> None:
    names(monkeypatch, net, ["2606:2800:220:1::1", PUBLIC])
    with refused(ErrorKind.UNAVAILABLE):
        opened(platform_id, "inner.example")
    assert net.asked == ["inner.example"]
    assert net.reached == ["2606:2800:220:1::1", PUBLIC]


def test_a_command_that_somebody_runs_for_themselves_reaches_what_they_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(reach.PRIVATE_NETWORKS)
    monkeypatch.setattr(reach, "_is_by_hand", False)
    assert not reach.reaches_private_networks()
    reach.by_hand()
    assert reach.reaches_private_networks()
    reach.check_own_credentials("it signs in by itself", "give a key")
    monkeypatch.setenv(reach.PRIVATE_NETWORKS, "0")
    assert not reach.reaches_private_networks()


@pytest.mark.parametrize(
    "settings",
    [{}, {"profile": "default"}, {"access_key": "a"}, {"secret_key": "s"},
     {"access_key": "a", "secret_key": "s", "profile": "default"}],
)  # fmt: skip
def test_a_bucket_is_not_opened_with_the_credentials_of_the_server(
    monkeypatch: pytest.MonkeyPatch, net: Net, settings: dict[str, str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-server")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-server")
    with pytest.raises(TallyportError, match=reach.OWN_CREDENTIALS) as caught:
        open_s3(S3Settings(bucket="some-bucket", **settings))  # type: ignore[arg-type]
    assert caught.value.kind is ErrorKind.CONFIG
    assert net.reached == []


def test_the_credentials_of_the_server_are_used_where_its_administrator_allows_it(
    monkeypatch: pytest.MonkeyPatch, net: Net
) -> None:
    monkeypatch.setenv(reach.OWN_CREDENTIALS, "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-server")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-server")
    with refused(ErrorKind.UNAVAILABLE):
        open_s3(S3Settings(bucket="some-bucket", endpoint="http://127.0.0.1:9"))
    assert net.reached == ["127.0.0.1"]


def test_a_container_is_not_opened_with_the_credentials_of_the_server(
    monkeypatch: pytest.MonkeyPatch, net: Net
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", "b2YgdGhlIHNlcnZlcg==")
    known = platform("azure_blob")
    settings = {"container": "some-container", "account": "account"}
    with pytest.raises(TallyportError, match=reach.OWN_CREDENTIALS):
        known.open(known.read_settings(settings))
    monkeypatch.setenv(reach.OWN_CREDENTIALS, "1")
    with pytest.raises(TallyportError, match="no credentials"):  # never to an address that somebody typed
        known.open(known.read_settings({**settings, "endpoint": "https://inner.example"}))
    assert net.reached == []


def test_a_bucket_of_google_is_not_opened_with_the_credentials_of_the_server(
    monkeypatch: pytest.MonkeyPatch, net: Net
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9")
    known = platform("gcs")
    with pytest.raises(TallyportError, match=reach.OWN_CREDENTIALS):
        known.open(known.read_settings({"bucket": "some-bucket"}))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    with pytest.raises(TallyportError, match=reach.OWN_CREDENTIALS):
        known.open(known.read_settings({"bucket": "some-bucket"}))
    assert net.reached == []


def test_a_connection_does_not_use_the_ssh_agent_of_the_server(net: Net) -> None:
    known = platform("sftp")
    with pytest.raises(TallyportError, match=reach.OWN_CREDENTIALS):
        known.open(known.read_settings({"host": "127.0.0.1", "username": "u", "agent": True}))
    assert net.reached == []


# -- real servers


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give what changes where ``inner.example`` leads; first to this machine."""
    led = ["127.0.0.1"]

    def resolve(host: str, port: int, *more: Any, **named: Any) -> Any:
        return RESOLVE(led[0] if host == "inner.example" else host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    def lead(to: str) -> None:
        led[0] = to

    return lead


def test_every_new_connection_to_a_bucket_is_checked(seaweed: S3Server, name: Callable[[str], None]) -> None:
    port = seaweed.endpoint.rpartition(":")[2]
    known = platform("s3")
    settings = seaweed.settings(endpoint=f"http://inner.example:{port}", prefix="checked")
    with closing(known.open(known.read_settings(settings))) as connector:
        connector.write("a", [b"content"], Facts(size=7, modified=10**18))
        name("169.254.169.254")
        with connector.read("a") as chunks:  # over the kept connection, which was checked when it was made
            with refused(ErrorKind.CONFIG), connector.read("a"):
                pass
            assert b"".join(chunks) == b"content"


def test_data_goes_to_the_host_of_the_control_connection_whatever_the_server_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pyftpdlib(masquerade="169.254.169.254") as server:
        said: list[str] = []
        parse = ftplib.parse227

        def listen(answer: str) -> Any:
            said.append(answer)
            return parse(answer)

        monkeypatch.setattr(ftplib, "parse227", listen)
        with closing(open_ftp(FtpSettings(**server.settings))) as connector:  # type: ignore[arg-type]
            connector.write("a", [b"content"], Facts(size=7))
            with connector.read("a") as chunks:
                assert b"".join(chunks) == b"content"
        assert any("169,254,169,254" in one for one in said)


def sent_on(to: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(307)
        request.send_header("Location", to)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


@pytest.mark.usefixtures("name")
@pytest.mark.parametrize("to", ["http://169.254.169.254/latest", "http://inner.example/dav", "https://other.example/"])
def test_a_redirect_elsewhere_or_out_of_tls_gets_no_credentials(tmp_path: Path, to: str) -> None:
    with tls_server(tmp_path, sent_on(to)) as (port, pem, asked):
        settings = WebdavSettings(
            url=f"https://inner.example:{port}/dav", username="u", password="p", ca_certificates=pem
        )
        with pytest.raises(TallyportError, match="would get the credentials"):
            open_webdav(settings)
    assert set(asked) == {"inner.example"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_a_server_like_s3_is_refused_and_nobody_is_asked_there(status: int) -> None:
    with proxied(9) as other:
        away = Trouble(times=None, status=status, headers=(("Location", f"{other.endpoint}/b/k"),))
        with proxied(other.port, away) as proxy, pytest.raises(TallyportError, match="sends us elsewhere") as caught:
            open_connection("s3", {"bucket": "b", "endpoint": proxy.endpoint, "access_key": "a", "secret_key": "s"})
        assert caught.value.kind is ErrorKind.CONFIG
        assert len(proxy.passed) == 1
        assert other.passed == []
