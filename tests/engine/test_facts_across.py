"""Owners and permissions from one platform to another: carried and read back, or lost as forecast and written down."""

from __future__ import annotations

import dataclasses
import os
import stat
import uuid
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Facts, Grants
from tallyport.connectors.registry import platform
from tallyport.connectors.s3_sdk import client_of
from tallyport.connectors.surveying import side_of, survey
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind
from tallyport.domain.policies import PermissionsPolicy, Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import jobs
from tallyport.store.database import Database
from tallyport.testing.object_servers import SOMEONE
from tests.engine.pairs import End, Way, lost
from tests.engine.places import Place, Places
from tests.engine.test_carrying_local import shared

ASKING = dataclasses.replace(
    defaults_for(TransferType.COPY), preserve_owners=True, permissions_policy=PermissionsPolicy.ADD
)
READ = frozenset({AccessRight.READ, AccessRight.READ_ACCESS})
FOREIGN, OTHER = "S-1-5-21-1111111111-2222222222-3333333333-1234", "S-1-5-21-1111111111-2222222222-3333333333-5678"


def forecast(source: End, there: Place, policies: Policies = ASKING) -> dict[str, int]:
    """Give what a plan says will be lost."""
    ends = [open_connection(end.platform, end.settings, end.path, make=True) for end in (source, there.end)]
    with closing(ends[0]), closing(ends[1]):
        side = side_of(ends[1])
        found = survey(ends[0], side.limits, policies, now=0, goes_on=lambda: True, there=side).document()
    return {loss["what"]: loss["count"] for loss in found["losses"]}


def ledger(database: Database) -> list[tuple[str, str]]:
    """Give the items that lost something, and what."""
    query = "SELECT items.name, losses.detail FROM losses JOIN items ON items.id = losses.item_id ORDER BY 1, 2"
    with database.read() as tx:
        return [(bytes(name).decode(), detail) for name, detail in tx.execute(sa.text(query))]


@pytest.mark.needs("sshd")
@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")
def test_mode_and_owner_go_over_sftp_and_a_posix_list_is_lost_as_forecast(
    database: Database, places: Places, tmp_path: Path
) -> None:
    root = tmp_path / "source"
    root.mkdir()
    for name in ("plain", "listed", "one"):
        (root / name).write_bytes(name.encode())
    os.link(root / "one", root / "other")
    os.chmod(root / "plain", 0o640)
    os.chown(root / "plain", 70001, 70002)
    os.setxattr(root / "listed", "system.posix_acl_access", shared(70005))
    source, there = End("fs", {"path": str(root)}), places.new("sftp")
    said = forecast(source, there)
    assert said == {"access_lists": 1, "hard_links": 2, "time_precision": 5}  # the root's own time is one of them
    way = Way(database, source, there.end, ASKING)
    run = way.run()
    assert (run.failed, run.transferred) == (0, 4), run.info
    assert lost(way) == said
    folder = Path(str(there.end.settings["path"])) / there.end.path[1:]
    found = os.stat(folder / "plain")
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, 70001, 70002)
    assert (folder / "one").read_bytes() == (folder / "other").read_bytes() == b"one"
    ((name, detail),) = ledger(database)
    assert name == "listed"
    assert "the destination keeps no grants" in detail
    assert "70005" in detail
    again = way.run()
    assert (again.failed, again.transferred, again.writes) == (0, 0, 0)


@pytest.mark.needs("sshd")
@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")
def test_over_sftp_what_the_map_leaves_out_is_nobodys_and_never_roots(
    database: Database, places: Places, tmp_path: Path
) -> None:
    root = tmp_path / "source"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "a").write_bytes(b"a")
    (root / "root's").write_bytes(b"b")
    for path in (root / "folder", root / "folder" / "a"):
        os.chown(path, 70001, 70002)
    there = places.new("sftp")
    way = Way(database, End("fs", {"path": str(root)}), there.end, ASKING)
    nothing: dict[str, object] = {"map_by": {}}
    with database.begin() as tx:
        jobs.change(tx, way.job.id, transfer={"account_map": nothing, "group_map": nothing})
    run = way.run()
    assert (run.failed, run.transferred) == (0, 2), run.info
    folder = Path(str(there.end.settings["path"])) / there.end.path[1:]
    for path in (folder / "folder", folder / "folder" / "a", folder / "root's"):
        assert (os.stat(path).st_uid, os.stat(path).st_gid) == (65534, 65534), path
    assert "a" in {name for name, detail in ledger(database) if "is nobody (65534)" in detail}


@pytest.mark.needs("smbd")
def test_owner_and_denials_go_from_share_to_share_and_are_read_back(database: Database, places: Places) -> None:
    here, there = places.new("smb"), places.new("smb")
    wanted = Access(
        owner=Principal(PrincipalKind.ACCOUNT, id=FOREIGN),
        grants=(
            Grant(Principal(PrincipalKind.ACCOUNT, id=OTHER), READ, deny=True),
            Grant(Principal(PrincipalKind.ACCOUNT, id=FOREIGN), READ),
        ),
    )
    with closing(open_connection(here.end.platform, here.end.settings, here.end.path, make=True)) as share:
        assert isinstance(share, Grants)
        share.write("a.txt", [b"content"], Facts())
        given = share.set_access("a.txt", wanted, remove_others=True)
        assert given.owner is not None
        assert given.owner.id == FOREIGN
    assert forecast(here.end, there) == {}
    run = Way(database, here.end, there.end, ASKING).run()
    assert (run.failed, run.transferred) == (0, 1), run.info
    with closing(open_connection(there.end.platform, there.end.settings, there.end.path)) as share:
        assert isinstance(share, Grants)
        got = share.access("a.txt")
    assert got.owner == given.owner
    assert {one for one in given.grants if not one.inherited} <= set(got.grants)
    assert ledger(database) == []


@pytest.mark.needs("smbd")
def test_the_list_of_a_share_is_lost_to_a_bucket_as_forecast(database: Database, places: Places) -> None:
    here, there = places.new("smb"), places.new("azure")
    with closing(open_connection(here.end.platform, here.end.settings, here.end.path, make=True)) as share:
        assert isinstance(share, Grants)
        for name in ("handed down", "own list"):
            share.write(name, [b"content"], Facts())
        grant = Grant(Principal(PrincipalKind.ACCOUNT, id=FOREIGN), READ)
        share.set_access("own list", Access(grants=(grant,), inherits=False), remove_others=True)
    policies = dataclasses.replace(ASKING, preserve_owners=False)
    said = forecast(here.end, there, policies)
    way = Way(database, here.end, there.end, policies)
    run = way.run()
    assert run.failed == 0, run.info
    told = [name for name, detail in ledger(database) if "keeps no grants" in detail]
    assert "own list" in told
    assert said["access_lists"] == len(told)
    assert lost(way) == said


def test_grants_go_from_bucket_to_bucket_and_are_read_back(database: Database, places: Places) -> None:
    here, there = with_grants(places), with_grants(places)
    reader = Principal(PrincipalKind.ACCOUNT, id=SOMEONE)
    with closing(open_connection(here.platform, here.settings, here.path, make=True)) as bucket:
        assert isinstance(bucket, Grants)
        bucket.write("a.txt", [b"content"], Facts())
        given = bucket.set_access("a.txt", Access(grants=(Grant(reader, READ),)))
    policies = dataclasses.replace(ASKING, preserve_owners=False)
    run = Way(database, here, there, policies).run()
    assert (run.failed, run.transferred) == (0, 1), run.info
    with closing(open_connection(there.platform, there.settings, there.path)) as bucket:
        assert isinstance(bucket, Grants)
        got = bucket.access("a.txt")
    mine = [grant for grant in given.grants if grant.principal.id == SOMEONE]
    assert mine
    assert [grant for grant in got.grants if grant.principal.id == SOMEONE] == mine
    assert ledger(database) == []


def with_grants(places: Places) -> End:
    """Give a place in a bucket of its own whose objects have access lists."""
    place = places.new("s3")
    bucket = f"listed-{uuid.uuid4().hex[:8]}"
    client = client_of(platform("s3").read_settings(dict(place.end.settings)))
    client.create_bucket(Bucket=bucket)
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    client.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=rules)
    return place.by(place.served.port, bucket=bucket).end


@pytest.mark.parametrize("name", ["s3", "gcs"])
def test_a_tree_comes_back_from_a_bucket_with_permissions_asked_for(
    database: Database, places: Places, tmp_path: Path, name: str
) -> None:
    """A bucket tells no named values and no lists of its folders, which are but prefixes: no folder fails by that."""
    (tmp_path / "source/folder/below").mkdir(parents=True)
    (tmp_path / "source/folder/below/file").write_bytes(b"file")
    there = places.new(name)
    assert Way(database, End("fs", {"path": str(tmp_path / "source")}), there.end).run().failed == 0
    back = Way(database, there.end, End("fs", {"path": str(tmp_path / "back")}), ASKING).run()
    assert (back.result, back.failed, back.transferred) == ("clean", 0, 1), back.info
    assert (tmp_path / "back/folder/below/file").read_bytes() == b"file"
