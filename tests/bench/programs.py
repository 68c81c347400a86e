"""The programs that are measured: ours and its peers, each with the call that does the same job."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

OURS = [sys.executable, "-m", "tallyport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A way to copy one folder to another."""

    name: str
    call: tuple[str, ...]  # {source}, {destination} and {data} are filled in
    again: tuple[str, ...] = ()  # the call for a second run; empty = the same
    fine: frozenset[int] = field(default=frozenset({0}))  # exit statuses that are a success

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("tallyport")

    def command(self, source: str, destination: str, data: str, *, again: bool = False) -> list[str]:
        """Fill in the folders."""
        places = {"source": source, "destination": destination, "data": data}
        words = self.again if again and self.again else self.call
        return [word.format(**places) for word in words]


def tallyport(durability: str = "none") -> Program:
    """Ours, with verification by hash and the ledger on."""
    call = [*OURS, "copy", "{source}", "{destination}", "--data", "{data}", "--json", "-q"]
    name = "tallyport" if durability == "none" else f"tallyport, {durability}"
    return Program(name=name, call=(*call, "--policy", f"durability={durability}"))


def peer(name: str) -> Program:
    """A program to compare with, by its short name."""
    return PEERS[name]


def rclone_path() -> str:
    """Find the rclone of the environment before that of the system."""
    beside = os.path.join(os.path.dirname(sys.executable), "rclone")
    return beside if os.path.exists(beside) else "rclone"


RCLONE = (rclone_path(), "--config", os.devnull, "copy", "{source}", "{destination}")
PEERS = {
    "rclone": Program(name="rclone copy", call=RCLONE),
    "rsync": Program(name="rsync -a", call=("rsync", "-a", "{source}/", "{destination}/")),
    "rsync-fsync": Program(name="rsync -a --fsync", call=("rsync", "-a", "--fsync", "{source}/", "{destination}/")),
    "cp": Program(
        name="cp -a",
        call=("cp", "-a", "{source}/.", "{destination}/"),
        again=("cp", "-au", "{source}/.", "{destination}/"),
    ),
}


def missing(names: Sequence[str]) -> list[str]:
    """Name the peers that are not on this machine."""
    return [name for name in names if shutil.which(PEERS[name].call[0]) is None]


def versions(names: Sequence[str]) -> dict[str, str]:
    """Say which release of each program is measured."""
    asked = {"cp": "cp --version", "rsync": "rsync --version", "rsync-fsync": "rsync --version"}
    found = {}
    for name in names:
        command = [RCLONE[0], "version"] if name == "rclone" else asked[name].split()
        found[name] = first_line(command)
    found["tallyport"] = first_line([*OURS, "--version"])
    found["python"] = sys.version.split()[0]
    return found


def first_line(command: Sequence[str]) -> str:
    """Give the first line of what a program says, in which its version is."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError as problem:
        return f"not there: {problem.strerror}"
    return (done.stdout or done.stderr).strip().partition("\n")[0]
