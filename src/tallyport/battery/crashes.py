"""C: the run is killed, at random moments and at each of its steps; the ledger is damaged."""

import os
import sqlite3

from tallyport.battery.ground import DONE, FAILED_ITEMS, Ground, needs
from tallyport.testing import trees

# Every system call by which a run changes a destination or its ledger. ``tests/acceptance/test_fail_points.py`` fails
# when a run makes one that is not here.
STEPS = (
    *("openat", "mkdir", "mkdirat", "write", "pwrite64", "ftruncate"),
    *("fsync", "fdatasync", "syncfs", "utimensat", "fchmod", "fchown"),
    *("renameat", "renameat2", "linkat", "symlinkat", "unlink", "unlinkat"),
)


def random_kills(here: Ground) -> None:
    """Kill a run three times at random moments, then let it end."""
    made = trees.crash_tree(here.source, items=1_500, seed=here.chance.randrange(1 << 30), budget=30 * trees.MIB)
    for _ in range(3):
        if not here.killed(here.copy(), here.chance.uniform(0.3, 2.0)):
            break
    here.finish()
    here.must_be_equal()
    here.must_account(made)


def kills_at_steps(here: Ground) -> None:
    """Kill whatever makes a system call of a copy's steps, at a call chosen at random, then let the run end."""
    kill_at(here, here.chance.choice(STEPS), here.chance.randrange(1, 120))


def kill_at(here: Ground, step: str, when: int) -> None:
    """Kill whatever makes a system call the so manieth time, then let the run end."""
    strace = needs("strace")
    made = trees.crash_tree(here.source, items=200, seed=here.chance.randrange(1 << 30), budget=4 * trees.MIB)
    inject = f"inject={step}:signal=KILL:when={when}"
    here.run([strace, "-f", "-qq", "-o", os.devnull, "-e", f"trace={step}", "-e", inject, *here.copy()])
    here.finish()
    here.must_be_equal(links=False)  # names that arrive in different runs become files of their own
    here.must_account(made)


def errors_at_steps(here: Ground) -> None:
    """Let one system call of a copy's steps fail with EIO: nothing false is called done, the next run mends it."""
    strace = needs("strace")
    trees.crash_tree(here.source, items=200, seed=here.chance.randrange(1 << 30), budget=4 * trees.MIB)
    step = here.chance.choice(("write", "fsync", "renameat2", "utimensat"))
    when = here.chance.randrange(1, 60)
    inject = f"inject={step}:error=EIO:when={when}"
    ended = here.run([strace, "-f", "-qq", "-o", os.devnull, "-e", f"trace={step}", "-e", inject, *here.copy()])
    if ended.status == DONE:
        here.must_be_equal()
        return
    retried = here.run(here.command("runs", "retry", "last"))
    if retried.status != DONE:
        here.finish()
    here.must_be_equal(links=False)


def damaged_ledger(here: Ground) -> None:
    """Flip bits in the ledger: it is refused with a reason, or the next run looks at the world; nothing is deleted."""
    trees.crash_tree(here.source, items=150, seed=here.chance.randrange(1 << 30), budget=2 * trees.MIB)
    here.must(here.run(here.copy()).status == DONE, "the first run did not end well")
    path = os.path.join(here.data, "ledger.db")
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as stream:
        size = os.fstat(stream.fileno()).st_size
        for _ in range(8):
            place = here.chance.randrange(100, size)
            stream.seek(place)
            byte = stream.read(1)
            stream.seek(place)
            stream.write(bytes([byte[0] ^ (1 << here.chance.randrange(8))]))
    before = trees.count(here.destination)
    mirror = ("--policy", "delete_propagation=mirror")
    ended = here.run(here.copy(*mirror))
    said = ended.err.strip() or (ended.status == FAILED_ITEMS and ended.result["reasons"])  # a row of it, by its reason
    here.must(ended.status == DONE or said, f"it ended with {ended.status} and said nothing")
    after = trees.count(here.destination)
    here.must(
        after.files >= before.files, f"{before.files - after.files} files were deleted on the word of a bad ledger"
    )


def lost_ledger(here: Ground) -> None:
    """Take the ledger away: the next run adopts what is there, and deletes nothing."""
    made = trees.crash_tree(here.source, items=300, seed=here.chance.randrange(1 << 30), budget=4 * trees.MIB)
    here.must(here.run(here.copy()).status == DONE, "the first run did not end well")
    trees.remove_tree(here.data)
    os.makedirs(here.data, 0o700)
    extra = here.write("mine.txt", b"not in the source", root=here.destination)
    mirror = ("--policy", "delete_propagation=mirror")
    ended = here.run(here.copy(*mirror))
    here.must(ended.status == DONE, f"it ended with {ended.status}: {ended.err[-200:]}")
    here.must(os.path.exists(extra), "a file without a baseline was deleted")
    here.must(ended.result["transferred_bytes"] == 0 and made.files, "content that was there was carried again")
