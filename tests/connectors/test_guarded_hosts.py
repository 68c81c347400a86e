"""No share of any kind is looked for where clouds hand out credentials, whatever name leads there."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tallyport.connectors.registry import platform
from tallyport.domain.errors import ErrorKind
from tallyport.testing.connector_contract import refused

SETTINGS: dict[str, dict[str, Any]] = {
    "sftp": {"host": "inner.example", "username": "u", "password": "p"},
    "smb": {"host": "inner.example", "share": "s", "username": "u", "password": "p"},
    "ftp": {"host": "inner.example", "username": "u", "password": "p"},
    "webdav": {"url": "https://inner.example/dav", "username": "u", "password": "p"},
}


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "224.0.0.1"])
@pytest.mark.parametrize("platform_id", SETTINGS)
def test_a_name_that_leads_to_a_forbidden_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, platform_id: str, address: str
) -> None:
    def resolve(host: str, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    known = platform(platform_id)
    with refused(ErrorKind.CONFIG):
        known.open(known.read_settings(SETTINGS[platform_id]))
