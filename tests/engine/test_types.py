"""Each transfer type end to end over memory worlds."""

import dataclasses
from typing import Any

import pytest

from tallyport.connectors.protocol import Facts
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.policies import DeletePropagation, EmptyContainers, Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.engine import crossing_stream
from tallyport.store import items
from tallyport.testing.worlds import differences, picture, tree
from tests.engine.conftest import Port

WORLD = "a.txt 3b v1\nfolder/b.txt 40b v1\nfolder/deep/c.txt 5b v2\nhollow/\n"


def policies(kind: TransferType, **changes: Any) -> Policies:
    return dataclasses.replace(defaults_for(kind), **changes)


def lines(text: str) -> str:
    return "\n".join(sorted(line.strip() for line in text.strip().splitlines()))


def test_publish_mirrors_and_deletes_what_the_source_lacks(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    assert port.run(policies(TransferType.PUBLISH)).result == "clean"
    port.source.delete("a.txt")
    tree("folder/deep/c.txt 6b v3", port.source)
    tree("folder/extra.txt 1b v1", port.destination)
    again = port.run(policies(TransferType.PUBLISH, max_delete_percent=100.0))
    assert again.result == "clean", again
    assert differences(port.source, port.destination) == []
    assert again.deleted == 2


def test_copy_with_mirror_repeats_a_delete_and_nothing_else(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    chosen = policies(TransferType.COPY, delete_propagation=DeletePropagation.MIRROR, max_delete_percent=100.0)
    port.run(chosen)
    tree("mine.txt 9b v1", port.destination)
    port.source.delete("folder/deep/c.txt")
    port.source.delete("folder/deep")
    again = port.run(chosen)
    assert again.result == "clean"
    assert lines(picture(port.destination)) == lines("a.txt 3b v1\nfolder/b.txt 40b v1\nhollow/\nmine.txt 9b v1")


def test_the_delete_brake_stops_before_the_first_delete_until_a_person_resumes(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    port.run(policies(TransferType.PUBLISH))
    for path in ("a.txt", "folder/b.txt", "folder/deep/c.txt"):
        port.source.delete(path)
    execution_id = port.begin(policies(TransferType.PUBLISH))
    braked = port.wait(execution_id, lambda found: found.state == "waiting")
    assert (braked.wait_reason, braked.deleted) == ("brake", 0)
    assert "folder/b.txt" in picture(port.destination)
    port.ask(execution_id, ("waiting",), "ready")
    ended = port.wait(execution_id)
    assert (ended.result, ended.deleted) == ("clean", 3)
    assert differences(port.source, port.destination) == []


def test_a_destination_that_lost_everything_does_not_empty_the_source_of_a_sync_unasked(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    port.run(policies(TransferType.SYNC))
    for path in ("a.txt", "folder/b.txt", "folder/deep/c.txt", "folder/deep", "folder", "hollow"):
        port.destination.delete(path)
    execution_id = port.begin(policies(TransferType.SYNC))
    braked = port.wait(execution_id, lambda found: found.state == "waiting" or found.has_ended)
    assert (braked.wait_reason, braked.deleted) == ("brake", 0)
    assert lines(picture(port.source)) == lines(WORLD)
    port.ask(execution_id, ("waiting",), "ready")
    assert port.wait(execution_id).result == "clean"
    assert picture(port.source) == ""


@pytest.mark.parametrize("kind", [TransferType.MOVE, TransferType.MIGRATE])
def test_move_and_migrate_empty_the_source_of_what_arrived(port: Port, kind: TransferType) -> None:
    tree(WORLD, port.source)
    port.start()
    execution = port.run(policies(kind))
    assert execution.result == "clean", execution
    assert lines(picture(port.destination)) == lines(WORLD)
    assert picture(port.source) == ""
    again = port.run(policies(kind))
    assert again.result == "no_changes", again
    assert lines(picture(port.destination)) == lines(WORLD)


@pytest.mark.parametrize("kind", [TransferType.MOVE, TransferType.MIGRATE])
def test_move_and_migrate_leave_a_folder_that_still_holds_something(port: Port, kind: TransferType) -> None:
    tree(WORLD, port.source)
    tree("folder/b.txt/x 1b v1", port.destination)
    port.start()
    execution = port.run(policies(kind))
    assert execution.failed == 1
    assert lines(picture(port.source)) == lines("folder/b.txt 40b v1")
    port.destination.delete("folder/b.txt/x")
    port.destination.delete("folder/b.txt")
    assert port.run(policies(kind), scope='{"only": "failed"}').failed == 0
    port.run(policies(kind))
    assert picture(port.source) == ""


def test_a_folder_that_is_not_made_at_the_destination_stays_at_the_source(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    port.run(policies(TransferType.MOVE, empty_containers=EmptyContainers.SKIP))
    assert lines(picture(port.source)) == "hollow/"


def test_migrate_leaves_what_failed_at_the_source(port: Port) -> None:
    tree(WORLD, port.source)
    tree("a.txt/x 1b v1", port.destination)
    port.start()
    execution = port.run(policies(TransferType.MIGRATE))
    assert execution.failed == 1
    assert "a.txt" in picture(port.source)
    assert "b.txt" not in picture(port.source)


def test_taxonomy_makes_folders_and_no_files(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    execution = port.run(policies(TransferType.TAXONOMY))
    assert execution.state == "complete"
    assert lines(picture(port.destination)) == lines("folder/deep/\nhollow/")
    assert execution.failed == 0


def test_sync_carries_both_ways_and_deletes_on_both_sides(port: Port) -> None:
    tree(WORLD, port.source)
    tree("theirs.txt 7b v1", port.destination)
    port.start()
    chosen = policies(TransferType.SYNC, max_delete_percent=100.0)
    assert port.run(chosen).result == "clean"
    assert differences(port.source, port.destination) == []
    port.source.delete("a.txt")
    port.destination.delete("theirs.txt")
    tree("folder/b.txt 41b v5", port.destination)
    again = port.run(chosen)
    assert again.failed == 0
    assert differences(port.source, port.destination) == []
    assert lines(picture(port.source)) == lines("folder/b.txt 41b v5\nfolder/deep/c.txt 5b v2\nhollow/")
    assert port.run(chosen).result == "no_changes"


def test_a_move_keeps_what_is_equal_by_its_times_alone(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hash can be had on either side, so equality is not proved: the source stays, and the item says why."""

    def refuse(connector: object, path: str) -> bytes:
        raise TallyportError(ErrorKind.UNSUPPORTED, "nothing can be read here")

    monkeypatch.setattr(crossing_stream, "hash_of", refuse)
    for side in (0, 1):
        port.slow(side, hashes=False, free_hashes=False)
    tree("a.txt 3b v1", port.source)
    tree("a.txt 3b v1", port.destination)
    for world in (port.source, port.destination):
        world.stamp("a.txt", Facts(modified=1_700_000_000_000_000_000))
    port.start()
    execution = port.run(policies(TransferType.MOVE))
    assert execution.state == "complete"
    assert execution.deleted == 0
    assert "a.txt" in picture(port.source)
    with port.database.read() as tx:
        item = next(item for item in items.iterate(tx, port.job.number) if item.path == "a.txt")
    assert (item.reason, item.s_size) == ("same_content", None)
    assert (item.message or "").startswith("it stays at the source: its copy is proved at level none")


def test_a_move_proves_by_reading_what_stood_at_the_destination(port: Port) -> None:
    tree("a.txt 3b v1\nempty.txt 0b v1", port.source)
    tree("a.txt 3b v1\nempty.txt 0b v1", port.destination)
    port.start()
    execution = port.run(policies(TransferType.MOVE))
    assert execution.result == "clean"
    assert picture(port.source) == ""
