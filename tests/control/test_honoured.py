"""What a pair of platforms cannot do of what a job asks for is said before it runs."""

import os

import pytest

from tallyport.control.honoured import warnings_of
from tallyport.domain.connections import Connection
from tallyport.domain.policies import (
    FilterBlock,
    FilterRule,
    LockPropagation,
    PermissionsPolicy,
    Policies,
    PropertiesPolicy,
    Symlinks,
)


def said(policies: Policies, source: str, destination: str) -> list[str]:
    ends = [
        Connection(id=name, name=name, platform=name, settings={}, created_at=1, modified_at=1)
        for name in (source, destination)
    ]
    return [warning.partition(":")[0] for warning in warnings_of(policies, *ends)]


def _dated(target: str) -> Policies:
    rule = FilterRule(type="date", targets=(target,), value=3)
    return Policies(filter_source=(FilterBlock(action="exclude", rules=(rule,)),))


@pytest.mark.parametrize(
    ("policies", "pair", "expected"),
    [
        (Policies(), ("fs", "fs"), []),
        (Policies(permissions_policy=PermissionsPolicy.ADD), ("fs", "memory"), []),
        (Policies(permissions_policy=PermissionsPolicy.ADD), ("fs", "ftp"), ["permissions.policy", "symlinks"]),
        (Policies(permissions_policy=PermissionsPolicy.ADD), ("ftp", "fs"), ["permissions.policy"]),
        (Policies(lock_propagation=LockPropagation.MIRROR_LOCK), ("fs", "memory"), ["lock_propagation"]),
        (Policies(lock_propagation=LockPropagation.MIRROR_LOCK), ("memory", "fs"), ["lock_propagation"]),
        (Policies(lock_propagation=LockPropagation.MIRROR_LOCK), ("memory", "memory"), []),
        (Policies(properties=PropertiesPolicy.ADD), ("fs", "ftp"), ["metadata_map, properties", "symlinks"]),
        (Policies(preserve_owners=True), ("fs", "fs"), []),
        (
            Policies(filter_source=(FilterBlock(action="exclude", rules=(FilterRule(type="shared"),)),)),
            ("fs", "fs"),
            ["filter.source"],
        ),
        (_dated("created_on"), ("fs", "fs"), ["filter.source"]),
        (_dated("created_on"), ("memory", "fs"), []),
        (_dated("modified_on"), ("fs", "fs"), []),
        (
            Policies(permissions_policy=PermissionsPolicy.ADD, permissions_links=True),
            ("fs", "fs"),
            ["permissions.links"],
        ),
        (
            Policies(permissions_policy=PermissionsPolicy.ADD, permissions_links=True),
            ("memory", "fs"),
            ["permissions.links"],
        ),
        (Policies(permissions_policy=PermissionsPolicy.ADD, permissions_links=True), ("memory", "memory"), []),
        (Policies(versioning_from_source_max=3), ("fs", "fs"), ["versioning.from_source.max"]),
        (Policies(versioning_from_source_max=3), ("memory", "fs"), []),
        (Policies(), ("fs", "ftp"), ["symlinks"]),
        (Policies(symlinks=Symlinks.SKIP), ("fs", "ftp"), []),
        (Policies(quarantine="q"), ("fs", "fs"), []),
    ],
)
def test_what_a_pair_cannot_honour_is_said(policies: Policies, pair: tuple[str, str], expected: list[str]) -> None:

    if os.geteuid() != 0 and policies.preserve_owners:
        expected = ["preserve_owners"]
    assert said(policies, *pair) == expected


def test_who_cannot_be_acted_as_is_said_for_each_side_with_the_reason() -> None:
    policies = Policies(source_account="a@example.org", destination_account="bob")
    ends = [
        Connection(id=name, name=name, platform=name, settings={}, created_at=1, modified_at=1)
        for name in ("fs", "memory")
    ]
    first, second = warnings_of(policies, *ends)
    assert first.startswith("source.impersonate_as: the source (fs): this machine knows no account 'a@example.org'")
    assert "give a username or an id; no run begins until it does" in first
    assert "memory has no way to act as another account" in second


def test_who_is_named_by_an_address_alone_is_said_to_be_replaced_by_the_connections_account() -> None:
    (told,) = warnings_of(
        Policies(destination_account="mailto:b@example.org"),
        *[Connection(id="fs", name="fs", platform="fs", settings={}, created_at=1, modified_at=1)] * 2,
    )
    assert told.startswith("destination.impersonate_as: the destination (fs) acts as the account of its connection")
    assert "not as b@example.org: this machine knows no account 'b@example.org'" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may act as another account")
def test_an_account_that_is_acted_as_gives_nothing_away() -> None:
    assert said(Policies(source_account="nobody", destination_account="1"), "fs", "fs") == []
    assert said(Policies(destination_account="nobody", preserve_owners=True), "fs", "fs") == ["preserve_owners"]
