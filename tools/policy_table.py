"""Writes docs/reference/policies.md from the domain and from the table that the tests hold decisions against.

``tests/domain/policy_table.csv`` says what happens in every cell: transfer type, conflict_resolution,
delete_propagation and item_overwrite against what changed on each side. It is data that people review; ``--table``
writes it anew from the decisions as they are, to be looked at before it is kept. ``--check`` writes nothing and
fails where the page is stale.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tallyport.domain.actions import (
    Action,
    Adopt,
    Delete,
    Enter,
    Flag,
    Forget,
    MakeContainer,
    Skip,
    Stamp,
    Transfer,
)
from tallyport.domain.block_words import KEY_WORDS, RULE_WORDS
from tallyport.domain.capabilities import Limits
from tallyport.domain.decide import decide
from tallyport.domain.entries import Baseline, Entry, Kind, Pair, Side, fingerprint
from tallyport.domain.filters import RULE_TYPES
from tallyport.domain.policies import ConflictResolution, DeletePropagation, ItemOverwrite, Policies, TransferType
from tallyport.domain.rules import Rules, rules_for
from tallyport.domain.transfer_block import KEYS, defaults_for

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "tests", "domain", "policy_table.csv")
PAGE = os.path.join(ROOT, "docs", "reference", "policies.md")
POSIX = Limits(symlinks=True, permissions=True)

Cell = tuple[str, str, str, str]  # words of the four policies that the table is about
KEY_COLUMNS = ("transfer_type", "conflict_resolution", "delete_propagation", "item_overwrite")
AXES = tuple(
    tuple(str(member) for member in kind)
    for kind in (TransferType, ConflictResolution, DeletePropagation, ItemOverwrite)
)


class Situation(NamedTuple):
    """What changed on each side, with a pair that shows it."""

    name: str
    says: str
    pair: Pair
    first: bool = False


def _file(content: bytes, modified: int) -> Entry:
    return Entry("a", Kind.FILE, len(content), modified, hash=content)


_OLD, _NEW, _NEWER = _file(b"old", 1), _file(b"new", 2), _file(b"newer", 3)
_FOLDER = Entry("a", Kind.CONTAINER)


def _known(entry: Entry) -> Baseline:
    return Baseline(fingerprint(entry), fingerprint(entry), entry.hash)


def _situations() -> Iterator[Situation]:
    known = _known(_OLD)
    yield Situation("new|absent", "new at the source", Pair("a", _NEW, None))
    yield Situation("absent|new", "new at the destination", Pair("a", None, _NEW))
    yield Situation("new|new equal", "new on both sides, equal", Pair("a", _NEW, _NEW))
    yield Situation("new|new source newer", "new on both, source newer", Pair("a", _NEWER, _NEW))
    yield Situation("new|new destination newer", "new on both, destination newer", Pair("a", _NEW, _NEWER))
    yield Situation("first new|new source newer", "first run: on both, source newer", Pair("a", _NEWER, _NEW), True)
    yield Situation(
        "first new|new destination newer", "first run: on both, destination newer", Pair("a", _NEW, _NEWER), True
    )
    yield Situation("same|same", "unchanged", Pair("a", _OLD, _OLD, known))
    yield Situation("modified|same", "changed at the source", Pair("a", _NEW, _OLD, known))
    yield Situation("same|modified", "changed at the destination", Pair("a", _OLD, _NEW, known))
    yield Situation("modified|modified equal", "changed on both, equally", Pair("a", _NEW, _NEW, known))
    yield Situation("modified|modified source newer", "changed on both, source newer", Pair("a", _NEWER, _NEW, known))
    yield Situation(
        "modified|modified destination newer", "changed on both, destination newer", Pair("a", _NEW, _NEWER, known)
    )
    yield Situation("modified|deleted", "changed at the source, deleted there", Pair("a", _NEW, None, known))
    yield Situation("deleted|modified", "deleted at the source, changed there", Pair("a", None, _NEW, known))
    yield Situation("deleted|same", "deleted at the source", Pair("a", None, _OLD, known))
    yield Situation("same|deleted", "deleted at the destination", Pair("a", _OLD, None, known))
    yield Situation("deleted|deleted", "deleted on both", Pair("a", None, None, known))
    yield Situation("absent|absent", "nowhere, and never known", Pair("a", None, None))
    # Touched: the platform's tag differs and the hash does not, as after a chmod.
    was, touched = (entry._replace(tag=tag) for entry, tag in ((_OLD, b"1"), (_OLD, b"2")))
    known = _known(was)
    yield Situation("touched|same", "touched at the source", Pair("a", touched, was, known))
    yield Situation("same|touched", "touched at the destination", Pair("a", was, touched, known))
    yield Situation("touched|touched", "touched on both", Pair("a", touched, touched, known))
    yield Situation("touched|modified", "touched at the source, changed there", Pair("a", touched, _NEW, known))
    yield Situation("modified|touched", "changed at the source, touched there", Pair("a", _NEW, touched, known))
    yield Situation("touched|deleted", "touched at the source, deleted there", Pair("a", touched, None, known))
    yield Situation("deleted|touched", "deleted at the source, touched there", Pair("a", None, touched, known))
    known = _known(_FOLDER)
    for here, there, says in (
        ("new", "absent", "new at the source"),
        ("absent", "new", "new at the destination"),
        ("new", "new", "on both sides"),
        ("same", "same", "known on both"),
        ("deleted", "same", "deleted at the source"),
        ("same", "deleted", "deleted at the destination"),
        ("deleted", "deleted", "deleted on both"),
    ):
        source, destination = (_FOLDER if word in ("new", "same") else None for word in (here, there))
        baseline = known if {"same", "deleted"} & {here, there} else None
        yield Situation(f"container {here}|{there}", says, Pair("a", source, destination, baseline))


SITUATIONS = tuple(_situations())


def cells(axes: Sequence[Sequence[str]] = AXES) -> Iterator[Cell]:
    """Give every combination of the four policies."""
    kinds, conflicts, deletes, overwrites = axes
    yield from itertools.product(kinds, conflicts, deletes, overwrites)


def rules_of(cell: Cell, *, first: bool) -> Rules:
    """Make the rules of a cell between two plain folders."""
    policies = Policies(
        transfer_type=TransferType(cell[0]),
        conflict_resolution=ConflictResolution(cell[1]),
        delete_propagation=DeletePropagation(cell[2]),
        item_overwrite=ItemOverwrite(cell[3]),
    )
    return rules_for(policies, POSIX, POSIX, started=0, first_run=first)


def code(action: Action) -> str:
    """Write an action as the table has it: ``>`` to the destination, ``<`` to the source, ``!`` over something."""
    arrow = {Side.DESTINATION: ">", Side.SOURCE: "<"}
    match action:
        case Transfer(to=to, replaces=replaces, keep_as=keep_as):
            how = arrow[to] + ("+" if keep_as else "!" if replaces else "")
        case MakeContainer(to=to):
            how = f"make{arrow[to]}"
        case Stamp(to=to):
            how = f"stamp{arrow[to]}"
        case Delete(side=side):
            how = f"delete{arrow[side]}"
        case Adopt():
            how = "adopt"
        case Enter():
            how = "enter"
        case Forget():
            how = "forget"
        case Skip():
            how = "skip"
        case Flag():
            how = "flag"
        case _:
            raise AssertionError(f"a question is not an answer: {action}")
    return f"{how} {action.reason}"


def outcomes(cell: Cell) -> tuple[str, ...]:
    """Decide every situation under one combination of policies."""
    rules = {first: rules_of(cell, first=first) for first in (False, True)}
    return tuple(code(decide(situation.pair, rules[situation.first])) for situation in SITUATIONS)


# -- the table


def expected() -> dict[Cell, tuple[str, ...]]:
    """Read the table: what is expected in every cell. A cell that is named twice is an error."""
    found: dict[Cell, tuple[str, ...]] = {}
    with open(TABLE, encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    if tuple(header[:4]) != KEY_COLUMNS or tuple(header[4:]) != tuple(situation.name for situation in SITUATIONS):
        raise ValueError("the table's columns are not the situations of tools/policy_table.py")
    for row in rows:
        texts = zip(AXES, row[:4], strict=True)
        for cell in cells([axis if text == "*" else text.split("|") for axis, text in texts]):
            if cell in found:
                raise ValueError(f"the table has two rows for {cell}")
            found[cell] = tuple(row[4:])
    return found


def write_table() -> str:
    """Write the decisions as they are now, one row for all values that act alike."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((*KEY_COLUMNS, *(situation.name for situation in SITUATIONS)))
    results = {cell: outcomes(cell) for cell in cells()}
    for kind in AXES[0]:
        for overwrites in _alike(results, [(kind,), *AXES[1:]], 3):
            axes = [(kind,), *AXES[1:3], overwrites]
            for conflicts, deletes in itertools.product(_alike(results, axes, 1), _alike(results, axes, 2)):
                texts = [
                    "*" if len(words) == len(axis) else "|".join(words)
                    for words, axis in zip((conflicts, deletes, overwrites), AXES[1:], strict=True)
                ]
                writer.writerow((kind, *texts, *results[kind, conflicts[0], deletes[0], overwrites[0]]))
    return stream.getvalue()


def _alike(results: dict[Cell, tuple[str, ...]], axes: Sequence[Sequence[str]], axis: int) -> list[list[str]]:
    """Group the values of one axis that act alike, whatever the others are."""
    groups: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for value in axes[axis]:
        acts = tuple(results[cell] for cell in cells([*axes[:axis], (value,), *axes[axis + 1 :]]))
        groups.setdefault(acts, []).append(value)
    return list(groups.values())


# -- the page

SHORT = {
    ">": "send",
    ">!": "send over it",
    ">+": "send, keep the other",
    "<": "fetch",
    "<!": "fetch over it",
    "<+": "fetch, keep the other",
    "make>": "make there",
    "make<": "make at the source",
    "stamp>": "carry times",
    "stamp<": "fetch times",
    "delete>": "**delete there**",
    "delete<": "**delete at the source**",
    "adopt": "adopt",
    "enter": "enter",
    "forget": "forget",
    "skip": "leave",
    "flag": "flag",
}


def _show(outcome: str) -> str:
    how, _, reason = outcome.partition(" ")
    return f"{SHORT[how]}<br>`{reason}`"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _default_of(key: str) -> str:
    policies = defaults_for(TransferType.SYNC)
    value = getattr(policies, KEYS[key].policy)
    if key == "delete_propagation":
        return "`mirror`; copy: `ignore_source`"
    if value is None or value == () or key.startswith(("performance.upload", "performance.download")):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value.name.lower()}`" if key == "verify" else f"`{value}`"


def _default_cell(kind: TransferType) -> Cell:
    policies = defaults_for(kind)
    return kind, policies.conflict_resolution, policies.delete_propagation, policies.item_overwrite


def _variations(table: dict[Cell, tuple[str, ...]], kind: TransferType, axis: int) -> Iterator[tuple[str, str, str]]:
    """Say what each value of one policy changes against the default of a transfer type."""
    default = _default_cell(kind)
    usual = table[default]
    for value in AXES[axis]:
        (cell,) = cells([(value,) if at == axis else (word,) for at, word in enumerate(default)])
        if cell == default:
            yield f"`{value}`", "the default", ""
            continue
        changes = [
            (situation, outcome)
            for situation, before, outcome in zip(SITUATIONS, usual, table[cell], strict=True)
            if before != outcome
        ]
        if not changes:
            yield f"`{value}`", "as the default", ""
        by_outcome: dict[str, list[str]] = {}
        for situation, outcome in changes:
            what = "container " if situation.name.startswith("container") else ""
            by_outcome.setdefault(_show(outcome), []).append(what + situation.says)
        for shown, places in by_outcome.items():
            yield f"`{value}`", "; ".join(places), shown


NOTES = {
    "conflict_resolution": (
        "Source newer and destination newer mean by more than their two clocks may be off. Where `latest`, or a move,",
        "has to tell and cannot, the file is flagged with `times_too_close` and nothing is written. Between folders of",
        "one machine, or two places of one server, that never happens; equal times prefer the source there.",
        "",
    )
}


def page() -> str:
    """Write the page."""
    table = expected()
    kinds = list(TransferType)
    lines = [
        "# Policies",
        "",
        "Written by `tools/policy_table.py` from the code and from `tests/domain/policy_table.csv`, which the tests",
        "hold every decision against. [How an item is decided](../explanation/how-an-item-is-decided.md) explains it,",
        "[reasons](reasons.md) has the reasons in words.",
        "",
        "## Keys of the transfer block",
        "",
        *_table(
            ("key", "values", "default", "meaning"),
            [
                (
                    f"`{key}`",
                    " ".join(f"`{word}`" for word in entry.allowed) or "a value",
                    _default_of(key),
                    KEY_WORDS[key],
                )
                for key, entry in KEYS.items()
            ],
        ),
        "`null` means the same as leaving a key out. An unknown key or word is refused with its JSON path and the",
        "words that would do. A choice that cannot act as it reads is answered with a warning.",
        "",
        "## Filter rules",
        "",
        'A filter is a list of blocks, each `{"action": "exclude", "rules": [{"type": "filter_hidden"}]}`. `exclude`,',
        "the default, leaves out what any of its rules matches; `include` leaves out what none of its rules matches.",
        "Exclude beats include, and an item takes part where every block lets it. What a filter leaves out is",
        "touched on neither side. `filter_` may be left off.",
        "",
        *_table(
            ("type", "members", "matches"),
            [(f"`filter_{kind}`", *RULE_WORDS[kind]) for kind in RULE_TYPES],
        ),
        "## What happens to files, by transfer type",
        "",
        "Every other policy at its default. *Send* is source to destination, *fetch* the other way. *Adopt* remembers",
        "two equal items without carrying anything. In move and migrate, whatever is sent or adopted goes from the",
        "source afterwards, once it is proved at the job's verify level. Its folders follow, each that nothing is left",
        "in: what is skipped, flagged or filtered keeps its folder. So does every folder that any job would delete: it",
        "is left out with the reason `not_empty`, by a simulation and by every run alike, until nothing is left in it.",
        "",
    ]
    for title, wanted in (("file", False), ("container", True)):
        if wanted:
            lines += [
                "## What happens to containers",
                "",
                "Containers of one name are merged; they never conflict.",
                "",
            ]
        lines += _table(
            (title, *(kind.value for kind in kinds)),
            [
                (situation.says, *(_show(table[_default_cell(kind)][index]) for kind in kinds))
                for index, situation in enumerate(SITUATIONS)
                if situation.name.startswith("container") == wanted
            ],
        )
    for axis, key in ((1, "conflict_resolution"), (2, "delete_propagation"), (3, "item_overwrite")):
        lines += [f"## What `{key}` changes", "", *NOTES.get(key, ())]
        alike: dict[tuple[tuple[str, str, str], ...], list[str]] = {}
        for kind in kinds:
            alike.setdefault(tuple(_variations(table, kind, axis)), []).append(kind.value)
        for rows, names in alike.items():
            if any(outcome for _, _, outcome in rows):
                lines += [f"Against the tables above, with **{'**, **'.join(names)}**:", ""]
                lines += _table(("value", "where", "outcome"), rows)
        idle = [name for rows, names in alike.items() for name in names if not any(row[2] for row in rows)]
        if idle:
            lines += [f"It changes nothing with {', '.join(idle)}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the table, write the page, or check the page."""
    if "--table" in arguments:
        with open(TABLE, "w", encoding="utf-8", newline="") as stream:
            stream.write(write_table())
    text = page()
    if "--check" in arguments:
        with open(PAGE, encoding="utf-8") as stream:
            stale = stream.read() != text
        if stale:
            print("docs/reference/policies.md is stale: run python3 tools/policy_table.py")
        return 1 if stale else 0
    os.makedirs(os.path.dirname(PAGE), exist_ok=True)
    with open(PAGE, "w", encoding="utf-8") as stream:
        stream.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
