"""``symlinks: follow_inside``: a link is carried as what it points to, where that lies inside the root."""

from __future__ import annotations

import os

from tests.acceptance import product
from tests.acceptance.product import FAILED_ITEMS, USAGE

FOLLOW = ["--policy", "symlinks=follow_inside"]


def test_links_inside_are_carried_as_what_they_point_to_and_others_are_reported(place):
    source, destination, data = (os.path.join(place, name) for name in ("from", "to", "data"))
    os.makedirs(os.path.join(source, "d", "deep"))
    os.makedirs(os.path.join(place, "outside"))
    for name, text in (("from/a.txt", "a"), ("from/d/b.txt", "b"), ("outside/canary.txt", "canary")):
        with open(os.path.join(place, name), "w") as stream:
            stream.write(text)
    links = {
        "file": "a.txt",
        "folder": "d",
        "absolute": os.path.join(source, "d", "b.txt"),
        "out": "../outside/canary.txt",
        "out-folder": os.path.join(place, "outside"),
        "nowhere": "nothing",
        "loop": "loop",
        "d/up": "..",
    }
    for name, target in links.items():
        os.symlink(target, os.path.join(source, name))
    ended = product.copy(source, destination, *FOLLOW, data=data).expect(FAILED_ITEMS)
    refused = ["d/up", "folder/up", "loop", "nowhere", "out", "out-folder"]
    assert [item["path"].lstrip("/") for item in product.failed_items(data)] == refused
    assert ended.result["failed"] == len(refused)
    found = {
        os.path.relpath(os.path.join(folder, name), destination): product.text(os.path.join(folder, name))
        for folder, _, names in os.walk(destination)
        for name in names
    }
    assert found == {"a.txt": "a", "file": "a", "absolute": "b", "d/b.txt": "b", "folder/b.txt": "b"}
    assert not any(os.path.islink(os.path.join(destination, name)) for name in (*found, "folder"))
    assert sorted(os.listdir(os.path.join(destination, "folder"))) == ["b.txt", "deep"]
    again = product.copy(source, destination, *FOLLOW, data=data).expect(FAILED_ITEMS)
    assert again.result["transferred"] == again.result["writes"] == 0
    with open(os.path.join(source, "d", "b.txt"), "w") as stream:
        stream.write("changed")
    product.copy(source, destination, *FOLLOW, data=data).expect(FAILED_ITEMS)
    for name in ("d/b.txt", "folder/b.txt", "absolute"):
        assert product.text(os.path.join(destination, name)) == "changed"


def test_a_job_that_changes_its_source_does_not_follow_links(place):
    for verb in ("sync", "move", "migrate"):
        ended = product.tallyport(verb, place, f"{place}-to", *FOLLOW, data=os.path.join(place, "data"))
        ended.expect(USAGE)
        assert "symlinks" in ended.err
        assert "copy, skip, fail" in ended.err
