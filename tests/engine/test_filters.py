"""Filters end to end: every type of rule, as exclude and as include, and a filtered item is never touched."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from tallyport.domain.policies import DeletePropagation, Policies, TransferType
from tallyport.domain.transfer_block import defaults_for, read_transfer_block
from tallyport.testing.worlds import picture
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import ledger, names, read, write

NOW = time.time_ns()
DAY = 86_400 * 10**9
ENDS = {"source": {"connection": {"id": "s"}}, "destination": {"connection": {"id": "d"}}}


def policies(kind: TransferType, action: str | None, *rules: dict[str, Any], **changes: Any) -> Policies:
    block: dict[str, Any] = {"rules": list(rules), "type": "filter_rule"} | ({"action": action} if action else {})
    document = {**ENDS, "transfer_type": str(kind), "filter": {"source": [block]}}
    chosen = read_transfer_block(document).policies
    return dataclasses.replace(
        defaults_for(kind), filter_source=chosen.filter_source, **({"max_delete_percent": 100.0} | changes)
    )


def fill(connector: Any, content: bytes = b"12345") -> None:
    write(connector, "plain.txt", content, modified=NOW - 10 * DAY)
    write(connector, "song.MP3", content, modified=NOW - 400 * DAY)
    write(connector, "big.bin", content * 1_000, modified=NOW - 40 * DAY)
    write(connector, "~$draft.docx", content, modified=NOW)
    write(connector, "secret/inner.txt", content, modified=NOW)
    write(connector, "docs/report.docx", content, modified=NOW - 3 * DAY)


RULES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("extension", {"type": "filter_extension", "extensions": [".mp3", "bin"]}, {"song.MP3", "big.bin"}),
    ("alias", {"type": "extension", "extensions": ["MP3"]}, {"song.MP3"}),
    ("pattern", {"type": "filter_pattern", "text": "sec*;*.BIN"}, {"secret/inner.txt", "big.bin"}),
    ("of items", {"type": "pattern", "text": "*e*t*", "targets": ["item"]}, {"docs/report.docx", "secret/inner.txt"}),
    ("of containers", {"type": "pattern", "text": "*", "targets": ["container"]},
     {"docs/report.docx", "secret/inner.txt"}),
    ("of nothing", {"type": "pattern", "text": "*", "targets": ["none"]}, set()),
    ("size", {"type": "filter_size", "max": 1_024}, {"big.bin"}),
    ("small", {"type": "size", "min": 6},
     {"plain.txt", "song.MP3", "~$draft.docx", "secret/inner.txt", "docs/report.docx"}),
    ("nested", {"type": "filter_size", "rules": [{"max": 1_024}]}, {"big.bin"}),
    ("date", {"type": "filter_date", "targets": ["modified_on"], "range": {"type": "day", "value": 5}},
     {"~$draft.docx", "secret/inner.txt", "docs/report.docx"}),
    ("month", {"type": "date", "targets": ["modified_on"], "range": {"type": "month", "value": 2}},
     {"~$draft.docx", "secret/inner.txt", "docs/report.docx", "plain.txt", "big.bin"}),
    ("fixed", {"type": "date", "targets": ["modified_on"],
               "range": {"type": "range", "from": (NOW - 500 * DAY) // 10**9, "to": (NOW - 300 * DAY) // 10**9}},
     {"song.MP3"}),
    ("of no date", {"type": "date", "targets": ["none"], "range": {"type": "day", "value": 5}}, set()),
    ("group", {"type": "filter_group", "groups": ["Audio", "Temporary"]}, {"song.MP3", "~$draft.docx"}),
    ("documents", {"type": "group", "groups": ["Documents"]},
     {"docs/report.docx", "plain.txt", "secret/inner.txt", "~$draft.docx"}),
    ("path", {"type": "filter_path", "paths": ["/secret", "/docs/report.docx"]},
     {"secret/inner.txt", "docs/report.docx"}),
    ("shared", {"type": "filter_shared"}, set()),
    ("hidden", {"type": "filter_hidden"}, set()),
]  # fmt: skip
FILES = {"plain.txt", "song.MP3", "big.bin", "~$draft.docx", "secret/inner.txt", "docs/report.docx"}


@pytest.mark.parametrize(("rule", "matched"), [one[1:] for one in RULES], ids=[one[0] for one in RULES])
def test_a_rule_leaves_out_what_it_matches(port: Port, rule: dict[str, Any], matched: set[str]) -> None:
    fill(port.source)
    port.start()
    run = port.run(policies(TransferType.COPY, None, rule))
    assert run.failed == 0
    assert {name for name in names(port.destination) if not name.endswith("/")} == FILES - matched
    for path, (status, reason, _) in ledger(port).items():
        if path in matched:
            assert (status, reason.startswith("ignored_")) == (5, True)


def test_including_keeps_what_any_rule_matches(port: Port) -> None:
    fill(port.source)
    port.start()
    port.run(
        policies(
            TransferType.COPY,
            "include",
            {"type": "extension", "extensions": ["mp3"]},
            {"type": "pattern", "text": "plain*", "targets": ["item"]},
        )
    )
    assert {name for name in names(port.destination) if not name.endswith("/")} == {"song.MP3", "plain.txt"}


@pytest.mark.parametrize("kind", [TransferType.PUBLISH, TransferType.COPY, TransferType.SYNC, TransferType.MIGRATE])
def test_a_filtered_item_is_never_touched_on_either_side(port: Port, kind: TransferType) -> None:
    """Not written, not replaced, not deleted: publish does not remove it, move does not empty the source of it."""
    fill(port.source)
    write(port.destination, "song.MP3", b"theirs")
    write(port.destination, "other.mp3", b"theirs")
    changes: dict[str, Any] = {}
    if kind in (TransferType.COPY, TransferType.SYNC):
        changes["delete_propagation"] = DeletePropagation.MIRROR
    port.start()
    chosen = policies(kind, "exclude", {"type": "extension", "extensions": ["mp3"]}, **changes)
    port.run(chosen)
    assert read(port.source, "song.MP3") == b"12345"
    assert read(port.destination, "song.MP3") == b"theirs"
    assert read(port.destination, "other.mp3") == b"theirs"
    port.source.delete("song.MP3")
    port.run(dataclasses.replace(chosen, full_look=True))
    assert read(port.destination, "song.MP3") == b"theirs"
    assert "song.MP3" not in picture(port.source)


def test_a_filter_is_judged_again_when_the_item_changes(port: Port) -> None:
    fill(port.source)
    port.start()
    chosen = policies(TransferType.COPY, "exclude", {"type": "size", "max": 1_024})
    port.run(chosen)
    assert "big.bin" not in names(port.destination)
    write(port.source, "big.bin", b"small now", modified=NOW)
    port.run(chosen)
    assert read(port.destination, "big.bin") == b"small now"
