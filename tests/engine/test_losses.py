"""What a plan counts before a run, the ledger counts after it, kind by kind; and nothing differs that is not in it."""

from __future__ import annotations

import ast
import dataclasses
import os
import random
import re
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.opening import open_connection
from tallyport.connectors.probing import MEASURED
from tallyport.connectors.protocol import Facts
from tallyport.connectors.surveying import side_of, survey
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind
from tallyport.domain.losses import BITS, Fact, facts_of
from tallyport.domain.policies import PermissionsPolicy, Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import items
from tallyport.store.database import Database
from tallyport.testing import compare
from tests.engine.conftest import Port
from tests.engine.pairs import End, Way, lost
from tests.engine.places import OBJECTS, SHARES, Places, kind

ASKING = dataclasses.replace(
    defaults_for(TransferType.COPY), preserve_owners=True, permissions_policy=PermissionsPolicy.ADD
)
PLAIN = defaults_for(TransferType.COPY)
FORETOLD = frozenset(Fact) - {Fact.ACCOUNTS, Fact.LOCKS, Fact.IMPORTS, Fact.IMPERSONATION}
SECOND = 1_000_000_000
MOMENT = 1_700_000_000 * SECOND
NAMES = ("a", "A", "what?", "long" * 20, "b.txt", "con", "end.")


def grown(source: Memory, chance: random.Random) -> None:
    """Put a tree of everything that a listing can tell into a world."""
    folders = [""]
    for name in chance.sample(NAMES, 3):
        place = f"{chance.choice(folders)}/{name}".strip("/")
        source.make_container(place, Facts(modified=MOMENT + chance.choice((0, 7)), mode=0o750))
        folders.append(place)
    files: list[str] = []
    for number in range(12):
        path = f"{chance.choice(folders)}/{number}-{chance.choice(NAMES)}".strip("/")
        turn = chance.randrange(8)
        if turn == 0:
            source.make_symlink(path, "a", Facts())
        elif turn == 1 and files:
            source.make_hard_link(path, chance.choice(files))
        else:
            facts = Facts(modified=MOMENT + chance.choice((0, 1, 100, SECOND)), mode=chance.choice((None, 0o640)))
            size = chance.choice((0, 5, 50))  # of each content: a file fails whose earlier one is too large
            for _ in range(chance.choice((1, 1, 2, 4)) if source.settings.versions else 1):
                source.write(path, [b"x" * size], facts)
            files.append(path)
    for path in chance.sample(files, min(3, len(files))):
        source.set_properties(path, {"colour": b"red"})
    grant = Grant(Principal(PrincipalKind.ACCOUNT, name="ann"), frozenset({AccessRight.READ}))
    source.set_access(files[0], Access(grants=(grant,)))


def awkward(chance: random.Random) -> dict[str, Any]:
    """Give a platform that lacks some things."""
    words = ("symlinks", "permissions", "grants", "properties")
    lacks: dict[str, Any] = {word: chance.random() < 0.5 for word in words}
    lacks["hard_links"] = lacks["symlinks"] and chance.random() < 0.7
    lacks["time_precision"] = chance.choice((1, 100, SECOND))
    lacks["max_size"] = chance.choice((None, 10))
    lacks["forbidden_characters"] = chance.choice(("", "?"))
    lacks["forbidden_endings"] = chance.choice(("", "."))
    lacks["max_name"] = chance.choice((255, 60))
    lacks["versions"] = chance.random() < 0.3
    lacks["max_versions"] = chance.choice((None, 2))
    return lacks


@pytest.mark.parametrize("policies", [PLAIN, ASKING], ids=["plain", "asking"])
@pytest.mark.parametrize("seed", range(8))
def test_the_ledger_counts_what_the_plan_counted_between_any_two(port: Port, seed: int, policies: Policies) -> None:
    chance = random.Random(seed)
    keeps = {"versions": True, "counts": chance.random() < 0.5} if chance.random() < 0.7 else {}
    source = Memory(Settings(store=port.stores[0], **keeps))
    grown(source, chance)
    settings = awkward(chance)
    port.slow(0, **keeps)
    port.slow(1, **settings)
    there = side_of(Memory(Settings(**settings)))
    found = survey(source, there.limits, policies, now=0, goes_on=lambda: True, there=there).document()
    said = {loss["what"]: loss["count"] for loss in found["losses"]}
    port.start()
    run = port.run(policies)
    with port.database.read() as tx:
        bits = items.lost(tx, port.job.number)
    counted = {fact: sum(number for one, number in bits.items() if fact in facts_of(one)) for fact in FORETOLD}
    assert {str(fact): number for fact, number in counted.items() if number} == said, run.info
    again = port.run(policies)
    with port.database.read() as tx:
        assert items.lost(tx, port.job.number) == bits, again.info


def planted(root: Path) -> None:
    """Make a tree of everything that a folder of this machine can hold, times to the nanosecond."""
    for folder in ("a/deep", "empty", "private"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(("a/one.txt", "a/deep/two words & %41+.bin", "what?.txt", "private/key", "nothing")):
        (root / name).write_bytes(b"x" * 1_000 * number)
        os.utime(root / name, ns=(MOMENT, MOMENT + 123_456_789 + number * SECOND))
    (root / "private/key").chmod(0o600)
    (root / "a/one.txt").chmod(0o664)
    (root / "private").chmod(0o711)
    os.link(root / "a/one.txt", root / "a/deep/again.txt")
    os.symlink("a/one.txt", root / "link")
    for folder in ("a/deep", "a", "empty", "private", ""):
        os.utime(root / folder, ns=(MOMENT, MOMENT + 987_654_321))


def foretold(source: End, there: End, policies: Policies) -> dict[str, int]:
    """Give what a plan says will be lost."""
    ends = [open_connection(end.platform, end.settings, end.path, make=True) for end in (source, there)]
    with closing(ends[0]), closing(ends[1]):
        side = side_of(ends[1])
        found = survey(ends[0], side.limits, policies, now=0, goes_on=lambda: True, there=side).document()
    return {loss["what"]: loss["count"] for loss in found["losses"]}


def lacking(way: Way) -> dict[str, set[Fact]]:
    """Give what items lack, by their paths on both sides."""
    found: dict[str, set[Fact]] = {}
    with way.database.read() as tx:
        for row in items.iterate(tx, way.job.number, lost=sum(BITS.values())):
            for path in (row.path, row.d_path):
                found.setdefault(path, set()).update(facts_of(row.lost))
    return found


def facts_that_explain(difference: str) -> set[Fact]:
    """Say which losses a line of a comparison can come from."""
    if difference.endswith((": missing", ": not expected")):
        return {Fact.SYMLINKS, Fact.NAMES}
    if ": modified at " in difference:
        return {Fact.TIMES, Fact.PRECISION, Fact.FOLDER_TIMES}
    if ": mode " in difference:
        return {Fact.MODES}
    return {Fact.HARD_LINKS} if "file" in difference else set()


def unexplained(source: Path, back: Path, *ways: Way) -> list[str]:
    """Give the differences of two folders that no ledger has."""
    ledgers = [lacking(way) for way in ways]
    found = []
    for line in compare.differences(str(source), str(back), owners=False):
        quoted = re.match(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", line)
        assert quoted is not None, line
        path = "" if quoted[0] == "'.'" else ast.literal_eval(quoted[0])  # the two folders themselves
        known = set[Fact]().union(*(ledger.get(path, set()) for ledger in ledgers))
        if not known & facts_that_explain(line):
            found.append(f"{line} [{', '.join(sorted(known))}]")
    return found


@pytest.mark.parametrize("name", [kind(name) for name in (*OBJECTS, *SHARES)])
def test_what_comes_back_is_equal_or_its_difference_is_in_the_ledger(
    database: Database, places: Places, tmp_path: Path, name: str
) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    planted(source)
    here, there, home = End("fs", {"path": str(source)}), places.new(name).end, End("fs", {"path": str(back)})
    # What the account of a share may set shows when it is read back: nobody can foretell that.
    policies = PLAIN if name == "smb" else ASKING
    said = foretold(here, there, policies)
    way = Way(database, here, there, policies)
    way.run()
    assert lost(way) == said
    said = foretold(there, home, PLAIN)
    last = Way(database, there, home, PLAIN)
    last.run()
    assert lost(last) == said
    assert unexplained(source, back, way, last) == []


ACROSS = (("s3", "azure"), ("s3", "smb"), ("smb", "s3"), ("sftp", "s3"), ("wsgidav", "s3"), ("smb", "wsgidav"))


@pytest.mark.parametrize(("one", "other"), [kind(*pair) for pair in ACROSS])
def test_what_goes_from_one_to_another_is_equal_or_its_difference_is_in_a_ledger(
    database: Database, places: Places, tmp_path: Path, one: str, other: str
) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    planted(source)
    ends = [
        End("fs", {"path": str(source)}),
        places.new(one).end,
        places.new(other).end,
        End("fs", {"path": str(back)}),
    ]
    ways = []
    for here, there in pairwise(ends):
        said = foretold(here, there, PLAIN)
        ways.append(Way(database, here, there, PLAIN))
        ways[-1].run()
        assert lost(ways[-1]) == said, (here.platform, there.platform)
    assert unexplained(source, back, *ways) == []


@pytest.mark.parametrize("policies", [PLAIN, ASKING], ids=["plain", "asking"])
def test_a_folder_found_to_keep_times_coarsely_has_its_losses_item_by_item(
    database: Database, tmp_path: Path, policies: Policies
) -> None:
    source = tmp_path / "source"
    planted(source)
    (source / "a/many").mkdir()
    for number in range(20):  # plain and small: what a new folder is filled with at once
        (source / f"a/many/{number}").write_bytes(b"x")
        os.utime(source / f"a/many/{number}", ns=(MOMENT, MOMENT + number % 2))
    here = End("fs", {"path": str(source)})
    there = End("fs", {"path": str(tmp_path / "there"), MEASURED: {"time_precision": SECOND}})
    said = foretold(here, there, policies)
    assert said["time_precision"] >= 10
    way = Way(database, here, there, policies)
    way.run()
    assert lost(way) == said
    way.run()
    assert lost(way) == said
