"""Items that are no plain files, names that are no plain names, and what an untrusted side tries."""

from __future__ import annotations

import contextlib
import os
import socket
import stat

import pytest

from tallyport.testing import compare, trees
from tests.acceptance import product
from tests.acceptance.product import DONE, FAILED_ITEMS, text


@pytest.mark.timeout(60)
def test_fifos_sockets_and_devices_are_left_out_and_never_opened(place, data, make):
    """Reading a FIFO nobody writes to would block for ever; each is skipped with its reason."""
    source, destination = make({"file.txt": "f"}), os.path.join(place, "destination")
    os.mkfifo(os.path.join(source, "pipe"))
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(source)  # the name of a socket may be 107 bytes long
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        names = {"pipe", "socket"}
        with contextlib.suppress(PermissionError):
            os.mknod(os.path.join(source, "device"), stat.S_IFCHR | 0o600, os.makedev(1, 5))
            names.add("device")
        ended = product.copy(source, destination, data=data, timeout=40).expect(DONE)
    assert os.listdir(destination) == ["file.txt"]
    assert ended.result["skipped"] == len(names)
    left_out = product.rows(data, "SELECT name, reason FROM items WHERE status = 5")
    assert {(os.fsdecode(name), reason) for name, reason in left_out} == {(name, "ignored_item_type") for name in names}


@pytest.mark.timeout(60)
def test_loops_of_symlinks_end(place, data, make):
    """Links are carried as the text they are; a link to the folder above is not walked."""
    source, destination = make({"a/b/file.txt": "f"}), os.path.join(place, "destination")
    os.symlink("..", os.path.join(source, "a", "b", "up"))
    os.symlink(source, os.path.join(source, "a", "root"))
    os.symlink("me", os.path.join(source, "me"))
    product.copy(source, destination, data=data, timeout=40).expect(DONE)
    assert compare.differences(source, destination) == []


def test_names_that_are_not_utf_8_arrive_and_are_shown(place, data, make):
    """The bytes arrive as they are; where such an item fails, every output is still valid JSON."""
    source, destination = make({"folder/ok.txt": "o"}), os.path.join(place, "destination")
    odd = b"caf\xe9\xff.txt"
    for name in (odd, b"\xc3\x28", b"fine \xe9"):
        with open(os.path.join(os.fsencode(source), b"folder", name), "wb") as stream:
            stream.write(name)
    os.makedirs(os.path.join(os.fsencode(destination), b"folder", odd))

    product.copy(source, destination, data=data).expect(FAILED_ITEMS)
    listed = product.failed_items(data)

    assert [item["path"] for item in listed] == ["folder/caf\\xe9\\xff.txt"]
    os.rmdir(os.path.join(os.fsencode(destination), b"folder", odd))
    product.tallyport("runs", "retry", "last", data=data).expect(DONE)
    assert compare.differences(source, destination) == []


def test_a_time_that_no_ledger_can_count_does_not_stop_the_run(place, data, make):
    """The year 2381 is more nanoseconds than 63 bits: that file is carried or reported, the others arrive."""
    source, destination = make({"future.txt": "f", "a.txt": "a"}), os.path.join(place, "destination")
    os.utime(os.path.join(source, "future.txt"), ns=(0, 13_000_000_000 * 10**9))
    if os.stat(os.path.join(source, "future.txt")).st_mtime_ns != 13_000_000_000 * 10**9:
        pytest.skip("the file system has no such time either")
    ended = product.copy(source, destination, data=data).expect(DONE, FAILED_ITEMS)
    assert text(os.path.join(destination, "a.txt")) == "a"
    if ended.status == DONE:
        assert compare.differences(source, destination) == []
    product.copy(source, destination, data=data).expect(ended.status)


def test_paths_longer_than_the_system_takes_at_once_are_accounted_for(place, data):
    """5 000 bytes of path: carried or reported, but counted. Nothing is merged or forgotten."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    with trees.Builder(source, seed=1) as build:
        path = "long"
        for level in range(25):
            path += f"/{level:02}" + "x" * 198
            build.file(f"{path}/file.txt", 10)
        made = build.finish()
    ended = product.copy(source, destination, data=data).expect(DONE, FAILED_ITEMS)
    arrived = deep_count(destination)
    failed = ended.result["failed"]
    assert arrived == made.items or failed > 0, "items are missing and none was reported"
    assert sum(product.item_counts(data).values()) >= arrived


def deep_count(root: str) -> int:
    """Count all entries, however long their paths are."""
    found = 0
    pending = [os.open(root, trees.FOLDER)]
    while pending:
        folder = pending.pop()
        for name in os.listdir(folder):
            found += 1
            with contextlib.suppress(NotADirectoryError):
                pending.append(os.open(name, trees.FOLDER, dir_fd=folder))
        os.close(folder)
    return found


def test_a_file_named_like_a_temporary_of_ours_is_not_forgotten(place, data, make):
    """Somebody may have such a name: it is carried or reported, and one at the destination stays."""
    source, destination = (
        make({".tallyport-notes.txt": "mine", "a.txt": "a"}),
        os.path.join(place, "destination"),
    )
    os.mkdir(destination)
    with open(os.path.join(destination, ".tallyport-other"), "w") as stream:
        stream.write("theirs")
    ended = product.copy(source, destination, data=data).expect(DONE, FAILED_ITEMS)
    assert os.path.exists(os.path.join(destination, ".tallyport-other"))
    arrived = os.path.exists(os.path.join(destination, ".tallyport-notes.txt"))
    assert arrived or ended.result["failed"] + ended.result["skipped"] == 1


def test_setuid_and_setgid_do_not_travel(place, data, make):
    """A program that runs as its owner is not planted at the destination."""
    source, destination = make({"tool": "#!/bin/sh"}), os.path.join(place, "destination")
    os.chmod(os.path.join(source, "tool"), 0o6755)
    product.copy(source, destination, data=data).expect(DONE)
    assert stat.S_IMODE(os.stat(os.path.join(destination, "tool")).st_mode) == 0o755


def test_a_hard_link_at_the_destination_does_not_lead_to_its_victim(place, data, make):
    """A name linked to a file outside is replaced, never written through."""
    source, destination = make({"a.txt": "new content"}), os.path.join(place, "destination")
    os.mkdir(destination)
    victim = os.path.join(place, "victim")
    with open(victim, "w") as stream:
        stream.write("victim")
    os.link(victim, os.path.join(destination, "a.txt"))
    product.copy(source, destination, data=data).expect(DONE)
    assert text(victim) == "victim"
    assert text(os.path.join(destination, "a.txt")) == "new content"


def test_a_link_at_the_destination_is_not_walked_through(place, data, make):
    """A symlink in the place of a folder leads out: nothing is written there, and the folder is reported."""
    source, destination = make({"folder/a.txt": "a", "b.txt": "b"}), os.path.join(place, "destination")
    outside = os.path.join(place, "outside")
    os.mkdir(outside)
    os.mkdir(destination)
    os.symlink(outside, os.path.join(destination, "folder"))
    before = compare.snapshot(outside)
    ended = product.copy(source, destination, data=data)
    assert compare.snapshot(outside) == before
    ended.expect(FAILED_ITEMS)
    assert text(os.path.join(destination, "b.txt")) == "b"
    assert ended.result["failed"] >= 1
