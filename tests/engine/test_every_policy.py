"""Every key of the transfer block with every value: what a small run comes to, and that another value comes to another.

One row is a key, a value as a job gives it, a play (a small world and a run or two), and what is seen afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tallyport.connectors.memory_tree import forget
from tallyport.domain.filters import RULE_TYPES
from tallyport.domain.transfer_block import KEPT, KEYS
from tests.engine.conftest import Port
from tests.engine.plays import (
    NOW,
    Block,
    Play,
    Stage,
    batched,
    both_change,
    braked,
    crowded,
    dated,
    delete_at_source_of_copy,
    delete_both,
    denied,
    fail_one,
    full_look,
    granted,
    granted_links,
    hollow,
    imported,
    imported_grants,
    inspected,
    inspected_next,
    kept,
    levels,
    linked,
    local_bits,
    local_links,
    local_proof,
    local_synced,
    locked,
    mapped,
    meet,
    overwritten,
    owned,
    purged,
    rates,
    refused,
    refuses_grants,
    renamed,
    sieve,
    sieve_back,
    simulated,
    splits,
    too_large,
    tries,
    twins,
    versions,
    versions_back,
    warned,
    width,
)
from tests.engine.test_local_engine import LocalPort


class Row(NamedTuple):
    """One value of one key, and what comes of it."""

    key: str
    value: object
    play: Play
    seen: object


def rule(kind: str, **more: object) -> Block:
    return {"type": f"filter_{kind}", **more}


def only(*rules: Block, action: str = "exclude") -> list[Block]:
    return [{"action": action, "rules": list(rules)}]


IMPORT = {"source": {"text": {"target": {"path": "/lists/grants.csv"}}}}
PROPERTIES = {"source": {"text": {"target": {"path": "/lists/properties.csv"}}}}


def mapping(source: str, destination: str, *, required: bool = False) -> Block:
    ends = {"source": source, "destination": destination}
    one: Block = {side: {"property": {"name": name}} for side, name in ends.items()}
    return {"schemas": [{"mappings": [{**one, "required": required}]}]}


WINDOWS = {"bytes_per_second": 1_000, "window": [{"time": {"hr": 10}, "bytes_per_second": 9_000}]}


ENDS_IN = {"a": "here", "b": "newer", "d/": "", "d/c": "here", "x": "there"}
SYNCED = ({**ENDS_IN, "b (conflict)": "here"}, ENDS_IN)  # what a sync, which is the default, comes to on either side


ROWS: tuple[Row, ...] = (
    Row("transfer_type", "default", meet, SYNCED),
    Row(
        "transfer_type",
        "copy",
        meet,
        (
            {"a": "here", "b": "here", "d/": "", "d/c": "here"},
            {"a": "here", "b": "here", "d/": "", "d/c": "here", "x": "there"},
        ),
    ),
    Row("transfer_type", "sync", meet, SYNCED),
    Row(
        "transfer_type",
        "publish",
        meet,
        ({"a": "here", "b": "here", "d/": "", "d/c": "here"}, {"a": "here", "b": "here", "d/": "", "d/c": "here"}),
    ),
    Row(
        "transfer_type",
        "move",
        meet,
        ({"b": "here"}, ENDS_IN),
    ),
    Row("transfer_type", "migrate", meet, ({}, {"a": "here", "b": "here", "d/": "", "d/c": "here", "x": "there"})),
    Row(
        "transfer_type",
        "taxonomy",
        meet,
        ({"a": "here", "b": "here", "d/": "", "d/c": "here"}, {"b": "newer", "d/": "", "x": "there"}),
    ),
    Row("audit_level", "none", levels, []),
    Row("audit_level", "trace", levels, [1, 2, 3, 4, 5]),
    Row("audit_level", "debug", levels, [2, 3, 4, 5]),
    Row("audit_level", "info", levels, [3, 4, 5]),
    Row("audit_level", "warn", levels, [4, 5]),
    Row("audit_level", "error", levels, [5]),
    Row("batch_mode", "none", batched, (["a", "b"], 0, "clean")),
    Row("batch_mode", "initial", batched, (["a", "b"], 1, "clean")),
    Row("batch_mode", "always", batched, (["a", "b"], 2, "clean")),
    Row("conflict_resolution", "copy", both_change, (["here", "there"], ["there"], "changed_both")),
    Row("conflict_resolution", "latest", both_change, (["there"], ["there"], "changed_both")),
    Row("conflict_resolution", "source", both_change, (["here"], ["here"], "changed_both")),
    Row("conflict_resolution", "destination", both_change, (["there"], ["there"], "changed_both")),
    Row("conflict_resolution", "failure", both_change, (["here"], ["there"], "conflict")),
    Row("delete_propagation", "mirror", delete_both, ([], [])),
    Row("delete_propagation", "ignore_source", delete_both, ([], ["here"])),
    Row("delete_propagation", "ignore_destination", delete_both, (["there"], [])),
    Row("delete_propagation", "ignore_both", delete_both, (["there"], ["here"])),
    Row("delete_propagation", ["ignore_source"], delete_both, ([], ["here"])),
    Row("delete_propagation", ["ignore_source", "ignore_destination"], delete_both, (["there"], ["here"])),
    Row("delete_propagation", ["mirror"], delete_both, ([], [])),
    Row("delete_propagation", "mirror", delete_at_source_of_copy, False),
    Row("delete_propagation", "ignore_source", delete_at_source_of_copy, True),
    Row("failure_policy", "continue", fail_one, ("complete", "errors")),
    Row("failure_policy", "halt", fail_one, ("failed", None)),
    Row("large_item", "fail", too_large, (("flagged", "too_large"), ["small"], "errors")),
    Row("large_item", "skip", too_large, (("skipped", "ignored_large_item_policy"), ["small"], "clean")),
    Row("lock_propagation", "ignore", locked, None),
    Row("lock_propagation", "mirror_lock", locked, ""),
    Row("lock_propagation", "mirror_owner", locked, "alice"),
    Row("max_items_per_container", 0, crowded, (["d/", "d/1", "d/2", "d/3"], ("success", "unchanged"))),
    Row("max_items_per_container", 2, crowded, (["d/"], ("flagged", "too_many_items"))),
    Row("max_items_per_container", 3, crowded, (["d/", "d/1", "d/2", "d/3"], ("success", "unchanged"))),
    Row("performance.parallel_writes.requested", 1, width, (1, 1)),
    Row("performance.parallel_writes.requested", 2, width, (1, 2)),
    Row("performance.parallel_writes.requested", 256, width, (1, 256)),
    Row("performance.parallel_writes.max", 1, width, (1, 1)),
    Row("performance.parallel_writes.max", 256, width, (1, 2)),
    Row("performance.split", "none", splits, (6, False)),
    Row("performance.split", "auto", splits, (6, True)),
    Row("performance.upload", WINDOWS, rates, [(None, 1000), (None, 9000)]),
    Row("performance.upload", {"bytes_per_second": 5}, rates, [(None, 5), (None, 5)]),
    Row("performance.download", WINDOWS, rates, [(1000, None), (9000, None)]),
    Row("performance.download", {"bytes_per_second": 5}, rates, [(5, None), (5, None)]),
    Row("permissions.policy", "none", granted, (["bob"], 0)),
    Row("permissions.policy", "add", granted, (["alice", "bob"], 0)),
    Row("permissions.policy", "diff", granted, (["alice"], 0)),
    Row("permissions", "add", granted, (["alice", "bob"], 0)),
    Row("permissions.links", True, granted_links, (["alice", "bob"], 1)),
    Row("permissions.links", False, granted_links, (["alice", "bob"], 0)),
    Row("permissions.failures", "exceptions", denied, ("success", ["unsupported_access_rule"])),
    Row("permissions.failures", "deny", denied, ("retry", [])),
    Row("permissions.failures", "all", denied, ("retry", [])),
    Row("permissions.failures", "none", denied, ("success", ["unsupported_access_rule"])),
    Row("permissions.failures", "exceptions", refuses_grants, ("retry", [])),
    Row("permissions.failures", "deny", refuses_grants, ("success", ["access_rule_ignored"])),
    Row("permissions.failures", "all", refuses_grants, ("retry", [])),
    Row("permissions.failures", "none", refuses_grants, ("success", ["access_rule_ignored"])),
    Row("preserve_owners", True, owned, "alice"),
    Row("preserve_owners", False, owned, None),
    Row("timestamps", True, dated, True),
    Row("timestamps", False, dated, False),
    Row("empty_containers", "create", hollow, ["empty/", "filtered/", "full/", "full/a"]),
    Row("empty_containers", "skip", hollow, ["full/", "full/a"]),
    Row("duplicate_names", "rename", twins, (2, ["processed", "success"])),
    Row("duplicate_names", "warn", twins, (1, ["skipped", "success"])),
    Row("item_overwrite", "overwrite", overwritten, ("here", ("success", "changed_both"))),
    Row("item_overwrite", "skip", overwritten, ("there", ("skipped", "ignored_overwrite_policy"))),
    Row("item_overwrite", "fail", overwritten, ("there", ("flagged", "overwrite_refused"))),
    Row("restricted_content", "convert", refused, (["a.zip"], "processed", 3)),
    Row("restricted_content", "fail", refused, ([], "flagged", 5)),
    Row("restricted_content", "warn", refused, ([], "skipped", 4)),
    Row("restricted_content", "skip", refused, ([], "skipped", 3)),
    Row("segment_transform", True, renamed, (["a_b"], "processed", "retry")),
    Row("segment_transform", False, renamed, ([], "retry", "retry")),
    Row("encode_invalid_characters", True, renamed, (["a3Ab"], "processed", "retry")),
    Row("encode_invalid_characters", False, renamed, (["a_b"], "processed", "retry")),
    Row("segment_truncate", True, renamed, (["a_b", "long name in"], "processed", "processed")),
    Row("segment_truncate", False, renamed, (["a_b"], "processed", "retry")),
    Row("versioning.preserve", "native", versions, ["0", "1", "2", "3"]),
    Row("versioning.preserve", "none", versions, ["3"]),
    Row("versioning.select", "all", versions, ["0", "1", "2", "3"]),
    Row("versioning.select", "latest", versions, ["3"]),
    Row("versioning.from_source.max", 1, versions, ["3"]),
    Row("versioning.from_source.max", 2, versions, ["2", "3"]),
    Row("versioning.from_source.max", 9, versions, ["0", "1", "2", "3"]),
    Row("versioning.from_destination.max", 1, versions_back, 1),
    Row("versioning.from_destination.max", 2, versions_back, 2),
    Row("versioning.from_destination.max", 9, versions_back, 4),
    Row(
        "filter.source",
        only(rule("extension", extensions=["mp3"])),
        sieve,
        [".hidden", "d/deep.txt", "d/e/far.txt", "plain.txt", "~own"],
    ),
    Row(
        "filter.source",
        only(rule("pattern", text="d*", targets=["container"])),
        sieve,
        [".hidden", "plain.txt", "song.mp3", "~own"],
    ),
    Row(
        "filter.source",
        only(rule("pattern", text="*a*", targets=["item"])),
        sieve,
        [".hidden", "d/deep.txt", "song.mp3", "~own"],
    ),
    Row("filter.source", only(rule("pattern", text="*", targets=["all"])), sieve, ["~own"]),
    Row("filter.source", only(rule("size", min=5)), sieve, ["d/e/far.txt", "plain.txt", "~own"]),
    Row("filter.source", only(rule("size", max=2)), sieve, [".hidden", "song.mp3", "~own"]),
    Row("filter.source", only(rule("size", min=3, max=5)), sieve, ["d/deep.txt", "plain.txt", "~own"]),
    Row(
        "filter.source",
        only(rule("date", range={"type": "range", "to": NOW // 10**9 - 4_000 * 86_400})),
        sieve,
        [".hidden", "d/e/far.txt", "plain.txt", "song.mp3", "~own"],
    ),
    Row(
        "filter.source",
        only(rule("date", targets=["modified_on"], range={"type": "year", "value": 8}), action="include"),
        sieve,
        [".hidden", "d/e/far.txt", "plain.txt", "song.mp3", "~own"],
    ),
    Row(
        "filter.source",
        only(rule("shared")),
        sieve,
        [".hidden", "d/deep.txt", "d/e/far.txt", "plain.txt", "song.mp3", "~own"],
    ),
    Row("filter.source", only(rule("hidden")), sieve, ["d/deep.txt", "d/e/far.txt", "plain.txt", "song.mp3", "~own"]),
    Row(
        "filter.source",
        only(rule("group", groups=["audio"])),
        sieve,
        [".hidden", "d/deep.txt", "d/e/far.txt", "plain.txt", "~own"],
    ),
    Row(
        "filter.source",
        only(rule("path", paths=["/d/e"])),
        sieve,
        [".hidden", "d/deep.txt", "plain.txt", "song.mp3", "~own"],
    ),
    Row("filter.source", only(rule("path", paths=["/"])), sieve, ["~own"]),
    Row(
        "filter.source",
        only(rule("extension", extensions=["txt"]), action="include"),
        sieve,
        ["d/deep.txt", "d/e/far.txt", "plain.txt", "~own"],
    ),
    Row(
        "filter.source",
        only(rule("path", paths=["/d"]), action="include"),
        sieve,
        ["d/deep.txt", "d/e/far.txt", "~own"],
    ),
    Row(
        "filter.source",
        only(rule("extension", extensions=["mp3"])) + only(rule("hidden")),
        sieve,
        ["d/deep.txt", "d/e/far.txt", "plain.txt", "~own"],
    ),
    Row("filter.destination", only(rule("extension", extensions=["mp3"])), sieve_back, ["plain.txt"]),
    Row("filter.destination", [], sieve_back, ["plain.txt", "song.mp3"]),
    Row("simulation_mode", True, simulated, ([], 1, True)),
    Row("simulation_mode", False, simulated, (["a"], 1, False)),
    Row("on_initialize", "none", purged, (["a", "x"], "complete")),
    Row("on_initialize", "purge_destination", purged, (["a"], "complete")),
    Row("item_inspection_policy", "none", inspected, ["b", "d"]),
    Row("item_inspection_policy", "filtered", inspected, ["b", "d", "d/a"]),
    Row("item_inspection_policy", "shared", inspected, ["b", "d"]),
    Row("item_inspection_policy", "all", inspected, ["b", "d", "d/a", "foreign"]),
    Row("item_inspection_policy_next", "none", inspected_next, (["b", "d"], False)),
    Row("item_inspection_policy_next", "all", inspected_next, (["b", "d", "d/a", "foreign"], False)),
    Row("permissions.import", IMPORT, imported_grants, (["alice"], {"author": b"Ann", "xdg.tags": b"new"}, 0)),
    Row("permissions.import", None, imported_grants, ([], {"author": b"Ann", "xdg.tags": b"new"}, 0)),
    Row("metadata_import", PROPERTIES, imported, ([], {"color": b"red"}, 0)),
    Row("metadata_import", None, imported, ([], {}, 0)),
    Row("metadata_map", mapping("author", "writer"), imported, ([], {"writer": b"Ann"}, 0)),
    Row("metadata_map", mapping("nothing", "writer", required=True), imported, (None, None, 3)),
    Row("tags", "none", imported, ([], {}, 0)),
    Row("tags", "add", imported, ([], {"xdg.tags": b"new"}, 0)),
    Row("properties", "auto", imported, ([], {}, 0)),
    Row("properties", "none", imported, ([], {}, 0)),
    Row("properties", "add", imported, ([], {"author": b"Ann", "xdg.tags": b"new"}, 0)),
    Row("special_bits", "none", local_bits, False),
    Row("special_bits", "restore", local_bits, True),
    Row("symlinks", "copy", local_links, ({"inside": "success", "out": "success"}, {"out": "link", "inside": "link"})),
    Row("symlinks", "follow_inside", local_links, ({"inside": "success", "out": "flagged"}, {"inside": "file"})),
    Row("symlinks", "skip", local_links, ({"inside": "skipped", "out": "skipped"}, {})),
    Row("symlinks", "fail", local_links, ({"inside": "flagged", "out": "flagged"}, {})),
    Row("symlinks", "copy", linked, ("-> a", 0)),
    Row("symlinks", "skip", linked, (None, 0)),
    Row("symlinks", "fail", linked, (None, 1)),
    Row("verify", "size", local_proof, 3),
    Row("verify", "ack", local_proof, 3),
    Row("verify", "hash", local_proof, 3),
    Row("verify", "readback", local_proof, 4),
    Row("verify", "cold", local_proof, 5),
    Row("durability", "none", local_synced, (False, False, False, "clean")),
    Row("durability", "group", local_synced, (True, False, True, "clean")),
    Row("durability", "each", local_synced, (False, True, True, "clean")),
    Row("quarantine", None, kept, ["a"]),
    Row("quarantine", ".kept", kept, [".kept/RUN/a", "a"]),
    Row("full_look", True, full_look, True),
    Row("full_look", False, full_look, False),
    Row("limits.max_attempts", 1, tries, "flagged"),
    Row("limits.max_attempts", 2, tries, "flagged"),
    Row("limits.max_attempts", 3, tries, "retry"),
    Row("limits.max_deletes", 0, braked, ("waiting", 4)),
    Row("limits.max_deletes", 1, braked, ("waiting", 4)),
    Row("limits.max_deletes", 2, braked, ("complete", 2)),
    Row("limits.max_delete_percent", 0, braked, ("waiting", 4)),
    Row("limits.max_delete_percent", 49, braked, ("waiting", 4)),
    Row("limits.max_delete_percent", 50, braked, ("complete", 2)),
    Row("limits.max_delete_percent", 100, braked, ("complete", 2)),
    Row("limits.quarantine_days", None, warned, (["a"], [])),
    Row("limits.quarantine_days", 30, warned, (["a"], ["limits.quarantine_days"])),
    Row("rendition", "original", warned, (["a"], [])),
    Row("rendition", "rendition", warned, (["a"], ["rendition"])),
    Row("performance.retries", 5, warned, (["a"], ["performance.retries"])),
    Row(
        "account_map",
        {"exceptions": [{"source": {"name": "alice"}, "destination": {"name": "bob"}}]},
        mapped,
        (["bob"], ["invalid_security_identifier"]),
    ),
    Row(
        "account_map",
        {"map_by": {"name": True}},
        mapped,
        ([], ["invalid_security_identifier", "invalid_security_identifier"]),
    ),
    Row(
        "group_map",
        {"exceptions": [{"source": {"name": "team"}, "destination": {"name": "crew"}}]},
        mapped,
        (["crew"], ["invalid_security_identifier"]),
    ),
    Row(
        "group_map",
        {"map_by": {"name": True}},
        mapped,
        ([], ["invalid_security_identifier", "invalid_security_identifier"]),
    ),
)

KEYS_OF_ENDS = ("source", "destination", "type", "names_from")  # test_acting, test_transfer_block, test_original_names


def nested(key: str, value: object) -> Block:
    *outer, last = key.split(".")
    block: Block = {last: value}
    for name in reversed(outer):
        block = {name: block}
    return block


@pytest.fixture
def on(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    row: Row = request.node.callspec.params["row"]
    made = LocalPort(tmp_path) if row.play.__name__.startswith("local") else Port(tmp_path)
    yield Stage(made, monkeypatch)
    made.stop()
    made.database.close()
    for store in made.stores:
        forget(store)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.key}={row.value}"[:60] for row in ROWS])
def test_a_value_comes_to_what_the_table_says(on: Stage, row: Row) -> None:
    assert row.play(on, nested(row.key, row.value)) == row.seen


def test_every_key_and_every_word_of_it_has_a_row() -> None:
    told = {
        (row.key, str(row.value).lower() if isinstance(row.value, bool) else row.value)
        for row in ROWS
        if not isinstance(row.value, (dict, list))
    }
    keys = {row.key for row in ROWS}
    assert [key for key in (*KEYS, *KEPT) if key not in keys and key not in KEYS_OF_ENDS] == []
    missing = [(key, word) for key, known in KEYS.items() for word in known.allowed if (key, word) not in told]
    assert missing == []


def test_another_value_comes_to_something_else_in_some_play() -> None:
    same = []
    for key in {row.key for row in ROWS}:
        seen: dict[str, list[str]] = {}
        for row in ROWS:
            if row.key == key:
                seen.setdefault(repr(row.value), []).append(f"{row.play.__name__}: {row.seen!r}")
        if len(seen) > 1 and len({tuple(sorted(found)) for found in seen.values()}) == 1:
            same.append(key)
    assert same == []


def test_every_type_of_filter_rule_has_a_row() -> None:
    used = {
        rule["type"].removeprefix("filter_")
        for row in ROWS
        if row.key == "filter.source" and isinstance(row.value, list)
        for block in row.value
        for rule in block["rules"]
    }
    assert used == set(RULE_TYPES)
