"""Whoever can swap a folder for a link cannot lead us out of the tree (battery P1).

A flipper swaps a folder, or a file, with a link to a place outside, all the time. Outside stands a canary with
the same names. It is never read, and nothing of it changes: not content, mode, owner, names or times.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tallyport.connectors.local import Local
from tallyport.connectors.protocol import Facts
from tallyport.domain.errors import TallyportError
from tallyport.testing import compare, faults, trees
from tests.acceptance import product
from tests.acceptance.product import DONE, FAILED_ITEMS

NIGHTLY = pytest.mark.nightly
CANARY = b"canary: never read, never written"
OURS = b"ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A root with a folder and a file that turn into links, and what they lead to."""

    root: str
    outside: str
    flips: list[tuple[str, str]]

    def canary(self) -> dict[str, tuple[int, ...]]:
        return compare.snapshot(self.outside)


@pytest.fixture
def stage(place):
    """Make root/way/inner/file.txt and root/end.txt; the same stands outside with other content."""
    root, outside, spare = (os.path.join(place, name) for name in ("root", "outside", "spare"))
    for folder, content in ((root, OURS), (outside, CANARY)):
        os.makedirs(os.path.join(folder, "way", "inner"))
        for path in ("way/inner/file.txt", "end.txt"):
            with open(os.path.join(folder, path), "wb") as stream:
                stream.write(content)
    with open(os.path.join(outside, "way", "inner", "only outside.txt"), "wb") as stream:
        stream.write(CANARY)
    os.mkdir(spare)
    os.symlink(os.path.join(outside, "way"), os.path.join(spare, "way"))
    os.symlink(os.path.join(outside, "end.txt"), os.path.join(spare, "end.txt"))
    flips = [(os.path.join(root, name), os.path.join(spare, name)) for name in ("way", "end.txt")]
    return Stage(root=root, outside=outside, flips=flips)


def listing(local: Local, path: str, number: int) -> None:
    names = [entry.name for entry in local.children(os.path.dirname(path))]
    assert "only outside.txt" not in names


def reading(local: Local, path: str, number: int) -> None:
    with local.read(path) as chunks:
        assert CANARY not in b"".join(chunks)


def looking(local: Local, path: str, number: int) -> None:
    entry = local.stat(path)
    if entry is None or entry.target is not None:
        raise TallyportError_not_there
    assert entry.size != len(CANARY)


def hashing(local: Local, path: str, number: int) -> None:
    local.content_hash(path)


def writing(local: Local, path: str, number: int) -> None:
    local.write(path, [OURS], Facts(mode=0o640, modified=number))


def writing_anew(local: Local, path: str, number: int) -> None:
    local.write(beside(path, number), [OURS], Facts())


def making_a_folder(local: Local, path: str, number: int) -> None:
    local.make_container(beside(path, number), Facts(mode=0o700))


def making_a_symlink(local: Local, path: str, number: int) -> None:
    local.make_symlink(beside(path, number), "anywhere", Facts())


def making_a_hard_link(local: Local, path: str, number: int) -> None:
    local.make_hard_link(beside(path, number), path)


def changing_mode_and_time(local: Local, path: str, number: int) -> None:
    local.stamp(path, Facts(mode=0o600 + number % 8, modified=number, owner=1, group=1))


def renaming(local: Local, path: str, number: int) -> None:
    with contextlib.suppress(TallyportError):
        local.write(beside(path, number), [OURS], Facts())
    local.rename(beside(path, number), beside(path, number) + ".renamed")


def deleting(local: Local, path: str, number: int) -> None:
    with contextlib.suppress(TallyportError):
        local.write(path, [OURS], Facts())
    local.delete(path)


def sweeping(local: Local, path: str, number: int) -> None:
    local.sweep(os.path.dirname(path), "local")


def beside(path: str, number: int) -> str:
    return f"{os.path.dirname(path)}/new-{number}".lstrip("/")


OPERATIONS: list[Callable[[Local, str, int], None]] = [
    *(listing, looking, reading, hashing, writing, writing_anew, making_a_folder, making_a_symlink),
    *(making_a_hard_link, changing_mode_and_time, renaming, deleting, sweeping),
]
TallyportError_not_there = FileNotFoundError("not there at this moment")


@pytest.mark.parametrize("attempts", [500, pytest.param(10_000, marks=NIGHTLY)])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
@pytest.mark.parametrize("path", ["way/inner/file.txt", "end.txt"], ids=["a folder on the way", "the last name"])
def test_no_operation_is_led_out(stage, operation, path, attempts):
    """Each call works on our tree or is refused; the canary does not move."""
    before = stage.canary()
    worked = refused = number = 0
    local = Local(stage.root)
    try:
        with faults.Flipper(stage.flips, pause=0.00005) as flipper:
            # A flipper that gets little of the processor is waited for with more attempts, not with fewer flips.
            while number < attempts or flipper.flips <= attempts // 50:
                number += 1
                try:
                    operation(local, path, number)
                    worked += 1
                except (TallyportError, OSError):
                    refused += 1
    finally:
        local.close()
    assert stage.canary() == before
    assert worked, "every attempt was refused: nothing was tried"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("attempts", [500, pytest.param(10_000, marks=NIGHTLY)])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_whole_run_is_not_led_out(place, data, side, attempts):
    """The folders of one side turn into links while the product copies; once it is quiet, a run ends well."""
    source, destination, outside, spare = (
        os.path.join(place, name) for name in ("source", "destination", "outside", "spare")
    )
    trees.bench_tree(source, files=attempts, folders=10, smallest=100, largest=2_000)
    for folder in (destination, spare):
        os.mkdir(folder)
    flips = []
    for number in range(10):
        name = f"folder-{number:04}"
        os.makedirs(os.path.join(outside, name))
        os.makedirs(os.path.join(destination, name))
        for file in os.listdir(os.path.join(source, name)):
            with open(os.path.join(outside, name, file), "wb") as stream:
                stream.write(CANARY)
        os.symlink(os.path.join(outside, name), os.path.join(spare, name))
        flipped = os.path.join(source if side == "source" else destination, name)
        flips.append((flipped, os.path.join(spare, name)))
    before = compare.snapshot(outside)

    with faults.Flipper(flips, pause=0.002) as flipper:
        product.copy(source, destination, data=data).expect(DONE, FAILED_ITEMS)
        while flipper.flips <= 100:
            product.copy(source, destination, data=data).expect(DONE, FAILED_ITEMS)

    assert compare.snapshot(outside) == before
    assert not any(contains(path, CANARY) for path in files_below(destination))
    for _ in range(3):  # names that became links were carried as links: the later runs put that right
        shutil.rmtree(destination)
        os.mkdir(destination)
        if product.copy(source, destination, data=data + "-quiet").status == DONE:
            break
    assert compare.differences(source, destination) == []
    assert compare.leftovers(destination) == []


def files_below(root: str) -> list[str]:
    return [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]


def contains(path: str, wanted: bytes) -> bool:
    if os.path.islink(path):
        return False
    with open(path, "rb") as stream:
        return wanted in stream.read()
