"""A source that changes under our hands: each file arrives whole, or is reported."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading

import pytest

from tallyport.testing import compare, faults, trees
from tests.acceptance import product
from tests.acceptance.product import DONE, FAILED_ITEMS, reasons


def test_vanished_files_leave_the_others_alone(place, data):
    """Files that go while we look: each is carried whole, or reported, and the rest arrives."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.bench_tree(source, files=6_000, folders=60)
    doomed = [
        os.path.join(folder, name) for folder, _, names in os.walk(source) for name in names if name < "file-0004"
    ]
    random.Random(5).shuffle(doomed)

    def remove() -> None:
        assert faults.wait_until(lambda: os.path.isdir(destination), 60, step=0.001)
        for path in doomed[:2_000]:
            os.unlink(path)

    remover = threading.Thread(target=remove)
    remover.start()
    ended = product.copy(source, destination, data=data)
    remover.join()

    ended.expect(DONE, FAILED_ITEMS)
    assert {reason for _, reason in reasons(data)} <= {"not_found", "changed_during_copy"}
    found = compare.differences(source, destination, times=False, limit=10_000)
    assert [line for line in found if "not expected" not in line] == []
    assert compare.leftovers(destination) == []


def test_a_vanished_folder_leaves_the_others_alone(place, data):
    """A folder that goes between listing and visit is reported, and the rest arrives."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.bench_tree(source, files=6_000, folders=200)

    def remove() -> None:
        assert faults.wait_until(lambda: os.path.isdir(destination), 60, step=0.001)
        for number in range(199, 150, -1):
            shutil.rmtree(os.path.join(source, f"folder-{number:04}"))

    remover = threading.Thread(target=remove)
    remover.start()
    ended = product.copy(source, destination, data=data)
    remover.join()

    ended.expect(DONE, FAILED_ITEMS)
    assert {reason for _, reason in reasons(data)} <= {"not_found", "changed_during_copy", "not_listed"}
    found = compare.differences(source, destination, times=False, limit=10_000)
    assert [line for line in found if "not expected" not in line] == []


REWRITE = """
import os, sys, random
chance = random.Random(1)
file = os.open(sys.argv[1], os.O_WRONLY)
size = os.fstat(file).st_size
print("writing", flush=True)
while True:
    os.pwrite(file, chance.randbytes(512), chance.randrange(size - 512))
"""


@pytest.mark.timeout(240)
def test_a_file_that_changes_while_it_is_read_fails_with_that_reason(place, data, make):
    """Tried a few times, then failed: a mixture of old and new is never called done. Later it goes."""
    source, destination = make({"still.txt": "s"}), os.path.join(place, "destination")
    busy = os.path.join(source, "busy.bin")
    with open(busy, "wb") as stream:
        stream.write(random.Random(2).randbytes(48 * trees.MIB))
    with subprocess.Popen([sys.executable, "-c", REWRITE, busy], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            ended = product.copy(source, destination, data=data, timeout=120)
        finally:
            writer.kill()

    ended.expect(FAILED_ITEMS)
    assert reasons(data) == [("busy.bin", "changed_during_copy")]
    assert sorted(os.listdir(destination)) == ["still.txt"]
    product.tallyport("runs", "retry", "last", data=data).expect(DONE)
    assert compare.differences(source, destination) == []
