"""The main job: a tree arrives whole, every item is accounted for, and a second run finds nothing to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tallyport.testing import compare, faults, trees
from tests.acceptance import product
from tests.acceptance.product import DONE, FAILED_ITEMS, INTERRUPTED

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def test_everything_arrives_and_is_accounted_for(place, data):
    """Content, names, times, modes, links and holes are equal; the ledger has one row for each item."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    made = trees.sample_tree(source, files=1_000)

    result = product.copy(source, destination, data=data).expect(DONE).result

    assert compare.differences(source, destination) == []
    assert compare.leftovers(destination) == []
    assert result["failed"] == 0
    assert result["skipped"] == 0
    assert result["items"] == made.files + made.symlinks
    assert result["folders"] in (made.folders, made.folders + 1)  # with or without the one above all
    assert result["bytes"] == made.bytes
    assert result["seconds"] > 0
    assert sum(product.item_counts(data).values()) == made.items


def test_a_second_run_writes_nothing_at_the_destination(place, data):
    """Not one inode, size, time or owner at the destination moves, the times of last change included."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.sample_tree(source, files=600)
    product.copy(source, destination, data=data).expect(DONE)
    before = compare.snapshot(destination)

    again = product.copy(source, destination, data=data).expect(DONE).result

    assert compare.snapshot(destination) == before
    assert again["failed"] == 0


def test_a_run_with_another_ledger_adopts_what_is_there(place, data):
    """Without a baseline, equal content is recognised by looking, not copied again."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    made = trees.sample_tree(source, files=400)
    product.copy(source, destination, data=data).expect(DONE)
    before = compare.snapshot(destination)

    product.copy(source, destination, data=os.path.join(place, "another")).expect(DONE)

    assert compare.snapshot(destination) == before
    assert sum(product.item_counts(os.path.join(place, "another")).values()) == made.items


def test_only_what_changed_is_carried(place, data):
    """A new, a changed and a touched file are carried; all else keeps its inode."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.bench_tree(source, files=200, folders=10)
    product.copy(source, destination, data=data).expect(DONE)
    before = compare.snapshot(destination)
    with open(os.path.join(source, "folder-0003", "new.txt"), "w") as stream:
        stream.write("new")
    with open(os.path.join(source, "folder-0005", "file-0000100.dat"), "ab") as stream:
        stream.write(b"more")
    os.utime(os.path.join(source, "folder-0007", "file-0000140.dat"), ns=(1, 2))

    product.copy(source, destination, data=data).expect(DONE)

    after = compare.snapshot(destination)
    assert compare.differences(source, destination) == []
    moved = {path for path in after if before.get(path, (0,))[0] != after[path][0]}
    assert {"folder-0003/new.txt", "folder-0005/file-0000100.dat"} <= moved
    assert moved <= {
        "folder-0003/new.txt",
        "folder-0005/file-0000100.dat",
        "folder-0007/file-0000140.dat",
    }


def test_a_simulation_writes_nothing(place, data):
    """The same decisions, and the destination is as it was."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    made = trees.bench_tree(source, files=50, folders=5)
    os.mkdir(destination)
    before = compare.snapshot(destination)

    result = product.copy(source, destination, "--simulate", data=data).expect(DONE).result

    assert compare.snapshot(destination) == before
    assert result["items"] == made.files


def test_the_server_does_the_same_as_the_command(place, server):
    """A job made, started and watched over HTTP carries the same tree with the same account of it."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    made = trees.sample_tree(source, files=400)
    os.mkdir(destination)

    job = server.job(source, destination)
    server.begin(job)
    ended = server.wait(job)

    assert ended["status"] == "complete"
    assert compare.differences(source, destination) == []
    listed = [item for item in server.items(job) if not item.get("root")]
    assert len(listed) == made.items
    assert {item["status"] for item in listed} == {"success"}


def test_the_published_job_with_all_features_runs_between_two_folders(place, server):
    """As it is printed, with nothing but its ids filled in: said before what cannot be honoured, then carried."""
    source, destination = os.path.join(place, "sourcePath"), os.path.join(place, "destinationPath")
    made = trees.sample_tree(source, files=200)
    os.mkdir(destination)
    with open(os.path.join(ROOT, "tests", "api", "seeds", "all_features.json"), encoding="utf-8") as stream:
        body = json.load(stream)
    for side in ("source", "destination"):
        body["transfer"][side]["connection"]["id"] = server.connect(side, place)
    for kind in ("account_map", "group_map"):
        made_map = server.call("POST", f"/v1/{kind}s", {"name": kind, "type": kind})
        body["transfer"][kind]["id"] = made_map[kind]["id"]

    answer = server.call("POST", "/v1/jobs", body)
    job = answer["job"]["id"]
    server.begin(job)
    ended = server.wait(job)

    named = [warning.split(":")[0] for warning in answer["warnings"]]
    assert {"source.impersonate_as", "destination.impersonate_as"} <= set(named)
    assert ended["status"] == "complete"
    assert compare.differences(source, destination) == []
    listed = [item for item in server.items(job) if not item.get("root")]
    assert (len(listed), {item["status"] for item in listed}) == (made.items, {"success"})
    lines = server.call("GET", f"/v1/transfers/auditing?job={job}&level=warn")
    assert "item.impersonation" in json.dumps(lines)


def test_a_failed_item_is_named_and_only_it_is_retried(place, data):
    """A folder in the place of a file is one failed item with its reason; once cured, a retry carries it."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.bench_tree(source, files=100, folders=5)
    in_the_way = os.path.join(destination, "folder-0002", "file-0000041.dat")
    os.makedirs(in_the_way)

    result = product.copy(source, destination, data=data).expect(FAILED_ITEMS).result
    failed = product.failed_items(data)
    os.rmdir(in_the_way)
    before = compare.snapshot(destination)
    product.tallyport("runs", "retry", "last", data=data).expect(DONE)

    assert result["failed"] == 1
    assert [(item["path"], item["reason"]) for item in failed] == [("folder-0002/file-0000041.dat", "kind_conflict")]
    assert compare.differences(source, destination) == []
    after = compare.snapshot(destination)
    written = {path for path in after if before.get(path) != after[path]}
    assert written <= {".", "folder-0002", "folder-0002/file-0000041.dat"}


def test_ctrl_c_stops_cleanly_and_the_run_goes_on_later(place, data):
    """130, a hint how to go on, nothing half done; `runs resume` brings it to its end."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    made = trees.crash_tree(source, items=6_000, budget=200 * trees.MIB)
    program = subprocess.Popen(
        [*product.PROGRAM, "copy", source, destination, "--json", *product.FAITHFUL],
        env=product.environment(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert faults.wait_until(lambda: os.path.isdir(destination) and any_file(destination), 60)
        os.killpg(program.pid, signal.SIGINT)  # as a terminal does: everybody in the group hears it
        out, err = program.communicate(timeout=60)
    finally:
        faults.kill(program)
    assert program.returncode == INTERRUPTED, f"{program.returncode}\n{out}\n{err}"
    assert compare.leftovers(destination) == []
    assert "resume" in out + err

    product.tallyport("runs", "resume", "last", data=data).expect(DONE)

    total = product.totals(data)
    assert total["transferred"] + total["unchanged"] == made.files + made.symlinks
    assert compare.differences(source, destination) == []
    assert sum(product.item_counts(data).values()) == made.items


def any_file(folder: str) -> bool:
    """Tell whether anything but folders and temporaries is below a folder."""
    return any(not name.startswith(".tallyport-") for _, _, names in os.walk(folder) for name in names)


@pytest.mark.timeout(240)
def test_the_demonstration_runs_from_start_to_end(place):
    """`dev.py demo`, as a newcomer runs it, ends 0 and says what it did."""
    demo = [sys.executable, os.path.join(ROOT, "tools", "demo.py"), "--folder", os.path.join(place, "demo")]
    done = subprocess.run(
        demo,
        env=product.environment(os.path.join(place, "unused")),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 differences" in done.stdout
