"""Invariant I2: an item is done only when it is on the disk. Read from what strace saw.

For every file: write < sync < rename < sync of the folder < commit of the ledger.
"""

from __future__ import annotations

import os

import pytest

from tallyport.testing import faults, reordering, trees
from tests.acceptance import product
from tests.acceptance.product import DONE

pytestmark = [pytest.mark.needs("strace"), pytest.mark.timeout(240)]
BIG = 80 * trees.MIB  # goes in parts


def traced(
    place: str, data: str, source: str, destination: str, *options: str, policies: list[str] = product.FAITHFUL
) -> list[str]:
    """Run a copy under strace and return the log."""
    log = os.path.join(place, "strace.log")
    prefix = [*faults.STRACE, "-o", log]
    product.copy(source, destination, *options, data=data, prefix=prefix, policies=policies).expect(DONE)
    with open(log, encoding="utf-8", errors="surrogateescape") as stream:
        return stream.readlines()


def unique_tree(source: str) -> frozenset[str]:
    """Make a tree in which no name is part of another; return the names whose items go through a plan."""
    with trees.Builder(source, seed=3) as build:
        for number in range(300):
            build.file(f"folder-{number % 12:02}/<item-{number:04}>", number * 37 % 9_000)
        for number in range(20):
            build.file(f"nested/a/b-{number}/<deep-{number:04}>", 100)
        build.file("<empty>", 0)
        build.file("<big>", BIG)
        build.link(build.file("hard/<first>", 5_000), "hard/<second>")
        build.sparse("<sparse>", 40 * trees.MIB)
        build.finish()
    return frozenset({"<big>", "<first>", "<second>", "<sparse>"})


@pytest.mark.parametrize(
    ("level", "policies"),
    [
        pytest.param("group", product.FAITHFUL, id="group"),
        pytest.param("group", product.PLAIN, id="group, plain"),
        pytest.param("each", product.FAITHFUL, id="each"),
        pytest.param("each", product.PLAIN, id="each, plain", marks=pytest.mark.nightly),
    ],
)
def test_every_file_is_on_the_disk_before_it_is_done(place, data, level, policies):
    """The lint holds for 100 % of files, new and replaced, at the levels that promise it."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    planned = unique_tree(source)

    durability = ["--policy", f"durability={level}"]
    log = traced(place, data, source, destination, *durability, policies=policies)

    seen = faults.order_of_steps(log, destination=destination, ledger=data, planned=planned)
    assert seen.violations == []
    assert len(seen.files) == trees.count(source).files
    reordered = reordering.judged(log, destination=destination, ledger=data, planned=planned)
    assert reordered.wrong == []
    assert reordered.states > 4 * len(seen.files)

    for number in range(40):
        with open(os.path.join(source, f"folder-{number % 12:02}", f"<item-{number:04}>"), "ab") as stream:
            stream.write(b"changed")
    log = traced(place, data, source, destination, *durability, policies=policies)
    seen = faults.order_of_steps(log, destination=destination, ledger=data, planned=planned)
    assert [wrong for wrong in seen.violations if "ledger before" not in wrong] == []
    assert len(seen.files) == 40


@pytest.mark.parametrize("policies", [product.FAITHFUL, product.PLAIN], ids=["faithful", "plain"])
def test_the_lint_bites(place, data, policies):
    """At level none nothing is synced, and the same lint says so for each file: it can fail."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.bench_tree(source, files=30, folders=3)

    log = traced(place, data, source, destination, "--policy", "durability=none", policies=policies)

    seen = faults.order_of_steps(log, destination=destination, ledger=data)
    assert len(seen.files) == 30
    unsynced = [wrong for wrong in seen.violations if "before its content was synced" in wrong]
    assert len(unsynced) == 30
    wrong = reordering.judged(log, destination=destination, ledger=data).wrong
    assert len([one for one in wrong if "without its content" in one]) == 30
    assert len([one for one in wrong if "done and not there" in one]) == 30


def test_a_second_run_opens_nothing_for_writing(place, data):
    """No call that could change the destination is made below it when nothing changed."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.sample_tree(source, files=200, sparse_size=8 * trees.MIB)
    product.copy(source, destination, data=data).expect(DONE)

    log = traced(place, data, source, destination)

    assert list(changes_below(log, destination)) == []


def changes_below(log, destination):
    """Yield the calls of a log that change something below a folder."""
    for call in faults.calls(log):
        if call.name in ("fsync", "fdatasync", "syncfs"):
            continue
        named = [*call.descriptors(), *call.paths()]
        if not any(path == destination or path.startswith(destination + "/") for path in named):
            continue
        if call.name in ("open", "openat", "openat2") and not any(
            flag in call.arguments for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC")
        ):
            continue
        yield f"{call.name}({call.arguments[:200]})"
