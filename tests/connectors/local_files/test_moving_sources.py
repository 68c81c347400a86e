"""A source that changes under the reader."""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading
import time

import pytest

from tallyport.connectors import local_content, local_files
from tallyport.connectors.local_files import (
    hash_file,
)
from tallyport.domain.capabilities import Durability
from tallyport.domain.errors import ErrorKind, TallyportError
from tests.connectors.local_files.conftest import (
    KIB,
    MIB,
    MOMENT,
    NONE,
    Two,
    copy,
    frozen,
    in_time,
    landed,
    refused,
)

# -- a source that moves under us


@pytest.mark.parametrize("size", [10, 200 * KIB])
def test_a_source_changed_since_listing_is_not_copied(two: Two, level: Durability, size: int) -> None:
    entry = two.file("a", b"x" * size)
    two.file("a", b"y" * size)  # same size, same time
    refused(copy(two, entry, level), ErrorKind.CHANGED_DURING_COPY)
    two.file("a", b"y" * (size + 1))
    refused(copy(two, entry, level), ErrorKind.CHANGED_DURING_COPY)
    two.file("a", b"y" * (size - 1))
    refused(copy(two, entry, level), ErrorKind.CHANGED_DURING_COPY)
    os.unlink(f"{two.source}/a")
    refused(copy(two, entry, level), ErrorKind.NOT_FOUND)
    assert two.everything() == []


@pytest.mark.parametrize("size", [10, 3 * MIB])
@pytest.mark.parametrize("change", ["rewrite", "append", "cut", "replace"])
def test_a_source_that_changes_midway_leaves_the_old_content(
    two: Two, level: Durability, size: int, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = two.file("a", b"x" * size)
    seen = two.put("a", b"old")
    path = f"{two.source}/a"

    def strike() -> None:
        if change == "replace":
            two.file("b", b"y" * size)
            os.rename(f"{two.source}/b", path)
        elif change == "cut":
            os.truncate(path, size // 2)
        else:
            with open(path, "r+b") as stream:
                stream.seek(0, os.SEEK_END if change == "append" else os.SEEK_SET)
                stream.write(b"y")
        os.utime(path, ns=(MOMENT, MOMENT))

    read, preadv = os.pread, os.preadv
    strikes = [strike]

    def pread_then(fd: int, *arguments: object) -> bytes:
        data = read(fd, *arguments)  # type: ignore[arg-type]
        if strikes:
            strikes.pop()()
        return data

    def preadv_then(fd: int, *arguments: object) -> int:
        length = preadv(fd, *arguments)  # type: ignore[arg-type]
        if strikes:
            strikes.pop()()
        return length

    monkeypatch.setattr(os, "pread", pread_then)
    monkeypatch.setattr(os, "preadv", preadv_then)
    refused(copy(two, entry, level, replaces=seen), ErrorKind.CHANGED_DURING_COPY)
    assert strikes == []
    monkeypatch.undo()
    assert two.content("a") == b"old"
    assert two.everything() == ["a"]


@pytest.mark.parametrize("size", [10, 200 * KIB])
def test_a_racy_file_is_read_twice(two: Two, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed within one tick of the kernel's clock: the ctime says nothing, the second reading does."""
    entry = two.file("a", b"x" * size)
    slept = []

    def meanwhile(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            with open(f"{two.source}/a", "r+b") as stream:
                stream.write(b"y")

    for module in (local_content, local_files):
        monkeypatch.setattr(module, "RACY", 60 * 10**9)
    monkeypatch.setattr(time, "sleep", meanwhile)
    landed(copy(two, entry, NONE, "b"))
    monkeypatch.setattr(os, "fstat", frozen(os.fstat))
    refused(copy(two, entry, NONE, "c"), ErrorKind.CHANGED_DURING_COPY)
    monkeypatch.undo()
    assert slept == [60, 60]
    assert two.everything() == ["b"]


@pytest.mark.parametrize("what", ["symlink", "fifo", "folder", "socket"])
@pytest.mark.parametrize("size", [10, 200 * KIB])
def test_something_else_in_the_place_of_a_source_file_is_not_read(
    two: Two, level: Durability, what: str, size: int
) -> None:
    entry = two.file("a", b"x" * size)
    path = f"{two.source}/a"
    with open(f"{two.place}/secret", "wb") as stream:
        stream.write(b"s" * size)
    os.unlink(path)
    if what == "symlink":
        os.symlink("../secret", path)
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        os.mkdir(path)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
    with in_time():
        outcome = copy(two, entry, level)
    refused(outcome, ErrorKind.CHANGED_DURING_COPY)
    assert two.everything() == []
    os.unlink(f"{two.place}/secret")


def test_a_fifo_swapped_in_keeps_what_is_in_it(two: Two) -> None:
    entry = two.file("a", b"x" * 10)
    os.unlink(f"{two.source}/a")
    os.mkfifo(f"{two.source}/a")
    reader_fd = os.open(f"{two.source}/a", os.O_RDONLY | os.O_NONBLOCK)
    writer_fd = os.open(f"{two.source}/a", os.O_WRONLY)
    os.write(writer_fd, b"in the pipe")
    with in_time():
        refused(copy(two, entry, NONE), ErrorKind.CHANGED_DURING_COPY)
    assert os.read(reader_fd, 100) == b"in the pipe"
    os.close(reader_fd)
    os.close(writer_fd)


def test_reading_leaves_no_trace_at_the_source(two: Two) -> None:
    entry = two.file("a", modified=MOMENT + 10**9)  # read before it was changed: relatime would note a reading
    landed(copy(two, entry, NONE))
    hash_file(two.s_fd, "a")
    assert two.seen("a") == entry


@pytest.mark.parametrize("rounds", [60, pytest.param(5_000, marks=pytest.mark.nightly)])
@pytest.mark.timeout(1800)
def test_whatever_a_racy_writer_does_meanwhile_no_mix_of_two_contents_lands(two: Two, rounds: int) -> None:
    """S1, I1, I2: appended, cut, rewritten with its size and time, replaced; each leaves a file of one byte's value."""
    seed = int(os.environ.get("TALLYPORT_SEED") or random.randrange(1 << 31))
    print(f"TALLYPORT_SEED={seed}")
    chance = random.Random(seed)
    two.file("a", b"\0" * 100_000)
    path, ended = f"{two.source}/a", threading.Event()
    done = {"rewrite": 0, "append": 0, "cut": 0, "replace": 0}

    def write() -> None:
        version = 0
        while not ended.is_set():
            version = (version + 1) % 250
            change, size = chance.choice(sorted(done)), chance.choice((10, 5_000, 100_000, 400_000))
            there = os.stat(path)
            if change == "replace":
                two.file("b", bytes([version]) * size)
                os.rename(f"{two.source}/b", path)
            elif change == "cut":
                os.truncate(path, there.st_size // 2)
            else:
                fd = os.open(path, os.O_RDWR)
                if change == "append":
                    os.pwrite(fd, os.pread(fd, 1, 0) * min(size, 400_000 - there.st_size), there.st_size)
                else:
                    os.pwrite(fd, bytes([version]) * there.st_size, 0)
                os.close(fd)
            os.utime(path, ns=(MOMENT, there.st_mtime_ns))
            done[change] += 1
            time.sleep(chance.choice((0, 0.0005, 0.005, 0.05)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        arrived = 0
        for number in itertools.count():
            if number >= rounds and (
                min(done.values()) > 0 or not writer.is_alive()
            ):  # a fast machine is through early
                break
            outcome = copy(two, two.seen("a"), NONE, f"copy-{number}")
            if isinstance(outcome, TallyportError):
                assert outcome.kind is ErrorKind.CHANGED_DURING_COPY
                assert two.everything() == []
                continue
            arrived += 1
            content = two.content(f"copy-{number}")
            assert len(set(content)) <= 1, f"round {number}: a mix of {len(set(content))} contents"
            os.unlink(f"{two.destination}/copy-{number}")
    finally:
        ended.set()
        writer.join()
    print(f"{rounds} rounds, {arrived} copies arrived, beside {done}")
    assert min(done.values()) > 0
