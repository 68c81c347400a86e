"""Owners, access lists and user xattrs of real files: set, and read back as they were set."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.connectors.local import Local
from tallyport.connectors.local_book import SystemBook, number_of
from tallyport.connectors.protocol import Facts, Grants, Principals, Properties
from tallyport.domain import posix_acl
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind, Reach
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.posix_acl import Acl, AclEntry, Tag

ACCOUNT, GROUP = PrincipalKind.ACCOUNT, PrincipalKind.GROUP
READ, WRITE = frozenset({AccessRight.READ}), frozenset({AccessRight.WRITE})

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")


class Book:
    """Accounts that this test says there are."""

    def __init__(self, **numbers: int) -> None:
        self.numbers = numbers

    def account(self, number: int) -> Principal:
        return Principal(ACCOUNT, str(number), self._name(number))

    def group(self, number: int) -> Principal:
        return Principal(GROUP, str(number), self._name(number))

    def _name(self, number: int) -> str:
        return next((name for name, known in self.numbers.items() if known == number), "")

    def principals(self, like: Principal) -> Iterator[Principal]:
        for name, number in self.numbers.items():
            if like.name in ("", name) and like.id in ("", str(number)):
                yield Principal(like.kind, str(number), name)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    made = Local(str(tmp_path), book=Book(alice=70001, staff=70002))
    made.write("a.txt", [b"x"], Facts(mode=0o640))
    made.make_container("folder", Facts(mode=0o750))
    yield made
    made.close()


def acl(*named: AclEntry, mode: int = 0o640, mask: int = 7) -> Acl:
    return Acl((*posix_acl.of_mode(mode), *named, AclEntry(Tag.MASK, mask)))


def native(value: Acl) -> Access:
    return Access(native=posix_acl.pack(value), native_kind=posix_acl.KIND)


def read_list(local: Local, path: str) -> Acl:
    return posix_acl.unpack(local.access(path).native)


def test_a_folder_of_this_machine_knows_grants_principals_and_properties(local: Local) -> None:
    assert isinstance(local, Grants)
    assert isinstance(local, Principals)
    assert isinstance(local, Properties)


def test_permission_bits_are_told_as_grants(local: Local, tmp_path: Path) -> None:
    found = local.access("a.txt")
    owner = os.stat(tmp_path / "a.txt").st_uid
    assert found.owner is not None
    assert found.owner.id == str(owner)
    assert {(grant.principal.kind, grant.rights) for grant in found.grants} == {(ACCOUNT, READ | WRITE), (GROUP, READ)}


def test_a_list_is_set_and_read_back_to_the_bit(local: Local, tmp_path: Path) -> None:
    wanted = acl(AclEntry(Tag.USER, 6, 70001), AclEntry(Tag.NAMED_GROUP, 5, 70002), mask=6)
    local.set_access("a.txt", native(wanted))
    assert set(read_list(local, "a.txt").access) == set(wanted.access)
    assert stat.S_IMODE(os.stat(tmp_path / "a.txt").st_mode) == 0o660  # the group's bits are the mask


def test_a_default_list_is_of_folders(local: Local) -> None:
    wanted = Acl(posix_acl.of_mode(0o750), acl(AclEntry(Tag.USER, 7, 70001)).access)
    local.set_access("folder", native(wanted))
    assert set(read_list(local, "folder").default) == set(wanted.default)
    local.set_access("folder", native(Acl(posix_acl.of_mode(0o750))), remove_others=True)
    assert read_list(local, "folder") == Acl(posix_acl.of_mode(0o750))


def test_adding_keeps_who_is_named_and_replacing_does_not(local: Local) -> None:
    local.set_access("a.txt", native(acl(AclEntry(Tag.USER, 6, 70001))))
    other = native(acl(AclEntry(Tag.USER, 4, 70005)))
    local.set_access("a.txt", other)
    assert {entry.id for entry in read_list(local, "a.txt").access if entry.tag is Tag.USER} == {70001, 70005}
    local.set_access("a.txt", other, remove_others=True)
    assert {entry.id for entry in read_list(local, "a.txt").access if entry.tag is Tag.USER} == {70005}
    local.set_access("a.txt", native(Acl(posix_acl.of_mode(0o600))), remove_others=True)
    assert read_list(local, "a.txt") == Acl(posix_acl.of_mode(0o600))


def test_grants_of_another_platform_become_entries(local: Local) -> None:
    alice, staff = Principal(ACCOUNT, name="alice"), Principal(GROUP, name="staff")
    everyone = Principal(PrincipalKind.EVERYONE)
    grants = (Grant(alice, READ | WRITE), Grant(staff, READ), Grant(everyone, READ), Grant(alice, WRITE, deny=True))
    got = local.set_access("a.txt", Access(grants=grants))
    assert (AclEntry(Tag.USER, 4, 70001)) in read_list(local, "a.txt").access
    assert Grant(Principal(GROUP, "70002", "staff"), READ) in got.grants
    assert Grant(everyone, READ) in got.grants


def test_grants_that_reach_below_a_folder_become_its_default_list(local: Local) -> None:
    alice = Principal(ACCOUNT, name="alice")
    rights = frozenset({AccessRight.LIST, AccessRight.EXECUTE})
    local.set_access("folder", Access(grants=(Grant(alice, rights, reach=Reach.BOTH),)))
    found = read_list(local, "folder")
    assert AclEntry(Tag.USER, 5, 70001) in found.access
    assert AclEntry(Tag.USER, 5, 70001) in found.default


@as_root
def test_owners_are_set_by_name_and_by_number(local: Local, tmp_path: Path) -> None:
    local.set_access("a.txt", Access(Principal(ACCOUNT, name="alice"), Principal(GROUP, "70009")))
    st = os.stat(tmp_path / "a.txt")
    assert (st.st_uid, st.st_gid) == (70001, 70009)


@as_root
def test_a_symlink_has_an_owner_and_is_not_followed(local: Local, tmp_path: Path) -> None:
    os.symlink("a.txt", tmp_path / "link")
    before = os.stat(tmp_path / "a.txt").st_uid
    local.set_access("link", Access(Principal(ACCOUNT, "70001")))
    assert os.lstat(tmp_path / "link").st_uid == 70001
    assert os.stat(tmp_path / "a.txt").st_uid == before
    assert local.access("link").grants == ()


@as_root
def test_setuid_does_not_survive_a_change_of_owner(local: Local, tmp_path: Path) -> None:
    os.chmod(tmp_path / "a.txt", 0o6755)
    local.set_access("a.txt", native(Acl(posix_acl.of_mode(0o755))))
    assert stat.S_IMODE(os.stat(tmp_path / "a.txt").st_mode) == 0o755


@pytest.mark.parametrize("who", [Principal(ACCOUNT, name="nobody-here"), Principal(GROUP, name="nobody-here")])
def test_an_unknown_name_is_an_error_and_never_the_superuser(local: Local, tmp_path: Path, who: Principal) -> None:
    before = os.stat(tmp_path / "a.txt")
    access = Access(owner=who) if who.kind is ACCOUNT else Access(group=who)
    with pytest.raises(TallyportError) as caught:
        local.set_access("a.txt", access)
    assert caught.value.kind is ErrorKind.UNSUPPORTED
    assert "nobody-here" in caught.value.message
    after = os.stat(tmp_path / "a.txt")
    assert (before.st_uid, before.st_gid) == (after.st_uid, after.st_gid)


def test_properties_are_user_xattrs_and_nothing_else(local: Local, tmp_path: Path) -> None:
    assert local.set_properties("a.txt", {"author": b"Ann", "empty": b"", "bytes": b"\0\xff"}) == {
        "author": b"Ann",
        "empty": b"",
        "bytes": b"\0\xff",
    }
    assert os.getxattr(tmp_path / "a.txt", "user.author") == b"Ann"
    assert local.set_properties("a.txt", {"author": None, "gone": None}) == {"empty": b"", "bytes": b"\0\xff"}
    assert local.properties("folder") == {}


def test_a_property_that_is_refused_is_missing_from_what_is_read_back(local: Local) -> None:
    got = local.set_properties("a.txt", {"n" * 300: b"x", "big": b"x" * 70_000, "good": b"1"})
    assert got == {"good": b"1"}


# -- the accounts of this machine


def test_the_machine_knows_its_superuser_by_name_and_number() -> None:
    book = SystemBook()
    (root,) = book.principals(Principal(ACCOUNT, name="root"))
    assert root.id == "0"
    assert book.account(0) == root
    assert list(book.principals(Principal(ACCOUNT, id="0", name="daemon"))) == []


def test_a_number_without_an_account_is_a_number_alone() -> None:
    book = SystemBook()
    assert book.account(3_999_999_999) == Principal(ACCOUNT, "3999999999")
    assert list(book.principals(Principal(ACCOUNT, id="3999999999"))) == []
    assert list(book.principals(Principal(ACCOUNT, id="9" * 40))) == []
    assert list(book.principals(Principal(ACCOUNT, name="nul\0"))) == []
    assert list(book.principals(Principal(ACCOUNT, email="a@b.c"))) == []


def test_a_name_gives_its_number_and_no_other() -> None:
    assert number_of(Principal(ACCOUNT, name="daemon"), SystemBook()) == 1
    with pytest.raises(TallyportError):
        number_of(Principal(ACCOUNT), SystemBook())
