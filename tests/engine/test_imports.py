"""Grants and properties that come from a text file at the source."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tallyport.connectors.protocol import Facts
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind
from tallyport.domain.imports import ImportSource
from tallyport.domain.policies import PermissionsPolicy, Policies, PropertiesPolicy, TransferType
from tallyport.domain.properties import PropertyMapping
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import failures, items, losses
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import write

ALICE = Principal(PrincipalKind.ACCOUNT, name="alice")
BOB = Principal(PrincipalKind.ACCOUNT, name="bob")
READ = frozenset({AccessRight.LIST, AccessRight.READ})

GRANTS = """\ufeffpath,type,name,rights,access
/a.txt,account,alice,read,allow
"/folder/b, with comma.txt",,alice,read;write,
/folder,account,alice,read,allow
/wrong.txt,account,alice,fly,allow
/wrong.txt,account,bob,read,allow
/nowhere.txt,account,alice,full,allow
"""


def policies(**changes: Any) -> Policies:
    return dataclasses.replace(defaults_for(TransferType.COPY), **changes)


@pytest.fixture
def world(port: Port) -> Port:
    for path in ("a.txt", "folder/b, with comma.txt", "wrong.txt", "unnamed.txt"):
        write(port.source, path)
        port.source.set_access(path, Access(grants=(Grant(BOB, READ),)))
    for principal in (ALICE, BOB):
        port.destination.add_principal(principal)
    return port


def grants(port: Port, path: str) -> dict[str, frozenset[AccessRight]]:
    return {grant.principal.name: grant.rights for grant in port.destination.access(path).grants}


def lost(port: Port, execution_id: int) -> dict[str, tuple[str, str]]:
    with port.database.read() as tx:
        names = {item.id: item.path for item in items.iterate(tx, port.job.number)}
        return {names[row.item_id]: (row.what, row.detail) for row in losses.iterate(tx, execution_id)}


def test_grants_come_from_the_file_and_not_from_the_items(world: Port) -> None:
    write(world.source, "lists/grants.csv", GRANTS.encode())
    world.start()
    source = ImportSource("lists/grants.csv")
    run = world.run(policies(permissions_policy=PermissionsPolicy.ADD, permissions_import=source))
    assert run.failed == 0, run
    assert grants(world, "a.txt") == {"alice": READ}
    wide = READ | {AccessRight.WRITE, AccessRight.CREATE}
    assert grants(world, "folder/b, with comma.txt") == {"alice": wide}
    assert grants(world, "folder") == {"alice": READ | {AccessRight.EXECUTE}}
    assert grants(world, "wrong.txt") == {"bob": READ}
    assert grants(world, "unnamed.txt") == {}
    what, detail = lost(world, run.id)["wrong.txt"]
    assert what == "access_rule_import"
    assert "line 5" in detail
    assert "fly" in detail


def test_what_the_file_does_not_name_keeps_the_grants_it_has(world: Port) -> None:
    write(world.source, "grants.csv", b"path;name;rights\n/a.txt;alice;read\n")
    for path in ("a.txt", "unnamed.txt"):
        write(world.destination, path)
        world.destination.set_access(path, Access(grants=(Grant(BOB, READ),)))
    world.start()
    world.run(policies(permissions_policy=PermissionsPolicy.DIFF, permissions_import=ImportSource("grants.csv", ";")))
    assert grants(world, "a.txt") == {"alice": READ}
    assert grants(world, "unnamed.txt") == {"bob": READ}


@pytest.mark.parametrize("others", [PropertiesPolicy.ADD, PropertiesPolicy.NONE])
def test_properties_come_from_the_file_beside_those_that_travel(world: Port, others: PropertiesPolicy) -> None:
    world.source.set_properties("a.txt", {"own": b"1", "title": b"old"})
    write(world.source, "values.csv", b'path,title,Author\n/a.txt,"new\nline",Ann\n/folder,F,\n')
    world.start()
    mapping = PropertyMapping("Author", "writer")
    run = world.run(policies(properties=others, metadata_import=ImportSource("values.csv"), metadata_map=(mapping,)))
    assert run.failed == 0, run
    own = {"own": b"1"} if others is PropertiesPolicy.ADD else {}
    assert world.destination.properties("a.txt") == {**own, "title": b"new\nline", "writer": b"Ann"}
    assert world.destination.properties("folder") == {"title": b"F"}
    assert world.destination.properties("unnamed.txt") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "lists.csv"),
        ("", "lacks path"),
        ("path,name\n/a,x\n", "lacks rights"),
        ("path,rights\n/a,read\n", "lacks one of"),
        ("path,name,rights\n/a,x\n", "line 2 has 2 fields"),
        ("path,name,rights\n,x,read\n", "line 2 names no path"),
        ('path,name,rights\n/a,"x,read\n', "unexpected end"),
        ("path,path,name,rights\n/a,/a,x,read\n", "two columns"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_fails_the_run_before_anything_is_written(
    world: Port, text: str | None, says: str
) -> None:
    if text is not None:
        world.source.write("lists.csv", [text.encode()], Facts())
    world.start()
    source = ImportSource("lists.csv")
    run = world.run(policies(permissions_policy=PermissionsPolicy.ADD, permissions_import=source))
    assert run.state == "failed", run
    with world.database.read() as tx:
        (failure,) = failures.iterate(tx, run.id)
    assert failure.reason == "config"
    assert says in failure.message
    assert list(world.destination.children("")) == []
