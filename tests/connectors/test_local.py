"""The folder connector keeps the contract of all connectors, and its own promises about paths and settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from tallyport.connectors.local import Local, Settings, open_local
from tallyport.connectors.local_versions import VersionedFolder
from tallyport.connectors.protocol import (
    Connector,
    Facts,
    Hashes,
    Links,
    Moves,
    Precondition,
    Stamps,
    Sweeps,
    Syncs,
)
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import ConnectorContract
from tallyport.testing.version_contract import VersionContract


class TestLocal(ConnectorContract):
    names_are_bytes = True

    @pytest.fixture
    def connector(self, tmp_path: object) -> Iterator[Connector]:
        with closing(Local(str(tmp_path))) as connector:
            yield connector

    def abandon(self, connector: Connector, path: str, token: str) -> None:
        assert isinstance(connector, Local)
        writer = Local(connector.location, path, token=token)
        with closing(writer):
            temporary = writer._temporary()
            os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=writer.root_fd))


class TestLocalThatKeepsVersions(VersionContract):
    @pytest.fixture
    def connector(self, tmp_path: object) -> Iterator[Connector]:
        with closing(VersionedFolder(str(tmp_path))) as connector:
            yield connector


class TestDurableLocal(TestLocal):
    """The same with a sync of every item."""

    @pytest.fixture
    def connector(self, tmp_path: object) -> Iterator[Connector]:
        with closing(Local(str(tmp_path), durability=Durability.EACH)) as connector:
            yield connector


def test_it_has_every_ability(tmp_path: object) -> None:
    with closing(Local(str(tmp_path))) as local:
        for ability in (Connector, Stamps, Moves, Hashes, Links, Syncs, Sweeps):
            assert isinstance(local, ability)
        local.sync()


# -- opening


@pytest.mark.parametrize("path", ["", "relative", "./here", "~/home"])
def test_a_root_must_be_absolute(path: str) -> None:
    with refused(ErrorKind.CONFIG, "absolute"):
        Local(path)


def test_a_missing_root_says_what_to_do(tmp_path: object) -> None:
    with refused(ErrorKind.NOT_FOUND, "make it, mount it, or correct the path"):
        Local(f"{tmp_path}/none")


@pytest.mark.parametrize("make", [True, False])
def test_a_file_is_no_root(tmp_path: object, make: bool) -> None:
    with open(f"{tmp_path}/file", "w"):
        pass
    with refused(ErrorKind.CONFIG, "no folder"):
        Local(f"{tmp_path}/file", make=make)


def test_a_root_is_made_when_asked(tmp_path: object) -> None:
    with closing(Local(f"{tmp_path}/a/b", "c/d", make=True)) as local:
        assert local.location == f"{tmp_path}/a/b/c/d"
        local.write("f", [b"x"], Facts())
    with open(f"{tmp_path}/a/b/c/d/f") as stream:
        assert stream.read() == "x"


def test_the_settings_open_the_folder_below(tmp_path: object) -> None:
    os.makedirs(f"{tmp_path}/a")
    with closing(open_local(Settings(path=str(tmp_path)), "a")) as local:
        assert local.stat("") is not None
    with refused(ErrorKind.NOT_FOUND):
        open_local(Settings(path=str(tmp_path)), "b")


def test_the_path_below_a_connection_goes_through_no_symlink(tmp_path: object) -> None:
    os.makedirs(f"{tmp_path}/outside")
    os.makedirs(f"{tmp_path}/root")
    os.symlink("../outside", f"{tmp_path}/root/way")
    with refused():
        Local(f"{tmp_path}/root", "way")
    with refused():
        Local(f"{tmp_path}/root", "way/deeper", make=True)
    assert os.listdir(f"{tmp_path}/outside") == []


def test_the_root_itself_may_be_reached_through_a_symlink(tmp_path: object) -> None:
    os.makedirs(f"{tmp_path}/real")
    os.symlink("real", f"{tmp_path}/alias")
    with closing(Local(f"{tmp_path}/alias")) as local:
        local.write("a", [b"x"], Facts())
    assert os.listdir(f"{tmp_path}/real") == ["a"]


def test_the_root_stays_the_same_folder_when_its_path_is_taken_over(tmp_path: object) -> None:
    os.makedirs(f"{tmp_path}/root")
    os.makedirs(f"{tmp_path}/outside")
    with closing(Local(f"{tmp_path}/root")) as local:
        os.rename(f"{tmp_path}/root", f"{tmp_path}/moved")
        os.symlink("outside", f"{tmp_path}/root")
        local.write("a", [b"x"], Facts())
    assert os.listdir(f"{tmp_path}/outside") == []
    assert os.listdir(f"{tmp_path}/moved") == ["a"]


def test_nothing_stays_open_after_close(tmp_path: object) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with closing(Local(str(tmp_path))) as local:
        local.make_container("a", Facts())
        local.write("a/f", [b"x"], Facts())
        listing = local.children("a")
        next(listing)
        listing.close()  # type: ignore[attr-defined]
        with pytest.raises(TallyportError):
            local.write("none/f", [b"x"], Facts())
        with local.read("a/f"):
            pass
        with refused(ErrorKind.UNSUPPORTED), local.read("a"):
            pass
    assert set(os.listdir("/proc/self/fd")) == before


# -- what only folders have


def test_special_files_are_listed_and_never_opened(tmp_path: object) -> None:
    os.mkfifo(f"{tmp_path}/pipe")
    with closing(Local(str(tmp_path))) as local:
        assert [entry.kind for entry in local.children("")] == [Kind.SPECIAL]
        with refused(ErrorKind.UNSUPPORTED), local.read("pipe"):
            pass
        with refused(ErrorKind.UNSUPPORTED):
            local.content_hash("pipe")
        with refused(ErrorKind.UNSUPPORTED):
            local.stamp("pipe", Facts(modified=0))
        with refused(ErrorKind.UNSUPPORTED):
            local.make_hard_link("other", "pipe")
        local.delete("pipe")
        assert local.stat("pipe") is None


def test_dangerous_mode_bits_do_not_travel(tmp_path: object) -> None:
    with closing(Local(str(tmp_path))) as local:
        assert local.write("f", [b"x"], Facts(mode=0o7755)).mode == 0o755
        assert local.stamp("f", Facts(mode=0o6711)).mode == 0o711
        assert local.make_container("c", Facts(mode=0o1777)).mode == 0o777


def test_a_group_that_a_folder_hands_down_stays(tmp_path: object) -> None:
    os.chmod(str(tmp_path), 0o2755)
    with closing(Local(str(tmp_path))) as local:
        assert local.make_container("c", Facts(mode=0o750)).mode == 0o2750
        assert local.stamp("c", Facts(mode=0o700)).mode == 0o2700


def test_a_read_only_container_can_be_filled_and_then_stamped(tmp_path: object) -> None:
    with closing(Local(str(tmp_path))) as local:
        assert local.make_container("c", Facts(mode=0o555)).mode == 0o755
        local.write("c/f", [b"x"], Facts())
        assert local.stamp("c", Facts(mode=0o555, modified=10**18)).mode == 0o555
        local.stamp("c", Facts(mode=0o755))


def test_a_file_reached_by_another_name_outside_is_replaced_and_not_written_into(tmp_path: object) -> None:
    os.makedirs(f"{tmp_path}/root")
    with open(f"{tmp_path}/victim", "w") as stream:
        stream.write("victim")
    os.link(f"{tmp_path}/victim", f"{tmp_path}/root/f")
    with closing(Local(f"{tmp_path}/root")) as local:
        local.write("f", [b"new"], Facts(mode=0o600, modified=1))
    with open(f"{tmp_path}/victim") as stream:
        assert stream.read() == "victim"
    assert os.stat(f"{tmp_path}/victim").st_nlink == 1


def test_an_unknown_account_is_an_error_and_never_root(tmp_path: object) -> None:
    with closing(Local(str(tmp_path))) as local:
        with refused(ErrorKind.UNSUPPORTED, "no account"):
            local.write("f", [b"x"], Facts(owner="nobody-of-that-name"))
        with refused(ErrorKind.UNSUPPORTED, "no group"):
            local.write("f", [b"x"], Facts(group="nobody-of-that-name"))
        assert list(local.children("")) == []


def test_a_target_that_is_no_text_of_a_symlink_is_refused(tmp_path: object) -> None:
    with closing(Local(str(tmp_path))) as local:
        with refused(ErrorKind.INVALID_NAME):
            local.make_symlink("a", "b\0c", Facts())
        with refused(ErrorKind.INVALID_NAME):
            local.write("\ud800", [b"x"], Facts())
        assert list(local.children("")) == []


def test_an_error_names_the_whole_path(tmp_path: object) -> None:
    with closing(Local(str(tmp_path))) as local:
        local.make_container("a", Facts())
        with pytest.raises(TallyportError) as caught:
            local.content_hash("a/none")
    assert caught.value.path == "a/none"


def test_a_file_rewritten_in_place_while_it_is_read_raises(tmp_path: object) -> None:
    with open(f"{tmp_path}/f", "wb") as stream:
        stream.write(bytes(3 * 1024 * 1024))
    with closing(Local(str(tmp_path))) as local, local.read("f") as chunks:
        next(chunks)
        with open(f"{tmp_path}/f", "r+b") as stream:
            stream.seek(2 * 1024 * 1024)
            stream.write(b"x")
        with refused(ErrorKind.CHANGED_DURING_COPY):
            list(chunks)


def test_replacing_needs_the_very_entry_that_was_seen(tmp_path: object) -> None:
    with closing(Local(str(tmp_path))) as local:
        seen = local.write("f", [b"old"], Facts(modified=10**18))
        local.write("f", [b"OLD"], Facts(modified=10**18))  # same size, same time, another file
        with refused(ErrorKind.ALREADY_EXISTS):
            local.write("f", [b"new"], Facts(), when=Precondition(entry=seen))


class refused:
    """Expect an error of ours of one kind, with these words in it."""

    def __init__(self, kind: ErrorKind | None = None, words: str = "") -> None:
        self._kind, self._words = kind, words

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        assert isinstance(error, TallyportError), error
        assert self._kind in (None, error.kind), error.message
        assert self._words in error.message
        return True
