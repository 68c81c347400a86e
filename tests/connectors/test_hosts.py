"""A host is resolved once and what was checked is what is connected to, however it is spelt."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from urllib3.util import Timeout

from tallyport.connectors import hosts
from tallyport.domain.errors import ErrorKind, TallyportError

THIS_MACHINE = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "0x7f.1", "017700000001",
    "localhost", "LOCALHOST", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
]  # fmt: skip


def answers(*addresses: str) -> Any:
    def resolve(host: str, port: int, **more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolve


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_this_machine_is_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(TallyportError, match="leads to") as caught:
        hosts.locate(f"https://{host}/x", allow_private=False)
    assert caught.value.kind is ErrorKind.CONFIG
    assert "TALLYPORT_ALLOW_PRIVATE_NETWORKS" in caught.value.message


@pytest.mark.parametrize("host", ["0", "0.0.0.0", "[::]", "169.254.169.254", "2852039166", "0xa9fea9fe", "[fe80::1]"])
def test_what_is_never_reached_is_refused_even_when_private_networks_are_allowed(host: str) -> None:
    with pytest.raises(TallyportError):
        hosts.locate(f"http://{host}/latest/meta-data", allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com", "file:///etc/passwd", "gopher://example.com", "javascript:alert(1)", "//example.com", "",
        "https://", "https:///path", "https://user@example.com/", "https://user:word@example.com/",
        "https://example.com@127.0.0.1/", "https://example.com\\@127.0.0.1/", "https://example.com/#fragment",
        "https://example.com:99999/", "https://example.com:x/", "https://exa mple.com/", "https://example.com/\r\nX: y",
        "http://example.com/", "https://[::1", "https://example.com/\x00",
    ],
)  # fmt: skip
def test_an_address_that_is_ambiguous_or_plain_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("93.184.216.34"))
    with pytest.raises(TallyportError) as caught:
        hosts.locate(url, allow_private=False)
    assert caught.value.kind is ErrorKind.CONFIG


def test_one_bad_address_among_good_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("93.184.216.34", "10.0.0.7"))
    with pytest.raises(TallyportError, match=r"10\.0\.0\.7"):
        hosts.locate("https://example.com/", allow_private=False)


def test_a_name_that_answers_differently_the_second_time_is_not_asked_a_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int, **more: Any) -> list[Any]:
        asked.append(host)
        return answers("93.184.216.34" if len(asked) == 1 else "127.0.0.1")(host, port)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    place = hosts.locate("https://rebind.example:8443/a?b=c", allow_private=False)
    assert place == ("https", "rebind.example", 8443, "/a?b=c", "93.184.216.34")
    with hosts.pool(place, Timeout(1)) as pool:
        assert (pool.host, pool.assert_hostname, pool.conn_kw["server_hostname"]) == (
            "93.184.216.34",
            "rebind.example",
            "rebind.example",
        )
    assert asked == ["rebind.example"]
    assert hosts.host_header(place) == "rebind.example:8443"


def test_a_host_that_cannot_be_resolved_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(TallyportError) as caught:
        hosts.locate("https://nowhere.example/", allow_private=False)
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_the_host_header_names_the_host_and_a_port_that_is_not_the_usual_one() -> None:
    for url, expected in (
        ("http://127.0.0.1/", "127.0.0.1"),
        ("http://127.0.0.1:80/", "127.0.0.1"),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
        ("https://[::1]:8443/", "[::1]:8443"),
    ):
        assert hosts.host_header(hosts.locate(url, allow_private=True)) == expected
