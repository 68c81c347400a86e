"""Measures movers alone, without engine and ledger: ``python -m tests.engine.throughput FOLDER [ROUNDS]``.

Makes W1 (100 000 files of 1-8 KiB in 1 000 folders) in FOLDER once, then copies it by ``cp -a`` and by two movers in
turn, and once more by the movers with nothing changed. Prints wall and CPU seconds: read their ratios.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

from tallyport.domain.capabilities import Durability
from tallyport.domain.policies import Policies, TransferType
from tallyport.engine.mover_pool import MoverPool
from tallyport.testing.trees import bench_tree
from tests.engine.desk import Desk


def seconds() -> tuple[float, float, float]:
    """Give wall seconds, and CPU seconds of this process and of its children that ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return time.perf_counter(), own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def said(name: str, before: tuple[float, float, float]) -> None:
    wall, own, children = (now - then for now, then in zip(seconds(), before, strict=True))
    load = os.getloadavg()[0]
    print(f"{name:22} wall {wall:6.2f}  CPU here {own:5.2f}  CPU children {children:5.2f}  (load {load:.1f})")


def main(folder: str, rounds: int) -> None:
    source, destination = os.path.join(folder, "w1-source"), os.path.join(folder, "w1-destination")
    if not os.path.exists(source):
        bench_tree(source)
    for _ in range(rounds):
        subprocess.run(["rm", "-rf", destination], check=True)
        before = seconds()
        subprocess.run(["cp", "-a", source, destination], check=True)
        said("cp -a", before)
        for durability in (Durability.NONE, Durability.GROUP):
            subprocess.run(["rm", "-rf", destination], check=True)
            ends = [("fs", json.dumps({"path": path}), "") for path in (source, destination)]
            policies = Policies(transfer_type=TransferType.COPY, durability=durability, max_items_per_container=None)
            desk = Desk(ends[0], ends[1], policies, group=16)
            for what in (f"movers, {durability}", "  again, unchanged"):
                before = seconds()
                pool = MoverPool(2)
                pool.start()
                outcome = desk.run(pool)
                pool.close()
                said(what, before)
                assert not outcome.errors, outcome.errors
                assert not outcome.lost, outcome.lost


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
