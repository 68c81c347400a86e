"""S and T: the world moves while a run looks at it, and times are odd."""

import os
import threading

from tallyport.battery.ground import DONE, FAILED_ITEMS, Ground
from tallyport.testing import compare, trees

BLOCK = 4096


def rewritten_while_read(here: Ground) -> None:
    """Rewrite files all the time while they are copied: no mix of two contents is ever done."""
    names = [f"file-{number}" for number in range(6)]
    for name in names:
        here.write(name, _content(0))
    stop = threading.Event()

    def write() -> None:
        version = 0
        while not stop.is_set():
            version += 1
            for name in names:
                here.write(name, _content(version % 250))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        ended = here.run(here.copy())
    finally:
        stop.set()
        writer.join()
    here.must(ended.status in (DONE, FAILED_ITEMS), f"it ended with {ended.status}: {ended.err[-200:]}")
    for name in names:
        path = os.path.join(here.destination, name)
        if os.path.exists(path):
            with open(path, "rb") as stream:
                seen = set(stream.read())
            here.must(len(seen) <= 1, f"{name} is a mix of {len(seen)} contents")
    here.finish()
    here.must_be_equal()


def vanishing_folders(here: Ground) -> None:
    """Rename and remove folders while they are scanned: others are done, and the next run converges."""
    for folder in range(40):
        for number in range(10):
            here.write(f"d{folder:02}/{number}.txt", b"content")
    stop = threading.Event()

    def shuffle() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            one = os.path.join(here.source, f"d{turn % 20:02}")
            other = os.path.join(here.source, f"moved-{turn % 20:02}")
            for old, new in ((one, other), (other, one)):
                try:
                    os.rename(old, new)
                except OSError:
                    continue

    shuffler = threading.Thread(target=shuffle)
    shuffler.start()
    try:
        here.run(here.copy())
    finally:
        stop.set()
        shuffler.join()
    ended = here.run(here.copy("--policy", "delete_propagation=mirror", "--policy", "limits.max_delete_percent=100"))
    here.must(ended.status == DONE, f"the next run ended with {ended.status}: {ended.err[-200:]}")
    here.must_be_equal()


def edited_at_the_destination(here: Ground) -> None:
    """Edit files at the destination between two runs: a copy job never overwrites what did not change at the source."""
    for number in range(30):
        here.write(f"{number}.txt", b"from the source")
    here.must(here.run(here.copy()).status == DONE, "the first run did not end well")
    for number in range(10):
        here.write(f"{number}.txt", b"edited by a person", root=here.destination)
    ended = here.run(here.copy())
    here.must(ended.status == DONE, f"it ended with {ended.status}: {ended.err[-200:]}")
    for number in range(10):
        with open(os.path.join(here.destination, f"{number}.txt"), "rb") as stream:
            here.must(stream.read() == b"edited by a person", f"{number}.txt was overwritten")


def odd_times(here: Ground) -> None:
    """Give files times from 1960 to 2106, to the nanosecond: they arrive, and a second run carries nothing."""
    moments = (-315_619_200, 0, 2_147_483_648, 4_294_967_295, 1_600_000_000)
    for number, moment in enumerate(moments):
        path = here.write(f"{number}.txt", b"timed")
        at = moment * 1_000_000_000 + 123_456_789
        os.utime(path, ns=(at, at))
    here.must(here.run(here.copy()).status == DONE, "the first run did not end well")
    here.must_be_equal()
    again = here.run(here.copy())
    here.must(again.status == DONE and again.result["transferred"] == 0, "a second run carried content again")


def second_run_writes_nothing(here: Ground) -> None:
    """Run twice: the second changes nothing at the destination, not even a time of change."""
    trees.sample_tree(here.source, files=300, seed=here.chance.randrange(1 << 30), sparse_size=4 * trees.MIB)
    here.must(here.run(here.copy()).status == DONE, "the first run did not end well")
    before = compare.snapshot(here.destination)
    here.must(here.run(here.copy()).status == DONE, "the second run did not end well")
    here.must(compare.snapshot(here.destination) == before, "the second run touched something")


def _content(version: int) -> bytes:
    return bytes([version]) * BLOCK * 64
