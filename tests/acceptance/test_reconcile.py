"""``runs reconcile`` counts both ends as they are now, and says whether every item is there or reported."""

from __future__ import annotations

import json
import os

from tests.acceptance import product
from tests.acceptance.product import DONE, FAILED_ITEMS

OPTIONS = ["--policy", "symlinks=skip"]


def counted(data, status):
    return json.loads(product.tallyport("runs", "reconcile", "last", "--json", data=data).expect(status).out)


def test_both_ends_are_counted_against_the_ledger(place, make, data):
    source, destination = make({"a.txt": "a", "d/b.txt": "b", "d/e/c.txt": "c", "hollow": None}), f"{place}/to"
    os.symlink("a.txt", os.path.join(source, "link"))
    os.makedirs(os.path.join(destination, "d", "b.txt"))  # in the way: d/b.txt fails
    os.makedirs(os.path.join(destination, "theirs"))
    for name in ("theirs/x", "theirs/y", "own"):
        with open(os.path.join(destination, name), "w") as stream:
            stream.write("theirs")
    product.copy(source, destination, *OPTIONS, data=data).expect(FAILED_ITEMS)
    found = counted(data, DONE)
    assert found["adds_up"]
    assert found["source"] == {"items": 7, "files": 3, "folders": 3, "links": 1}
    assert found["at_the_destination"] == 5
    assert (found["left_out"], found["failed"]) == ({"ignored_symlink_policy": 1}, {"kind_conflict": 1})
    assert found["destination"]["items"] == 5 + found["only_at_the_destination"]
    assert found["only_at_the_destination"] == 5  # own, theirs and what is in it, and what is in the way
    text = product.tallyport("runs", "reconcile", "last", data=data).expect(DONE).out
    assert "it adds up" in text
    assert "kind_conflict" in text


def test_what_is_nowhere_is_named(place, make, data):
    source, destination = make({"a.txt": "a", "d/b.txt": "b"}), f"{place}/to"
    product.copy(source, destination, data=data).expect(DONE)
    assert counted(data, DONE)["adds_up"]
    os.remove(os.path.join(destination, "d", "b.txt"))
    with open(os.path.join(source, "newer.txt"), "w") as stream:
        stream.write("n")
    found = counted(data, FAILED_ITEMS)
    assert not found["adds_up"]
    assert found["paths"] == {"missing": ["d/b.txt"], "unknown": ["newer.txt"]}
    text = product.tallyport("runs", "reconcile", "last", data=data).expect(FAILED_ITEMS).out
    assert "d/b.txt" in text
    assert "does not add up" in text
