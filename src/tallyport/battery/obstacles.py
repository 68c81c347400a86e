"""D: what the machine refuses. The disk is full, files and folders are closed, the source is empty."""

import os
import subprocess
import time

from tallyport.battery.ground import DONE, FAILED_ITEMS, Ground, NotHere, needs
from tallyport.testing import compare, faults, trees

# Root without the rights that let it read and write what is closed.
AS_ANYBODY = ("--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")


def full_disk(here: Ground) -> None:
    """Fill the destination's disk: old content stays, the run waits and says why, and goes on when there is room."""
    _needs_root("mount a small disk")
    old = b"old" * 300_000
    here.write("old.bin", old)
    with faults.small_disk(here.destination, 10 * trees.MIB) as resize:
        here.must(here.run(here.copy()).status == DONE, "the first run did not end well")
        here.write("old.bin", here.chance.randbytes(16 * trees.MIB))
        program = subprocess.Popen(
            here.copy(), env=here.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            time.sleep(4.0)
            here.must(program.poll() is None, f"it ended with {program.returncode} instead of waiting")
            with open(os.path.join(here.destination, "old.bin"), "rb") as stream:
                here.must(stream.read() == old, "the old content is gone")
            resize(64 * trees.MIB)
            here.must(program.wait(120) == DONE, "it did not end well once there was room")
        finally:
            program.kill()
            program.communicate()
        here.must_be_equal()


def closed_places(here: Ground) -> None:
    """Close a file and a folder: one failed item each, the rest done, and nothing below the folder deleted."""
    prefix = [needs("setpriv"), *AS_ANYBODY] if os.geteuid() == 0 else []
    for number in range(20):
        here.write(f"open/{number}.txt", b"open")
        here.write(f"closed/{number}.txt", b"closed")
    mirror = ("--policy", "delete_propagation=mirror", "--policy", "limits.max_delete_percent=100")
    here.must(here.run(here.copy(*mirror)).status == DONE, "the first run did not end well")
    os.chmod(here.write("open/3.txt", b"changed and closed"), 0)
    os.chmod(os.path.join(here.source, "closed"), 0)
    ended = here.run([*prefix, *here.copy(*mirror)])
    os.chmod(os.path.join(here.source, "closed"), 0o755)
    here.must(ended.status == FAILED_ITEMS, f"it ended with {ended.status}: {ended.err[-200:]}")
    left = len(os.listdir(os.path.join(here.destination, "closed")))
    here.must(left == 20, f"{20 - left} files below a folder that could not be listed were deleted")


def empty_source(here: Ground) -> None:
    """Empty the source, as a mount that failed does: the delete brake stops before the first delete."""
    for number in range(200):
        here.write(f"folder/{number}.txt", b"kept")
    kind = here.chance.choice(["copy", "publish"])
    words = here.command(kind, here.source, here.destination, "--json", "-q")
    if kind == "copy":
        words += ["--policy", "delete_propagation=mirror"]
    here.must(here.run(words).status == DONE, "the first run did not end well")
    trees.remove_tree(here.source)
    os.makedirs(here.source)
    ended = here.run(words)
    left = trees.count(here.destination).files
    here.must(left == 200, f"{200 - left} files were deleted because the source was empty")
    here.must(ended.status != DONE, "an empty source was taken for a good one")


def few_descriptors(here: Ground) -> None:
    """Let the run have few open files: it ends well, or says what it lacks; no crash loop."""
    prlimit = needs("prlimit")
    made = trees.crash_tree(here.source, items=400, seed=here.chance.randrange(1 << 30), budget=4 * trees.MIB)
    ended = here.run([prlimit, "--nofile=64:64", *here.copy()])
    if ended.status != DONE:
        here.must(ended.err.strip() or ended.out.strip(), f"it ended with {ended.status} and said nothing")
        here.finish()
    here.must_be_equal()
    here.must(trees.count(here.destination).files == made.files, "files are missing")


def little_memory(here: Ground) -> None:
    """Let the run have little memory: it ends well, or says in a line what it lacks; what is left is done later."""
    prlimit = needs("prlimit")
    made = trees.crash_tree(here.source, items=400, seed=here.chance.randrange(1 << 30), budget=4 * trees.MIB)
    room = here.chance.choice((128, 160, 192, 256, 320)) * trees.MIB
    ended = here.run([prlimit, f"--data={room}:{room}", *here.copy()])
    if ended.status != DONE:
        here.must(ended.err.strip() or ended.out.strip(), f"it ended with {ended.status} and said nothing")
        here.finish()
    here.must_be_equal()
    here.must_account(made)


def special_files(here: Ground) -> None:
    """Put a FIFO, a socket and setuid bits into the source: nothing blocks, no bit is restored."""
    import socket

    here.write("plain.txt", b"plain")
    os.mkfifo(os.path.join(here.source, "pipe"))
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(here.source)
        listener.bind("socket")
        os.chdir("/")
        os.chmod(here.write("tool", b"#!/bin/sh\n"), 0o6755)
        ended = here.run(here.copy("--policy", "permissions.policy=add"))
    here.must(ended.status == DONE, f"it ended with {ended.status}: {ended.err[-200:]}")
    mode = os.stat(os.path.join(here.destination, "tool")).st_mode & 0o7000
    here.must(mode == 0, f"special bits were restored: {mode:o}")
    here.must(ended.result["skipped"] == 2, f"{ended.result['skipped']} items were left out, and 2 are special")
    here.must(not compare.leftovers(here.destination), "temporaries are left")


def _needs_root(what: str) -> None:
    if os.geteuid() != 0:
        raise NotHere(f"only root may {what}")
