"""What all tests share: no settings from outside, no network beyond loopback, no skip unseen in CI."""

from __future__ import annotations

import errno
import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Iterator

import hypothesis
import pytest

from tallyport.testing.postgres import PostgresServer, postgres_server

# The servers of the tests stand on this machine, and so are the connections of whoever opens them outside a server.
HERE = {"TALLYPORT_ALLOW_PRIVATE_NETWORKS": "1"}
IN_CI = os.environ.get("CI", "").lower() == "true"

# Two runs of one commit try the same examples in CI; elsewhere every run looks further.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("here", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ci" if IN_CI else "here")


def is_loopback(host: object) -> bool:
    """Tell whether an address or a name can only mean this machine."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or host.lower().rstrip(".") in ("", "localhost") or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def is_number(host: object) -> bool:
    """Tell whether a name is an address in any spelling: to resolve it asks nobody."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        socket.inet_aton(text)
    except (OSError, UnicodeError):
        try:
            ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
    return True


def stay_home(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse to reach another machine, in the words the system would use without a network."""
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not is_loopback(address[0]):
            raise OSError(errno.ENETUNREACH, f"tests reach loopback only, not {address[0]}")
    elif event == "socket.getaddrinfo" and not (is_loopback(arguments[0]) or is_number(arguments[0])):
        raise socket.gaierror(socket.EAI_NONAME, f"tests resolve loopback names only, not {arguments[0]}")


def pytest_configure(config: pytest.Config) -> None:
    sys.addaudithook(stay_home)
    os.environ.update(HERE)  # for fixtures that live longer than a test


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are missing; in CI, where dev.py installs them all, fail it."""
    for marker in item.iter_markers("needs"):
        missing = [program for program in marker.args if shutil.which(program) is None]
        if missing and IN_CI:
            pytest.fail(f"missing in CI: {', '.join(missing)}", pytrace=False)
        elif missing:
            pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("TALLYPORT_") and name not in HERE:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test run; each test makes databases of its own on it."""
    with postgres_server() as server:
        yield server
