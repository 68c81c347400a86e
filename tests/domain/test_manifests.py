"""What a look at the source tells before a run."""

from __future__ import annotations

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.surveying import survey, walk
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.manifests import FIRST, Manifest, children_of
from tallyport.domain.parts import Child
from tallyport.domain.policies import FilterBlock, FilterRule, Policies
from tallyport.testing.worlds import tree

NARROW = Limits(max_size=100, max_name=20, forbidden_characters="/\0?")


def test_counts_sizes_and_what_will_not_go_as_it_is() -> None:
    manifest = Manifest(Policies(), NARROW)
    manifest.add("a", Entry("a", Kind.CONTAINER))
    manifest.add("a/big", Entry("big", Kind.FILE, 101))
    manifest.add("a/why?.txt", Entry("why?.txt", Kind.FILE, 5))
    manifest.add("a/" + "n" * 30, Entry("n" * 30, Kind.FILE, 1))
    manifest.add("pipe", Entry("pipe", Kind.SPECIAL))
    manifest.deny("shut", "permission denied")
    document = manifest.document()
    assert (document["items"], document["folders"], document["bytes"]) == (4, 1, 107)
    assert document["too_large"] == {"count": 1, "first": [{"path": "/a/big", "bytes": 101}]}
    assert document["renamed"]["first"] == [{"path": "/a/why?.txt", "name": "why_.txt", "how": ["renamed"]}]
    assert document["blocked"]["count"] == 3
    assert document["largest"][0] == {"path": "/a/big", "bytes": 101}
    assert children_of(document) == [Child("a", 4, 107), Child("pipe", 1, 0)]


def test_examples_are_few_however_many_there_are() -> None:
    manifest = Manifest(Policies(), Limits(max_size=0))
    for number in range(500):
        manifest.add(f"f{number}", Entry(f"f{number}", Kind.FILE, number))
    document = manifest.document()
    assert document["too_large"]["count"] == 499
    assert len(document["too_large"]["first"]) == len(document["largest"]) == FIRST
    assert [one["bytes"] for one in document["largest"]][:2] == [499, 498]


def test_a_manifest_that_was_cut_short_knows_no_children() -> None:
    source = Memory(Settings())
    tree("a.txt 3b v1\nb/c.txt 4b v1", source)
    whole = survey(source, Limits(), Policies(), now=0, goes_on=lambda: True)
    assert children_of(whole.document()) == [Child("a.txt", 1, 3), Child("b", 2, 4)]
    short = survey(source, Limits(), Policies(), now=0, goes_on=lambda: False)
    assert short.document()["complete"] is False
    assert children_of(short.document()) is None
    assert children_of(None) is None


def test_what_a_filter_leaves_out_is_not_counted() -> None:
    source = Memory(Settings())
    tree("a.txt 3b v1\nb.bin 4b v1", source)
    block = FilterBlock(action="exclude", rules=(FilterRule(type="extension", extensions=("bin",)),))
    found = survey(source, Limits(), Policies(filter_source=(block,)), now=0, goes_on=lambda: True)
    assert (found.items, found.bytes) == (1, 3)


def test_a_walk_gives_containers_before_what_they_hold() -> None:
    source = Memory(Settings())
    tree("a/b/c.txt 3b v1\nd.txt 1b v1", source)
    paths = [path for path, _ in walk(source, None, lambda _path, _reason: None)]
    assert sorted(paths) == ["a", "a/b", "a/b/c.txt", "d.txt"]
    assert paths.index("a") < paths.index("a/b") < paths.index("a/b/c.txt")
