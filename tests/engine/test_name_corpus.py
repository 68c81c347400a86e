"""Five hundred awkward names between pairs of name rules: none is lost, no two become one, and it settles."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.memory_tree import forget
from tallyport.domain import naming
from tallyport.domain.entries import Kind
from tallyport.domain.filters import extension_of
from tallyport.domain.policies import DuplicateNames, Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import items
from tallyport.testing.trees import AWKWARD_NAMES
from tests.engine.conftest import Port

NIGHTLY = pytest.mark.nightly
REPORTED = (3, 4, 5, 6)  # retry flagged skipped ignored
DONE = (1, 2)

PLATFORMS: dict[str, dict[str, Any]] = {
    "posix": {},
    "windows": {"forbidden_characters": ':*?"<>|\\/\0', "forbidden_endings": ". ", "case_insensitive": True},
    "short": {"max_name": 24, "forbidden_characters": ":/\0"},
    "cases": {"case_insensitive": True},
    "types": {"refused_extensions": "txt csv", "case_insensitive": True, "max_name": 60},
}
RULES: dict[str, dict[str, Any]] = {
    "default": {},
    "encode": {"encode_invalid_characters": True},
    "truncate": {"segment_truncate": True},
    "both": {"encode_invalid_characters": True, "segment_truncate": True},
    "warn": {"duplicate_names": DuplicateNames.WARN, "segment_truncate": True},
    "as they are": {"segment_transform": False},
}
IN_CI = {("posix", "posix", "default"), ("posix", "windows", "both"), ("posix", "types", "truncate")} | {
    ("posix", "short", "warn"),
    ("windows", "posix", "encode"),
    ("posix", "cases", "as they are"),
}


def corpus() -> list[str]:
    """Give at least five hundred names, each once, many of which other platforms take for another."""
    found = [*AWKWARD_NAMES]
    for stem in ("con", "PRN", "aux.txt", "COM1", "lpt9.log", "CLOCK$"):
        found += [stem, stem.upper(), stem.lower(), f"{stem}.", f"{stem} ", f" {stem}"]
    for character in ":*?\"<>|\\\n\t\r\x01\x7f%~#&;$!'`{}[]()":
        found += [f"a{character}b.txt", f"{character}", f"x{character}", f"{character}{character}.csv"]
    for number in range(60):
        found += [f"Case{number}.TXT", f"case{number}.txt", f"CASE{number}.txt", f"case{number}(1).txt"]
    for accent in ("\u0301", "\u0300", "\u0308", "\u0327"):
        for letter in "aeiouncAEIOU":
            found.append(f"{letter}{accent}")
    found += [
        "\u00e1",
        "\u00e9",
        "\u00fc",
        "\u00f1",
        "\u0130",
        "\u0131",
        "\u1e9e",
        "SS",
        "ss",
        "\u00df",
        "\uff21",
        "A",
        "a",
    ]
    for length in (20, 23, 24, 25, 60, 61, 100, 200, 254, 255):
        found += ["n" * length, "n" * (length - 4) + ".txt", "N" * length, "n" * (length - 1) + "m"]
    for emoji in ("\U0001f600", "\U0001f468\u200d\U0001f469", "\u202egnp.exe", "\ufeffbom", "\u00a0nbsp", "a\u200db"):
        found += [emoji, f"{emoji}.txt", f"{emoji} ", f"{emoji}."]
    found += [os.fsdecode(bytes([byte])) for byte in range(0x80, 0x90)]
    found += [f"{dots}" for dots in ("...", "....", ". .", "..a", "a..", "a...txt")]
    kept = dict.fromkeys(name for name in found if len(os.fsencode(name)) <= 255 and "/" not in name)
    return list(kept)


def taken(platform: str) -> list[str]:
    """Give the names that a platform can hold beside each other."""
    world = Memory(Settings(store="", **PLATFORMS[platform]))
    found: dict[str, str] = {}
    for name in corpus():
        suits = naming.refusal(name, world.limits) is None and naming.length(name, world.limits.name_unit) <= (
            world.limits.max_name
        )
        if suits and extension_of(name)[1:] not in world.limits.refused_extensions:
            found.setdefault(naming.key(name, world.limits), name)
    return list(found.values())


def test_the_corpus_is_large_and_has_every_name_once() -> None:
    assert len(corpus()) >= 500
    assert len({os.fsencode(name) for name in corpus()}) == len(corpus())


@pytest.mark.parametrize(
    ("source", "destination", "rules"),
    [
        pytest.param(*each, marks=() if each in IN_CI else NIGHTLY)
        for each in ((s, d, r) for s in PLATFORMS for d in PLATFORMS for r in RULES)
    ],
)
def test_every_name_arrives_or_is_reported_and_none_is_merged(
    port: Port, source: str, destination: str, rules: str
) -> None:
    for side, platform in enumerate((source, destination)):
        forget(port.stores[side])
        port.slow(side, **PLATFORMS[platform])
    port.source = Memory(Settings(store=port.stores[0], **PLATFORMS[source]))
    port.destination = Memory(Settings(store=port.stores[1], **PLATFORMS[destination]))
    given = taken(source)
    for name in given:
        port.source.write(name, [os.fsencode(name)], facts(name))
    policies: Policies = dataclasses.replace(
        defaults_for(TransferType.COPY), max_attempts=1, max_items_per_container=None, **RULES[rules]
    )
    port.start()
    first = port.run(policies)
    landed = arrived(port)
    rows = ledger(port)
    assert set(rows) == set(given)
    reported = [name for name, row in rows.items() if row[0] in REPORTED]
    assert len(landed) + len(reported) == len(given), first
    assert len({naming.key(name, port.destination.limits) for name in landed}) == len(landed)
    assert {rows[name][1] or name for name in given if rows[name][0] in DONE} == set(landed)
    if destination == "posix" or (destination == "cases" and rules != "warn"):
        assert not reported
    again = port.run(policies)
    assert again.writes == again.transferred == 0, again
    assert arrived(port) == landed
    assert {name: row[1] for name, row in ledger(port).items()} == {name: row[1] for name, row in rows.items()}


def facts(name: str) -> Any:
    from tallyport.connectors.protocol import Facts

    return Facts(modified=10**18, size=len(os.fsencode(name)))


def arrived(port: Port) -> dict[str, int]:
    return {entry.name: entry.size for entry in port.destination.children("") if entry.kind is Kind.FILE}


def ledger(port: Port) -> dict[str, tuple[int, str | None]]:
    with port.database.read() as tx:
        found = items.iterate(tx, port.job.number, statuses=tuple(range(7)), reasons=(), kinds=(1,))
        return {row.path: (int(row.status), row.d_path if row.d_path != row.path else None) for row in found}
