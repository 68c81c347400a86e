"""What is refused before anything is written, with a sentence that says why."""

from __future__ import annotations

import os
import time

import pytest

from tallyport.testing import compare, trees
from tallyport.testing.servers import free_port
from tests.acceptance import product
from tests.acceptance.product import DONE, ERROR, USAGE

REFUSED = (ERROR, USAGE, 3)  # 3: not found


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
    port = str(free_port())
    second = product.tallyport("serve", "--port", port, "--data", server.data, data=server.data, timeout=60)

    assert holder in one_shot.out + one_shot.err
    assert second.status == ERROR
    assert holder in second.out + second.err
    assert server.answers()


def test_the_clock_of_a_run_is_told(place, data, make):
    """The result names its run and its time; a script can rely on them."""
    source = make({"a.txt": "a"})
    begun = time.monotonic()
    result = product.copy(source, os.path.join(place, "d"), data=data).expect(DONE).result
    assert {"run_id", "status", "items", "bytes", "failed", "skipped", "seconds"} <= set(result)
    assert 0 < result["seconds"] <= time.monotonic() - begun
