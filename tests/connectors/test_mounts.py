"""What is mounted over a network has another machine's clock, and some file systems keep times in steps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallyport.connectors import mounts
from tallyport.connectors.local import Local
from tallyport.connectors.opening import open_connection
from tallyport.domain.capabilities import UNMEASURED_SKEW

LINE = "{number} 1 {device} / {place} rw,relatime shared:1 master:2 - {type} {source} rw,vers=4.2\n"


@pytest.mark.parametrize(
    ("type", "skew", "step"),
    [
        ("nfs4", UNMEASURED_SKEW, 1),
        ("cifs", UNMEASURED_SKEW, 1),
        ("fuse.sshfs", UNMEASURED_SKEW, 1),
        ("ext4", 0, 1),
        ("vfat", 0, 2_000_000_000),
    ],
)
def test_how_a_folder_is_mounted_tells_whose_clock_dates_it_and_how_finely(
    type: str, skew: int, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = os.stat(tmp_path).st_dev
    table = tmp_path / "mountinfo"
    table.write_text(
        LINE.format(number=1, device="0:999999", place="/other", type="nfs4", source="nas:/other")
        + LINE.format(
            number=2, device=f"{os.major(number)}:{os.minor(number)}", place="/mnt", type=type, source="nas:/mnt"
        )
    )
    monkeypatch.setattr(mounts, "_MOUNTS", str(table))
    opened = open_connection("fs", {"path": str(tmp_path)})
    assert (opened.limits.clock_skew, opened.limits.time_precision) == (skew, step)
    opened.close()


def test_where_mounts_are_not_told_a_folder_is_this_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "_MOUNTS", str(tmp_path / "none"))
    opened = Local(str(tmp_path))
    assert opened.limits.clock_skew == 0
    opened.close()
