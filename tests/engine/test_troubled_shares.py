"""Over a bad line to a share every item is right or said: nothing damaged counts as carried or stays half done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallyport.store.database import Database
from tallyport.testing.wire import Snag, wired
from tallyport.testing.worlds import content
from tests.engine.pairs import End, Way
from tests.engine.places import Places, kind

MIB = 1024 * 1024
BIG = 2 * MIB
SIXTEENTHS = [BIG * n // 16 for n in range(1, 17)]
SHARES = [kind(name) for name in ("sftp", "smb", "wsgidav", "ftp")]
HURRY = {"timeout": 5.0}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "deep").mkdir(parents=True)
    for number in range(12):
        (root / "deep" / f"small-{number}").write_bytes(content(5_000 * number, number))
    (root / "big").write_bytes(content(BIG, 77))
    return root


def seen(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def snags(share: str, *, up: bool, at: list[int]) -> list[Snag]:
    """Give a trouble of each kind in turn. Of FTP only commands pass here: data have connections of their own.

    A flipped bit is found by SSH and by the signatures of SMB. Plain HTTP has nothing to find it with: there what was
    sent is read again, and what is read is read twice.
    """
    if share == "ftp":
        return [Snag(at=one, up=up, **{trouble: True}) for one, trouble in ((900, "cuts"), (1_000, "resets"))]  # type: ignore[arg-type]
    kinds = ("cuts", "flips", "resets")
    made = [Snag(at=one, up=up, **{kinds[n % 3]: True}) for n, one in enumerate(at)]  # type: ignore[arg-type]
    return [Snag(at=at[0] // 2, up=up, delay=0.2), *made]


FEW = [SIXTEENTHS[2], SIXTEENTHS[9]]
EVERY = [pytest.param(FEW, id="few"), pytest.param(SIXTEENTHS, id="sixteenths", marks=pytest.mark.nightly)]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("at", EVERY)
def test_a_bad_line_there_and_back_leaves_every_item_right_or_said(
    database: Database, places: Places, source: Path, tmp_path: Path, share: str, at: list[int]
) -> None:
    place = places.new(share)
    here = seen(source)

    def right_or_said(root: Path, failed: int) -> None:
        there = seen(root)
        assert there == {name: here[name] for name in there}
        assert len(here) - len(there) <= failed

    with wired(place.served.port, *snags(share, up=True, at=at)) as wire:
        there = place.by(wire.port, **HURRY).end
        up = Way(database, End("fs", {"path": str(source)}), there).run()
        assert up.state == "complete", up.info
        assert wire.fired
    assert Way(database, place.end, End("fs", {"path": str(tmp_path / "calm")})).run().failed == 0
    right_or_said(tmp_path / "calm", up.failed)

    fixed = Way(database, End("fs", {"path": str(source)}), place.end).run()
    assert fixed.failed == 0, "what was said to have failed is carried by the next run"
    with wired(place.served.port, *snags(share, up=False, at=at)) as wire:
        there = place.by(wire.port, **HURRY).end
        down = Way(database, there, End("fs", {"path": str(tmp_path / "back")})).run()
        assert down.state == "complete", down.info
        assert wire.fired
    right_or_said(tmp_path / "back", down.failed)
