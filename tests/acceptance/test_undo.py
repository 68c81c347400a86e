"""A run between two real folders is undone: what it replaced and deleted stands there as before."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tallyport.testing import compare, faults, trees
from tests.acceptance import product
from tests.acceptance.product import DONE, FAILED_ITEMS

KEEP = ("--policy", "quarantine=.kept", "--policy", "limits.max_delete_percent=100")


def run(source: str, destination: str, *options: str, data: str) -> product.Ended:
    return product.tallyport("publish", source, destination, "--json", "-q", "--yes", *KEEP, *options, data=data)


def differences(one: str, other: str) -> list[str]:
    """Compare what users see: not what is kept, and not the time of the root, which the folder for that changed."""
    if os.path.exists(os.path.join(other, ".kept")):
        shutil.rmtree(os.path.join(other, ".kept"))
    return [str(found) for found in compare.differences(one, other, owners=False, times=False)]


def test_a_run_killed_midway_and_finished_is_undone_to_the_last_file(place, data, chance):
    """Every file that stood at the destination is there again, whatever was killed on the way."""
    source, destination, before = (os.path.join(place, name) for name in ("source", "destination", "before"))
    trees.crash_tree(source, items=600, budget=8 * trees.MIB)
    subprocess.run(["cp", "-a", source, destination], check=True)
    for folder, _, names in os.walk(destination):
        for name in names[::2]:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.stat(path).st_nlink == 1:
                with open(path, "wb") as stream:
                    stream.write(b"somebody's " + name.encode("utf-8", "surrogateescape"))
        with open(os.path.join(folder, "extra of this folder"), "w") as stream:
            stream.write(folder)
    subprocess.run(["cp", "-a", destination, before], check=True)
    for _ in range(2):
        with open(os.path.join(place, "log"), "ab") as log:
            program = faults.spawn(
                [*product.PROGRAM, "publish", source, destination, "-q", "--yes", *KEEP],
                env=product.environment(data),
                stdout=log,
                stderr=log,
            )
        time.sleep(chance.uniform(0.2, 0.9))
        faults.kill(program)
    ended = run(source, destination, "--policy", "limits.max_deletes=100000", data=data)
    if ended.status == product.STOPPED:
        ended = product.tallyport("runs", "resume", "last", "--approve-deletes", "--json", "-q", data=data)
    ended.expect(DONE)
    for number in range(ended.result["run_id"], 0, -1):  # a quick machine may have ended one before it was killed
        undone = product.tallyport("runs", "undo", str(number), "--json", "-q", data=data).expect(DONE)
        assert undone.result["failed"] == 0
    assert differences(before, destination) == []


def test_what_somebody_changed_since_is_refused(place, data, make):
    source = make({"a.txt": "new", "b.txt": "new"})
    destination = os.path.join(place, "destination")
    os.makedirs(destination)
    for name in ("a.txt", "b.txt", "c.txt"):
        with open(os.path.join(destination, name), "w") as stream:
            stream.write("old, and longer")
    ended = run(source, destination, data=data).expect(DONE)
    with open(os.path.join(destination, "a.txt"), "w") as stream:
        stream.write("somebody's")
    number = str(ended.result["run_id"])
    undone = product.tallyport("runs", "undo", number, "--json", "-q", data=data).expect(FAILED_ITEMS)
    assert (undone.result["failed"], undone.result["transferred"]) == (1, 2)
    texts = {name: Path(destination, name).read_text() for name in ("a.txt", "b.txt", "c.txt")}
    assert texts == {"a.txt": "somebody's", "b.txt": "old, and longer", "c.txt": "old, and longer"}
    product.tallyport("runs", "purge", number, "--json", "-q", data=data).expect(DONE)
    assert sorted(os.listdir(destination)) == ["a.txt", "b.txt", "c.txt"]
    again = product.tallyport("runs", "undo", "1000", data=data)
    assert again.status == 3
