"""The other transfer types between two real folders, killed midway and brought to their end."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from tallyport.testing import compare, faults, trees
from tests.acceptance import product
from tests.acceptance.product import DONE, STOPPED


def files(root: str) -> set[str]:
    """Every path below a folder that is no folder."""
    return {
        os.path.relpath(os.path.join(folder, name), root)
        for folder, folders, names in os.walk(root)
        for name in [*names, *(name for name in folders if os.path.islink(os.path.join(folder, name)))]
    }


def run(kind: str, source: str, destination: str, *options: str, data: str) -> product.Ended:
    return product.tallyport(kind, source, destination, "--json", "-q", "--yes", *options, data=data)


@pytest.mark.parametrize("kind", ["move", "migrate"])
def test_the_source_is_emptied_of_what_arrived_and_of_nothing_else(place, data, chance, kind):
    """Killed again and again: each file is at the source, or proved at the destination, and at the end only there."""
    source, destination, kept = (os.path.join(place, name) for name in ("source", "destination", "kept"))
    trees.crash_tree(source, items=1_200, budget=20 * trees.MIB)
    names = [os.path.join(source, f"name {number}") for number in range(20)]
    with open(names[0], "w") as stream:
        stream.write("one of many names")
    for name in names[1:]:
        os.link(names[0], name)
    subprocess.run(["cp", "-a", source, kept], check=True)
    wanted = files(kept)
    for latest in (1.2, 1.8, 2.5):  # from before the first copy to past the last delete, on slow machines too
        with open(os.path.join(place, "log"), "ab") as log:
            program = faults.spawn(
                [*product.PROGRAM, kind, source, destination, "-q", "--yes"],
                env=product.environment(data),
                stdout=log,
                stderr=log,
            )
        time.sleep(chance.uniform(0.3, latest))
        faults.kill(program)
        assert files(source) | {path for path in files(destination) if ".tallyport-" not in path} >= wanted
    run(kind, source, destination, data=data).expect(DONE)
    assert files(source) == set()
    assert compare.differences(kept, destination, owners=False) == []
    assert compare.leftovers(destination) == []


def test_publish_mirrors_and_stops_at_the_brake(place, data, make):
    source = make({f"folder/{number}.txt": str(number) for number in range(40)})
    destination = os.path.join(place, "destination")
    run("publish", source, destination, data=data).expect(DONE)
    for number in range(3, 40):
        os.unlink(os.path.join(source, "folder", f"{number}.txt"))
    with open(os.path.join(destination, "extra.txt"), "w") as stream:
        stream.write("not in the source")
    stopped = run("publish", source, destination, data=data).expect(STOPPED)
    assert len(files(destination)) == 41, "nothing is deleted before a person agrees"
    resumed = product.tallyport(
        "runs", "resume", str(stopped.result["run_id"]), "--approve-deletes", "--json", "-q", data=data
    ).expect(DONE)
    assert resumed.result["deleted"] == 38
    assert compare.differences(source, destination, owners=False) == []


def test_an_empty_source_deletes_nothing(place, data, make):
    source = make({"a.txt": "a", "b/c.txt": "c"})
    destination = os.path.join(place, "destination")
    run("publish", source, destination, data=data).expect(DONE)
    trees.remove_tree(source)
    os.mkdir(source)
    run("publish", source, destination, data=data).expect(STOPPED)
    assert files(destination) == {"a.txt", "b/c.txt"}


def test_sync_goes_both_ways_and_settles(place, data, make):
    source = make({"a.txt": "a", "both.txt": "old", "gone.txt": "x", "folder/b.txt": "b"})
    destination = os.path.join(place, "destination")
    os.mkdir(destination)
    with open(os.path.join(destination, "theirs.txt"), "w") as stream:
        stream.write("theirs")
    run("sync", source, destination, data=data).expect(DONE)
    assert files(source) == files(destination) == {"a.txt", "both.txt", "gone.txt", "folder/b.txt", "theirs.txt"}
    with open(os.path.join(destination, "both.txt"), "w") as stream:
        stream.write("newer here")
    os.unlink(os.path.join(source, "gone.txt"))
    run("sync", source, destination, "--policy", "limits.max_delete_percent=100", data=data).expect(DONE)
    assert files(source) == files(destination) == {"a.txt", "both.txt", "folder/b.txt", "theirs.txt"}
    assert product.text(os.path.join(source, "both.txt")) == "newer here"
    settled = run("sync", source, destination, data=data).expect(DONE)
    assert (settled.result["result"], settled.result["writes"]) == ("no_changes", 0)


def test_taxonomy_carries_the_folders_alone(place, data, make):
    source = make({"a.txt": "a", "folder/deep/b.txt": "b"})
    destination = os.path.join(place, "destination")
    run("taxonomy", source, destination, data=data).expect(DONE)
    assert files(destination) == set()
    assert os.path.isdir(os.path.join(destination, "folder", "deep"))
