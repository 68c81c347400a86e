"""C5, I1, I2: a worker that was frozen past its lease, and goes on when others have ended the run, spoils nothing.

Frozen before each call by which it changes anything, one after the other: the others do all there is to do, and then
it goes on. It may still make that one call. What it made is taken away again, and folders have the times that the
others gave them.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors import hashing, local_calls, local_content, local_files
from tallyport.domain.capabilities import Durability
from tallyport.domain.policies import DeletePropagation, PermissionsPolicy, Policies, TransferType
from tallyport.engine import staging
from tallyport.engine.lease import clock
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.testing.compare import differences, leftovers
from tests.engine.desk import Desk

PART = 80 * 1024  # bytes of a part of a big file: real ones take long to compare
HOUR = 3_600_000_000_000
MAKING = os.O_CREAT | (os.O_TMPFILE & ~os.O_DIRECTORY)  # flags by which an open makes a file
CHANGING = (
    *("chmod", "chown", "fchmod", "fchown", "ftruncate", "link", "mkdir", "pwrite", "pwritev"),
    *("rename", "rmdir", "setxattr", "symlink", "unlink", "utime", "write"),
)

FAITHFUL = {"permissions_policy": PermissionsPolicy.ADD, "preserve_owners": os.geteuid() == 0}
KINDS: dict[str, dict[str, Any]] = {
    "staged": {},
    "at once": {"durability": Durability.NONE},
    "faithful": FAITHFUL,
    "replacing": {"transfer_type": TransferType.PUBLISH, "delete_propagation": DeletePropagation.MIRROR},
}


class Freezer:
    """Lets something happen in one thread, before the n-th call that changes anything there."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.at = 0
        self.calls: list[str] = []
        self.thread = 0
        self.happens: Callable[[str], None] = lambda call: None
        for name in CHANGING:
            patch.setattr(os, name, self._watched(name, getattr(os, name)))
        patch.setattr(os, "open", self._watched("open", os.open, lambda given: given[1] & MAKING))
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, lambda fd: None)  # nobody pulls the plug here
        patch.setattr(local_calls, "syncfs", lambda fd: 0)
        patch.setattr(hashing, "PART", PART)
        for module in (local_content, local_files, staging):
            patch.setattr(module, "RACY", 0)  # all files are new here, and nobody changes them
        renames = self._watched("renameat2", local_calls.rename_noreplace)
        patch.setattr(local_calls, "rename_noreplace", renames)

    def _watched(
        self, name: str, real: Callable[..., Any], counts: Callable[..., object] = lambda given: True
    ) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if threading.get_ident() == self.thread and counts(given):
                self.calls.append(name)
                if len(self.calls) == self.at:
                    self.happens(name)
            return real(*given, **named)

        return call


class Place:
    """A tree with something of everything, and what stood at the destination before."""

    def __init__(self, folder: Path, **policies: Any) -> None:
        self.source, self.destination = folder / "source", folder / "destination"
        self.policies = Policies(**{"transfer_type": TransferType.COPY, **policies})
        self._fill()

    def _fill(self) -> None:
        write(self.source, "a", "sub/b", "sub/deep/c", "sub/deep/d", "other/e")
        os.link(self.source / "sub/b", self.source / "other/linked")
        os.symlink("a", self.source / "sub/to")
        with open(self.source / "other/big", "wb") as stream:
            stream.write(b"content" * (PART // 5))
        self.destination.mkdir()
        if self.policies.transfer_type is TransferType.PUBLISH:
            write(self.destination, "a", "sub/b", "sub/foreign", "gone/x", "other/linked", content="older")
        for path in (*self.source.rglob("*"), self.source):
            os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)

    def desk(self) -> Desk:
        ends = [("fs", json.dumps({"path": str(path)}), "") for path in (self.source, self.destination)]
        return Desk(ends[0], ends[1], self.policies, part_size=PART, group=4)


def write(folder: Path, *names: str, content: str = "content") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{content} of {name}")


@pytest.fixture
def freezer(monkeypatch) -> Freezer:
    return Freezer(monkeypatch)


@pytest.fixture
def late() -> Iterator[ThreadCrew]:
    made = ThreadCrew(1, leased=True)
    made.start()
    yield made
    made.close()


@pytest.fixture
def others() -> Iterator[ThreadCrew]:
    made = ThreadCrew(1)
    made.start()
    yield made
    made.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_frozen_before_any_call_spoils_nothing(tmp_path, freezer, late, others, kind) -> None:
    (worker,) = late._threads
    assert worker.ident is not None
    freezer.thread = worker.ident
    spoilt: list[str] = []
    while True:
        freezer.at, freezer.calls = freezer.at + 1, []
        place = Place(tmp_path / str(freezer.at), **KINDS[kind])
        run = Frozen(place, freezer, late, others)
        late.renew(clock() + HOUR)
        run.desk.run(late)
        if not run.was_frozen:
            break
        where = f"before call {freezer.at}, {run.call} (then {', '.join(freezer.calls[freezer.at :])})"
        assert run.ended == ({}, {}, [], []), f"what the others did, {where}"
        found = differences(str(place.source), str(place.destination)) + leftovers(str(place.destination))
        if found:
            spoilt.append(f"{where}: {found}")
    assert freezer.at > 20
    assert not spoilt, "\n".join(spoilt)


class Frozen:
    """A run whose worker stands still at a call until others, who took its work over, have ended the run."""

    def __init__(self, place: Place, freezer: Freezer, late: ThreadCrew, others: ThreadCrew) -> None:
        self.desk = place.desk()
        self.desk.on_event = self._look
        self._place, self._late, self._others = place, late, others
        self._thaw = threading.Event()
        self.was_frozen = False
        self.call = ""
        self.ended: tuple[object, ...] = ()
        freezer.happens = self._freeze

    def _freeze(self, call: str) -> None:
        self.was_frozen, self.call = True, call
        self.desk.reports.put(("frozen",))  # after all that it reported before
        assert self._thaw.wait(60)

    def _look(self, event: tuple[Any, ...]) -> None:
        if event != ("frozen",):
            return
        self._late.renew(clock() - 1)
        try:
            outcome = self.desk.taken_over().run(self._others, resume=True)
            found = differences(str(self._place.source), str(self._place.destination))
            self.ended = outcome.errors, dict(outcome.halted), outcome.lost, found
        finally:
            self._thaw.set()
