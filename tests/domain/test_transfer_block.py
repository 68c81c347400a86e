"""Reading a transfer block: every key, every problem at once, and what a person is told."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.policies import (
    Bandwidth,
    BandwidthWindow,
    ConflictResolution,
    DeletePropagation,
    FilterBlock,
    FilterRule,
    PermissionsPolicy,
    Policies,
    Symlinks,
    TransferType,
)
from tallyport.domain.transfer_block import (
    KEYS,
    BlockErrors,
    defaults_for,
    policies_from_json,
    policies_to_json,
    read_transfer_block,
    with_overrides,
)

HERE = os.path.dirname(os.path.abspath(__file__))
ENDS = {"source": {"connection": {"id": "s"}}, "destination": {"connection": {"id": "d"}}}
with open(os.path.join(HERE, "all_features.json"), encoding="utf-8") as stream:
    ALL_FEATURES = json.load(stream)


def read(**keys):
    return read_transfer_block({**ENDS, **keys})


def problems(**keys):
    with pytest.raises(BlockErrors) as caught:
        read(**keys)
    return [(problem.path, problem.code) for problem in caught.value.problems]


def test_the_job_with_all_features_is_read_key_by_key():
    block = read_transfer_block(ALL_FEATURES["transfer"])
    assert block.policies.transfer_type is TransferType.COPY
    assert block.policies.conflict_resolution is ConflictResolution.LATEST
    assert block.policies.delete_propagation is DeletePropagation.IGNORE_BOTH
    assert block.policies.permissions_policy is PermissionsPolicy.ADD
    assert block.policies.permissions_links
    assert block.policies.filter_source == (FilterBlock(action="exclude", rules=(FilterRule(type="shared"),)),)
    assert block.source.path == "sourcePath"
    assert block.source.impersonate_as == {"email": "jsmith@company.com"}
    assert block.account_map is not None
    assert block.account_map.inline is None
    assert [key for key, who in block.set_by.items() if who == "default"] == [
        "performance.parallel_writes.max",
        "performance.split",
        "performance.upload",
        "performance.download",
        "encode_invalid_characters",
        "segment_truncate",
        "versioning.from_source.max",
        "versioning.from_destination.max",
        "on_initialize",
        "item_inspection_policy",
        "permissions.import",
        "metadata_import",
        "metadata_map",
        "tags",
        "properties",
        "special_bits",
        "symlinks",
        "verify",
        "durability",
        "quarantine",
        "full_look",
        "names_from",
        "limits.max_attempts",
        "limits.max_deletes",
        "limits.quarantine_days",
        "limits.max_delete_percent",
    ]
    assert "delete_propagation: ignore_both acts as ignore_source in a copy job" in block.warnings
    assert "filter.destination: not used in a copy job" in block.warnings


def test_defaults_go_by_transfer_type():
    assert read().policies == defaults_for(TransferType.SYNC)
    assert read(transfer_type="default").policies.transfer_type is TransferType.SYNC
    assert read(transfer_type="copy").policies.delete_propagation is DeletePropagation.IGNORE_SOURCE
    assert read(transfer_type="sync").policies.delete_propagation is DeletePropagation.MIRROR
    asked = read_transfer_block({}, job_type_default=TransferType.COPY, endpoints_required=False)
    assert asked.policies == defaults_for(TransferType.COPY)
    assert asked.warnings == ()
    assert set(asked.set_by.values()) == {"default"}


def test_null_is_absence():
    assert read(audit_level=None, filter=None, permissions=None).policies == read().policies


def test_every_problem_is_told_at_once_with_its_path():
    assert problems(
        transfer_type="cpoy",
        audit_lvl="x",
        timestamps="yes",
        delete_propagation=["mirror", "ignore_source"],
        limits={"max_deletes": -1, "max_delete_percent": 101},
        filter={"source": [{"rules": [{"type": "filter_size"}]}]},
        performance={"parallel_writes": {"requested": 0}},
    ) == [
        ("/transfer/audit_lvl", "unknown_key"),
        ("/transfer/transfer_type", "unknown_value"),
        ("/transfer/delete_propagation", "not_together"),
        ("/transfer/performance/parallel_writes/requested", "out_of_range"),
        ("/transfer/timestamps", "unknown_value"),
        ("/transfer/filter/source/0/rules/0", "missing"),
        ("/transfer/limits/max_deletes", "out_of_range"),
        ("/transfer/limits/max_delete_percent", "out_of_range"),
    ]


def test_a_problem_names_the_words_and_the_one_that_was_meant():
    with pytest.raises(BlockErrors) as caught:
        read(conflict_resolution="lastest", failure_polcy="halt")
    key, word = caught.value.problems
    assert 'Did you mean "failure_policy"?' in key.message
    assert "failure_policy" in key.allowed
    assert word.allowed == ("copy", "latest", "source", "destination", "failure")
    assert word.message.endswith('Did you mean "latest"?')
    assert "/transfer/conflict_resolution" in str(caught.value)


@pytest.mark.parametrize("value", [1, [], "x", None, True])
def test_a_block_that_is_no_object_is_a_problem(value):
    with pytest.raises(BlockErrors):
        read_transfer_block(value)


@pytest.mark.parametrize("key", [key for key in KEYS if key not in ("filter.source", "filter.destination")])
def test_every_key_refuses_a_value_of_the_wrong_type(key):
    value: object = {"surely": "wrong"}
    for name in reversed(key.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    assert problems(**value)


@pytest.mark.parametrize(("key", "word"), [(key, word) for key, entry in KEYS.items() for word in entry.allowed])
def test_every_word_of_every_key_is_taken(key, word):
    value: object = {"true": True, "false": False}.get(word, word)
    for name in reversed(key.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    kind = {} if key == "transfer_type" else {"transfer_type": "copy"}  # of which every word may be asked
    assert read(**kind, **value).set_by[key] == "job"


@pytest.mark.parametrize("kind", ["sync", "default", "move", "migrate"])
def test_links_are_not_followed_by_a_job_that_changes_its_source(kind):
    found = problems(transfer_type=kind, symlinks="follow_inside")
    assert found == [("/transfer/symlinks", "not_together")]


def test_shorthands_and_lists():
    assert read(permissions="add").policies.permissions_policy is PermissionsPolicy.ADD
    assert problems(permissions="ad") == [("/transfer/permissions", "unknown_value")]
    assert read(segment_transform="false").policies.segment_transform is False
    assert problems(segment_truncate="false") == [("/transfer/segment_truncate", "unknown_value")]
    one = read(delete_propagation=["ignore_destination"])
    assert one.policies.delete_propagation is DeletePropagation.IGNORE_DESTINATION
    both = read(delete_propagation=["ignore_destination", "ignore_source"])
    assert both.policies.delete_propagation is DeletePropagation.IGNORE_BOTH
    assert problems(delete_propagation=[]) == [("/transfer/delete_propagation", "out_of_range")]
    assert problems(delete_propagation=["no"]) == [("/transfer/delete_propagation/0", "unknown_value")]


def test_bandwidth_and_its_windows():
    window = {"time": {"hr": 1, "min": 30}, "bytes_per_second": 5}
    chosen = read(performance={"upload": {"bytes_per_second": 10, "window": [window]}}).policies
    assert chosen.upload == Bandwidth(
        bytes_per_second=10, windows=(BandwidthWindow(starts=5400.0, bytes_per_second=5),)
    )
    assert problems(performance={"download": {"window": [{"time": {"hr": 24}}]}}) == [
        ("/transfer/performance/download/window/0/bytes_per_second", "missing"),
        ("/transfer/performance/download/window/0/time/hr", "out_of_range"),
    ]


def test_numbers():
    assert read(max_items_per_container=0).policies.max_items_per_container is None
    assert read(max_items_per_container=5.0).policies.max_items_per_container == 5
    assert problems(max_items_per_container=True) == [("/transfer/max_items_per_container", "wrong_type")]
    assert read(limits={"max_delete_percent": 12.5}).policies.max_delete_percent == 12.5
    assert read(verify="cold").policies.verify is VerifyLevel.COLD
    assert problems(verify="none") == [("/transfer/verify", "unknown_value")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"type": "filter_extension", "extensions": ["tmp"]}, FilterRule(type="extension", extensions=("tmp",))),
        ({"type": "extension", "extensions": "tmp"}, FilterRule(type="extension", extensions=("tmp",))),
        (
            {"type": "filter_pattern", "text": "a*", "targets": ["item"]},
            FilterRule(type="pattern", text="a*", targets=("item",)),
        ),
        ({"type": "filter_size", "max": 9}, FilterRule(type="size", max=9)),
        ({"type": "filter_size", "rules": [{"min": 2}]}, FilterRule(type="size", min=2)),
        ({"type": "filter_date", "range": {"value": 3}}, FilterRule(type="date", range_type="day", value=3)),
        (
            {"type": "filter_date", "range": {"type": "range", "from": 1, "to": 2.5}, "targets": ["created_on"]},
            FilterRule(
                type="date",
                range_type="range",
                since=1_000_000_000,
                until=2_500_000_000,
                targets=("created_on",),
            ),
        ),
        ({"type": "shared"}, FilterRule(type="shared")),
        ({"type": "filter_hidden"}, FilterRule(type="hidden")),
        ({"type": "group", "groups": ["images"]}, FilterRule(type="group", groups=("Images",))),
        ({"type": "filter_path", "paths": ["/a/b/"]}, FilterRule(type="path", paths=("a/b",))),
    ],
)
def test_filter_rules(rule, expected):
    block = read(filter={"source": [{"action": "include", "rules": [rule]}]})
    assert block.policies.filter_source == (FilterBlock(action="include", rules=(expected,)),)


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"type": "filter_extension"}, "extensions"),
        ({"type": "filter_extension", "extensions": []}, "extensions"),
        ({"type": "filter_extension", "extensions": [3]}, "extensions/0"),
        ({"type": "filter_pattern"}, "text"),
        ({"type": "filter_pattern", "text": "*", "targets": ["file"]}, "targets/0"),
        ({"type": "filter_size", "min": 3, "max": 2}, ""),
        ({"type": "filter_size", "min": "3"}, "min"),
        ({"type": "filter_date"}, "range"),
        ({"type": "filter_date", "range": {"type": "day"}}, "range/value"),
        ({"type": "filter_date", "range": {"type": "range"}}, "range"),
        ({"type": "filter_date", "range": {"type": "fortnight"}}, "range/type"),
        ({"type": "filter_group", "groups": ["Pictures"]}, "groups/0"),
        ({"type": "filter_path", "paths": ["a"]}, "paths/0"),
        ({"type": "filter_sise"}, "type"),
        ({"extensions": ["a"]}, "type"),
        ({"type": "shared", "extra": 1}, "extra"),
        ("shared", ""),
    ],
)
def test_problems_of_filter_rules_name_their_place(rule, path):
    at = "/transfer/filter/source/0/rules/0"
    assert [found for found, _ in problems(filter={"source": [{"rules": [rule]}]})] == [f"{at}/{path}".rstrip("/")]


def test_problems_of_filter_blocks():
    assert problems(filter={"source": [{}]}) == [("/transfer/filter/source/0/rules", "missing")]
    assert problems(filter={"source": [{"rules": []}]}) == [("/transfer/filter/source/0/rules", "out_of_range")]
    assert problems(filter={"source": {"rules": []}}) == [("/transfer/filter/source", "wrong_type")]
    bad = [{"action": "drop", "type": "filter", "rules": [{"type": "shared"}]}]
    assert problems(filter={"destination": bad}) == [
        ("/transfer/filter/destination/0/type", "unknown_value"),
        ("/transfer/filter/destination/0/action", "unknown_value"),
    ]


@pytest.mark.parametrize(
    ("end", "path", "code"),
    [
        (None, "", "missing"),
        ({}, "/connection", "missing"),
        ({"connection": {}}, "/connection/id", "missing"),
        ({"connection": "s"}, "/connection", "wrong_type"),
        ({"target": {"path": "/a/../b"}}, "/target/path", "out_of_range"),
        ({"target": {"path": 3}}, "/target/path", "wrong_type"),
        ({"target": {"path": "/\ud800"}}, "/target/path", "out_of_range"),
        ({"target": {"path": "/a", "uri": "x"}}, "/target", "not_together"),
        ({"type": "folder"}, "/type", "unknown_value"),
        ({"impersonate_as": {}}, "/impersonate_as", "missing"),
        ({"size_estimate": {"count": -1}}, "/size_estimate/count", "out_of_range"),
    ],
)
def test_problems_of_endpoints(end, path, code):
    if end and "connection" not in end:
        end = {**end, "connection": {"id": "s"}}
    with pytest.raises(BlockErrors) as caught:
        read_transfer_block({"source": end, "destination": ENDS["destination"]})
    assert [(problem.path, problem.code) for problem in caught.value.problems] == [(f"/transfer/source{path}", code)]


def test_paths_lose_their_slashes():
    end = {"connection": {"id": "s"}, "target": {"path": "//a//b/"}}
    assert read_transfer_block({**ENDS, "source": end}).source.path == "a/b"
    assert read().source.path == ""


def test_maps_by_id_or_inline():
    assert read(account_map={"id": "7", "type": "account_map"}).account_map == ("7", None)
    inline = {"type": "group_map", "map_by": {"name": True}}
    assert read(group_map=inline).group_map == (None, inline)
    assert problems(account_map={"id": "7", "type": "group_map"}) == [("/transfer/account_map/type", "unknown_value")]
    assert problems(group_map={}) == [("/transfer/group_map", "missing")]
    assert problems(group_map="7") == [("/transfer/group_map", "wrong_type")]


FROM_A_FILE = {"connection": {"id": "s"}, "type": "file"}


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        ({"transfer_type": "publish", "delete_propagation": "ignore_both"}, "delete_propagation: not used"),
        ({"transfer_type": "move", "conflict_resolution": "source"}, "not used in a move job, the newer wins"),
        ({"transfer_type": "migrate", "conflict_resolution": "latest"}, "the source wins"),
        ({"transfer_type": "move", "duplicate_names": "rename"}, "duplicate_names: a move job always"),
        ({"permissions": {"links": True}}, "permissions.links: carries no links"),
        ({"lock_propagation": "mirror_owner"}, "lock_propagation: mirror_owner cannot find"),
        ({"batch_mode": "always", "source": FROM_A_FILE}, "batch_mode: not used where source"),
        ({"transfer_type": "sync", "conflict_resolution": "copy"}, "conflict copies"),
        ({"performance": {"retries": 3}}, "performance.retries: has no effect"),
        ({"rendition": "rendition"}, "rendition: no platform here makes renditions"),
    ],
)
def test_choices_that_cannot_act_are_said(keys, warning):
    assert any(warning in said for said in read(**keys).warnings)


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"max_items_per_container": 10**30}, "max_items_per_container"),
        ({"performance": {"upload": {"bytes_per_second": 2**63}}}, "performance/upload/bytes_per_second"),
        ({"limits": {"max_deletes": 1e300}}, "limits/max_deletes"),
        ({"limits": {"quarantine_days": 10**400}}, "limits/quarantine_days"),
        ({"filter": {"source": [{"rules": [{"type": "size", "min": 10**30}]}]}}, "filter/source/0/rules/0/min"),
        (
            {"filter": {"source": [{"rules": [{"type": "date", "range": {"type": "range", "from": 1e308}}]}]}},
            "filter/source/0/rules/0/range/from",
        ),
        (
            {"filter": {"source": [{"rules": [{"type": "date", "range": {"type": "range", "to": 10**400}}]}]}},
            "filter/source/0/rules/0/range/to",
        ),
    ],
)
def test_a_number_that_nothing_can_hold_is_refused_at_its_place(keys, place):
    assert problems(**keys) == [(f"/transfer/{place}", "out_of_range")]


def test_an_original_is_what_is_carried_anyway():
    assert read(rendition="original").warnings == read().warnings


@pytest.mark.parametrize("name", ["a/b", "..", ".", "/", "a\0b", " "])
def test_a_quarantine_is_one_folder_at_the_root(name):
    assert problems(quarantine=name)[0][0] == "/transfer/quarantine"
    assert read(quarantine="/.kept/").policies.quarantine == ".kept"


IMPORT = {"source": {"text": {"target": {"path": "/lists/grants.csv"}}, "delimiter": ";"}}


def test_a_text_file_to_import_is_read():
    block = read(permissions={"policy": "add", "import": IMPORT}, metadata_import={**IMPORT, "schema": {"id": "x"}})
    assert block.policies.permissions_import == block.policies.metadata_import == ("lists/grants.csv", ";")
    assert policies_from_json(policies_to_json(block.policies)) == block.policies
    assert any(said.startswith("permissions.import:") for said in read(permissions={"import": IMPORT}).warnings)


@pytest.mark.parametrize(
    ("document", "place", "code"),
    [
        ({}, "/source", "missing"),
        ({"source": {}}, "/source/text/target/path", "missing"),
        ({"source": {"text": {"target": {"path": "/"}}}}, "/source/text/target/path", "out_of_range"),
        ({"source": {"text": {"target": {"path": "/../x"}}}}, "/source/text/target/path", "out_of_range"),
        ({"source": {"text": {"target": {"path": "/x"}}, "delimiter": "||"}}, "/source/delimiter", "out_of_range"),
        ({"source": {"text": {"target": {"path": "/x"}}, "delimitr": ","}}, "/source/delimitr", "unknown_key"),
        ({"source": {"file": "x"}}, "/source/file", "unknown_key"),
    ],
)
def test_what_is_wrong_with_an_import_is_named(document, place, code):
    cases = (
        ("metadata_import", {"metadata_import": document}),
        ("permissions/import", {"permissions": {"import": document}}),
    )
    for key, block in cases:
        assert (f"/transfer/{key}{place}", code) in problems(**block)


def property_of(name):
    return {"property": {"type": "text", "name": name}}


def test_a_metadata_map_is_read_and_what_is_wrong_with_it_is_named():
    mapping = {"source": property_of("author"), "destination": property_of("writer"), "required": True}
    document = {"schemas": [{"source": {"id": "1"}, "default": True, "mappings": [mapping]}]}
    assert read(metadata_map=document).policies.metadata_map == (("author", "writer", True),)
    assert policies_from_json(policies_to_json(read(metadata_map=document).policies)).metadata_map == (
        ("author", "writer", True),
    )
    wrong = {"schemas": [{"mappings": [{"source": {"property": {}}, "destination": property_of("b")}]}]}
    assert problems(metadata_map=wrong) == [
        ("/transfer/metadata_map/schemas/0/mappings/0/source/property/name", "missing")
    ]
    both = [{"source": property_of(name), "destination": property_of("b")} for name in ("a", "c")]
    assert problems(metadata_map={"schemas": [{"mappings": both}]}) == [("/transfer/metadata_map", "not_together")]


def test_an_account_to_act_as_is_frozen_and_whether_it_can_be_is_for_the_platform_to_say():
    block = read(source={"connection": {"id": "1"}, "impersonate_as": {"email": "a@b.c"}})
    assert block.policies.source_account == "mailto:a@b.c", "no account is called that: a colon stands in no name"
    assert not any("impersonate_as" in said for said in block.warnings)


# -- frozen policies


RULE = FilterRule(type="date", extensions=("é", ""), targets=("a",), since=-1, until=2**63, groups=("Audio",))
BLOCKS = (FilterBlock(action="include", rules=(RULE, FilterRule(type="shared"))), FilterBlock(action="x", rules=()))
WINDOWS = (BandwidthWindow(starts=0.1, bytes_per_second=1), BandwidthWindow(starts=86399.0, bytes_per_second=2))


@settings(max_examples=60)
@given(
    st.sampled_from(TransferType),
    st.sampled_from(Symlinks),
    st.sampled_from(VerifyLevel),
    st.none() | st.text(),
    st.floats(0, 100),
    st.integers(0, 2),
)
def test_policies_survive_json_exactly(kind, symlinks, verify, quarantine, percent, count):
    chosen = Policies(
        transfer_type=kind,
        symlinks=symlinks,
        verify=verify,
        quarantine=quarantine,
        max_delete_percent=percent,
        max_items_per_container=count or None,
        upload=Bandwidth(bytes_per_second=count or None, windows=WINDOWS[:count]),
        filter_source=BLOCKS[:count],
    )
    again = policies_from_json(policies_to_json(chosen))
    assert again == chosen
    assert all(type(getattr(again, name)) is type(getattr(chosen, name)) for name in Policies.__dataclass_fields__)


def test_policies_that_an_older_version_wrote_get_the_defaults_of_what_it_did_not_know():
    document = json.loads(policies_to_json(Policies(transfer_type=TransferType.COPY)))
    del document["symlinks"]
    assert policies_from_json(json.dumps(document)) == Policies(transfer_type=TransferType.COPY)


# -- a command line's key=value


def test_overrides_are_read_as_text():
    chosen = with_overrides(
        Policies(),
        {
            "limits.max_deletes": "5",
            "limits.max_delete_percent": "7.5",
            "permissions": "diff",
            "timestamps": "no",
            "verify": "cold",
            "delete_propagation": "ignore_both",
            "performance.upload.bytes_per_second": "1000",
            "performance.parallel_writes.requested": "8",
            "max_items_per_container": "0",
        },
    )
    assert chosen.max_deletes == 5
    assert chosen.max_delete_percent == 7.5
    assert chosen.permissions_policy is PermissionsPolicy.DIFF
    assert chosen.timestamps is False
    assert chosen.verify is VerifyLevel.COLD
    assert chosen.delete_propagation is DeletePropagation.IGNORE_BOTH
    assert chosen.upload.bytes_per_second == 1000
    assert chosen.parallel_writes == 8
    assert chosen.max_items_per_container is None


@pytest.mark.parametrize(
    ("key", "text", "path", "code"),
    [
        ("verify", "x", "/transfer/verify", "unknown_value"),
        ("limits.max_delete", "5", "/transfer/limits/max_delete", "unknown_key"),
        ("limits", "5", "/transfer/limits", "unknown_key"),
        ("source.target.path", "/x", "/transfer/source/target/path", "unknown_key"),
        ("limits.max_deletes", "many", "/transfer/limits/max_deletes", "wrong_type"),
        ("timestamps", "maybe", "/transfer/timestamps", "unknown_value"),
        ("filter.source", "x", "/transfer/filter/source", "wrong_type"),
        ("performance.upload.rate", "9", "/transfer/performance/upload/rate", "unknown_key"),
    ],
)
def test_problems_of_overrides_are_those_of_a_block(key, text, path, code):
    with pytest.raises(BlockErrors) as caught:
        with_overrides(Policies(), {key: text})
    assert [(problem.path, problem.code) for problem in caught.value.problems] == [(path, code)]
