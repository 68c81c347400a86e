"""Every key of the published job, given wrongly in every way: refused with its JSON path and what would have done."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tallyport.domain.documents import BlockErrors
from tallyport.domain.transfer_block import KEPT, KEYS, read_transfer_block

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "all_features.json"), encoding="utf-8") as stream:
    BLOCK = json.load(stream)["transfer"]

WRONG: dict[str, list[Any]] = {
    "bool": [7, "perhaps", [], {}],
    "int": ["many", True, [], {}, -1, 1.5],
    "str": [7, True, [1], {"a": 1}, "no such word at all"],
    "list": [7, True, "x", {"a": 1}],
    "dict": [7, True, [1]],
}
FREE = ("id", "email", "path", "type")  # text that is not one of some words


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Give the place and value of every member of the block, outer ones first."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield (*path, key), member
            yield from places(member, (*path, key))
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from places(member, (*path, number))


def at(block: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        block = block[key]
    return block


ALL = [path for path, _ in places(BLOCK)]


def problems(block: Any) -> list[Any]:
    with pytest.raises(BlockErrors) as caught:
        read_transfer_block(block)
    return caught.value.problems


def pointer(path: tuple[Any, ...]) -> str:
    return "/transfer/" + "/".join(map(str, path))


def test_the_block_itself_is_good() -> None:
    read_transfer_block(BLOCK)
    assert len(ALL) > 50


@pytest.mark.parametrize("path", ALL, ids=[pointer(path) for path in ALL])
def test_a_misspelt_key_is_named_with_the_keys_that_are_known(path: tuple[Any, ...]) -> None:
    block = copy.deepcopy(BLOCK)
    owner = at(block, path[:-1])
    owner[f"{path[-1]}x"] = owner.pop(path[-1])
    found = problems(block)
    if path[-3:] == ("rules", 0, "type"):  # what a rule may hold hangs on its type
        assert (pointer(path), "missing") in [(one.path, one.code) for one in found]
        return
    wrong = pointer((*path[:-1], f"{path[-1]}x"))
    named = [one for one in found if one.path == wrong]
    assert named, found
    assert named[0].code == "unknown_key"
    assert path[-1] in named[0].allowed
    assert f'Did you mean "{path[-1]}"?' in named[0].message


@pytest.mark.parametrize("path", ALL, ids=[pointer(path) for path in ALL])
def test_a_value_of_a_wrong_type_or_word_is_named(path: tuple[Any, ...]) -> None:
    right = at(BLOCK, path)
    for wrong in WRONG[type(right).__name__]:
        if path[-1] in FREE and isinstance(wrong, str) and path[-1] != "type":
            continue
        if path == ("permissions",) and isinstance(wrong, str):
            continue
        if path[-1] == "max_items_per_container" and wrong == 0:
            continue
        block = copy.deepcopy(BLOCK)
        at(block, path[:-1])[path[-1]] = wrong
        found = problems(block)
        assert any(one.path.startswith(pointer(path)) for one in found), (wrong, found)
        assert all(one.message for one in found)


WORDS = sorted(name for name, key in KEYS.items() if key.allowed)


@pytest.mark.parametrize("name", WORDS)
def test_every_key_of_words_tells_all_of_them(name: str) -> None:
    *outer, last = name.split(".")
    block = copy.deepcopy(BLOCK)
    owner = block
    for key in outer:
        owner = owner.setdefault(key, {})
    owner[last] = "nonsense"
    found = [one for one in problems(block) if one.path == f"/transfer/{name.replace('.', '/')}"]
    assert len(found) == 1
    assert set(found[0].allowed) == set(KEYS[name].allowed)


def test_several_mistakes_are_told_at_once() -> None:
    block = copy.deepcopy(BLOCK) | {"audit_level": "loud", "large_itme": "skip", "timestamps": 1}
    paths = {one.path for one in problems(block)}
    assert {"/transfer/audit_level", "/transfer/large_itme", "/transfer/timestamps"} <= paths


def test_every_key_is_read_or_kept() -> None:
    assert not set(KEYS) & set(KEPT)
