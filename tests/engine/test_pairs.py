"""From a folder to every kind of server and back, and between them: equal, nothing left to do. rclone agrees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallyport.store.database import Database
from tallyport.testing.worlds import content
from tests.engine.pairs import End, Way, pictured
from tests.engine.places import OBJECTS, PRECISION, SECOND, SHARES, Places, kind

MOMENT = 1_700_000_000 * SECOND + 123_456_789
SIZES = {
    "nothing": 0,
    "a/one.txt": 1000,
    "a/deep/er/two words & %41+.bin": 3000,
    "\u00fc \U0001f600/caf\u00e9 (1).txt": 4000,
    ".hidden": 5000,
    "big.bin": 12_000_000,
}
IN_PARTS = {"huge.bin": 70_000_000}  # to stores that take a big file in parts


def planted(root: Path, *names: str) -> int:
    """Make a tree with an empty folder, odd names, and files of none, one and several requests; gives how many."""
    for folder in ("a/deep/er", "empty", "\u00fc \U0001f600"):
        (root / folder).mkdir(parents=True)
    sizes = SIZES | IN_PARTS if all(name in OBJECTS for name in names) else SIZES
    for number, (name, size) in enumerate(sizes.items()):
        path = root / name
        path.write_bytes(content(size, number + 1))
        os.utime(path, ns=(MOMENT, MOMENT + number * SECOND))
    return len(sizes)


@pytest.mark.parametrize("name", [kind(name) for name in (*OBJECTS, *SHARES)])
def test_a_tree_comes_back_as_it_went(database: Database, places: Places, tmp_path: Path, name: str) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    files = planted(source, name)
    there = places.new(name)
    way = Way(database, End("fs", {"path": str(source)}), there.end)
    first = way.run()
    assert (first.result, first.failed, first.transferred) == ("clean", 0, files), first.info
    there.refereed(source)
    again = way.run()
    assert (again.failed, again.transferred, again.writes) == (0, 0, 0), "a second run finds nothing to do"
    home = Way(database, there.end, End("fs", {"path": str(back)})).run()
    assert home.failed == 0
    precision = PRECISION.get(name, 1)
    assert pictured(back, precision) == pictured(source, precision)


ACROSS = (
    *(("s3", "azure"), ("azure", "gcs")),
    *(("s3", "smb"), ("smb", "s3"), ("sftp", "s3"), ("wsgidav", "s3")),
    *(("smb", "wsgidav"), ("sftp", "smb"), ("nextcloud", "sftp")),
)


@pytest.mark.parametrize(("one", "other"), [kind(*pair) for pair in ACROSS])
def test_a_tree_goes_from_one_to_another(
    database: Database, places: Places, tmp_path: Path, one: str, other: str
) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    files = planted(source, one, other)
    middle, end = places.new(one), places.new(other)
    first = Way(database, End("fs", {"path": str(source)}), middle.end).run()
    assert first.failed == 0
    second = Way(database, middle.end, end.end).run()
    assert (second.failed, second.transferred) == (0, files)
    end.refereed(source)
    home = Way(database, end.end, End("fs", {"path": str(back)})).run()
    assert home.failed == 0
    # What differs is what the plan tells before: times are kept to the step of the coarser of the two.
    precision = max(PRECISION.get(one, 1), PRECISION.get(other, 1))
    assert pictured(back, precision) == pictured(source, precision)
