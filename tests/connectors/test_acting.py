"""A folder is worked as another account of this machine: the kernel says what that one may do."""

import os
import pwd
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.connectors import acting, local_bunch, local_content, local_identity
from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import ANYTHING, Bunches, Connector, Facts, Grants, SmallRead, SmallWrite
from tallyport.domain.access import Access, Principal, PrincipalKind
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may act as another account")

NOBODY = pwd.getpwnam("nobody")
WITHOUT_ACCOUNT = 54_321


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shared"
    made.mkdir()
    made.chmod(0o777)
    for name, mode in (("open.txt", 0o644), ("closed.txt", 0o600)):
        (made / name).write_bytes(name.encode())
        (made / name).chmod(mode)
    (made / "locked").mkdir(mode=0o700)
    (made / "locked" / "inner.txt").write_bytes(b"inner")
    return made


def opened(folder: Path, who: str, path: str = "/", *, make: bool = False) -> Connector:
    return open_connection("fs", {"path": str(folder)}, path, make=make, act_as=who)


def content(connector: Connector, path: str) -> bytes:
    with connector.read(path) as chunks:
        return b"".join(chunks)


@needs_root
@pytest.mark.parametrize("who", ["nobody", str(NOBODY.pw_uid), str(WITHOUT_ACCOUNT)])
def test_what_an_account_may_not_read_is_refused_and_the_rest_is_read(folder: Path, who: str) -> None:
    connector = opened(folder, who)
    assert {entry.name for entry in connector.children("")} == {"open.txt", "closed.txt", "locked"}
    assert content(connector, "open.txt") == b"open.txt"
    for act in (
        lambda: content(connector, "closed.txt"),
        lambda: list(connector.children("locked")),
        lambda: connector.stat("locked/inner.txt"),
        lambda: connector.delete("locked/inner.txt"),
    ):
        with pytest.raises(TallyportError) as caught:
            act()
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
    connector.close()
    assert (folder / "locked" / "inner.txt").read_bytes() == b"inner"


@needs_root
@pytest.mark.parametrize(
    ("who", "owner"),
    [("nobody", (NOBODY.pw_uid, NOBODY.pw_gid)), (str(WITHOUT_ACCOUNT), (WITHOUT_ACCOUNT, 65_534))],
)
def test_what_is_made_belongs_to_whom_it_was_made_as(folder: Path, who: str, owner: tuple[int, int]) -> None:
    connector = opened(folder, who, "/made/below", make=True)
    connector.write("a.txt", [b"a"], Facts(1))
    connector.make_container("d", Facts())
    connector.close()
    for path in ("made", "made/below", "made/below/a.txt", "made/below/d"):
        st = (folder / path).stat()
        assert (st.st_uid, st.st_gid) == owner, path


@needs_root
def test_an_account_gives_nothing_away(folder: Path) -> None:
    connector = opened(folder, "nobody")
    assert not connector.limits.owners
    assert isinstance(connector, Grants)
    connector.write("mine.txt", [b"1"], Facts(1))
    with pytest.raises(TallyportError) as caught:
        connector.set_access("mine.txt", Access(Principal(PrincipalKind.ACCOUNT, "0")))
    assert caught.value.kind is ErrorKind.PERMISSION_DENIED
    with pytest.raises(TallyportError):
        connector.set_access("open.txt", Access(Principal(PrincipalKind.ACCOUNT, str(NOBODY.pw_uid))))
    connector.close()


@needs_root
def test_the_supplementary_groups_of_an_account_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = folder / "of-a-group.txt"
    shared.write_bytes(b"g")
    os.chown(shared, 0, 4_242)
    shared.chmod(0o640)
    connector = opened(folder, "nobody")
    with pytest.raises(TallyportError):
        content(connector, "of-a-group.txt")
    connector.close()
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 4_242])
    connector = opened(folder, "nobody")
    assert content(connector, "of-a-group.txt") == b"g"
    connector.close()


@needs_root
def test_a_bunch_is_read_and_written_as_the_account_and_asked_for_as_ourselves(folder: Path) -> None:
    connector = opened(folder, "nobody")
    assert isinstance(connector, Bunches)
    entries = {entry.name: entry for entry in connector.children("")}
    said: list[bool] = []

    def reads() -> Iterator[SmallRead | None]:
        for name in ("open.txt", "closed.txt"):
            said.append(local_identity.is_acting())
            yield SmallRead(name, entries[name])
            yield None

    found = {}
    for read in connector.read_many(reads()):
        said.append(local_identity.is_acting())
        if read is not None:
            found[read[0].path] = read[1]
    assert found["open.txt"] == b"open.txt"
    refused = found["closed.txt"]
    assert isinstance(refused, TallyportError)
    assert refused.kind is ErrorKind.PERMISSION_DENIED

    def writes() -> Iterator[SmallWrite]:
        for name in ("new.txt", "locked/new.txt"):
            said.append(local_identity.is_acting())
            yield SmallWrite(name, b"new", Facts(3), ANYTHING, guard=lambda: said.append(local_identity.is_acting()))

    made = {one[0].path: one[1] for one in connector.write_many(writes()) if one is not None}
    assert isinstance(made["new.txt"], Entry)
    assert isinstance(made["locked/new.txt"], TallyportError)
    assert (folder / "new.txt").stat().st_uid == NOBODY.pw_uid
    assert said
    assert not any(said)
    connector.close()


@needs_root
def test_a_bunch_goes_through_the_folder_as_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one each file's folder is opened anew."""
    opens: list[str] = []
    opened_below = local_bunch.open_below
    monkeypatch.setattr(local_bunch, "open_below", lambda fd, path: opens.append(path) or opened_below(fd, path))
    connector = opened(folder, "nobody", "/")
    assert isinstance(connector, Bunches)
    writes = [SmallWrite(f"{number}.txt", b"new", Facts(3), ANYTHING) for number in range(5)]
    assert all(one is not None and isinstance(one[1], Entry) for one in connector.write_many(writes))
    assert opens == [""]
    connector.close()


@needs_root
def test_content_comes_from_the_other_side_as_that_side_is(folder: Path) -> None:
    connector = opened(folder, "nobody")

    def chunks():  # type: ignore[no-untyped-def]
        assert not local_identity.is_acting()
        yield (folder / "closed.txt").read_bytes()

    connector.write("copy.txt", chunks(), Facts())
    assert (folder / "copy.txt").read_bytes() == b"closed.txt"
    connector.close()


def test_an_address_that_is_an_account_is_acted_as_and_any_other_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine in a domain may call its accounts so."""
    assert local_identity.identity_of("mailto:jsmith@example.org") is None
    with pytest.raises(TallyportError, match=r"knows no account 'jsmith@example\.org'"):
        local_identity.identity_of("jsmith@example.org")
    look = pwd.getpwnam
    monkeypatch.setattr(local_identity.pwd, "getpwnam", lambda name: look(name.replace("jsmith@example.org", "nobody")))
    assert local_identity.identity_of("mailto:jsmith@example.org") == local_identity.identity_of("nobody")
    assert local_identity.why_not("mailto:0") is not None, "a number is an id, and no address"


@needs_root
def test_other_threads_and_what_comes_after_are_as_before(folder: Path) -> None:
    closed, seen, go = folder / "closed.txt", [], threading.Event()
    thread = threading.Thread(target=lambda: (go.wait(), seen.append(closed.read_bytes())))
    thread.start()
    os.chown(closed, WITHOUT_ACCOUNT, WITHOUT_ACCOUNT)
    before = (os.geteuid(), os.getegid(), os.getgroups())
    identity = local_identity.identity_of("nobody")
    assert identity is not None
    with local_identity.acting(identity):
        with pytest.raises(PermissionError):
            closed.read_bytes()
        go.set()
        thread.join()
        with local_identity.acting(None):
            assert closed.read_bytes() == b"closed.txt"
        with pytest.raises(PermissionError):
            closed.read_bytes()
    assert seen == [b"closed.txt"]
    assert closed.read_bytes() == b"closed.txt"
    os.chown(closed, 0, 0)  # a right that acting takes away, and gives back
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


@needs_root
def test_an_identity_that_the_system_refuses_leaves_the_thread_as_it_was(folder: Path) -> None:
    with pytest.raises(TallyportError) as caught, local_identity.acting(local_identity.Identity(99, 99, (2**32 - 1,))):
        raise AssertionError("never here")
    assert caught.value.kind is ErrorKind.CONFIG
    assert not local_identity.is_acting()
    os.chown(folder / "closed.txt", 1, 1)


@pytest.mark.parametrize(
    ("platform", "who", "said"),
    [
        ("fs", "nobody-has-this-name", "knows no account"),
        ("fs", "jsmith@example.org", "e-mail address is no name here"),
        ("fs", str(2**32 - 1), "knows no account"),
        ("fs", "a\0b", "knows no account"),
        ("memory", "nobody", "memory has no way"),
        ("sftp", "nobody", "sftp has no way"),
    ],
)
def test_who_cannot_be_acted_as_is_said_with_the_reason(platform: str, who: str, said: str) -> None:
    assert said in str(acting.refusal(platform, who))
    if not acting.is_missing(platform, who):
        assert acting.identity_on(platform, who) is None
        return
    assert platform == "fs"
    with pytest.raises(TallyportError) as caught:
        acting.identity_on(platform, who)
    assert caught.value.kind is ErrorKind.CONFIG


def test_our_own_account_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert acting.refusal("fs", str(os.geteuid())) is None
    assert acting.identity_on("fs", str(os.geteuid())) is None
    monkeypatch.setattr(os, "geteuid", lambda: WITHOUT_ACCOUNT)
    assert "superuser" in str(acting.refusal("fs", "0"))


def test_a_server_without_the_right_or_on_another_system_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    who = str(WITHOUT_ACCOUNT)
    bare = local_identity._calls()._replace(capabilities=lambda: (0, 1 << 6))
    monkeypatch.setattr(local_identity, "_calls", lambda: bare)
    assert "CAP_SETUID and CAP_SETGID" in str(acting.refusal("fs", who))
    monkeypatch.setattr(local_identity.platform, "machine", lambda: "abacus")
    assert "abacus" in str(acting.refusal("fs", who))
    monkeypatch.setattr(local_identity.platform, "system", lambda: "Plan9")
    assert "only Linux" in str(acting.refusal("fs", who))
    assert acting.identity_on("fs", who) is None


@needs_root
def test_what_another_account_is_refused_is_not_given_up_for_our_own(folder: Path) -> None:
    """Only the owner of a file reads it without a trace in its time of access."""
    before = local_content._read_quietly
    connector = opened(folder, "nobody")
    assert content(connector, "open.txt") == b"open.txt"
    connector.close()
    assert local_content._read_quietly == before
