"""From a folder to every kind of share and back, and between shares: equal, or renamed and told. rclone agrees."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Facts, Locks
from tallyport.domain.errors import TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.policies import LockPropagation, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store.database import Database
from tallyport.testing import ftp_servers, nextcloud_server, object_servers, share_servers
from tallyport.testing.object_servers import program
from tallyport.testing.worlds import content, read_all
from tests.engine.pairs import End, Way, ledger

SECOND = 1_000_000_000
MOMENT = 1_700_000_000 * SECOND + 123_456_789
SHARES = ("sftp", "smb", "wsgidav", "nextcloud", "ftp", "ftps")
PROGRAMS = {"sftp": "sshd", "smb": "smbd", "ftps": "vsftpd"}
PRECISION = {"s3": 1, "sftp": SECOND, "smb": 100, "wsgidav": SECOND, "nextcloud": SECOND, "ftp": SECOND, "ftps": SECOND}


class Shares:
    """Servers, each started when first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._ends: dict[str, tuple[str, dict[str, object], str]] = {}

    def end(self, name: str, path: str) -> End:
        platform, settings, _ = self._known(name)
        return End(platform, settings, f"/{path}")

    def remote(self, name: str, path: str) -> str:
        """Give a folder the way rclone names it."""
        return f"{self._known(name)[2]}{path}"

    def _known(self, name: str) -> tuple[str, dict[str, object], str]:
        if name not in self._ends:
            self._ends[name] = getattr(self, f"_{name}")()
        return self._ends[name]

    def _sftp(self) -> tuple[str, dict[str, object], str]:
        server = self._stack.enter_context(share_servers.openssh())
        key = os.path.join(os.path.dirname(server.folder), "userkey")
        remote = f":sftp,host=127.0.0.1,port={server.port},user={server.username},key_file={key}:{server.folder}/"
        return "sftp", server.settings, remote

    def _smb(self) -> tuple[str, dict[str, object], str]:
        server = self._stack.enter_context(share_servers.samba())
        password = obscured(server.password)
        remote = f":smb,host=127.0.0.1,port={server.port},user={server.username},pass={password}:files/"
        return "smb", server.settings("files"), remote

    def _wsgidav(self) -> tuple[str, dict[str, object], str]:
        server = self._stack.enter_context(share_servers.wsgidav())
        return "webdav", server.settings, f':webdav,url="{server.url}",user=u,pass={obscured("p")}:'

    def _nextcloud(self) -> tuple[str, dict[str, object], str]:
        server = self._stack.enter_context(nextcloud_server.nextcloud())
        return "webdav", server.settings, f':webdav,url="{server.url}",user=u,pass={obscured("p")}:'

    def _ftp(self) -> tuple[str, dict[str, object], str]:
        server = self._stack.enter_context(ftp_servers.pyftpdlib())
        password = obscured(server.password)
        return "ftp", server.settings, f":ftp,host=127.0.0.1,port={server.port},user=u,pass={password}:"

    def _ftps(self) -> tuple[str, dict[str, object], str]:
        server = self._stack.enter_context(ftp_servers.vsftpd(tls=True))
        options = "explicit_tls=true,no_check_certificate=true"
        login = f"user={server.username},pass={obscured(server.password)}"
        return "ftp", server.settings, f":ftp,host=127.0.0.1,port={server.port},{login},{options}:"

    def _s3(self) -> tuple[str, dict[str, object], str]:
        server = self._stack.enter_context(object_servers.seaweed())
        login = f"access_key_id={object_servers.ACCESS_KEY},secret_access_key='{object_servers.SECRET_KEY}'"
        where = f'provider=Other,endpoint="{server.endpoint}",region=us-east-1'
        return "s3", server.settings(), f":s3,{where},{login}:{object_servers.BUCKET}/"


@pytest.fixture(scope="module")
def shares() -> Iterator[Shares]:
    with ExitStack() as stack:
        yield Shares(stack)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "data").mkdir()
    with closing(ledger(tmp_path / "data")) as database:
        yield database


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for folder in ("a/deep/er", "empty", "\u00fc \U0001f600"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(
        ("nothing", "a/one.txt", "a/deep/er/two words.bin", "\u00fc \U0001f600/caf\u00e9 (1).txt", ".hidden", "big.bin")
    ):
        size = 12_000_000 if name == "big.bin" else number * 1000
        path = root / name
        path.write_bytes(content(size, number + 1))
        os.utime(path, ns=(MOMENT, MOMENT + number * SECOND))
    return root


def obscured(password: str) -> str:
    command = [program("rclone"), "obscure", password]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def pictured(root: Path, precision: int = 1) -> dict[str, object]:
    """Give everything below a folder: content and time of files."""
    found: dict[str, object] = {}
    for here, folders, files in os.walk(root):
        for name in folders:
            found[os.path.relpath(os.path.join(here, name), root)] = None
        for name in files:
            path = os.path.join(here, name)
            with open(path, "rb") as stream:
                moment = os.stat(path).st_mtime_ns
                found[os.path.relpath(path, root)] = (stream.read(), moment - moment % precision)
    return found


def refereed(source: Path, remote: str) -> None:
    """Have rclone read both sides and say that they are equal; it does not ask vsftpd for hidden files."""
    command = [program("rclone"), "check", "--download", "--config", os.devnull, "--exclude", ".*", str(source), remote]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def needed(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.needs(PROGRAMS[name])] if name in PROGRAMS else []


@pytest.mark.parametrize("share", [pytest.param(name, marks=needed(name)) for name in SHARES])
def test_a_tree_comes_back_as_it_went(
    database: Database, shares: Shares, source: Path, tmp_path: Path, share: str
) -> None:
    path = f"pair-{uuid.uuid4().hex[:8]}"
    there, back = shares.end(share, path), tmp_path / "back"
    way = Way(database, End("fs", {"path": str(source)}), there, defaults_for(TransferType.COPY))
    first = way.run()
    assert (first.failed, first.transferred) == (0, 6)
    refereed(source, shares.remote(share, path))
    again = way.run()
    assert (again.failed, again.transferred, again.writes) == (0, 0, 0), "a second run finds nothing to do"
    home = Way(database, there, End("fs", {"path": str(back)}), defaults_for(TransferType.COPY)).run()
    assert home.failed == 0
    precision = PRECISION[share]
    assert pictured(back, precision) == pictured(source, precision)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("smb", "wsgidav", marks=needed("smb")),
        pytest.param("sftp", "smb", marks=[*needed("smb"), *needed("sftp")]),
        pytest.param("nextcloud", "sftp", marks=needed("sftp")),
        pytest.param("s3", "smb", marks=needed("smb")),
        pytest.param("smb", "s3", marks=needed("smb")),
        pytest.param("sftp", "s3", marks=needed("sftp")),
        pytest.param("wsgidav", "s3"),
    ],
)
def test_a_tree_goes_from_one_share_to_another(
    database: Database, shares: Shares, source: Path, tmp_path: Path, one: str, other: str
) -> None:
    path = f"pair-{uuid.uuid4().hex[:8]}"
    policies = defaults_for(TransferType.COPY)
    first = Way(database, End("fs", {"path": str(source)}), shares.end(one, path), policies).run()
    assert first.failed == 0
    second = Way(database, shares.end(one, path), shares.end(other, f"{path}-2"), policies).run()
    assert (second.failed, second.transferred) == (0, 6)
    refereed(source, shares.remote(other, f"{path}-2"))
    home = Way(database, shares.end(other, f"{path}-2"), End("fs", {"path": str(tmp_path / "back")}), policies).run()
    assert home.failed == 0
    # What differs is what the plan tells before: times are kept to the step of the coarser of the two.
    precision = max(PRECISION[one], PRECISION[other])
    assert pictured(tmp_path / "back", precision) == pictured(source, precision)


REFUSED = {
    "why?.txt": "why_.txt",
    "a:b": "a_b",
    'q"uote': "q_uote",
    "st*r": "st_r",
    "<angle>": "_angle_",
    "pi|pe": "pi_pe",
    "back\\slash": "back_slash",
    "t\tab": "t_ab",
    "ends.": "ends_",
    "blank ": "blank_",
    "con": "con_",
    "AUX.txt": "AUX_.txt",
    "lpt1.log": "lpt1_.log",
    "NUL": "NUL_",
}


@pytest.mark.needs("smbd")
def test_names_that_a_share_refuses_are_changed_once_and_for_all_and_found_on_the_way_back(
    database: Database, shares: Shares, tmp_path: Path
) -> None:
    root = tmp_path / "odd"
    (root / "prn").mkdir(parents=True)
    for name in (*REFUSED, "Case.txt", "case.TXT", "prn/in: it"):
        (root / name).write_bytes(name.encode())
    path = f"pair-{uuid.uuid4().hex[:8]}"
    there = shares.end("smb", path)
    way = Way(database, End("fs", {"path": str(root)}), there, defaults_for(TransferType.SYNC))
    first = way.run()
    assert (first.failed, first.transferred) == (0, len(REFUSED) + 3)
    with database.read() as tx:
        rows = tx.execute(sa.text("SELECT name, d_name FROM items WHERE d_name IS NOT NULL")).all()
    names = {bytes(name).decode(): bytes(d_name).decode() for name, d_name in rows}
    assert {name: names[name] for name in REFUSED} == REFUSED
    assert len({names.get(name, name).lower() for name in ("Case.txt", "case.TXT")}) == 2
    with closing(open_connection(there.platform, there.settings, there.path)) as share:
        for name, new in REFUSED.items():
            assert read_all(share, new) == name.encode()
        assert read_all(share, f"{names['prn']}/{names['in: it']}") == b"prn/in: it"
        share.write(REFUSED["why?.txt"], [b"changed there"], Facts(size=13, modified=MOMENT + 99 * SECOND))
    again = way.run()
    assert (again.failed, again.transferred) == (0, 1)
    assert (root / "why?.txt").read_bytes() == b"changed there"
    assert sorted(os.listdir(root)) == sorted((*REFUSED, "Case.txt", "case.TXT", "prn"))
    last = way.run()
    assert (last.failed, last.transferred, last.writes) == (0, 0, 0)


def test_a_lock_is_mirrored_lets_our_changes_through_and_is_released_after_the_source_s(
    database: Database, shares: Shares
) -> None:
    place = f"locks-{uuid.uuid4().hex[:8]}"
    here, there = shares.end("wsgidav", f"{place}/from"), shares.end("wsgidav", f"{place}/to")
    policies = replace(
        defaults_for(TransferType.PUBLISH), lock_propagation=LockPropagation.MIRROR_LOCK, max_delete_percent=100.0
    )
    ends = [open_connection(end.platform, end.settings, end.path, make=True) for end in (here, there)]
    one, other = ends
    assert isinstance(one, Locks)
    assert isinstance(other, Locks)
    mark = str(uuid.uuid4())
    with closing(one), closing(other):
        for name in ("held.txt", "gone.txt"):
            one.write(name, [b"first"], Facts())
        locks = {name: one.lock(name, Lock(mark=mark)) for name in ("held.txt", "gone.txt")}
        way = Way(database, here, there, policies)
        assert (way.run().transferred, way.run().writes) == (2, 0)
        one.write("held.txt", [b"second"], Facts())
        locks["held.txt"] = one.lock("held.txt", Lock(mark=mark))
        changed = way.run()
        assert (changed.transferred, changed.failed) == (1, 0)
        assert read_all(other, "held.txt") == b"second"
        with pytest.raises(TallyportError, match="lock"):
            other.write("held.txt", [b"by a stranger"], Facts())
        one.delete("gone.txt")
        one.unlock("held.txt", locks["held.txt"])
        ended = way.run()
        assert (ended.deleted, ended.failed) == (1, 0)
        assert other.lock_of("held.txt") is None
        assert other.stat("gone.txt") is None
        other.write("held.txt", [b"free"], Facts())
