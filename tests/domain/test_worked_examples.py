"""The worked examples of docs/explanation/how-an-item-is-decided.md happen as they are told."""

from __future__ import annotations

import glob
import os
import re

import pytest

from tallyport.domain.actions import Enter, MakeContainer
from tallyport.domain.entries import Side
from tallyport.domain.policies import TransferType
from tallyport.domain.transfer_block import defaults_for, with_overrides
from tests.domain.worlds import Run, World
from tools.policy_table import ROOT, SHORT, code

PAGE = os.path.join(ROOT, "docs", "explanation", "how-an-item-is-decided.md")
with open(PAGE, encoding="utf-8") as stream:
    EXAMPLES = re.findall(r"### ([^\n]+)\n.*?```worked\n(.*?)```", stream.read(), re.DOTALL)


def told(action) -> str:
    """Say an action in the words of the page."""
    how, _, reason = code(action).partition(" ")
    return f"{SHORT[how].strip('*')} {reason}"


@pytest.mark.parametrize(("title", "text"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_an_example_happens_as_it_is_told(title, text):
    world, policies, runs = World(), None, 0
    lines = text.splitlines()
    while lines:
        verb, *words = lines.pop(0).split()
        if verb == "job":
            policies = with_overrides(defaults_for(TransferType(words[0])), dict(word.split("=") for word in words[1:]))
        elif verb in ("source", "destination"):
            world.write(Side(verb), words[0], words[1], int(words[2]))
        elif verb == "gone":
            world.remove(Side(words[0]), words[1])
        elif verb == "lost":
            world.ledger.clear()
        else:
            assert verb == "run"
            assert policies is not None
            expected = {}
            while lines and lines[0].startswith("  "):
                path, _, outcome = lines.pop(0).strip().partition(": ")
                expected[path] = outcome
            actions = Run(world, policies, first=runs == 0)()
            files = {path: a for path, a in actions.items() if not isinstance(a, Enter | MakeContainer)}
            assert {path: told(action) for path, action in files.items()} == expected
            runs += 1
    assert runs


def test_there_are_six():
    assert len(EXAMPLES) == 6


def test_every_promise_of_the_page_is_a_test_that_there_is():
    with open(PAGE, encoding="utf-8") as stream:
        _, _, table = stream.read().partition("## What is proved")
    named = set(re.findall(r"`(test_\w+)`", table))
    there = set()
    for folder in ("domain", "engine"):
        for path in glob.glob(os.path.join(ROOT, "tests", folder, "test_*.py")):
            with open(path, encoding="utf-8") as stream:
                there |= set(re.findall(r"^def (test_\w+)\(", stream.read(), re.MULTILINE))
    assert len(named) > 15
    assert named - there == set()
    assert all(
        re.search(rf"^\| {promise} ", table, re.MULTILINE) for promise in (*range(1, 10), "M1 to M5", "M6", "M7")
    )
