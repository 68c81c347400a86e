"""The measuring itself: costs are counted for whole families, rounds are fair, and the page keeps its other parts."""

from __future__ import annotations

import argparse
import os
import sys

import pytest

from tests.bench import measure, programs, report, run
from tests.bench.programs import Program
from tests.bench.workloads import WORKLOADS, Goal

BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
HOLD = "import time; held = b'x' * 60_000_000; time.sleep(0.7)"
FAMILY = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {HOLD!r}]); {HOLD}; p.wait()"


def test_the_time_of_a_child_is_counted():
    cost = measure.run([sys.executable, "-c", CHILD])
    assert cost.status == 0
    assert cost.cpu >= 0.3
    assert cost.wall >= 0.3


def test_memory_is_the_sum_over_the_family():
    cost = measure.run([sys.executable, "-c", FAMILY])
    assert cost.memory > 120_000_000
    assert cost.shared > 120_000_000


def test_the_middle_is_the_median():
    costs = [measure.Cost(wall=w, cpu=1, memory=2, shared=3, status=0) for w in (5.0, 1.0, 2.0)]
    assert measure.middle(costs).wall == 2.0


def test_each_round_another_program_begins():
    everybody = [Program(name=name, call=()) for name in "abc"]
    begins = [run.turned(everybody, number)[0].name for number in range(4)]
    assert begins == ["a", "b", "c", "a"]


def test_a_table_says_whether_a_goal_is_met():
    rows = [
        report.Row(name="tallyport", peer="", cost=cost(2.0)),
        report.Row(name="rsync -a", peer="rsync", cost=cost(5.0)),
        report.Row(name="cp -a", peer="cp", cost=cost(1.0)),
    ]
    lines = report.table(rows, [Goal(peer="rsync", least=2.4), Goal(peer="cp", least=1.0)])
    assert lines[3][4:] == ["2.50 x", ">= 2.4 x", "met"]
    assert lines[5][4:] == ["0.50 x", ">= 1 x", "missed by 50%"]
    assert "met" in report.as_text(lines)


def cost(wall: float) -> measure.Cost:
    return measure.Cost(wall=wall, cpu=wall, memory=10**6, shared=0, status=0)


def test_a_part_of_the_page_is_replaced_and_the_rest_kept():
    page = report.put(report.PAGE_HEAD, "W1", "first")
    page = report.put(page, "W2", "neighbour")
    page = report.put(page, "W1", r"second \1")
    assert "first" not in page
    assert page.index(r"second \1") < page.index("neighbour")
    assert page.startswith("# Benchmarks")


@pytest.mark.parametrize("name", ["W1", "W3", "W4"])
def test_a_workload_runs_with_any_program(tmp_path, monkeypatch, capsys, name):
    """A whole comparison at a tiny scale, with a copy by cp in our place."""
    stand_in = programs.PEERS["cp"]
    monkeypatch.setattr(
        programs,
        "tallyport",
        lambda level: Program(
            name="tallyport" if level == "none" else f"tallyport, {level}",
            call=stand_in.call,
            again=stand_in.again,
        ),
    )
    options = argparse.Namespace(against=["cp"], scale=0.001, rounds=2, write=False)
    run.Bench(str(tmp_path), options).compare(name, WORKLOADS[name])
    out = capsys.readouterr().out
    assert "· against tallyport" in out
    assert os.listdir(tmp_path) == []
