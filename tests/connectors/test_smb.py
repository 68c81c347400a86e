"""SMB keeps the contract on both kinds of share of Samba, and its own promises about names, access and versions."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import cast

import pytest

from tallyport.connectors import smb_earlier
from tallyport.connectors.protocol import (
    Connector,
    Copies,
    Facts,
    Grants,
    Precondition,
    Properties,
    SmallRead,
    SmallWrite,
    Uploads,
    Versions,
)
from tallyport.connectors.registry import platform
from tallyport.connectors.smb import Settings, Smb, open_smb
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain import ntfs_acl
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind, Reach
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import ConnectorContract, refused
from tallyport.testing.share_servers import SmbServer, samba
from tallyport.testing.worlds import content, read_all

pytestmark = pytest.mark.needs("smbd")


@pytest.fixture(scope="module")
def server() -> Iterator[SmbServer]:
    with samba() as server:
        yield server


@pytest.fixture(scope="module")
def on_files(server: SmbServer) -> Iterator[Smb]:
    with closing(open_smb(Settings(**server.settings("files")))) as connector:
        yield connector


@pytest.fixture(scope="module")
def on_posix(server: SmbServer) -> Iterator[Smb]:
    with closing(open_smb(Settings(**server.settings("posix")))) as connector:
        yield connector


class SmbContract(ConnectorContract):
    locks_open_files = True
    changed_properties = frozenset({"nothing", "caf\u00e9"})  # no empty values; names are ASCII to Samba

    def abandon(self, connector: Connector, path: str, token: str) -> None:
        assert isinstance(connector, Uploads)
        connector.begin_upload(f"{path}/any", Facts(), token=token)


class TestFiles(SmbContract):
    """A share with Windows access lists and previous versions."""

    someone = Principal(PrincipalKind.ACCOUNT, id="S-1-5-21-1111111111-2222222222-3333333333-1104")

    @pytest.fixture
    def connector(self, request: pytest.FixtureRequest, server: SmbServer, on_files: Smb) -> Connector:
        return one_to_close(request, server, "files") or on_files


class TestPosix(SmbContract):
    """A share that maps access to POSIX lists."""

    @pytest.fixture
    def connector(self, request: pytest.FixtureRequest, server: SmbServer, on_posix: Smb) -> Connector:
        return one_to_close(request, server, "posix") or on_posix


def one_to_close(request: pytest.FixtureRequest, server: SmbServer, share: str) -> Smb | None:
    """Open a connection of its own for the test that closes it; the others share one."""
    return open_smb(Settings(**server.settings(share))) if "closing" in request.node.name else None


# -- names


@pytest.mark.parametrize(
    "name", ["bad:name?.txt", "bad:$DATA", "a:b", "a ", "a.", "CON", "com1.txt", "LPT¹", "a\\b", "\ud800"]
)
def test_a_name_that_would_become_another_one_is_refused_before_the_call(
    on_files: Smb, server: SmbServer, name: str
) -> None:
    for act in (
        lambda: on_files.write(name, [b"x"], Facts()),
        lambda: on_files.make_container(name, Facts()),
        lambda: on_files.begin_upload(name, Facts(), token="t"),
    ):
        with refused(ErrorKind.INVALID_NAME):
            act()
    assert not {"bad", "a"} & set(os.listdir(server.folder))


def test_a_name_is_measured_in_utf16_units(on_files: Smb) -> None:
    with refused(ErrorKind.INVALID_NAME):
        on_files.write("\U0001f600" * 128, [b"x"], Facts())
    on_files.write("\U0001f600" * 60, [b"x"], Facts())
    assert read_all(on_files, "\U0001f600" * 60) == b"x"
    on_files.delete("\U0001f600" * 60)


# -- signing in


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"password": "wrong"}, ErrorKind.UNAUTHENTICATED),
        ({"username": "nobody-of-that-name"}, ErrorKind.UNAUTHENTICATED),
        ({"share": "none-of-that-name"}, ErrorKind.NOT_FOUND),
        ({"path": "no/such"}, ErrorKind.NOT_FOUND),
        ({"path": "../up"}, ErrorKind.INVALID_NAME),
    ],
)
def test_what_is_wrong_with_a_connection_is_told(
    server: SmbServer, changes: dict[str, object], kind: ErrorKind
) -> None:
    with pytest.raises(TallyportError) as caught:
        open_smb(Settings(**{**server.settings(), **changes}))
    assert caught.value.kind is kind
    assert server.password not in caught.value.message
    assert "wrong" not in caught.value.message


def test_a_server_that_is_not_there_is_unavailable(server: SmbServer) -> None:
    with refused(ErrorKind.UNAVAILABLE):
        open_smb(Settings(**{**server.settings(), "port": 1}))


def test_an_encrypted_session_carries_as_well(server: SmbServer) -> None:
    with closing(open_smb(Settings(**server.settings(), encrypt=True))) as connector:
        connector.write("sealed", [b"content"], Facts())
        assert read_all(connector, "sealed") == b"content"
        connector.delete("sealed")


def test_a_connection_that_broke_is_made_again(server: SmbServer) -> None:
    with closing(open_smb(Settings(**server.settings()))) as connector:
        wire = connector._session._wire
        assert wire is not None
        wire.connection.transport.close()
        with pytest.raises(TallyportError) as caught:
            connector.stat("x")
        assert caught.value.kind in (ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT)
        assert connector.stat("") is not None


def test_a_connection_that_breaks_in_the_middle_of_a_bunch_leaves_each_file_whole_or_absent(
    server: SmbServer,
) -> None:
    data = content(9_000, 3)
    with closing(open_smb(Settings(**server.settings()), "bunch", make=True)) as connector:

        def writes() -> Iterator[SmallWrite]:
            for number in range(40):
                if number == 20:
                    wire = connector._session._wire
                    assert wire is not None
                    wire.connection.transport.close()
                yield SmallWrite(f"f{number}", data, Facts(), Precondition(absent=True))

        outcomes = {one[0].path: one[1] for one in connector.write_many(writes()) if one is not None}
        assert len(outcomes) == 40
        troubles = [outcome for outcome in outcomes.values() if isinstance(outcome, TallyportError)]
        assert troubles
        assert {trouble.kind for trouble in troubles} <= {ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT}
        for path, outcome in outcomes.items():
            seen = connector.stat(path)
            assert seen is None or read_all(connector, path) == data
            assert seen is not None or isinstance(outcome, TallyportError)
            if seen is not None:
                connector.delete(path)
        again = [SmallWrite(f"g{number}", data, Facts(), Precondition(absent=True)) for number in range(40)]
        entries = [cast(Entry, one[1]) for one in connector.write_many(again) if one is not None]
        reads = [SmallRead(entry.name, entry) for entry in entries]
        assert [one[1] for one in connector.read_many(reads) if one is not None] == [data] * 40
        for entry in entries:
            connector.delete(entry.name, expect=entry)


@pytest.mark.parametrize("bit", [16 * 8 + 3, 70 * 8])  # that it is signed; something of what it says
def test_an_answer_without_the_signature_of_the_server_is_not_believed(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch, bit: int
) -> None:
    with closing(open_smb(Settings(**server.settings()))) as connector:
        wire = connector._session._wire
        assert wire is not None
        told = wire._frame

        def changed(seconds: float) -> bytes:
            frame = bytearray(told(seconds))
            frame[bit // 8] ^= 1 << bit % 8
            return bytes(frame)

        monkeypatch.setattr(wire, "_frame", changed)
        connector.stat("")  # its answer was waited for already
        with refused(ErrorKind.UNAVAILABLE):
            connector.stat("")
        assert connector.stat("") is not None  # over a new connection


def test_what_is_sent_at_once_waits_for_the_server_to_let_it(server: SmbServer) -> None:
    with closing(open_smb(Settings(**server.settings()))) as connector:
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda number: connector.write(f"many-{number}", [b"x" * 300_000], Facts()), range(64)))
            entries = [entry for entry in connector.children("") if entry.name.startswith("many-")]
            list(pool.map(lambda entry: connector.delete(entry.name, expect=entry), entries))
        assert len(entries) == 64
        wire = connector._session._wire
        assert wire is not None
        assert not wire._calls


def test_a_name_that_is_taken_leaves_nothing_unfinished_behind(on_files: Smb, server: SmbServer) -> None:
    on_files.write("taken", [b"old"], Facts())
    with refused(ErrorKind.ALREADY_EXISTS):
        on_files.write("taken", [b"new"], Facts(), when=Precondition(absent=True))
    assert read_all(on_files, "taken") == b"old"
    on_files.delete("taken")
    assert not [name for name in os.listdir(server.folder) if is_temporary(name)]


def test_the_registry_knows_it(server: SmbServer) -> None:
    settings = server.settings()
    assert platform("smb").read_settings(settings) == Settings(**settings)
    assert platform("smb").secret_names() == {"password"}


# -- sharing and attributes


def test_what_somebody_has_open_without_sharing_is_locked(on_files: Smb, server: SmbServer) -> None:
    from tallyport.connectors import smb_messages as smb

    on_files.write("busy", [b"x"], Facts())
    message = smb.create("busy", smb.READ_DATA | smb.WRITE_DATA, sharing=0)
    with closing(open_smb(Settings(**server.settings()))) as other:
        handle = smb.created(other._session.exchange("open", "busy", message)[0]).handle
        with refused(ErrorKind.LOCKED):
            read_all(on_files, "busy")
        with refused(ErrorKind.LOCKED):
            on_files.write("busy", [b"y"], Facts())
        with refused(ErrorKind.LOCKED):
            on_files.delete("busy")
        other._close(handle)
    assert read_all(on_files, "busy") == b"x"
    on_files.delete("busy")


def test_a_hidden_file_is_seen_as_hidden(on_files: Smb) -> None:
    from tallyport.connectors import smb_messages as smb

    on_files.write("secret", [b"x"], Facts())
    messages = (smb.create("secret", smb.WRITE_ATTRIBUTES), smb.stamp(None, attributes=smb.HIDDEN), smb.close())
    on_files._session.exchange("hide", "secret", *messages)
    seen = on_files.stat("secret")
    assert seen is not None
    assert seen.hidden
    assert "secret" in {entry.name for entry in on_files.children("") if entry.hidden}
    on_files.delete("secret")


def test_a_read_only_file_can_be_deleted(on_files: Smb) -> None:
    from tallyport.connectors import smb_messages as smb

    on_files.write("kept", [b"x"], Facts())
    messages = (smb.create("kept", smb.WRITE_ATTRIBUTES), smb.stamp(None, attributes=smb.READ_ONLY), smb.close())
    on_files._session.exchange("protect", "kept", *messages)
    on_files.delete("kept")
    assert on_files.stat("kept") is None


def test_a_name_can_change_its_case(on_files: Smb) -> None:
    on_files.write("report.TXT", [b"x"], Facts())
    entry = on_files.rename("report.TXT", "Report.txt")
    assert entry.name == "Report.txt"
    assert "Report.txt" in {one.name for one in on_files.children("")}
    on_files.delete("Report.txt")


# -- uploads and copies


def test_an_upload_goes_on_in_another_process_and_shows_nothing_before_its_end(server: SmbServer) -> None:
    data = content(3_000_000, 1)
    facts = Facts(size=len(data), modified=1_600_000_000_123_456_700)
    with closing(open_smb(Settings(**server.settings()))) as first:
        assert isinstance(first, Uploads)
        handle = first.begin_upload("big", facts, token="t1")
        tail = first.put_part("big", handle, 1, 2_000_000, [data[2_000_000:]], 1_000_000)
        with refused(ErrorKind.CHANGED_DURING_COPY):
            first.put_part("big", handle, 0, 0, [data[:5]], 2_000_000)
        assert first.stat("big") is None
        assert "big" not in {entry.name for entry in first.children("")}
    with closing(open_smb(Settings(**server.settings()))) as second:
        head = second.put_part("big", handle, 0, 0, [data[:1_500_000], data[1_500_000:2_000_000]], 2_000_000)
        entry = second.finish_upload("big", handle, [head, tail], facts, when=Precondition(absent=True))
        assert (entry.size, entry.modified) == (len(data), facts.modified)
        assert read_all(second, "big") == data
        with refused(ErrorKind.NOT_FOUND):
            second.finish_upload("big", handle, [head, tail], facts)
        second.abandon_upload("big", handle)
        second.delete("big")


@pytest.mark.parametrize("handle", ["..\\..\\x", "other.txt", ""])
def test_a_handle_is_no_way_to_another_file(on_files: Smb, handle: str) -> None:
    on_files.write("other.txt", [b"kept"], Facts())
    with refused(ErrorKind.NOT_FOUND):
        on_files.put_part("a", handle, 0, 0, [b"x"], 1)
    on_files.abandon_upload("a", handle)
    assert read_all(on_files, "other.txt") == b"kept"
    on_files.delete("other.txt")


@pytest.mark.parametrize("size", [0, 5, 20 * 1024 * 1024 + 1])
def test_a_copy_on_the_server_keeps_content_and_time(on_files: Smb, size: int) -> None:
    data = content(size, 2)
    assert isinstance(on_files, Copies)
    seen = on_files.write("one", [data], Facts(modified=1_500_000_000_000_000_100))
    copied = on_files.copy("one", "two", Facts(), when=Precondition(absent=True))
    assert (copied.size, copied.modified) == (seen.size, seen.modified)
    assert read_all(on_files, "two") == data
    with refused(ErrorKind.ALREADY_EXISTS):
        on_files.copy("one", "two", Facts(), when=Precondition(absent=True))
    on_files.delete("one")
    on_files.delete("two")


# -- previous versions


def test_previous_versions_are_given_oldest_first_and_can_be_read(on_files: Smb, server: SmbServer) -> None:
    shots = os.path.join(server.folder, ".snapshots")
    for number, day in enumerate(("2026.01.02", "2026.01.03", "2026.01.04")):
        folder = os.path.join(shots, f"@GMT-{day}-03.04.05")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "letter")
        with open(path, "wb") as stream:
            stream.write(b"draft %d" % max(number, 1))  # the first two are the same
        os.utime(path, ns=(0, 1_000_000_000 * (1000 + max(number, 1))))
    on_files.write("letter", [b"final text"], Facts(modified=2_000_000_000_000))
    with closing(open_smb(Settings(**server.settings()))) as connector:
        assert isinstance(connector, Versions)
        found = connector.versions("letter")
        assert [version.is_current for version in found] == [False, False, True]
        contents = []
        for version in found:
            with connector.read_version("letter", version.id) as chunks:
                contents.append(b"".join(chunks))
        assert contents == [b"draft 1", b"draft 2", b"final text"]
        assert [version.modified for version in found] == [1001 * 10**9, 1002 * 10**9, 2_000_000_000_000]
        with refused(ErrorKind.NOT_FOUND), connector.read_version("letter", "@GMT-1999.01.01-00.00.00") as chunks:
            list(chunks)
    on_files.delete("letter")


def test_a_listing_counts_the_previous_versions_of_each_file(
    on_files: Smb, server: SmbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def past(day: str, name: str, data: bytes, moment: int) -> None:
        path = os.path.join(server.folder, ".snapshots", f"@GMT-{day}-03.04.05", "counted", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)
        os.utime(path, ns=(0, moment * 1_000_000_000))

    on_files.make_container("counted", Facts())
    for name, moment in {"never kept": 1, "as it was": 2, "Changed": 3, "turned": 4, "box/inside": 5}.items():
        if "/" in name:
            on_files.make_container("counted/box", Facts())
        on_files.write(f"counted/{name}", [b"now"], Facts(modified=moment * 1_000_000_000))
    for day in ("2026.01.02", "2026.01.04"):
        past(day, "as it was", b"now", 2)
        past(day, "changed", day.encode(), int(day[-2:]))
        past(day, "gone", b"gone", 1)
        past(day, "box/inside", b"then", 1)
    past("2026.01.04", "turned/inside", b"then", 1)  # a folder had that name
    for at_once in (10_000, 1):
        monkeypatch.setattr(smb_earlier, "AT_ONCE", at_once)
        with closing(open_smb(Settings(**server.settings()))) as connector:
            found = {entry.name: entry.contents for entry in connector.counted("counted")}
            assert found == {"never kept": 1, "as it was": 1, "Changed": 3, "turned": 1, "box": 0}
            for name in ("never kept", "as it was", "turned"):  # of one that has other letters Samba tells none
                assert found[name] == len(connector.versions(f"counted/{name}"))
            assert [(entry.name, entry.contents) for entry in connector.counted("counted/box")] == [("inside", 2)]
    shutil.rmtree(os.path.join(server.folder, "counted"))


def test_a_share_without_previous_versions_has_the_current_one(on_posix: Smb) -> None:
    on_posix.write("single", [b"x"], Facts())
    assert [version.is_current for version in on_posix.versions("single")] == [True]
    on_posix.delete("single")


# -- access

FOREIGN = "S-1-5-21-1111111111-2222222222-3333333333-1104"
OTHER = "S-1-5-21-1111111111-2222222222-3333333333-1105"


def rights(*words: AccessRight) -> frozenset[AccessRight]:
    return frozenset(words)


def test_grants_and_denials_of_foreign_accounts_are_kept(on_files: Smb) -> None:
    assert isinstance(on_files, Grants)
    on_files.make_container("folder", Facts())
    wanted = Access(
        owner=Principal(PrincipalKind.ACCOUNT, id=FOREIGN),
        grants=(
            Grant(Principal(PrincipalKind.ACCOUNT, id=FOREIGN), rights(AccessRight.LIST), reach=Reach.BOTH),
            Grant(Principal(PrincipalKind.ACCOUNT, id=OTHER), rights(AccessRight.DELETE), deny=True),
            Grant(Principal(PrincipalKind.EVERYONE), rights(AccessRight.READ_ACCESS)),
        ),
        inherits=False,
    )
    seen = on_files.set_access("folder", wanted, remove_others=True)
    assert seen == on_files.access("folder")
    assert seen.owner == wanted.owner
    assert not seen.inherits
    assert [grant.deny for grant in seen.grants] == [True, False, False]
    assert {(grant.principal.id, grant.rights, grant.deny, grant.reach) for grant in seen.grants} == {
        (FOREIGN, rights(AccessRight.LIST), False, Reach.BOTH),
        (OTHER, rights(AccessRight.DELETE), True, Reach.ITEM),
        ("S-1-1-0", rights(AccessRight.READ_ACCESS), False, Reach.ITEM),
    }


def test_access_travels_between_two_shares_of_this_kind_bit_for_bit(on_files: Smb) -> None:
    on_files.write("from", [b"x"], Facts())
    on_files.write("to", [b"x"], Facts())
    odd = ntfs_acl.Ace(ntfs_acl.ALLOW, 0, 0x00120089 | ntfs_acl.WRITE_EA, FOREIGN)
    security = ntfs_acl.Security(aces=(odd,), control=ntfs_acl.DACL_PROTECTED)
    given = Access(native=ntfs_acl.encode(security), native_kind=ntfs_acl.KIND)
    seen = on_files.set_access("from", given, remove_others=True)
    copied = on_files.set_access("to", seen, remove_others=True)
    assert ntfs_acl.decode(copied.native).aces == (odd,)
    assert (copied.owner, copied.group, copied.grants) == (seen.owner, seen.group, seen.grants)


def test_grants_are_added_to_those_that_stand(on_files: Smb) -> None:
    on_files.write("more", [b"x"], Facts())
    before = on_files.access("more")
    grant = Grant(Principal(PrincipalKind.ACCOUNT, id=FOREIGN), rights(AccessRight.READ))
    seen = on_files.set_access("more", Access(grants=(grant,)))
    assert set(before.grants) <= set(seen.grants)
    assert grant in seen.grants


def test_what_a_posix_share_drops_is_missing_when_it_is_read_back(on_posix: Smb) -> None:
    on_posix.write("mapped", [b"x"], Facts())
    grant = Grant(Principal(PrincipalKind.ACCOUNT, id=FOREIGN), rights(AccessRight.READ))
    seen = on_posix.set_access("mapped", Access(grants=(grant,)))
    assert FOREIGN not in {one.principal.id for one in seen.grants}


def test_a_principal_without_an_identifier_gets_nothing(on_files: Smb) -> None:
    on_files.write("named", [b"x"], Facts())
    before = on_files.access("named")
    grant = Grant(Principal(PrincipalKind.ACCOUNT, name="somebody@example.com"), rights(AccessRight.READ))
    assert on_files.set_access("named", Access(grants=(grant,))).grants == before.grants


# -- properties


def test_attributes_and_second_streams_are_properties(on_files: Smb, server: SmbServer) -> None:
    assert isinstance(on_files, Properties)
    on_files.write("rich", [b"content"], Facts())
    seen = on_files.set_properties("rich", {"AUTHOR": b"me", "TITLE": b"it", ":note": b"beside", ":empty": b""})
    assert {name.upper(): value for name, value in seen.items()} == {
        "AUTHOR": b"me",
        "TITLE": b"it",
        ":NOTE": b"beside",
        ":EMPTY": b"",
    }
    assert seen == on_files.properties("rich")
    seen = on_files.set_properties("rich", {"AUTHOR": None, ":note": None, ":empty": None, ":a:b": b"x", "": b"x"})
    assert {name.upper() for name in seen} == {"TITLE"}
    assert read_all(on_files, "rich") == b"content"
    on_files.delete("rich")


def test_rclone_sees_what_was_written(server: SmbServer, tmp_path: object) -> None:
    """Somebody else's client reads what ours wrote."""
    data = content(2_000_000, 3)
    with closing(open_smb(Settings(**server.settings("files")), "refereed", make=True)) as connector:
        connector.write("a.bin", [data], Facts(modified=1_600_000_000 * 10**9))
        connector.make_container("box", Facts())
        connector.write("box/ü \U0001f600.txt", [b"x"], Facts())
    with open(os.path.join(str(tmp_path), "a.bin"), "wb") as stream:
        stream.write(data)
    os.mkdir(os.path.join(str(tmp_path), "box"))
    with open(os.path.join(str(tmp_path), "box", "ü \U0001f600.txt"), "wb") as stream:
        stream.write(b"x")
    hidden = subprocess.run(
        [rclone(), "obscure", server.password], check=True, capture_output=True, text=True
    ).stdout.strip()
    remote = f":smb,host=127.0.0.1,port={server.port},user={server.username},pass={hidden}:files/refereed"
    command = [rclone(), "check", "--download", "--config", "/dev/null", str(tmp_path), remote]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def rclone() -> str:
    import shutil
    import sys

    found = shutil.which("rclone", path=os.path.dirname(sys.executable)) or shutil.which("rclone")
    assert found is not None
    return found
