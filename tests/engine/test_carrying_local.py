"""Between two local trees: owners, access lists and user xattrs arrive, through the maps, or the item says why not."""

import dataclasses
import json
import os
import shutil
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors.local import Local
from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.policies import (
    PermissionsFailures,
    PermissionsPolicy,
    Policies,
    PropertiesPolicy,
    SpecialBits,
    TransferType,
)
from tallyport.domain.properties import PropertyMapping
from tallyport.domain.rules import rules_for
from tallyport.engine.orders import Orders
from tallyport.engine.passage_local import LocalPassage
from tallyport.engine.visit import work
from tallyport.engine.work import ItemResult, VisitReport, VisitWork

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")

NOBODY = 0xFFFFFFFF
OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
FAITHFUL = Policies(transfer_type=TransferType.COPY, permissions_policy=PermissionsPolicy.ADD, preserve_owners=True)


def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def shared(number: int, *, mask: int = 6) -> bytes:
    """rw-r----- and somebody more."""
    base = ((OWNER, 6, NOBODY), (USER, 6, number), (GROUP, 4, NOBODY), (MASK, mask, NOBODY), (OTHER, 0, NOBODY))
    return acl(*base)


class Book:
    """Accounts that this test says there are, on either side."""

    def __init__(self, **numbers: int) -> None:
        self.numbers = numbers

    def account(self, number: int) -> Principal:
        return Principal(PrincipalKind.ACCOUNT, str(number), self._name(number))

    def group(self, number: int) -> Principal:
        return Principal(PrincipalKind.GROUP, str(number), self._name(number))

    def _name(self, number: int) -> str:
        return next((name for name, known in self.numbers.items() if known == number), "")

    def principals(self, like: Principal) -> Iterator[Principal]:
        for name, number in self.numbers.items():
            if like.name in ("", name) and like.id in ("", str(number)):
                yield Principal(like.kind, str(number), name)


class Run:
    """One container carried from folder to folder, and what was said of it."""

    def __init__(
        self, folder: Path, policies: Policies = FAITHFUL, maps: str = "", path: str = "", **visit: Any
    ) -> None:
        source = Local(str(folder / "s"), book=Book(alice=70001, staff=70002))
        destination = Local(str(folder / "d"), book=Book(alice=80001, staff=80002, bob=80003))
        passage = LocalPassage(source, destination, policies=policies, token="t0", maps=maps)
        rules = rules_for(policies, source.limits, destination.limits, started=0, first_run=True)
        self.reports: list[VisitReport] = []
        given = {"d_fresh": False, "resumed": False, "full": True, "signature": None, "blank": True} | visit
        try:
            work(
                VisitWork(1, 1, path, path, **given),
                passage,
                Orders(policies, rules, 1 << 30),
                lambda *_: [],
                self.reports.append,
                lambda: False,
            )
        finally:
            passage.close()
        self.items = {row[0]: ItemResult._make(row) for report in self.reports for row in report.items}
        self.losses = [loss for report in self.reports for loss in report.losses]
        self.uses = [use for report in self.reports for use in report.uses]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "s" / "a.txt").write_bytes(b"hello")
    os.chown(tmp_path / "s" / "a.txt", 70001, 70002)
    os.chmod(tmp_path / "s" / "a.txt", 0o640)
    return tmp_path


def owner(path: Path) -> tuple[int, int]:
    st = os.lstat(path)
    return st.st_uid, st.st_gid


def pairs(source: str, destination: str, **more: Any) -> str:
    document = {
        "exceptions": [{"source": {"name": source}, "destination": {"name": destination}}],
        "map_by": {"name": True},
    }
    return json.dumps({"account_map": document | more})


def test_without_a_map_one_machine_keeps_its_numbers(folder: Path) -> None:
    run = Run(folder)
    assert owner(folder / "d" / "a.txt") == (70001, 70002)
    assert run.losses == []


def test_a_map_decides_who_owns_what_arrives(folder: Path) -> None:
    run = Run(folder, maps=pairs("alice", "bob"))
    assert owner(folder / "d" / "a.txt")[0] == 80003
    assert ("destination", "exception") in {(use[0], use[2]) for use in run.uses}


def test_a_rule_finds_the_account_of_that_name(folder: Path) -> None:
    Run(folder, maps='{"account_map": {"map_by": {"name": true}}, "group_map": {"map_by": {"name": true}}}')
    assert owner(folder / "d" / "a.txt") == (80001, 80002)


NAMES_ALONE = json.dumps({name: {"map_by": {"name": True}} for name in ("account_map", "group_map")})
ORPHANS = json.dumps({name: {"map_by": {}} for name in ("account_map", "group_map")})
NO_ONE = (65534, 65534)


def test_an_owner_nobody_knows_is_a_loss_and_the_file_is_nobodys(folder: Path) -> None:
    os.chown(folder / "s" / "a.txt", 79999, 70002)
    run = Run(folder, maps='{"account_map": {"map_by": {"name": true, "id": true}}}')
    assert owner(folder / "d" / "a.txt") == (65534, 70002)
    assert ("a.txt", "invalid_security_identifier") in {loss[:2] for loss in run.losses}
    assert [detail for name, what, detail in run.losses if (name, what) == ("a.txt", "owner")] == [
        "the owner is nobody (65534): "
        "the superuser, in whose name it was written, is not given what was somebody else's"
    ]
    assert "79999" in run.items["a.txt"].message
    assert run.items["a.txt"].status == 1


def test_nothing_that_was_somebody_elses_becomes_the_superusers(folder: Path) -> None:
    """Files, folders, their files, symlinks; whether the map leaves them out, excludes them or would make them root."""
    (folder / "s" / "sub").mkdir()
    (folder / "s" / "link").symlink_to("a.txt")
    for path in (folder / "s", folder / "s" / "sub", folder / "s" / "link", folder / "s" / "a.txt"):
        os.chown(path, 79998, 79999, follow_symlinks=False)
    os.chmod(folder / "s" / "a.txt", 0o640)
    root = {"id": "0"}
    to_root = [{"source": {"id": "79998"}, "destination": root}]
    left_out: list[dict[str, Any]] = [
        {"map_by": {}},
        {"map_by": {"passthrough": True}, "source": {"exclusions": [{"id": "79998"}]}},
        {"map_by": {}, "exceptions": to_root, "destination": {"exclusions": [root]}},
    ]
    for account_map in left_out:
        shutil.rmtree(folder / "d")
        (folder / "d").mkdir()
        run = Run(folder, maps=json.dumps({"account_map": account_map, "group_map": {"map_by": {}}}))
        for path in (folder / "d", folder / "d" / "sub", folder / "d" / "link", folder / "d" / "a.txt"):
            assert owner(path) == NO_ONE, (path.name, account_map)
        assert {name for name, what, _ in run.losses if what == "owner"} == {"", "a.txt", "link"}
        below = Run(folder, maps=json.dumps({"account_map": account_map, "group_map": {"map_by": {}}}), path="sub")
        assert ("", "owner") in {loss[:2] for loss in below.losses}
        assert stat.S_IMODE(os.stat(folder / "d" / "a.txt").st_mode) == 0o640


def test_root_stays_root_where_the_job_asks_for_owners_and_a_map_does_not_say_otherwise(folder: Path) -> None:
    os.chown(folder / "s" / "a.txt", 0, 0)
    Run(folder)
    assert owner(folder / "d" / "a.txt") == (0, 0)


def test_root_is_nobody_where_a_map_leaves_root_out(folder: Path) -> None:
    os.chown(folder / "s" / "a.txt", 0, 0)
    run = Run(folder, maps=ORPHANS)
    assert owner(folder / "d" / "a.txt") == NO_ONE
    assert ("a.txt", "invalid_security_identifier") in {loss[:2] for loss in run.losses}


def test_a_group_comes_from_a_folder_that_gives_its_own_where_the_map_has_none(folder: Path) -> None:
    os.chown(folder / "d", 0, 70009)
    os.chmod(folder / "d", 0o2775)
    os.chown(folder / "s", 79998, 79999)
    Run(folder, maps=ORPHANS)
    assert owner(folder / "d" / "a.txt") == (65534, 70009)


def test_without_owners_asked_for_what_arrives_is_the_servers(folder: Path) -> None:
    run = Run(folder, dataclasses.replace(FAITHFUL, preserve_owners=False), maps=NAMES_ALONE)
    assert owner(folder / "d" / "a.txt")[0] == 0
    assert "owner" not in {what for _, what, _ in run.losses}


def test_a_map_to_a_number_that_cannot_be_is_an_error_of_the_item(folder: Path) -> None:
    """The last number means "as it is" to the system, and as it is would be the superuser's."""
    for number in ("4294967295", "4294967296", "99999999999999999999"):
        maps = {"exceptions": [{"source": {"name": "alice"}, "destination": {"id": number}}], "map_by": {}}
        run = Run(folder, maps=json.dumps({"account_map": maps}))
        assert run.items["a.txt"].reason == "unsupported", number
        assert number in run.items["a.txt"].message
        assert os.listdir(folder / "d") == []


def test_a_number_that_cannot_be_is_a_loss_where_no_error_holds_an_item_back(folder: Path) -> None:
    maps = {"exceptions": [{"source": {"name": "alice"}, "destination": {"id": "4294967295"}}], "map_by": {}}
    policies = dataclasses.replace(FAITHFUL, permissions_failures=PermissionsFailures.NONE)
    run = Run(folder, policies, maps=json.dumps({"account_map": maps}))
    assert owner(folder / "d" / "a.txt")[0] == 65534
    assert {what for _, what, _ in run.losses} >= {"access_rule_ignored", "owner"}


def test_a_map_that_fails_fails_the_item_and_nothing_appears(folder: Path) -> None:
    os.chown(folder / "s" / "a.txt", 79999, 70002)
    run = Run(folder, maps='{"account_map": {"map_by": {"name": true}, "unmapped_policy": "fail"}}')
    assert not (folder / "d" / "a.txt").exists()
    assert os.listdir(folder / "d") == []
    assert run.items["a.txt"].reason == "unsupported"
    assert "79999" in run.items["a.txt"].message


def test_a_list_arrives_to_the_bit(folder: Path) -> None:
    os.setxattr(folder / "s" / "a.txt", "system.posix_acl_access", shared(70005, mask=4))
    Run(folder)
    assert os.getxattr(folder / "d" / "a.txt", "system.posix_acl_access") == shared(70005, mask=4)


def test_everybody_in_a_list_goes_through_the_map(folder: Path) -> None:
    os.setxattr(folder / "s" / "a.txt", "system.posix_acl_access", shared(70001))
    Run(folder, maps=pairs("alice", "bob"))
    assert os.getxattr(folder / "d" / "a.txt", "system.posix_acl_access") == shared(80003)


def test_somebody_unknown_in_a_list_gets_nothing(folder: Path) -> None:
    os.setxattr(folder / "s" / "a.txt", "system.posix_acl_access", shared(79999))
    run = Run(folder, maps=pairs("alice", "bob"))
    assert "system.posix_acl_access" not in os.listxattr(folder / "d" / "a.txt")
    assert stat.S_IMODE(os.stat(folder / "d" / "a.txt").st_mode) == 0o640
    assert [loss[1] for loss in run.losses if loss[0]] == ["invalid_security_identifier"]


@pytest.mark.parametrize(
    ("policy", "stays"),
    [(PermissionsPolicy.ADD, True), (PermissionsPolicy.DIFF, False), (PermissionsPolicy.NONE, True)],
)
def test_what_stands_at_the_destination_stays_unless_diff_is_asked_for(
    folder: Path, policy: PermissionsPolicy, stays: bool
) -> None:
    (folder / "d" / "a.txt").write_bytes(b"hello")
    os.utime(folder / "d" / "a.txt", ns=(0, os.stat(folder / "s" / "a.txt").st_mtime_ns))
    os.setxattr(folder / "d" / "a.txt", "system.posix_acl_access", shared(80009))
    os.setxattr(folder / "s" / "a.txt", "system.posix_acl_access", shared(70005))
    Run(folder, Policies(transfer_type=TransferType.COPY, permissions_policy=policy))
    value = os.getxattr(folder / "d" / "a.txt", "system.posix_acl_access")
    assert (struct.pack("<I", 80009) in value) is stays
    assert (struct.pack("<I", 70005) in value) is (policy is not PermissionsPolicy.NONE)


def test_a_folder_that_is_visited_for_the_first_time_gets_its_lists_and_owner(folder: Path) -> None:
    default = shared(70005, mask=7)
    os.setxattr(folder / "s", "system.posix_acl_default", default)
    os.chown(folder / "s", 70001, 70002)
    Run(folder)
    assert os.getxattr(folder / "d", "system.posix_acl_default") == default
    assert owner(folder / "d") == (70001, 70002)
    assert "system.posix_acl_access" not in os.listxattr(folder / "d" / "a.txt")  # filled before it got the list


def test_a_folder_that_was_carried_before_keeps_what_it_has(folder: Path) -> None:
    os.chown(folder / "s", 70001, 70002)
    before = owner(folder / "d")
    Run(folder, blank=False, carried=True)
    assert owner(folder / "d") == before


def test_a_folder_within_has_its_owner_before_anything_is_in_it(folder: Path) -> None:
    (folder / "s" / "sub").mkdir(mode=0o700)
    os.chown(folder / "s" / "sub", 70001, 70002)
    os.setxattr(folder / "s" / "sub", "system.posix_acl_access", shared(70005, mask=7))
    os.setxattr(folder / "s" / "sub", "system.posix_acl_default", shared(70006))
    Run(folder)
    assert owner(folder / "d" / "sub") == (70001, 70002)
    assert os.listxattr(folder / "d" / "sub") == ["system.posix_acl_access"]


def test_a_folder_whose_owner_may_not_be_lacking_holds_back_what_is_in_it(folder: Path) -> None:
    (folder / "s" / "sub").mkdir()
    os.chown(folder / "s" / "sub", 79999, 0)
    run = Run(folder, maps='{"account_map": {"map_by": {"name": true}, "unmapped_policy": "fail"}}')
    assert run.items["sub"].reason == "unsupported"
    assert [child for report in run.reports for child in report.children] == []


def test_a_symlink_takes_its_owner_along_and_what_it_names_does_not(folder: Path) -> None:
    os.symlink("a.txt", folder / "s" / "link")
    os.lchown(folder / "s" / "link", 70001, 70002)
    os.chown(folder / "s" / "a.txt", 70002, 0)
    Run(folder, maps=pairs("alice", "bob"))
    assert owner(folder / "d" / "link")[0] == 80003
    assert owner(folder / "d" / "a.txt") == (80002, 0)


def test_user_xattrs_travel_with_grants_and_other_xattrs_never(folder: Path) -> None:
    os.setxattr(folder / "s" / "a.txt", "user.author", b"Ann")
    os.setxattr(folder / "s" / "a.txt", "trusted.secret", b"x")
    Run(folder)
    assert os.listxattr(folder / "d" / "a.txt") == ["user.author"]


@pytest.mark.parametrize(
    ("changes", "arrives"),
    [
        ({"properties": PropertiesPolicy.NONE}, False),
        ({"permissions_policy": PermissionsPolicy.NONE}, False),
        ({}, True),
    ],
)
def test_properties_are_a_policy_of_their_own(folder: Path, changes: dict[str, Any], arrives: bool) -> None:
    os.setxattr(folder / "s" / "a.txt", "user.author", b"Ann")
    Run(folder, dataclasses.replace(FAITHFUL, **changes))
    assert ("user.author" in os.listxattr(folder / "d" / "a.txt")) is arrives


def test_setuid_and_capabilities_do_not_travel(folder: Path) -> None:
    os.chmod(folder / "s" / "a.txt", 0o6755)
    Run(folder)
    assert stat.S_IMODE(os.stat(folder / "d" / "a.txt").st_mode) == 0o755


def test_owners_alone_leave_the_mode_as_it_is(folder: Path) -> None:
    policies = Policies(transfer_type=TransferType.COPY, preserve_owners=True)
    os.setxattr(folder / "s" / "a.txt", "system.posix_acl_access", shared(70005))
    Run(folder, policies)
    assert os.listxattr(folder / "d" / "a.txt") == []
    assert owner(folder / "d" / "a.txt") == (70001, 70002)


def test_an_error_while_granting_is_a_loss_where_the_job_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr("tallyport.connectors.local_access.os.fchown", refuse)
    run = Run(folder, dataclasses.replace(FAITHFUL, permissions_failures=PermissionsFailures.NONE))
    assert (folder / "d" / "a.txt").read_bytes() == b"hello"
    assert stat.S_IMODE(os.stat(folder / "d" / "a.txt").st_mode) & 0o077 == 0  # nobody sees more than before
    assert run.items["a.txt"].status == 1
    assert run.losses[0][1] == "access_rule_ignored"
    (folder / "d" / "a.txt").unlink()
    stopped = Run(folder, FAITHFUL)
    assert not (folder / "d" / "a.txt").exists()
    assert stopped.items["a.txt"].reason == "permission_denied"


def test_a_job_that_asks_for_nothing_makes_no_call_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("not asked for")

    for call in ("getxattr", "listxattr", "setxattr", "fchown"):
        monkeypatch.setattr(os, call, never)
    run = Run(folder, Policies(transfer_type=TransferType.COPY))
    assert run.items["a.txt"].status == 1


@pytest.mark.parametrize(("mode", "differs"), [(0o644, False), (0o600, True)])
def test_acting_as_another_account_is_said_where_it_would_have_made_a_difference(
    folder: Path, mode: int, differs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallyport.connectors.acting.why_not", lambda who: "this server has no right to")
    os.chmod(folder / "s" / "a.txt", mode)
    run = Run(folder, Policies(transfer_type=TransferType.COPY, source_account="daemon"))
    assert bool([loss for loss in run.losses if loss[0] == "a.txt"]) is differs


def test_user_xattrs_are_renamed_by_a_metadata_map(folder: Path) -> None:
    os.setxattr(folder / "s" / "a.txt", "user.author", b"Ann")
    mapping = PropertyMapping("author", "writer")
    Run(folder, Policies(transfer_type=TransferType.COPY, metadata_map=(mapping,)))
    assert os.listxattr(folder / "d" / "a.txt") == ["user.writer"]


SPECIAL = Policies(transfer_type=TransferType.COPY, preserve_owners=True, special_bits=SpecialBits.RESTORE)
CAPABLE = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # net_bind_service, effective


def special(folder: Path) -> None:
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("root", 0o4755)):
        path = folder / "s" / name
        path.write_bytes(b"#!")
        os.chown(path, *((0, 0) if name == "root" else (70001, 70002)))
        os.chmod(path, mode)
    (folder / "s" / "shared").mkdir()
    os.chmod(folder / "s" / "shared", 0o3775)
    (folder / "s" / "able").write_bytes(b"#!")
    os.setxattr(folder / "s" / "able", "security.capability", CAPABLE)


def modes(folder: Path) -> dict[str, int]:
    return {name: stat.S_IMODE(os.lstat(folder / "d" / name).st_mode) & 0o7000 for name in os.listdir(folder / "d")}


def test_special_bits_and_capabilities_are_restored_only_when_asked_for(folder: Path) -> None:
    special(folder)
    Run(folder, dataclasses.replace(SPECIAL, special_bits=SpecialBits.NONE))
    assert set(modes(folder).values()) == {0}
    assert "security.capability" not in os.listxattr(folder / "d" / "able")


def test_special_bits_and_capabilities_are_restored(folder: Path) -> None:
    special(folder)
    run = Run(folder, SPECIAL, maps=pairs("alice", "alice"))
    assert owner(folder / "d" / "setuid")[0] == 80001
    found = modes(folder)
    assert {name: found[name] for name in ("setuid", "setgid", "root", "a.txt")} == {
        "setuid": 0o4000,
        "setgid": 0o2000,
        "root": 0o4000,
        "a.txt": 0,
    }
    assert found["shared"] == 0o3000
    assert os.getxattr(folder / "d" / "able", "security.capability") == CAPABLE
    assert not [detail for _, _, detail in run.losses if "restored" in detail]


def test_a_file_of_somebody_else_gets_nobodys_rights(folder: Path) -> None:
    """Without its owner the copy belongs to whoever carries it, here the superuser."""
    special(folder)
    run = Run(folder, dataclasses.replace(SPECIAL, preserve_owners=False))
    found = modes(folder)
    assert (found["setuid"], found["setgid"], found["root"]) == (0, 0, 0o4000)
    assert {name for name, what, detail in run.losses if "belongs to somebody else" in detail} == {"setuid", "setgid"}
