"""Where attacks happen: a scratch folder, a ledger in it, and the product run from outside."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tallyport.testing import compare, faults, trees

PROGRAM = [sys.executable, "-m", "tallyport"]
DONE, FAILED_ITEMS = 0, 5
PATIENCE = 300.0  # seconds that one run may take


class Broken(Exception):
    """A promise did not hold; the text says how."""


class NotHere(Exception):
    """This machine cannot make the attack; the text says what it lacks."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the product ended."""

    status: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """Give the last line of ``--json``."""
        found: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return found


class Ground:
    """One scratch folder with a source, a destination and a data folder. Made anew for each round."""

    def __init__(self, folder: str, seed: int) -> None:
        self.folder = folder
        self.source = os.path.join(folder, "source")
        self.destination = os.path.join(folder, "destination")
        self.data = os.path.join(folder, "data")
        self.chance = random.Random(seed)

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TALLYPORT_")}
        return {**kept, "TALLYPORT_DATA": self.data}

    def command(self, *words: str) -> list[str]:
        return [*PROGRAM, *words]

    def copy(self, *options: str) -> list[str]:
        """Give the command of the run that attacks strike."""
        return self.command("copy", self.source, self.destination, "--json", "-q", *options)

    def run(self, command: Sequence[str]) -> Ended:
        """Run a command to its end."""
        done = subprocess.run(
            command,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=PATIENCE,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def killed(self, command: Sequence[str], seconds: float) -> bool:
        """Run a command and kill it, movers and all, after so many seconds; False when it ended before."""
        fate = faults.killed_after(command, seconds, env=self.environment(), whole_group=False)
        return fate.status is None

    def finish(self) -> Ended:
        """Go on until a run ends by itself, and try again what it flagged; that must end well.

        A container that ended every process that touched it is flagged: a person asks for it again.
        """
        ended = self.run(self.copy())
        if ended.status == FAILED_ITEMS:
            ended = self.run(self.command("runs", "retry", "last"))
        self.must(ended.status == DONE, f"the run after the attack ended with {ended.status}: {ended.err[-300:]}")
        return ended

    def must(self, holds: object, what: str) -> None:
        """Raise Broken unless something holds."""
        if not holds:
            raise Broken(what)

    def must_be_equal(self, *, links: bool = True) -> None:
        """Both trees are equal, and nothing of ours lies about. ``links``: names of one file are one file there."""
        found = compare.differences(self.source, self.destination, modes=False, owners=False, links=links)
        self.must(not found, f"the trees differ: {'; '.join(found[:3])}")
        left = compare.leftovers(self.destination)
        self.must(not left, f"temporaries are left: {', '.join(left[:3])}")

    def must_account(self, made: trees.Tree) -> None:
        """The ledger has one settled row for each item, and no work that is open."""
        rows = self.rows("SELECT count(*), sum(status IN (1, 2)) FROM items WHERE parent_id <> 0")
        self.must(rows == [(made.items, made.items)], f"the ledger holds {rows[0]} of {made.items} items")
        for table in ("visits", "tasks"):
            open_rows = self.rows(f"SELECT count(*) FROM {table} WHERE state IN ('pending', 'claimed', 'blocked')")
            self.must(open_rows == [(0,)], f"{open_rows[0][0]} {table} are open")

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the ledger, from outside."""
        path = os.path.join(self.data, "ledger.db")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as raw:
            return list(raw.execute(statement))

    def write(self, name: str, content: bytes, *, root: str | None = None) -> str:
        """Make or replace a file below the source, or below another root."""
        path = os.path.join(root or self.source, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)
        return path


@contextmanager
def ground(scratch: str, seed: int) -> Iterator[Ground]:
    """Make a fresh ground and clear it away."""
    folder = os.path.join(scratch, f"round-{seed}-{time.monotonic_ns()}")
    os.makedirs(folder)
    made = Ground(folder, seed)
    os.makedirs(made.data, 0o700)
    try:
        yield made
    finally:
        trees.remove_tree(folder)


@contextmanager
def server(here: Ground, port: int, env: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server on the ground's data folder."""
    program = subprocess.Popen(
        here.command("serve", "--port", str(port)),
        env={**here.environment(), **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield program
    finally:
        if program.poll() is None:
            program.send_signal(signal.SIGKILL)
        program.wait()


def needs(program: str) -> str:
    """Find a program that an attack needs."""
    found = shutil.which(program)
    if found is None:
        raise NotHere(f"{program} is not installed")
    return found
