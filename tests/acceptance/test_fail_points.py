"""C2: every call by which a run changes something is a point at which it is killed; a new kind of step is noticed.

The list of points is `crashes.STEPS`. Here every call that a run makes on its destination and its ledger is counted,
so a step that is not on the list fails; the battery kills at those that are.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from tallyport.battery import crashes
from tallyport.battery.ground import ground
from tallyport.testing import trees
from tests.acceptance import product
from tests.acceptance.product import DONE

pytestmark = [pytest.mark.needs("strace"), pytest.mark.timeout(240)]

# Whatever a Linux program can change files by.
CHANGING = (
    *("open", "openat", "openat2", "creat", "write", "writev", "pwrite64", "pwritev", "pwritev2", "copy_file_range"),
    *("sendfile", "splice", "truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "sync", "syncfs"),
    *("sync_file_range", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink"),
    *("unlinkat", "rmdir", "mkdir", "mkdirat", "mknod", "mknodat", "chmod", "fchmod", "fchmodat", "fchmodat2"),
    *("chown", "fchown", "fchownat", "lchown", "utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr"),
    *("fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
)
READS = re.compile(r"O_RDONLY|O_PATH|O_DIRECTORY")  # an open of this kind changes nothing
WHEN = (1, 7, 40)  # of the calls that one thread makes of a kind


def changes(place: str, destination: str, data: str, *words: str, policies: list[str]) -> Counter[str]:
    """Run a command under strace and count the calls that changed the destination or the ledger."""
    log = os.path.join(place, "calls.log")
    known = ",".join(f"?{name}" for name in CHANGING)
    prefix = ["strace", "-f", "-qq", "-y", "-o", log, "-e", f"trace={known}"]
    product.tallyport(*words, "-q", *policies, data=data, prefix=prefix).expect(DONE)
    found = Counter[str]()
    with open(log, encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            call = re.match(r"\d+\s+(\w+)\(", line)
            if call is None or not any(f"{root}/" in line or f"{root}>" in line for root in (destination, data)):
                continue
            if not (call[1].startswith("open") and READS.search(line)):
                found[call[1]] += 1
    return found


@pytest.mark.parametrize("policies", [product.FAITHFUL, product.PLAIN], ids=["faithful", "plain"])
def test_every_call_by_which_a_run_changes_something_is_a_point_at_which_it_is_killed(
    place: str, data: str, policies: list[str]
) -> None:
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    with trees.Builder(source, seed=5) as build:
        for number in range(40):
            build.file(f"folder-{number % 4}/item-{number:02}", number * 211)
        build.file("empty", 0)
        build.file("big", 70 * trees.MIB)  # goes in parts
        build.link(build.file("hard/first", 5_000), "hard/second")
        build.sparse("sparse", 4 * trees.MIB)
        build.finish()
    os.symlink("empty", os.path.join(source, "symbolic"))
    found = changes(place, destination, data, "publish", source, destination, policies=policies)
    for name in ("folder-1/item-01", "folder-2/item-02"):
        os.unlink(os.path.join(source, name))
    with open(os.path.join(source, "folder-3/item-03"), "ab") as stream:
        stream.write(b"changed")
    found += changes(place, destination, data, "publish", source, destination, policies=policies)
    assert sorted(set(found) - set(crashes.STEPS)) == []
    # the count sees what it is for: content, its proof on the disk, its name, its removal
    assert {"openat", "pwrite64", "fsync", "utimensat", "linkat", "symlinkat", "unlinkat"} <= set(found)


@pytest.mark.nightly
@pytest.mark.parametrize("step", crashes.STEPS)
def test_a_run_that_is_killed_at_a_point_goes_on_and_loses_nothing(tmp_path: Path, step: str) -> None:
    seed = int(os.environ.get("TALLYPORT_SEED", random.randrange(1 << 31)))
    print(f"TALLYPORT_SEED={seed}")
    for when in WHEN:
        with ground(str(tmp_path), seed) as here:
            crashes.kill_at(here, step, when)
