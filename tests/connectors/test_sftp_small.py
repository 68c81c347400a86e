"""Small files go the short way over version 3, are the same as by the long one, and nothing unfinished gets a name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import asyncssh
import asyncssh.encryption
import pytest
from asyncssh.crypto.cipher import GCMCipher

from tallyport.connectors import event_loop, sftp_session
from tallyport.connectors.protocol import Bunches, Connector, Facts, Precondition, SmallRead, SmallWrite
from tallyport.connectors.sftp import Settings, Sftp, open_sftp
from tallyport.connectors.sftp_entries import attributes, packed_attributes
from tallyport.connectors.sftp_lane import Lane
from tallyport.connectors.sftp_wire import KeptCipher
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.share_servers import asyncssh_server
from tallyport.testing.worlds import content, read_all

ABSENT = Precondition(absent=True)
FACTS = Facts(modified=1_700_000_000_000_000_000, mode=0o640)


@contextmanager
def served(server: Any = None) -> Iterator[tuple[Sftp, str]]:
    """Give a connector to a server that speaks version 3 alone, and its folder."""
    with (
        asyncssh_server(version=3, server=server) as one,
        closing(open_sftp(Settings(**one.settings))) as connector,
    ):
        yield connector, one.folder


def lane_of(connector: Sftp) -> Lane:
    lane = connector._session.lane()
    assert lane is not None
    return lane


def written(connector: Sftp, writes: list[SmallWrite]) -> list[tuple[str, Entry | TallyportError]]:
    return [(one[0].path, one[1]) for one in connector.write_many(writes) if one is not None]


def got(connector: Sftp, reads: list[SmallRead]) -> list[tuple[str, bytes | TallyportError]]:
    return [(one[0].path, one[1]) for one in connector.read_many(reads) if one is not None]


def unfinished(folder: str) -> list[str]:
    return [name for name in os.listdir(folder) if is_temporary(name)]


@pytest.mark.parametrize("size", [0, 1, 16_384, 30_000])
def test_both_ways_give_the_same_file(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = content(size, 1)
    with served() as (connector, folder):
        short = connector.write("a", [data] if data else [], FACTS, when=ABSENT)
        assert lane_of(connector).is_open
        assert (connector.stat("a"), read_all(connector, "a")) == (short, data)
        monkeypatch.setattr(connector._session, "lane", lambda: None)
        assert (connector.stat("a"), read_all(connector, "a")) == (short, data)
        long = connector.write("b", [data] if data else [], FACTS, when=ABSENT)
        assert long._replace(name="a") == short
        assert not unfinished(folder)


def test_what_several_ask_at_once_is_kept_apart() -> None:
    with served() as (connector, _), ThreadPoolExecutor(16) as pool:
        wanted = {f"f{number}": content(number * 37, 1) for number in range(100)}
        list(pool.map(lambda one: connector.write(one[0], [one[1]] if one[1] else [], FACTS), wanted.items()))
        got = dict(zip(wanted, pool.map(lambda name: read_all(connector, name), wanted), strict=True))
        assert got == wanted


class _Short(asyncssh.SFTPServer):
    """Gives less than was asked for, as the protocol allows."""

    def read(self, file_obj: object, offset: int, size: int) -> Any:
        return super().read(file_obj, offset, max(size // 2, 1))


def test_a_server_that_gives_less_than_was_asked_for_is_read_to_the_end() -> None:
    with served(_Short) as (connector, folder):
        with open(os.path.join(folder, "a"), "wb") as file:
            file.write(content(20_000, 1))
        assert read_all(connector, "a") == content(20_000, 1)
        entry = connector.stat("a")
        assert entry is not None
        assert got(connector, [SmallRead("a", entry)]) == [("a", content(20_000, 1))]


class _Unclosed(asyncssh.SFTPServer):
    """Says at the end alone that it could not keep what was written."""

    def close(self, file_obj: object) -> Any:
        super().close(file_obj)
        raise asyncssh.SFTPFailure("the disk is full")


class _Unwritten(asyncssh.SFTPServer):
    def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        raise asyncssh.SFTPPermissionDenied("not you")


class _Unstamped(asyncssh.SFTPServer):
    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> Any:
        raise asyncssh.SFTPPermissionDenied("not you")


@pytest.mark.parametrize("server", [_Unclosed, _Unwritten, _Unstamped])
def test_what_was_refused_on_the_way_gets_no_name(server: type[asyncssh.SFTPServer]) -> None:
    with served(server) as (connector, folder):
        kinds = (ErrorKind.IO_ERROR, ErrorKind.PERMISSION_DENIED, ErrorKind.NO_SPACE)
        with refused(*kinds):
            connector.write("a", [b"content"], FACTS, when=ABSENT)
        outcomes = dict(written(connector, [SmallWrite(name, b"content", FACTS, ABSENT) for name in "abc"]))
        assert all(isinstance(outcome, TallyportError) and outcome.kind in kinds for outcome in outcomes.values())
        assert len(outcomes) == 3
        assert os.listdir(folder) == []


def test_a_name_that_is_taken_keeps_what_it_names() -> None:
    with served() as (connector, folder):
        connector.write("a", [b"old"], FACTS)
        with refused(ErrorKind.ALREADY_EXISTS):
            connector.write("a", [b"new"], FACTS, when=ABSENT)
        assert read_all(connector, "a") == b"old"
        assert not unfinished(folder)


class _Replacing(asyncssh.SFTPServer):
    """Renames over what stands, whatever it was asked."""

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        os.replace(self.map_path(oldpath), self.map_path(newpath))


def test_a_server_that_renames_over_what_stands_is_not_asked_to_where_something_stands() -> None:
    with served(_Replacing) as (connector, folder):
        assert connector.limits.creates_only  # nobody has probed it
        connector.write("a", [b"old"], FACTS)
        with refused(ErrorKind.ALREADY_EXISTS):
            connector.write("a", [b"new"], FACTS, when=ABSENT)
        ((_, outcome),) = written(connector, [SmallWrite("a", b"new", FACTS, ABSENT)])
        assert isinstance(outcome, TallyportError)
        assert outcome.kind is ErrorKind.ALREADY_EXISTS
        assert read_all(connector, "a") == b"old"
        assert not unfinished(folder)


def test_a_symlink_is_no_small_file() -> None:
    with served() as (connector, folder):
        os.symlink("/etc/hostname", os.path.join(folder, "link"))
        with refused(ErrorKind.UNSUPPORTED):
            read_all(connector, "link")
        seen = connector.stat("link")
        assert seen is not None
        assert seen.target == "/etc/hostname"


def test_a_channel_that_broke_is_made_again() -> None:
    with served() as (connector, _):
        connector.write("a", [b"content"], FACTS)
        event_loop.run(cut(lane_of(connector)._channel))
        assert read_all(connector, "a") == b"content"


def test_a_server_that_allows_one_channel_alone_is_carried_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object) -> None:
        return None

    monkeypatch.setattr(sftp_session, "open_lane", none)
    with served() as (connector, _):
        connector.write("a", [b"content"], FACTS, when=ABSENT)
        assert read_all(connector, "a") == b"content"
        assert connector._session.lane() is None
        assert isinstance(connector, Connector)
        assert not isinstance(connector, Bunches), "its files are waited for one by one: many threads are faster"


def test_a_symlink_in_a_bunch_is_not_followed() -> None:
    with served() as (connector, folder):
        before = connector.write("a", [b"content"], FACTS)
        os.unlink(os.path.join(folder, "a"))
        os.symlink("/etc/hostname", os.path.join(folder, "a"))
        ((_, outcome),) = got(connector, [SmallRead("a", before)])
        assert isinstance(outcome, TallyportError)
        assert outcome.kind in (ErrorKind.CHANGED_DURING_COPY, ErrorKind.UNSUPPORTED)


def test_a_channel_that_breaks_in_the_middle_of_a_bunch_leaves_each_file_whole_or_absent() -> None:
    data = content(9_000, 3)
    with served() as (connector, _):
        channel = lane_of(connector)._channel

        def writes() -> Iterator[SmallWrite]:
            for number in range(40):
                if number == 20:
                    event_loop.run(cut(channel))
                yield SmallWrite(f"f{number}", data, FACTS, ABSENT)

        outcomes = {one[0].path: one[1] for one in connector.write_many(writes()) if one is not None}
        assert len(outcomes) == 40
        troubles = [outcome for outcome in outcomes.values() if isinstance(outcome, TallyportError)]
        assert {trouble.kind for trouble in troubles} == {ErrorKind.UNAVAILABLE}
        for path in outcomes:
            seen = connector.stat(path)
            assert seen is None or read_all(connector, path) == data
            assert seen is not None or isinstance(outcomes[path], TallyportError)
        again = written(connector, [SmallWrite("again", data, FACTS, ABSENT)])
        assert isinstance(again[0][1], Entry)


async def cut(channel: Any) -> None:
    channel.abort()
    await channel.wait_closed()


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Facts(modified=1_234_567_891_123_456_789),
        Facts(modified=-5),
        Facts(modified=1 << 62, mode=0o4755),
        Facts(mode=0o640, owner="1000", group="0"),
        Facts(owner="1000"),
        Facts(modified=0, mode=0, owner=0, group=4_294_967_294),
    ],
)
def test_what_a_file_is_given_is_packed_as_the_library_packs_it(facts: Facts) -> None:
    library = attributes(facts, 3)
    assert packed_attributes(facts) == (None if library is None else library.encode(3))


def test_packets_are_sealed_as_the_library_seals_them() -> None:
    key, iv = bytes(range(16)), b"\1\2\3\4" + (2**64 - 2).to_bytes(8, "big")  # the number of a packet goes round
    ours, theirs = KeptCipher("aes128-gcm", key, iv), GCMCipher("aes128-gcm", key, iv)
    opening, changed = KeptCipher("aes128-gcm", key, iv), KeptCipher("aes128-gcm", key, iv)
    for number in range(4):
        header, packet = bytes([number] * 4), bytes([number]) * 40
        sealed, mac = ours.encrypt_and_sign(header, packet)
        assert (sealed, mac) == theirs.encrypt_and_sign(header, packet)
        assert opening.verify_and_decrypt(header, sealed[4:], mac) == packet
        assert changed.verify_and_decrypt(header, sealed[4:], mac[::-1]) is None
    assert vars(asyncssh.encryption)["GCMCipher"] is KeptCipher, "the library uses ours"
