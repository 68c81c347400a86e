"""The instruments themselves: they see what they are for, so that their silence means something."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tallyport.testing import compare, faults, trees


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("kit") / "source")
    trees.sample_tree(root, files=250, sparse_size=8 * trees.MIB)
    yield root
    trees.remove_tree(root)


def copied(sample: str, place: str, *command: str) -> str:
    """Copy the sample by a known program."""
    target = os.path.join(place, "copy")
    subprocess.run([*command, target], check=True)
    return target


def test_a_seed_always_makes_the_same_tree(sample, place):
    other = os.path.join(place, "other")
    trees.sample_tree(other, files=250, sparse_size=8 * trees.MIB)
    assert compare.differences(sample, other) == []


def test_the_counts_of_a_tree_are_true(place):
    path = os.path.join(place, "sample")
    assert trees.sample_tree(path, files=300) == trees.count(path)
    path = os.path.join(place, "bench")
    assert trees.bench_tree(path, files=300) == trees.count(path)
    path = os.path.join(place, "crash")
    made = trees.crash_tree(path, items=1_000, budget=8 * trees.MIB)
    assert made == trees.count(path)
    assert made.items == 1_000
    assert made.bytes <= 8 * trees.MIB


def test_a_faithful_copy_has_no_differences(sample, place):
    assert compare.differences(sample, copied(sample, place, "cp", "-a", sample)) == []


@pytest.mark.parametrize(
    ("break_it", "seen"),
    [
        (lambda root: os.unlink(root + "/names/case.txt"), "'names/case.txt': missing"),
        (lambda root: os.mkdir(root + "/surprise"), "'surprise': not expected"),
        (lambda root: os.truncate(root + "/hard/pair.txt", 9), "'hard/pair.txt': 9 bytes, not 10"),
        (lambda root: flip_byte(root + "/data/disk.img", 7 << 20), "content differs at byte 7340032"),
        (lambda root: os.utime(root + "/links", ns=(0, 1)), "'links': modified at 1, not"),
        (lambda root: os.chmod(root + "/times/file-1.txt", 0o601), "'times/file-1.txt': mode 0601, not"),
        (lambda root: replace_link(root + "/links/up", "down"), "'links/up': leads to 'down', not"),
        (lambda root: replace_link(root + "/links/target.txt", "x"), "'links/target.txt': symlink, not file"),
    ],
)
def test_each_kind_of_difference_is_seen(sample, place, break_it, seen):
    target = copied(sample, place, "cp", "-a", sample)
    break_it(target)
    found = compare.differences(sample, target)
    assert any(seen in line for line in found), found


def flip_byte(path: str, at: int) -> None:
    with open(path, "r+b") as stream:
        stream.seek(at)
        stream.write(b"\xff")


def replace_link(path: str, target: str) -> None:
    os.unlink(path)
    os.symlink(target, path)


@pytest.mark.needs("rsync")
def test_broken_hard_links_and_filled_holes_are_seen(sample, place):
    target = copied(sample, place, "rsync", "-a", sample + "/")
    found = compare.differences(sample, target)
    assert len([line for line in found if "a file of its own" in line]) == 3
    assert len([line for line in found if "holes were filled" in line]) == 1
    assert len(found) == 4


def test_differences_stop_at_their_limit(place):
    for side in "ab":
        os.mkdir(os.path.join(place, side))
    for number in range(20):
        os.mkdir(os.path.join(place, "a", str(number)))
    found = compare.differences(os.path.join(place, "a"), os.path.join(place, "b"), times=False, limit=5)
    assert len(found) == 6
    assert found[-1] == "... and more"


# Kills and disks


def test_a_killed_group_leaves_nobody():
    fate = faults.killed_after(["sh", "-c", "sleep 60 & sleep 60"], 0.2)
    assert fate.was_killed
    assert fate.seconds < 5


def test_who_outlives_the_first_process_is_named():
    program = faults.spawn(["sh", "-c", "sleep 60 & sleep 60; true"])
    time.sleep(0.2)
    with pytest.raises(TimeoutError, match="sleep 60"):
        faults.kill(program, whole_group=False, patience=0.3)


def test_a_program_that_ends_in_time_keeps_its_status():
    assert faults.killed_after(["sh", "-c", "exit 3"], 20).status == 3


def test_a_small_disk_fills_up_and_grows(place):
    mount = os.path.join(place, "disk")
    try:
        with faults.small_disk(mount, trees.MIB) as resize:
            file = os.open(os.path.join(mount, "x"), os.O_WRONLY | os.O_CREAT)
            try:
                assert os.write(file, bytes(2 * trees.MIB)) == trees.MIB
                resize(4 * trees.MIB)
                assert os.write(file, bytes(2 * trees.MIB)) == 2 * trees.MIB
            finally:
                os.close(file)
    except PermissionError as refusal:
        pytest.skip(str(refusal))
    assert not os.path.exists(mount)


def test_the_flipper_shows_both_faces_and_puts_all_back(place):
    real, link = os.path.join(place, "real"), os.path.join(place, "link")
    os.mkdir(real)
    os.symlink("/nowhere", link)
    with faults.Flipper([(real, link)]) as flipper:
        faces = {os.path.islink(real)}
        while faces != {True, False} or flipper.flips <= 10:
            faces.add(os.path.islink(real))
    assert flipper.flips > 10
    assert os.path.isdir(real)
    assert os.path.islink(link)


# The reader of strace logs


GOOD = [
    '7 openat(3</d/f>, ".tallyport-1", O_WRONLY|O_CREAT|O_EXCL, 0600) = 5</d/f/.tallyport-1>',
    '7 write(5</d/f/.tallyport-1>, "x\\"y)", 4) = 4',
    "7 fchmod(5</d/f/.tallyport-1>, 0644) = 0",
    "7 fsync(5</d/f/.tallyport-1>) = 0",
    '7 renameat(3</d/f>, ".tallyport-1", 3</d/f>, "one.txt") = 0',
    "7 fsync(3</d/f>) = 0",
    '9 pwrite64(6</l/ledger.db-wal>, "\\0\\1one.txt\\377", 11, 0) = 11',
]


def violations(log: list[str]) -> list[str]:
    seen = faults.order_of_steps(log, destination="/d", ledger="/l")
    assert seen.files == {"/d/f/one.txt"}
    return [line.partition(": ")[2] for line in seen.violations]


def swapped(a: int, b: int) -> list[str]:
    log = list(GOOD)
    log[a], log[b] = log[b], log[a]
    return log


def test_the_right_order_passes():
    assert violations(GOOD) == []


@pytest.mark.parametrize(
    ("log", "wrong"),
    [
        (swapped(2, 3), "renamed to its final name before its content was synced"),
        (swapped(3, 4), "renamed to its final name before its content was synced"),
        (swapped(4, 5), "its folder was not synced after the rename"),
        (swapped(5, 6), "named in the ledger before its folder was synced"),
        (GOOD[:6], "never named in the ledger"),
        ([line for line in GOOD if "fsync(3" not in line], "its folder was not synced after the rename"),
        ([*GOOD[:5], '7 write(5</d/f/one.txt>, "x", 1) = 1', *GOOD[5:]], "changed after it was renamed"),
        ([*GOOD[:3], GOOD[3].replace("= 0", "= -1 EIO"), *GOOD[4:]], "before its content was synced"),
    ],
)
def test_each_step_out_of_order_is_seen(log, wrong):
    assert any(wrong in line for line in violations(log)), violations(log)


def test_a_sync_of_the_whole_file_system_counts_for_all():
    log = [line.replace("fsync(5</d/f/.tallyport-1>)", "syncfs(3</d/f>)") for line in GOOD]
    log = [line.replace("7 fsync(3</d/f>)", "8 syncfs(3</d>)") for line in log]
    assert violations(log) == []


def test_a_sync_counts_only_from_its_end():
    """A rename while the sync is still under way is too early."""
    log = [*GOOD[:3], "7 fsync(5</d/f/.tallyport-1> <unfinished ...>", "8" + GOOD[4][1:]]
    log += ["7 <... fsync resumed>) = 0", *GOOD[5:]]
    assert violations(log) == ["renamed to its final name before its content was synced"]


def test_a_staged_folder_is_followed_to_its_final_name():
    log = [
        '7 openat(3</d/.tallyport-9>, "one.txt", O_WRONLY|O_CREAT|O_EXCL, 0600) = 5</d/.tallyport-9/one.txt>',
        '7 write(5</d/.tallyport-9/one.txt>, "x", 1) = 1',
        "7 syncfs(4</d>) = 0",
        '7 renameat2(4</d>, ".tallyport-9", 4</d>, "f", RENAME_NOREPLACE) = 0',
        "7 fsync(4</d>) = 0",
        GOOD[6],
    ]
    assert violations(log) == []


NAMELESS = [
    '7 openat(3</d/f>, ".", O_WRONLY|O_TMPFILE, 0600) = 5</d/f/#12>(deleted)',
    '7 write(5</d/f/#12>(deleted), "x", 1) = 1',
    "7 fsync(5</d/f/#12>(deleted)) = 0",
    '7 linkat(4</proc/7/fd>, "5", 3</d/f>, "one.txt", AT_SYMLINK_FOLLOW) = 0',
    *GOOD[5:],
]


def test_a_file_without_a_name_is_followed_to_the_one_it_gets():
    assert violations(NAMELESS) == []
    unsynced = [line for line in NAMELESS if "fsync(5" not in line]
    assert violations(unsynced) == ["renamed to its final name before its content was synced"]


def test_a_descriptor_opened_by_one_thread_may_be_linked_by_another():
    threads = ["7 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x1}, 88) = 8", *NAMELESS[:3]]
    assert violations([*threads, "8" + NAMELESS[3][1:], *NAMELESS[4:]]) == []


@pytest.mark.needs("strace")
def test_a_real_log_is_understood(place):
    """A program that does it right, with an awkward name, from strace's mouth."""
    os.mkdir(os.path.join(place, "d"))
    program = """
import os, sqlite3, sys
place, name = sys.argv[1], os.fsdecode(b'a<b>"\\n\\xff.txt')
ledger = sqlite3.connect(place + "/ledger.db", isolation_level=None)
ledger.execute("PRAGMA journal_mode=WAL")
ledger.execute("CREATE TABLE items (name)")
folder = os.open(place + "/d", os.O_RDONLY)
file = os.open(".tallyport-1", os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=folder)
os.write(file, b"content")
os.utime(file, ns=(1, 1))
os.fsync(file)
os.rename(".tallyport-1", name, src_dir_fd=folder, dst_dir_fd=folder)
os.fsync(folder)
ledger.execute("INSERT INTO items VALUES (?)", (os.fsencode(name),))
"""
    log = os.path.join(place, "log")
    subprocess.run([*faults.STRACE, "-o", log, sys.executable, "-c", program, place], check=True)
    with open(log, encoding="utf-8", errors="surrogateescape") as stream:
        seen = faults.order_of_steps(stream, destination=os.path.join(place, "d"), ledger=place)
    assert seen.files == {os.path.join(place, "d", os.fsdecode(b'a<b>"\n\xff.txt'))}
    assert seen.violations == []
