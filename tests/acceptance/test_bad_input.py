"""What people and machines do to a migration, one by one: it refuses, reports or waits, and never guesses."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from tallyport.testing import compare, faults, trees
from tests.acceptance import product
from tests.acceptance.product import DONE, ERROR, FAILED_ITEMS, USAGE

REFUSED = (ERROR, USAGE, 3)  # 3: not found

# Root may read and write everything; without these two rights it is bound by modes like anybody else.
AS_ANYBODY = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    if os.geteuid() == 0
    else []
)


def failed_items(data: str, run: object) -> list[dict[str, str]]:
    """List the failed items of a run."""
    out = product.tallyport("failed", str(run), "--format", "json", data=data).expect(DONE).out
    listed = json.loads(out)["failedItems"]
    assert isinstance(listed, list)
    return listed


def reasons(data: str) -> list[tuple[str, str]]:
    """Give the name and the reason of each item that failed, from the ledger."""
    listed = product.rows(data, "SELECT name, reason FROM items WHERE status IN (3, 4) ORDER BY name")
    return [(os.fsdecode(name), reason) for name, reason in listed]


# What is refused before anything is written


def test_a_missing_source_is_refused(place, data):
    """The path is named, and no destination is made."""
    source, destination = os.path.join(place, "nowhere"), os.path.join(place, "destination")
    ended = product.copy(source, destination, data=data).expect(*REFUSED)
    assert source in ended.out + ended.err
    assert not os.path.exists(destination)


def test_a_source_that_is_a_file_is_refused_or_carried(place, data):
    """One file is no folder: it is refused with its name, or carried; it never becomes an empty success."""
    source, destination = os.path.join(place, "one.txt"), os.path.join(place, "destination")
    with open(source, "w") as stream:
        stream.write("one")
    ended = product.copy(source, destination, data=data)
    if ended.status == DONE:
        assert trees.count(destination).files == 1
    else:
        assert ended.status in REFUSED
        assert "one.txt" in ended.out + ended.err


@pytest.mark.parametrize("below", ["inside", "deep/inside"])
def test_a_destination_inside_the_source_is_refused(data, make, below):
    """It would be copied into itself for ever."""
    source = make({"a.txt": "a", "deep/b.txt": "b"})
    before = compare.snapshot(source)
    ended = product.copy(source, os.path.join(source, below), data=data).expect(*REFUSED)
    assert "inside" in (ended.out + ended.err).lower()
    assert compare.snapshot(source) == before


def test_a_destination_inside_the_source_is_refused_by_another_name_too(place, data, make):
    """A symlink to the source is the source."""
    source = make({"a.txt": "a", "deep/b.txt": "b"})
    os.symlink(source, os.path.join(place, "alias"))
    before = compare.snapshot(source)
    product.copy(source, os.path.join(place, "alias", "deep"), data=data).expect(*REFUSED)
    assert compare.snapshot(source) == before


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../source", "{}/."])
def test_the_same_path_on_both_sides_is_refused(data, make, spelling):
    """However it is spelt."""
    source = make({"a.txt": "a"})
    before = compare.snapshot(source)
    product.copy(source, spelling.format(source), data=data).expect(*REFUSED)
    assert compare.snapshot(source) == before


def test_the_server_refuses_the_same_path_too(place, server, make):
    """The same check stands behind the API; the job is refused, or fails to start, and nothing changes."""
    source = make({"a.txt": "a"})
    before = compare.snapshot(source)
    try:
        job = server.job(source, source)
        server.begin(job)
        assert server.wait(job, patience=30)["status"] == "failed"
    except product.Refused as refusal:
        was = refusal.status
    else:
        was = 409
    assert was in (400, 409, 422)
    assert compare.snapshot(source) == before


def test_an_unknown_policy_is_a_wrong_call(place, data, make):
    """A misspelt policy is refused with its name, not ignored."""
    source = make({"a.txt": "a"})
    ended = product.copy(source, os.path.join(place, "d"), "--policy", "delete_propogation=mirror", data=data)
    assert ended.status == USAGE
    assert "delete_propogation" in ended.err
    assert not os.path.exists(os.path.join(place, "d"))


def test_a_second_process_on_the_data_folder_is_refused_and_named_the_first(place, server, make):
    """One writer; the refusal says who holds the folder."""
    source = make({"a.txt": "a"})
    assert server.program is not None
    holder = str(server.program.pid)

    one_shot = product.copy(source, os.path.join(place, "d"), data=server.data, timeout=60).expect(ERROR)
    port = str(product.free_port())
    second = product.tallyport("serve", "--port", port, "--data", server.data, data=server.data, timeout=60)

    assert holder in one_shot.out + one_shot.err
    assert second.status == ERROR
    assert holder in second.out + second.err
    assert server.answers()


# What cannot be read or written


@pytest.mark.needs("setpriv")
def test_an_unreadable_folder_is_unknown_so_nothing_below_it_is_deleted(place, data, make):
    """One failed item, the rest done; a job that repeats deletes leaves its subtree alone."""
    source = make({"closed/a.txt": "a", "closed/deep/b.txt": "b", "open/c.txt": "c", "open/gone.txt": "g"})
    destination = os.path.join(place, "destination")
    mirror = ["--policy", "delete_propagation=mirror", "--policy", "max_delete_percent=100"]
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
    assert [item["entity"] for item in failed_items(data, ended.result["run_id"])] == [f"{source}/closed/"]
    assert os.path.exists(os.path.join(destination, "open", "c.txt"))
    os.chmod(os.path.join(source, "closed"), 0o755)
    run = str(ended.result["run_id"])
    product.tallyport("runs", "retry", run, data=data, prefix=AS_ANYBODY).expect(DONE)
    assert compare.differences(source, destination) == []


@pytest.mark.needs("setpriv")
def test_an_unreadable_file_is_one_failed_item(place, data, make):
    """The others in its folder arrive."""
    source = make({"folder/closed.txt": "a", "folder/open.txt": "b"})
    destination = os.path.join(place, "destination")
    os.chmod(os.path.join(source, "folder", "closed.txt"), 0)
    ended = product.copy(source, destination, data=data, prefix=AS_ANYBODY).expect(FAILED_ITEMS)
    listed = failed_items(data, ended.result["run_id"])
    assert [item["entity"] for item in listed] == [f"{source}/folder/closed.txt"]
    assert "ermission" in listed[0]["failureReason"]
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


@contextlib.contextmanager
def disk(path: str, size: int):
    """Mount a small disk, or skip the test where that is not allowed."""
    with contextlib.ExitStack() as stack:
        try:
            resize = stack.enter_context(faults.small_disk(path, size))
        except PermissionError as refusal:
            pytest.skip(str(refusal))
        yield resize


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
def test_a_full_disk_pauses_a_one_shot(place, data, make):
    """The command says why it waits, and ends well once there is room."""
    source = make({f"folder/{number}.bin": bytes([number]) * trees.MIB for number in range(20)})
    mount = os.path.join(place, "disk")
    log = os.path.join(place, "log")
    with disk(mount, 8 * trees.MIB) as resize:
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


def text(path: str) -> str:
    with open(path, errors="replace") as words:
        return words.read()


# What changes under our hands


def test_vanished_files_leave_the_others_alone(place, data):
    """Files that go while we look: each is carried whole, or reported, and the rest arrives."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.bench_tree(source, files=6_000, folders=60)
    doomed = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(source)
        for name in names
        if name < "file-0004"
    ]
    random.Random(5).shuffle(doomed)

    def remove() -> None:
        assert faults.wait_until(lambda: os.path.isdir(destination), 60, step=0.001)
        for path in doomed[:2_000]:
            os.unlink(path)

    remover = threading.Thread(target=remove)
    remover.start()
    ended = product.copy(source, destination, data=data)
    remover.join()

    ended.expect(DONE, FAILED_ITEMS)
    assert {reason for _, reason in reasons(data)} <= {"not_found", "changed_during_copy"}
    found = compare.differences(source, destination, times=False, limit=10_000)
    assert [line for line in found if "not expected" not in line] == []
    assert compare.leftovers(destination) == []


def test_a_vanished_folder_leaves_the_others_alone(place, data):
    """A folder that goes between listing and visit is reported, and the rest arrives."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.bench_tree(source, files=6_000, folders=200)

    def remove() -> None:
        assert faults.wait_until(lambda: os.path.isdir(destination), 60, step=0.001)
        for number in range(199, 150, -1):
            shutil.rmtree(os.path.join(source, f"folder-{number:04}"))

    remover = threading.Thread(target=remove)
    remover.start()
    ended = product.copy(source, destination, data=data)
    remover.join()

    ended.expect(DONE, FAILED_ITEMS)
    assert {reason for _, reason in reasons(data)} <= {"not_found", "changed_during_copy", "not_listed"}
    found = compare.differences(source, destination, times=False, limit=10_000)
    assert [line for line in found if "not expected" not in line] == []


REWRITE = """
import os, sys, random
chance = random.Random(1)
file = os.open(sys.argv[1], os.O_WRONLY)
size = os.fstat(file).st_size
print("writing", flush=True)
while True:
    os.pwrite(file, chance.randbytes(512), chance.randrange(size - 512))
"""


@pytest.mark.timeout(240)
def test_a_file_that_changes_while_it_is_read_fails_with_that_reason(place, data, make):
    """Tried a few times, then failed: a mixture of old and new is never called done. Later it goes."""
    source, destination = make({"still.txt": "s"}), os.path.join(place, "destination")
    busy = os.path.join(source, "busy.bin")
    with open(busy, "wb") as stream:
        stream.write(random.Random(2).randbytes(48 * trees.MIB))
    with subprocess.Popen([sys.executable, "-c", REWRITE, busy], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            ended = product.copy(source, destination, data=data, timeout=120)
        finally:
            writer.kill()

    ended.expect(FAILED_ITEMS)
    assert reasons(data) == [("busy.bin", "changed_during_copy")]
    assert sorted(os.listdir(destination)) == ["still.txt"]
    product.tallyport("runs", "retry", str(ended.result["run_id"]), data=data).expect(DONE)
    assert compare.differences(source, destination) == []


# What is no file


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
    assert {(os.fsdecode(name), reason) for name, reason in left_out} == {
        (name, "ignored_item_type") for name in names
    }


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

    ended = product.copy(source, destination, data=data).expect(FAILED_ITEMS)
    listed = failed_items(data, ended.result["run_id"])

    assert len(listed) == 1
    assert "caf\\xe9\\xff.txt" in listed[0]["entity"]
    os.rmdir(os.path.join(os.fsencode(destination), b"folder", odd))
    product.tallyport("runs", "retry", str(ended.result["run_id"]), data=data).expect(DONE)
    assert compare.differences(source, destination) == []


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


# What an untrusted source or destination tries


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


def test_the_clock_of_a_run_is_told(place, data, make):
    """The result names its run and its time; a script can rely on them."""
    source = make({"a.txt": "a"})
    begun = time.monotonic()
    result = product.copy(source, os.path.join(place, "d"), data=data).expect(DONE).result
    assert {"run_id", "status", "items", "bytes", "failed", "skipped", "seconds"} <= set(result)
    assert 0 < result["seconds"] <= time.monotonic() - begun
