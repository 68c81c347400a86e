"""What is measured: each workload with its tree, what happens between runs, and the goal it has."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from tallyport.testing import trees


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """How many times as much the peer must need as we do."""

    peer: str  # short name of the peer
    least: float
    of: str = "wall"  # or cpu
    ours: str = "tallyport"  # which of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One thing that is measured."""

    title: str
    make: Callable[[str, float], trees.Tree]
    first: bool  # every run starts with an empty destination; otherwise it follows an earlier run
    goals: tuple[Goal, ...]
    change: Callable[[str, int], None] | None = None  # what happens at the source before each round
    sync: bool = False  # the time includes bringing everything to the disk
    levels: tuple[str, ...] = ("none",)
    peers: tuple[str, ...] = ()  # beside those that were asked for


def small_files(root: str, scale: float) -> trees.Tree:
    """100 000 files of 1-8 KiB in 1 000 folders."""
    return trees.bench_tree(root, files=scaled(100_000, scale), folders=scaled(1_000, scale))


def large_files(root: str, scale: float) -> trees.Tree:
    """20 files of 256 MiB; a smaller scale makes them smaller, not fewer."""
    size = scaled(256 * trees.MIB, scale)
    return trees.bench_tree(root, files=20, folders=1, smallest=size, largest=size)


def a_million(root: str, scale: float) -> trees.Tree:
    """1 000 000 files of at most 1 KiB in 10 000 folders."""
    files, folders = scaled(1_000_000, scale), scaled(10_000, scale)
    return trees.bench_tree(root, files=files, folders=folders, smallest=1, largest=trees.KIB)


def change_one_percent(root: str, number: int) -> None:
    """Write one file in a hundred anew, others in each round, with content and size of its own."""
    chance = random.Random(number)
    files = [os.path.join(folder, name) for folder, _, names in sorted(os.walk(root)) for name in sorted(names)]
    for path in files[number % 100 :: 100]:
        with open(path, "wb") as stream:
            stream.write(chance.randbytes(chance.randint(trees.KIB, 8 * trees.KIB)))


def scaled(number: int, scale: float) -> int:
    return max(int(number * scale), 1)


WORKLOADS = {
    "W1": Workload(
        title="100 000 files of 1-8 KiB in 1 000 folders, first copy",
        make=small_files,
        first=True,
        levels=("none", "group"),
        goals=(
            Goal(peer="rclone", least=3.5),
            Goal(peer="rclone", least=3.0, of="cpu"),
            Goal(peer="rsync", least=2.4),
            Goal(peer="cp", least=1.2),
            Goal(peer="rclone", least=2.4, ours="tallyport, group"),
            Goal(peer="rsync", least=1.6, ours="tallyport, group"),
            Goal(peer="rsync-fsync", least=8.0, ours="tallyport, group"),
        ),
    ),
    "W2": Workload(
        title="the tree of W1 again, nothing changed",
        make=small_files,
        first=False,
        goals=(Goal(peer="rclone", least=2.0), Goal(peer="rsync", least=1.0)),
    ),
    "W3": Workload(
        title="the tree of W1 again, 1 % of the files changed",
        make=small_files,
        first=False,
        change=change_one_percent,
        goals=(Goal(peer="rclone", least=1.9), Goal(peer="rsync", least=1.0)),
    ),
    "W4": Workload(
        title="20 files of 256 MiB, first copy, with a final sync",
        make=large_files,
        first=True,
        sync=True,
        goals=(Goal(peer="rclone", least=2.4), Goal(peer="rsync", least=1.4)),
    ),
    "W8": Workload(
        title="1 000 000 files, second run, nothing changed",
        make=a_million,
        first=False,
        goals=(Goal(peer="rclone", least=2.0), Goal(peer="rsync", least=1.0)),
    ),
}
