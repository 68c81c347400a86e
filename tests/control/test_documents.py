"""Merging patches into a job's document, and reading the whole."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.control import documents
from tallyport.control.refusals import Invalid

# The table of RFC 7396, appendix A.
MERGES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "merged"), MERGES)
def test_a_patch_is_merged_as_the_standard_says(target: Any, patch: Any, merged: Any) -> None:
    assert documents.merge(target, patch) == merged


def test_merging_leaves_its_inputs_alone() -> None:
    target, patch = {"a": {"b": 1}}, {"a": {"c": 2}}
    documents.merge(target, patch)
    assert (target, patch) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def block(**changes: Any) -> dict[str, Any]:
    ends = {side: {"connection": {"id": side}, "target": {"path": f"/{side}/x"}} for side in ("source", "destination")}
    return {"transfer_type": "copy", **ends, **changes}


def test_a_document_is_read_into_a_draft() -> None:
    draft = documents.read({"name": "n", "transfer": block(), "schedule": {"mode": "auto"}, "status": "paused"})
    assert (draft.name, draft.mode, draft.command) == ("n", "auto", "paused")
    assert (draft.source.connection, draft.source.path) == ("source", "source/x")


def test_what_has_no_effect_yet_is_kept_and_named() -> None:
    draft = documents.read({"transfer": block(), "discriminator": "x"})
    assert draft.kept == {"discriminator": "x"}
    assert any("discriminator" in warning for warning in draft.warnings)


@pytest.mark.parametrize("word", ["uri", "item"])
def test_a_target_that_is_not_a_path_is_refused_where_it_stands(word: str) -> None:
    source = {"connection": {"id": "a"}, "target": {word: "https://example.com/x"}}
    with pytest.raises(Invalid) as refused:
        documents.read({"transfer": block(source=source)})
    assert [p.path for p in refused.value.problems] == [f"/transfer/source/target/{word}"]


def test_all_problems_of_envelope_and_block_come_together() -> None:
    with pytest.raises(Invalid) as refused:
        documents.read({"transfer": block(audit_level="loud"), "kind": "x", "schedule": {"mode": "y"}})
    assert {p.path for p in refused.value.problems} >= {"/transfer/audit_level", "/kind", "/schedule/mode"}


@pytest.mark.parametrize("key", ["conflict_resolution", "filter", "limits", "source", "account_map"])
def test_a_key_that_stands_beside_the_transfer_block_is_refused_with_the_place_where_it_belongs(key: str) -> None:
    with pytest.raises(Invalid) as raised:
        documents.read({"name": "w", "transfer": {"transfer_type": "copy"}, key: "latest"})
    (found,) = [problem for problem in raised.value.problems if problem.path == f"/{key}"]
    assert (found.code, found.message) == ("unknown_key", f'"{key}" belongs in the transfer block: /transfer/{key}')
    assert "transfer" in found.allowed
