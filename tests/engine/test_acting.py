"""A run between two folders as other accounts of this machine (`impersonate_as`), as the superuser makes it."""

import dataclasses
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.connectors import local_identity
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.executions import Execution
from tallyport.domain.losses import Lost
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.engine.passage import open_passage
from tallyport.engine.passage_local import LocalPassage
from tallyport.engine.work import Terms
from tallyport.store import items, losses
from tallyport.testing.compare import differences
from tallyport.testing.trees import sample_tree
from tests.engine.conftest import copy
from tests.engine.test_local_engine import LocalPort

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may act as another account")

NOBODY = pwd.getpwnam("nobody")
ANOTHER = 54_321  # a number without an account
PAIRS = [("nobody", "nobody"), ("nobody", ""), ("", "nobody"), ("nobody", str(ANOTHER))]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalPort]:
    made = LocalPort(tmp_path)
    for folder in (made.here, made.there):
        folder.mkdir()
        folder.chmod(0o777)
    yield made
    made.stop()
    made.database.close()


UIDS = {"nobody": NOBODY.pw_uid, "": 0, str(ANOTHER): ANOTHER}


def given(local: LocalPort, pair: tuple[str, str]) -> None:
    """Let the destination's folder be the account's own, as a home is."""
    os.chown(local.there, UIDS[pair[1]], -1)


def as_they(policies: Policies, pair: tuple[str, str]) -> Policies:
    return dataclasses.replace(policies, source_account=pair[0], destination_account=pair[1])


def filled(local: LocalPort) -> None:
    for path, mode in (("a.txt", 0o644), ("closed.txt", 0o600), ("d/b.txt", 0o644), ("locked/c.txt", 0o644)):
        place = local.here / path
        place.parent.mkdir(exist_ok=True)
        place.parent.chmod(0o755)
        place.write_bytes(path.encode())
        place.chmod(mode)


def told(local: LocalPort) -> dict[str, tuple[int, str]]:
    with local.database.read() as tx:
        return {one.path: (one.status, one.message or "") for one in items.iterate(tx, local.job.number)}


def lost(local: LocalPort, run: Execution) -> list[str]:
    with local.database.read() as tx:
        return [one.what for one in losses.iterate(tx, run.id)]


@pytest.mark.parametrize("pair", PAIRS)
def test_an_awkward_tree_arrives_and_belongs_to_whom_it_is_made_as(local: LocalPort, pair: tuple[str, str]) -> None:
    local.here.rmdir()
    sample_tree(str(local.here), files=200, seed=7, sparse_size=1 << 20)
    given(local, pair)
    for folder, folders, files in os.walk(local.here):
        for name in (*folders, *files):
            os.chown(os.path.join(folder, name), NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
    local.start()
    run = local.run(as_they(copy(), pair))
    assert (run.state, run.failed) == ("complete", 0), (run, told(local))
    # Two accounts go the way of any two connections, which fills holes.
    unlike = differences(str(local.here), str(local.there), owners=False, holes=pair == PAIRS[0])
    assert unlike == []
    owner = UIDS[pair[1]]
    made = [
        os.path.join(folder, name) for folder, folders, files in os.walk(local.there) for name in (*folders, *files)
    ]
    assert {os.lstat(path).st_uid for path in made} == {owner}
    again = local.run(as_they(copy(), pair))
    assert (again.result, again.writes) == ("no_changes", 0)


@pytest.mark.parametrize("pair", PAIRS[:2])
def test_what_the_account_may_not_read_is_reported_and_nothing_below_it_is_deleted(
    local: LocalPort, pair: tuple[str, str]
) -> None:
    filled(local)
    given(local, pair)
    local.start()
    mirror = dataclasses.replace(defaults_for(TransferType.PUBLISH), max_delete_percent=100.0)
    first = local.run(as_they(mirror, pair))
    assert (first.transferred, first.failed) == (3, 1), told(local)
    assert not (local.there / "closed.txt").exists()
    assert "ermission" in told(local)["closed.txt"][1]
    (local.here / "locked").chmod(0o700)
    second = local.run(as_they(mirror, pair))
    assert second.deleted == 0
    assert second.failed >= 1
    assert (local.there / "locked" / "c.txt").read_bytes() == b"locked/c.txt"
    assert "ermission" in told(local)["locked"][1]


@pytest.mark.parametrize("pair", [("nobody", "nobody"), ("", "nobody")])
def test_what_the_account_may_not_write_fails_and_stays_as_it_is(local: LocalPort, pair: tuple[str, str]) -> None:
    filled(local)
    (local.here / "closed.txt").unlink()
    (local.there / "d").mkdir(mode=0o755)
    given(local, pair)
    local.start()
    run = local.run(as_they(copy(), pair))
    assert run.transferred == 2
    assert {path for path, (status, _) in told(local).items() if status != 1} == {"d", "d/b.txt"}, told(local)
    assert list((local.there / "d").iterdir()) == []


@pytest.mark.parametrize("pair", PAIRS)
def test_owners_that_an_account_may_not_give_are_written_down(local: LocalPort, pair: tuple[str, str]) -> None:
    filled(local)
    (local.here / "closed.txt").unlink()
    given(local, pair)
    local.start()
    run = local.run(as_they(copy(preserve_owners=True), pair))
    assert run.failed == 0, told(local)
    assert set(lost(local, run)) == ({str(Lost.OWNER)} if pair[1] else set())
    assert (local.there / "a.txt").stat().st_uid == UIDS[pair[1]]


def test_a_move_deletes_as_the_account_of_the_source(local: LocalPort) -> None:
    filled(local)
    (local.here / "d").chmod(0o777)
    local.start()
    moving = defaults_for(TransferType.MOVE)
    local.run(as_they(moving, ("nobody", "")))
    assert not (local.here / "d" / "b.txt").exists()
    assert (local.here / "locked" / "c.txt").exists(), "its folder is not the account's to change"
    assert (local.here / "closed.txt").exists()


def test_what_was_replaced_is_kept_and_put_back_as_the_account(local: LocalPort) -> None:
    filled(local)
    (local.here / "closed.txt").unlink()
    local.start()
    policies = as_they(copy(quarantine=".kept"), ("nobody", "nobody"))
    local.run(policies)
    (local.here / "a.txt").write_bytes(b"changed")
    assert local.run(policies).transferred == 1
    kept = list((local.there / ".kept").rglob("a.txt"))
    assert [path.read_bytes() for path in kept] == [b"a.txt"]
    assert kept[0].stat().st_uid == NOBODY.pw_uid


@pytest.mark.parametrize("pair", [("jsmith@example.org", ""), ("", "nobody-of-that-name")])
def test_a_run_as_somebody_nobody_knows_does_not_begin(local: LocalPort, pair: tuple[str, str]) -> None:
    filled(local)
    local.start()
    run = local.run(as_they(copy(), pair))
    assert run.state == "failed_to_start", run
    assert f"this machine knows no account {(pair[0] or pair[1])!r}" in (run.info or "")
    assert list(local.there.iterdir()) == []


@pytest.mark.parametrize("pair", [("mailto:jsmith@example.org", ""), ("", "mailto:bsmith@example.org")])
def test_a_run_as_somebody_named_by_an_address_alone_goes_on_as_its_own_account_and_each_item_says_so(
    local: LocalPort, pair: tuple[str, str]
) -> None:
    filled(local)
    local.start()
    run = local.run(as_they(copy(), pair))
    assert (run.state, run.result, run.transferred, run.failed) == ("complete", "clean", 4, 0), run
    assert (local.there / "a.txt").stat().st_uid == os.geteuid()
    carried = 4 + 2 + 1  # files, folders, and the root
    assert lost(local, run) == [str(Lost.IMPERSONATION)] * carried
    with local.database.read() as tx:
        details = {one.detail for one in losses.iterate(tx, run.id)}
    assert details == {f"it was {'read' if pair[0] else 'written'} as root, not as {(pair[0] or pair[1])[7:]}"}


def test_a_run_as_somebody_who_left_since_the_last_one_does_not_begin(
    local: LocalPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(local)
    (local.here / "closed.txt").unlink()
    given(local, ("", "nobody"))
    local.start()
    pair = ("", "nobody")
    assert local.run(as_they(copy(), pair)).transferred == 3
    look = pwd.getpwnam

    def found(name: str) -> pwd.struct_passwd:
        return look("left" if name == "nobody" else name)

    monkeypatch.setattr(local_identity.pwd, "getpwnam", found)
    (local.here / "new.txt").write_bytes(b"new")
    run = local.run(as_they(copy(), pair))
    assert run.state == "failed_to_start", run
    assert "this machine knows no account 'nobody'" in (run.info or "")
    assert not (local.there / "new.txt").exists()
    assert lost(local, run) == []


@pytest.mark.parametrize("pair", [("left", ""), ("", "left"), ("left", "left")])
def test_whoever_left_while_a_run_goes_on_is_replaced_by_nobody(local: LocalPort, pair: tuple[str, str]) -> None:
    """What opens the connections of a run that began, on any worker, opens none in the place of somebody else."""
    ends = [("fs", f'{{"path": "{folder}"}}', "/") for folder in (local.here, local.there)]
    terms = Terms(1, "t", *ends, policies="", started=0, part_size=1 << 20, revision=1)
    with pytest.raises(TallyportError, match="knows no account 'left'") as raised:
        open_passage(terms, as_they(copy(), pair))
    assert raised.value.kind is ErrorKind.CONFIG


def test_the_destination_is_made_as_its_account_and_refused_where_that_may_not(local: LocalPort) -> None:
    local.there.chmod(0o755)
    filled(local)
    with local.database.begin() as tx:
        from tallyport.store import jobs

        jobs.change(tx, local.job.id, destination_path="new")
    local.start()
    run = local.run(as_they(copy(), ("", "nobody")))
    assert run.state == "failed_to_start", run
    assert "ermission" in (run.info or "")
    assert not (local.there / "new").exists()


def test_two_folders_as_one_account_are_worked_on_descriptors(local: LocalPort) -> None:
    ends = [("fs", f'{{"path": "{folder}"}}', "/") for folder in (local.here, local.there)]
    terms = Terms(1, "t", *ends, policies="", started=0, part_size=1 << 20, revision=1)
    for pair, is_lean in zip(PAIRS, (True, False, False, False), strict=True):
        passage = open_passage(terms, as_they(copy(), pair))
        assert isinstance(passage, LocalPassage) is is_lean
        passage.close()
