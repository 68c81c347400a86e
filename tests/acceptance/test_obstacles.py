"""What cannot be read or written: it is reported or waited for, and nothing is guessed or lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys

import pytest

from tallyport.testing import compare, faults, shortages, trees
from tests.acceptance import product
from tests.acceptance.product import AS_ANYBODY, DONE, ERROR, FAILED_ITEMS, reasons, text


@pytest.mark.needs("setpriv")
def test_an_unreadable_folder_is_unknown_so_nothing_below_it_is_deleted(place, data, make):
    """One failed item, the rest done; a job that repeats deletes leaves its subtree alone."""
    source = make({"closed/a.txt": "a", "closed/deep/b.txt": "b", "open/c.txt": "c", "open/gone.txt": "g"})
    destination = os.path.join(place, "destination")
    mirror = ["--policy", "delete_propagation=mirror", "--policy", "limits.max_delete_percent=100"]
    product.copy(source, destination, *mirror, data=data).expect(DONE)
    os.unlink(os.path.join(source, "open", "gone.txt"))
    os.chmod(os.path.join(source, "closed"), 0)

    ended = product.copy(source, destination, *mirror, data=data, prefix=AS_ANYBODY)
    os.chmod(os.path.join(source, "closed"), 0o755)

    ended.expect(FAILED_ITEMS)
    assert trees.count(os.path.join(destination, "closed")).files == 2
    assert not os.path.exists(os.path.join(destination, "open", "gone.txt"))
    assert reasons(data) == [("closed", "permission_denied")]


@pytest.mark.needs("setpriv")
def test_an_unreadable_folder_is_one_failed_item(place, data, make):
    """It is named with its reason, the rest arrives, and opening it and trying again ends the story."""
    source = make({"closed/a.txt": "a", "closed/deep/b.txt": "b", "open/c.txt": "c"})
    destination = os.path.join(place, "destination")
    os.chmod(os.path.join(source, "closed"), 0)
    ended = product.copy(source, destination, data=data, prefix=AS_ANYBODY).expect(FAILED_ITEMS)
    assert ended.result["failed"] == 1
    assert [item["path"] for item in product.failed_items(data)] == ["closed"]
    assert os.path.exists(os.path.join(destination, "open", "c.txt"))
    os.chmod(os.path.join(source, "closed"), 0o755)
    product.tallyport("runs", "retry", "last", data=data, prefix=AS_ANYBODY).expect(DONE)
    assert compare.differences(source, destination) == []


@pytest.mark.needs("setpriv")
def test_an_unreadable_file_is_one_failed_item(place, data, make):
    """The others in its folder arrive."""
    source = make({"folder/closed.txt": "a", "folder/open.txt": "b"})
    destination = os.path.join(place, "destination")
    os.chmod(os.path.join(source, "folder", "closed.txt"), 0)
    product.copy(source, destination, data=data, prefix=AS_ANYBODY).expect(FAILED_ITEMS)
    listed = product.failed_items(data)
    assert [(item["path"], item["reason"]) for item in listed] == [("folder/closed.txt", "permission_denied")]
    assert listed[0]["message"]
    assert os.listdir(os.path.join(destination, "folder")) == ["open.txt"]


@pytest.mark.needs("setpriv")
def test_a_destination_without_permission_is_reported(place, data, make):
    """Nothing is written, nothing hangs, and the reason is permission."""
    source, destination = make({"a.txt": "a"}), os.path.join(place, "destination")
    os.mkdir(destination, 0o555)
    ended = product.copy(source, destination, data=data, prefix=AS_ANYBODY, timeout=60)
    assert ended.status in (ERROR, FAILED_ITEMS, product.STOPPED)
    assert "ermission" in ended.out + ended.err or ("a.txt", "permission_denied") in reasons(data)
    assert os.listdir(destination) == []


def test_a_read_only_destination_is_reported(place, data, make):
    """A read-only mount: one clear sentence, not a million failed items, and no endless wait."""
    source = make({f"folder/{number}.txt": "x" for number in range(50)})
    mount = os.path.join(place, "disk")
    with disk(mount, 8 * trees.MIB):
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        ended = product.copy(source, mount, data=data, timeout=60)
        assert ended.status in (ERROR, FAILED_ITEMS, product.STOPPED)
        assert "read-only" in (ended.out + ended.err).lower()
        assert os.listdir(mount) == []


@pytest.mark.timeout(240)
def test_a_full_disk_pauses_a_job_of_the_server(place, server, make):
    """The old content stays, no temporary does, the job says why it waits, and goes on when there is room."""
    source = make({"old.bin": b"old" * 300_000, "small.txt": "s"})
    mount = os.path.join(place, "disk")
    with disk(mount, 12 * trees.MIB) as resize:
        job = server.job(source, mount)
        server.begin(job)
        assert server.wait(job)["status"] == "complete"
        old = os.path.join(source, "old.bin")
        with open(old, "wb") as stream:
            stream.write(random.Random(1).randbytes(20 * trees.MIB))
        with open(os.path.join(source, "also.bin"), "wb") as stream:
            stream.write(bytes(range(256)) * 8_000)
        server.begin(job)

        def waits() -> bool:
            return server.state(job)["status"] == "waiting"

        assert faults.wait_until(waits, 60, step=0.2), server.state(job)
        told = json.dumps(server.call("GET", f"/v1/jobs/{job}"))
        assert "no_space" in told or "space" in told.lower(), told
        assert text(os.path.join(mount, "old.bin")) == "old" * 300_000
        assert compare.leftovers(mount) == []

        resize(64 * trees.MIB)
        assert server.wait(job, patience=120)["status"] == "complete"
        assert compare.differences(source, mount) == []
        assert compare.leftovers(mount) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["disk", pytest.param("quota", marks=pytest.mark.needs("mkfs.btrfs"))])
def test_a_full_disk_pauses_a_one_shot(place, data, make, kind):
    """D1: the command says why it waits, and ends well once there is room on the disk, or under a folder's quota."""
    source = make({f"folder/{number}.bin": bytes([number]) * trees.MIB for number in range(20)})
    mount = os.path.join(place, "disk")
    log = os.path.join(place, "log")
    with disk(mount, 8 * trees.MIB, kind) as resize:
        with open(log, "wb") as stream:
            program = faults.spawn(
                [*product.PROGRAM, "copy", source, mount, *product.FAITHFUL],
                env=product.environment(data),
                stdout=stream,
                stderr=stream,
            )
        try:
            assert faults.wait_until(lambda: "space" in text(log).lower(), 60, step=0.2), text(log)
            assert program.poll() is None, f"ended with {program.returncode}: {text(log)}"
            resize(64 * trees.MIB)
            assert program.wait(120) == DONE, text(log)
        finally:
            faults.kill(program)
        assert compare.differences(source, mount) == []
        assert compare.leftovers(mount) == []


@contextlib.contextmanager
def disk(path: str, size: int, kind: str = "disk"):
    """Mount a small disk, or one with a small quota, or skip the test where that is not allowed."""
    make = faults.small_disk if kind == "disk" else shortages.quota
    with contextlib.ExitStack() as stack:
        try:
            resize = stack.enter_context(make(path, size))
        except PermissionError as refusal:
            pytest.skip(str(refusal))
        yield resize


def test_a_damaged_ledger_ends_the_run_with_a_word_and_deletes_nothing(place, data, make):
    """C9: it is refused and explained, never waited for."""
    source = make({"a.txt": "a", "b.txt": "b"})
    destination = os.path.join(place, "destination")
    mirror = ["--policy", "delete_propagation=mirror", "--policy", "limits.max_delete_percent=100"]
    product.copy(source, destination, *mirror, data=data).expect(DONE)
    os.unlink(os.path.join(source, "b.txt"))
    faults.spoil(product.ledger_file(data), "audit")
    ended = product.copy(source, destination, *mirror, data=data, timeout=60)
    assert ended.status not in (DONE, FAILED_ITEMS)
    assert "is damaged" in ended.err
    assert "put a backup in its place" in ended.err
    assert text(os.path.join(destination, "b.txt")) == "b"


@contextlib.contextmanager
def control_group(**limits: int):
    """Make a control group, or skip the test where that is not allowed."""
    with contextlib.ExitStack() as stack:
        try:
            prefix = stack.enter_context(shortages.control_group(**limits))
        except PermissionError as refusal:
            pytest.skip(str(refusal))
        yield prefix


def test_a_run_keeps_within_the_memory_of_its_control_group(place, data, make):
    """D4: a file far bigger than the memory it may have, and many small ones: it is slower, and nothing is killed."""
    source = make({f"folder/{number}.txt": bytes([number % 251]) * 3_000 for number in range(600)})
    with open(os.path.join(source, "big.bin"), "wb") as stream:
        stream.write(random.Random(3).randbytes(1 << 20) * 96)
    destination = os.path.join(place, "destination")
    with control_group(memory=80 * trees.MIB) as prefix:
        product.copy(source, destination, data=data, prefix=prefix).expect(DONE)
    assert compare.differences(source, destination) == []


def test_a_run_that_may_have_few_threads_says_so_and_goes_on_when_it_may_have_more(place, data, make):
    """D4: one sentence that names the limit, no crash loop, and the next run ends it."""
    source = make({f"folder/{number}.txt": "x" for number in range(200)})
    destination = os.path.join(place, "destination")
    with control_group(processes=8) as prefix:
        ended = product.copy(source, destination, data=data, prefix=prefix, timeout=60)
    assert ended.status == ERROR
    assert "as many threads, as it needs" in ended.err
    assert len(ended.err.strip().splitlines()) == 1, ended.err
    product.copy(source, destination, data=data).expect(DONE)
    assert compare.differences(source, destination) == []


def test_a_busy_neighbour_slows_a_run_and_fails_nothing(place, data, make):
    """D4: every processor is taken twice over, and the run goes on to its end."""
    source = make({f"folder/{number}.txt": "x" for number in range(200)})
    destination = os.path.join(place, "destination")
    busy = [sys.executable, "-c", "while True: pass"]
    with contextlib.ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            stack.callback(faults.kill, faults.spawn(busy))
        product.copy(source, destination, data=data).expect(DONE)
    assert compare.differences(source, destination) == []
