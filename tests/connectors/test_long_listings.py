"""Listing one container takes the same memory however many entries it has, over every kind of share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tallyport.testing import ftp_servers, share_servers

FEW, MANY, MOST = 1_000, 5_000, 1_000_000
ALLOWED = 8 * 1024 * 1024  # bytes that a longer listing may take more: what waits to be read, and noise
PROGRAMS = {"sftp": "sshd", "smb": "smbd", "apache": "apache2"}
SHARES = [pytest.param(kind, marks=[pytest.mark.needs(PROGRAMS[kind])] if kind in PROGRAMS else [])
          for kind in ("sftp", "smb", "webdav", "apache", "ftp")]  # fmt: skip
LONG = [share for share in SHARES if share.values != ("webdav",)]  # WsgiDAV makes the whole answer before it sends any

LISTING = """
import json, sys
from tallyport.connectors.opening import open_connection
platform, settings, path = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
share = open_connection(platform, settings, path)
count = sum(1 for _ in share.children(""))
with open("/proc/self/status") as lines:  # ru_maxrss would count who started us
    most = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(count, most * 1024)
share.close()
"""


@contextmanager
def served(kind: str) -> Iterator[tuple[Mapping[str, object], str]]:
    """Give the settings of a connection to a server, and the folder that it serves."""
    if kind == "sftp":
        with share_servers.openssh() as ssh:
            yield ssh.settings, ssh.folder
    elif kind == "smb":
        with share_servers.samba() as smb:
            yield smb.settings(), smb.folder
    elif kind == "apache":
        with share_servers.apache() as apache:
            yield apache.settings, apache.folder
    elif kind == "webdav":
        with share_servers.wsgidav() as dav:
            yield dav.settings, dav.folder
    else:
        with ftp_servers.pyftpdlib() as ftp:
            yield ftp.settings, ftp.folder


def filled(folder: str, count: int) -> None:
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    for number in range(count):
        os.close(os.open(os.path.join(folder, f"entry-{number:07}.txt"), os.O_CREAT | os.O_WRONLY, 0o644))


def peak(kind: str, settings: Mapping[str, object], path: str, count: int) -> int:
    """List a folder in a process of its own; gives the most memory that it had."""
    environment = {**os.environ, "TALLYPORT_ALLOW_PRIVATE_NETWORKS": "1"}
    platform = "webdav" if kind == "apache" else kind
    command = [sys.executable, "-c", LISTING, platform, json.dumps(dict(settings)), path]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found, memory = map(int, done.stdout.split())
    assert found == count
    return memory


def measured(kind: str, many: int) -> tuple[int, int]:
    with served(kind) as (settings, folder):
        for name, count in (("few", FEW), ("many", many)):
            filled(os.path.join(folder, name), count)
        return peak(kind, settings, "/few", FEW), peak(kind, settings, "/many", many)


@pytest.mark.parametrize("kind", SHARES)
def test_a_listing_of_five_thousand_takes_the_memory_of_a_thousand(kind: str) -> None:
    few, many = measured(kind, MANY)
    assert many - few < ALLOWED, f"{few / 1e6:.1f} MB and {many / 1e6:.1f} MB"


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", LONG)
def test_a_listing_of_a_million_takes_the_memory_of_a_thousand(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.path.isdir("/dev/shm"):
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")  # a million files cost a disk more than the listing
    few, many = measured(kind, MOST)
    print(f"{kind}: {few / 1e6:.1f} MB for {FEW:,} entries, {many / 1e6:.1f} MB for {MOST:,}")
    assert many - few < ALLOWED, f"{few / 1e6:.1f} MB and {many / 1e6:.1f} MB"
