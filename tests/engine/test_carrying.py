"""Between any two platforms: grants, owners, links and properties go through the same plan, and losses are kept."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors.local import Local
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.protocol import Connector, Facts
from tallyport.domain.access import Access, AccessRight, Grant, Link, Principal, PrincipalKind
from tallyport.domain.locks import Lock
from tallyport.domain.policies import (
    LockPropagation,
    PermissionsFailures,
    PermissionsPolicy,
    Policies,
    PropertiesPolicy,
    TagsPolicy,
    TransferType,
)
from tallyport.domain.properties import PropertyMapping
from tallyport.domain.rules import rules_for
from tallyport.engine.orders import Orders
from tallyport.engine.transfer import StreamPassage
from tallyport.engine.visit import work
from tallyport.engine.work import ItemResult, VisitReport, VisitWork
from tallyport.store import jobs, losses, security_map

ACCOUNT, GROUP = PrincipalKind.ACCOUNT, PrincipalKind.GROUP
READ, WRITE = frozenset({AccessRight.READ}), frozenset({AccessRight.WRITE})
ALICE, BOB = Principal(ACCOUNT, "a1", "alice", email="alice@old.org"), Principal(ACCOUNT, "b2", "bob")
OVER_THERE = Principal(ACCOUNT, "x9", "alice.new", email="alice@old.org")
FAITHFUL = Policies(
    transfer_type=TransferType.COPY,
    permissions_policy=PermissionsPolicy.ADD,
    permissions_links=True,
    preserve_owners=True,
)
BY_MAIL = json.dumps({"account_map": {"map_by": {"email": True}}})


class Run:
    """One container carried between two connections, and what was said of it."""

    def __init__(
        self,
        source: Connector,
        destination: Connector,
        policies: Policies = FAITHFUL,
        maps: str = BY_MAIL,
        **visit: Any,
    ) -> None:
        passage = StreamPassage(source, destination, policies=policies, token="t0", maps=maps)
        rules = rules_for(policies, source.limits, destination.limits, started=0, first_run=True)
        self.reports: list[VisitReport] = []
        given = {"d_fresh": False, "resumed": False, "full": True, "signature": None, "blank": True} | visit
        work(
            VisitWork(1, 1, "", "", **given),
            passage,
            Orders(policies, rules, 1 << 30),
            lambda *_: [],
            self.reports.append,
            lambda: False,
        )
        self.items = {row[0]: ItemResult._make(row) for report in self.reports for row in report.items}
        self.losses = [loss for report in self.reports for loss in report.losses if loss[0]]

    def words(self) -> list[str]:
        return [what for _, what, _ in self.losses]


@pytest.fixture
def source() -> Memory:
    made = Memory()
    made.write("a.txt", [b"hello"], Facts())
    made.set_access("a.txt", Access(ALICE, grants=(Grant(ALICE, READ | WRITE),)))
    return made


@pytest.fixture
def destination() -> Memory:
    made = Memory()
    made.add_principal(OVER_THERE)
    return made


def test_grants_and_owner_arrive_as_whom_the_map_says(source: Memory, destination: Memory) -> None:
    run = Run(source, destination)
    found = destination.access("a.txt")
    assert (found.owner, found.grants) == (OVER_THERE, (Grant(OVER_THERE, READ | WRITE),))
    assert run.losses == []
    assert run.items["a.txt"].message == ""


def test_somebody_unknown_is_lost_and_the_item_says_so(source: Memory, destination: Memory) -> None:
    source.set_access("a.txt", Access(grants=(Grant(BOB, READ),)))
    run = Run(source, destination)
    assert run.words() == ["invalid_security_identifier"]
    assert "bob" in run.items["a.txt"].message
    assert run.items["a.txt"].status == 1


def test_what_a_platform_drops_without_a_word_is_found_by_reading_back(source: Memory, destination: Memory) -> None:
    pair = {"source": {"name": "alice"}, "destination": {"id": "not-there"}}
    run = Run(source, destination, maps=json.dumps({"account_map": {"exceptions": [pair]}}))
    assert run.words() == ["owner", "access_rule_ignored"]


def test_a_failing_map_leaves_nothing_behind(source: Memory, destination: Memory) -> None:
    maps = json.dumps({"account_map": {"map_by": {"name": True}, "unmapped_policy": "fail"}})
    run = Run(source, destination, maps=maps)
    assert destination.stat("a.txt") is None
    assert run.items["a.txt"].reason == "unsupported"


def test_links_are_made_again_when_asked_for(source: Memory, destination: Memory) -> None:
    link = Link(PrincipalKind.EVERYONE, READ)
    source.set_access("a.txt", Access(links=(link,)))
    Run(source, destination)
    assert destination.access("a.txt").links == (link,)
    other = Memory()
    Run(source, other, dataclasses.replace(FAITHFUL, permissions_links=False))
    assert other.access("a.txt").links == ()


@pytest.mark.parametrize("policy", [PermissionsPolicy.ADD, PermissionsPolicy.DIFF])
def test_diff_takes_away_what_the_source_lacks(source: Memory, policy: PermissionsPolicy) -> None:
    destination = Memory()
    destination.write("a.txt", [b"hello"], Facts(modified=source.stat("a.txt").modified))  # type: ignore[union-attr]
    destination.set_access("a.txt", Access(grants=(Grant(BOB, READ),)))
    Run(source, destination, dataclasses.replace(FAITHFUL, permissions_policy=policy), maps="{}")
    kept = Grant(BOB, READ) in destination.access("a.txt").grants
    assert kept is (policy is PermissionsPolicy.ADD)


def test_a_platform_without_grants_loses_them_with_a_word(source: Memory) -> None:
    destination = Memory(Settings(grants=False, properties=False, permissions=False))
    source.set_properties("a.txt", {"author": b"Ann"})
    run = Run(source, destination)
    assert run.words() == ["owner", "access_rule_ignored", "property_value"]


def test_a_platform_without_grants_keeps_an_owner_where_it_can() -> None:
    source, destination = Memory(), Memory(Settings(grants=False))
    source.write("a.txt", [b"x"], Facts(owner=7))
    run = Run(source, destination, maps=json.dumps({"account_map": {"map_by": {"passthrough": True}}}))
    entry = destination.stat("a.txt")
    assert entry is not None
    assert (entry.owner, run.losses) == (7, [])


def test_properties_are_carried_and_added(source: Memory, destination: Memory) -> None:
    source.set_properties("a.txt", {"author": b"Ann"})
    Run(source, destination)
    assert destination.properties("a.txt") == {"author": b"Ann"}


@pytest.mark.parametrize(
    ("failures", "arrives"), [(PermissionsFailures.EXCEPTIONS, True), (PermissionsFailures.DENY, False)]
)
def test_a_denial_that_cannot_be_carried_stops_the_item_where_the_job_says_so(
    source: Memory, tmp_path: Path, failures: PermissionsFailures, arrives: bool
) -> None:
    source.set_access("a.txt", Access(grants=(Grant(Principal(GROUP, name="nogroup"), READ, deny=True),)))
    local = Local(str(tmp_path))
    try:
        maps = json.dumps({"group_map": {"map_by": {"name": True}}, "account_map": {"map_by": {"name": True}}})
        run = Run(source, local, dataclasses.replace(FAITHFUL, permissions_failures=failures), maps=maps)
        assert (local.stat("a.txt") is not None) is arrives
        if arrives:
            assert "unsupported_access_rule" in run.words()
    finally:
        local.close()


def test_a_container_gets_its_grants_before_it_is_filled(source: Memory, destination: Memory) -> None:
    source.make_container("folder", Facts())
    source.set_access("folder", Access(ALICE, grants=(Grant(ALICE, READ),)))
    Run(source, destination)
    assert destination.access("folder").grants == (Grant(OVER_THERE, READ),)


def test_equal_content_that_nobody_knows_gets_what_it_may_lack(source: Memory, destination: Memory) -> None:
    Run(source, destination)
    modified = source.stat("a.txt").modified  # type: ignore[union-attr]
    bare = Memory()
    bare.add_principal(OVER_THERE)
    bare.write("a.txt", [b"hello"], Facts(modified=modified))  # a run was killed before it set the rest
    run = Run(source, bare)
    assert run.items["a.txt"].reason == "same_content"
    assert bare.access("a.txt").owner == OVER_THERE


# -- recorded


def faithful(port: Any) -> Callable[..., Any]:
    return lambda: port.run(dataclasses.replace(FAITHFUL))


def test_the_ledger_keeps_what_was_lost_and_who_became_whom(port: Any) -> None:
    port.source.write("a.txt", [b"hello"], Facts())
    port.source.set_access("a.txt", Access(ALICE, grants=(Grant(BOB, READ),)))
    port.destination.add_principal(OVER_THERE)
    port.start()
    execution = faithful(port)()
    with port.database.read() as tx:
        found = list(losses.iterate(tx, execution.id))
        counted = losses.counts(tx, execution.id)
        met, total = security_map.page(tx, port.job.number)
    assert counted == {"invalid_security_identifier": 1}
    assert [(one.what, one.detail) for one in found] == [
        ("invalid_security_identifier", "a grant was not carried: nobody at the other side is the account bob")
    ]
    assert total == 2
    assert {(json.loads(one.source)["name"], one.resolution, one.permissions) for one in met} == {
        ("alice", "email", 1),
        ("bob", "unmapped", 1),
    }
    again = faithful(port)()
    with port.database.read() as tx:
        assert list(losses.iterate(tx, again.id)) == []


# -- properties by a map, accounts


def mapped(*mappings: PropertyMapping, **changes: Any) -> Policies:
    return Policies(transfer_type=TransferType.COPY, metadata_map=mappings, **changes)


def test_a_mapped_property_gets_its_name_at_the_destination_and_no_other_travels(source: Memory) -> None:
    source.set_properties("a.txt", {"author": b"Ann", "other": b"1"})
    destination = Memory()
    Run(source, destination, mapped(PropertyMapping("author", "writer")))
    assert destination.properties("a.txt") == {"writer": b"Ann"}
    everything = Memory()
    Run(source, everything, mapped(PropertyMapping("author", "writer"), properties=PropertiesPolicy.ADD))
    assert everything.properties("a.txt") == {"writer": b"Ann", "other": b"1"}


def test_an_item_without_a_required_property_is_not_carried(source: Memory, destination: Memory) -> None:
    run = Run(source, destination, mapped(PropertyMapping("author", "writer", True)))
    assert "required property author is missing" in run.items["a.txt"].message
    assert destination.stat("a.txt") is None


def test_tags_travel_alone(source: Memory) -> None:
    source.set_properties("a.txt", {"xdg.tags": b"red", "other": b"1"})
    destination = Memory()
    Run(source, destination, Policies(transfer_type=TransferType.COPY, tags=TagsPolicy.ADD))
    assert destination.properties("a.txt") == {"xdg.tags": b"red"}


def test_an_item_says_that_the_connection_acted_as_its_own_account(source: Memory, destination: Memory) -> None:
    policies = Policies(transfer_type=TransferType.COPY, source_account="jsmith", destination_account="bsmith")
    run = Run(source, destination, policies)
    assert [detail for _, _, detail in run.losses] == [
        "it was read as its own account, not as jsmith",
        "it was written as its own account, not as bsmith",
    ]
    assert run.words() == ["impersonation"] * 2
    assert run.items["a.txt"].status == 1


# -- locks


def locking(how: LockPropagation) -> Policies:
    return Policies(transfer_type=TransferType.COPY, lock_propagation=how)


def test_a_lock_is_made_again(source: Memory, destination: Memory) -> None:
    source.lock("a.txt", Lock(ALICE))
    Run(source, destination, locking(LockPropagation.MIRROR_LOCK))
    found = destination.lock_of("a.txt")
    assert found is not None
    assert found.owner is None


def test_a_lock_is_made_again_in_the_name_of_whom_the_map_says(source: Memory, destination: Memory) -> None:
    source.lock("a.txt", Lock(ALICE))
    run = Run(source, destination, locking(LockPropagation.MIRROR_OWNER))
    found = destination.lock_of("a.txt")
    assert found is not None
    assert (found.owner, found.until) == (OVER_THERE, None)
    assert run.losses == []


def test_a_lock_of_somebody_unknown_is_nobodys_and_the_item_says_so(source: Memory, destination: Memory) -> None:
    source.lock("a.txt", Lock(BOB))
    run = Run(source, destination, locking(LockPropagation.MIRROR_OWNER))
    assert run.words() == ["item_locked"]
    assert destination.lock_of("a.txt") is not None


def test_a_lock_is_left_alone_by_default(source: Memory, destination: Memory) -> None:
    source.lock("a.txt", Lock(ALICE))
    Run(source, destination, locking(LockPropagation.IGNORE))
    assert destination.lock_of("a.txt") is None
    assert destination.stat("a.txt") is not None


def test_a_locked_file_waits_where_the_destination_has_no_locks_and_moves_once_released(port: Any) -> None:
    port.slow(1, locks=False)
    port.source.write("a.txt", [b"hello"], Facts())
    held = port.source.lock("a.txt", Lock(ALICE))
    port.start()
    for _ in range(4):  # more often than an item that fails is tried
        execution = port.run(locking(LockPropagation.MIRROR_LOCK))
        assert (execution.failed, execution.transferred) == (1, 0)
        assert port.destination.stat("a.txt") is None
    port.source.unlock("a.txt", held)
    execution = port.run(locking(LockPropagation.MIRROR_LOCK))
    assert (execution.failed, execution.transferred) == (0, 1)


# -- once more


def test_a_reset_of_permissions_applies_grants_again_and_leaves_content_alone(port: Any) -> None:
    port.source.write("a.txt", [b"hello"], Facts())
    port.source.write("b.txt", [b"hello"], Facts())
    port.source.make_container("folder", Facts())
    port.destination.add_principal(OVER_THERE)
    port.start()
    faithful(port)()
    grant = Grant(ALICE, READ)
    for path in ("a.txt", "folder"):
        port.source.set_access(path, Access(grants=(grant,)))
    assert faithful(port)().transferred == 0
    assert port.destination.access("a.txt").grants == ()
    port.source.write("b.txt", [b"changed"], Facts())
    port.source.write("new.txt", [b"new"], Facts())
    with port.database.begin() as tx:
        jobs.change(tx, port.job.id, reset="permissions")
    execution = faithful(port)()
    assert (execution.transferred, execution.failed) == (0, 0)
    assert [one.principal for one in port.destination.access("a.txt").grants] == [OVER_THERE]
    assert [one.principal for one in port.destination.access("folder").grants] == [OVER_THERE]
    assert port.destination.stat("b.txt").size == 5
    assert port.destination.stat("new.txt") is None
    execution = faithful(port)()
    assert execution.transferred == 2
    assert port.destination.stat("b.txt").size == 7


ORPHANS = json.dumps({name: {"map_by": {}} for name in ("account_map", "group_map")})


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")
def test_what_the_map_leaves_out_is_nobodys_and_never_the_servers(source: Memory, tmp_path: Path) -> None:
    source.set_access("a.txt", Access(ALICE, Principal(GROUP, name="team")))
    local = Local(str(tmp_path))
    try:
        run = Run(source, local, maps=ORPHANS)
        st = os.stat(tmp_path / "a.txt")
        assert (st.st_uid, st.st_gid) == (65534, 65534)
        assert run.words().count("owner") == 2
        assert run.words().count("invalid_security_identifier") == 3  # owner, group and a grant
    finally:
        local.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")
def test_what_may_not_arrive_goes_again_although_it_had_an_owner_by_then(source: Memory, tmp_path: Path) -> None:
    source.set_access("a.txt", Access(ALICE, grants=(Grant(Principal(GROUP, name="nogroup"), READ, deny=True),)))
    local = Local(str(tmp_path))
    try:
        exceptions = [{"source": {"name": "alice"}, "destination": {"name": "daemon"}}]
        maps = json.dumps({"group_map": {"map_by": {"name": True}}, "account_map": {"exceptions": exceptions}})
        run = Run(
            source, local, dataclasses.replace(FAITHFUL, permissions_failures=PermissionsFailures.DENY), maps=maps
        )
        assert run.items["a.txt"].reason == "unsupported"
        assert local.stat("a.txt") is None
    finally:
        local.close()
