"""Invariant I6: killed at any moment, the next start brings the migration to its right end.

Each round lets a run begin and kills it at a random moment, again and again, then lets it finish. Then the
trees are equal, nothing is lost or counted twice in the ledger, and no temporary is left.
`TALLYPORT_KILLS=100` is the full battery; `TALLYPORT_SEED` replays a run.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from tallyport.testing import compare, faults, trees
from tests.acceptance import product
from tests.acceptance.product import DONE

KILLS = int(os.environ.get("TALLYPORT_KILLS", "10"))
ITEMS, BUDGET = (20_000, 600 * trees.MIB) if KILLS > 10 else (4_000, 150 * trees.MIB)
KILLS_A_ROUND = 3
FOREIGN = "somebody else's.txt"

pytestmark = pytest.mark.timeout(60 + 30 * KILLS)


@pytest.fixture
def source(place):
    path = os.path.join(place, "source")
    return path, trees.crash_tree(path, items=ITEMS, budget=BUDGET)


def check(place: str, data: str, source: str, made: trees.Tree, *, faithful: bool = True) -> None:
    """Check all that must hold after the last resume."""
    destination = os.path.join(place, "destination")
    foreign = frozenset({FOREIGN})
    assert compare.differences(source, destination, ignore=foreign, modes=faithful, owners=faithful) == []
    assert os.path.exists(os.path.join(destination, FOREIGN)), "a file that is not ours was deleted"
    assert compare.leftovers(destination) == []
    assert product.item_counts(data) == {product.SUCCESS: made.items}
    total = product.totals(data)
    assert (total["failed"], total["pending"]) == (0, 0)
    assert total["files"] == made.files, f"files were counted twice or not at all: {total}"
    carried = total["transferred"] + total["unchanged"]
    assert carried == made.files + made.symlinks, f"not each item once: {total}, {made}"
    open_work = product.rows(
        data,
        "SELECT (SELECT count(*) FROM visits WHERE state IN ('pending', 'claimed'))"
        " + (SELECT count(*) FROM tasks WHERE state IN ('pending', 'claimed', 'blocked'))",
    )
    assert open_work == [(0,)]


def prepared_destination(place: str) -> str:
    """Make a fresh destination with something in it that is not ours."""
    destination = os.path.join(place, "destination")
    os.mkdir(destination)
    with open(os.path.join(destination, FOREIGN), "w") as stream:
        stream.write("not yours")
    return destination


@pytest.mark.parametrize(
    ("whole_group", "policies"),
    [(True, product.PLAIN), (False, product.FAITHFUL)],
    ids=["all processes", "the first process only"],
)
def test_one_shot(place, data, source, chance, whole_group, policies):
    """The command is killed; `runs resume` goes on with the same run."""
    tree, made = source
    quick = duration(tree, place)
    for number in range(rounds()):
        prepared_destination(place)
        first = product_command("copy", tree, os.path.join(place, "destination"), "-q", *policies)
        for attempt in range(KILLS_A_ROUND):
            moment = chance.uniform(0.05, quick * (0.9 if attempt == 0 else 0.5))
            command = following(data, first)
            if command is None:
                break
            with open(os.path.join(place, "last.log"), "wb") as log:
                fate = faults.killed_after(
                    command, moment, env=product.environment(data), whole_group=whole_group, stderr=log
                )
            print(f"round {number}, kill {attempt}: after {moment:.3f} s of {quick:.1f} s: {fate}")
            if fate.status == DONE:
                break
            assert fate.was_killed, f"ended with {fate.status}: {said(place)}"
        last = following(data, first)
        if last is not None:
            fate = faults.killed_after(last, 240, env=product.environment(data))
            assert fate.status == DONE, f"the last resume ended with {fate}"
        check(place, data, tree, made, faithful=policies is product.FAITHFUL)
        trees.remove_tree(os.path.join(place, "destination"))
        trees.remove_tree(data)


@pytest.mark.parametrize("whole_group", [True, False], ids=["all processes", "the first process only"])
def test_server(place, source, chance, whole_group):
    """The server is killed; the next start goes on by itself."""
    tree, made = source
    for number in range(rounds()):
        home = os.path.join(place, f"server-{number}")
        os.mkdir(home)
        destination = prepared_destination(place)
        with product.serving(home) as server:
            job = server.job(tree, destination)
            server.begin(job)
            for attempt in range(KILLS_A_ROUND):
                moment = chance.uniform(0.0, 2.0 if ITEMS < 10_000 else 8.0)
                time.sleep(moment)
                server.kill(whole_group=whole_group)
                print(f"round {number}, kill {attempt}: after {moment:.3f} s")
                print(f"answers again after {server.start():.2f} s")
            state = server.wait(job)
            assert state["status"] == "complete", state
            server.stop()
        check(place, os.path.join(home, "data"), tree, made)
        trees.remove_tree(destination)
        trees.remove_tree(home)


def rounds() -> int:
    """Spread the kills over both ways to kill, in rounds of some kills each."""
    return max(KILLS // 2 // KILLS_A_ROUND, 1)


def duration(tree: str, place: str) -> float:
    """Measure one run that nobody disturbs, so that the kills can be spread over it."""
    destination, data = os.path.join(place, "measured"), os.path.join(place, "measured-data")
    seconds = product.copy(tree, destination, data=data).expect(DONE).seconds
    trees.remove_tree(destination)
    trees.remove_tree(data)
    return seconds


def product_command(*arguments: str) -> list[str]:
    return [*product.PROGRAM, *arguments]


def following(data: str, first: list[str]) -> list[str] | None:
    """Give the command that goes on: the first one where no run was begun, a resume, or None when it is over.

    A run may have ended just before the process was killed on its way out.
    """
    try:
        found = product.rows(data, "SELECT id, ended_at FROM executions ORDER BY id DESC LIMIT 1")
    except (AssertionError, FileNotFoundError):
        found = []  # there is no ledger yet
    if not found:
        return first
    ((number, ended),) = found
    return None if ended else product_command("runs", "resume", str(number), "-q")


def said(place: str) -> str:
    with open(os.path.join(place, "last.log"), errors="replace") as stream:
        return stream.read()[-3_000:]


def test_the_moments_of_a_seed_are_always_the_same():
    """What is printed is enough to kill at the same moments again."""
    assert random.Random("7 a").uniform(0, 1) == random.Random("7 a").uniform(0, 1)
