"""The battery attacks, tells what came of it, and bites when a promise is broken."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallyport.battery import __main__ as battery
from tallyport.battery import ground
from tallyport.battery.__main__ import ATTACKS, Attack
from tallyport.battery.ground import Broken, Ground, NotHere
from tallyport.cli.main import tallyport
from tallyport.testing import faults

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "battery.md"
BAD = """
import os, shutil, sys
words = sys.argv[1:]
if words[0] in ("copy", "publish"):
    shutil.rmtree(words[2], ignore_errors=True)  # deletes what is there, then copies: every sin at once
    shutil.copytree(words[1], words[2], symlinks=True, ignore_dangling_symlinks=True)
    print('{"bytes": 1, "transferred": 1, "transferred_bytes": 1, "skipped": 0}')
"""


def broken(here: Ground) -> None:
    """Break a promise: always."""
    raise Broken("it did not hold")


def absent(here: Ground) -> None:
    """Need something: never there."""
    raise NotHere("no such machine")


def falls_over(here: Ground) -> None:
    """Fall over."""
    raise KeyError("seed")


def seeds(here: Ground) -> None:
    """Draw a number."""
    DRAWN.append(here.chance.random())


DRAWN: list[float] = []


@pytest.mark.parametrize(
    ("act", "outcome", "status"), [(broken, "broken", 1), (absent, "skipped", 0), (falls_over, "broken", 1)]
)
def test_what_came_of_an_attack_is_told(monkeypatch, capsys, act, outcome: str, status: int) -> None:
    monkeypatch.setattr(battery, "ATTACKS", (Attack("X1", act, "none", 1, 1),))
    assert battery.main(["--quick", "--format=json", "--seed=7"]) == status
    (score,) = json.loads(capsys.readouterr().out)["scores"]
    assert (score["id"], score["outcome"], score["seed"]) == ("X1", outcome, 7)
    assert score["detail"]


def test_a_seed_replays_a_run(monkeypatch) -> None:
    monkeypatch.setattr(battery, "ATTACKS", (Attack("X1", seeds, "none", 3, 3),))
    DRAWN.clear()
    for _ in range(2):
        battery.main(["--quick", "--seed=11"])
    assert DRAWN[:3] == DRAWN[3:]
    assert len(set(DRAWN)) == 3


def test_an_attack_that_is_not_there_is_refused_with_those_that_are(capsys) -> None:
    assert battery.main(["--only=C77"]) == 2
    assert "C1, C2" in capsys.readouterr().err


@pytest.mark.parametrize("attack", ["D6", "Z2", "C10"])
def test_the_battery_bites_a_product_that_breaks_promises(monkeypatch, capsys, tmp_path: Path, attack: str) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(BAD)
    monkeypatch.setattr(ground, "PROGRAM", [sys.executable, str(bad)])
    assert battery.main(["--quick", "--format=json", f"--only={attack}"]) == 1
    (score,) = json.loads(capsys.readouterr().out)["scores"]
    assert score["outcome"] == "broken"


@pytest.mark.acceptance
@pytest.mark.timeout(200)
def test_a_few_attacks_are_held() -> None:
    done = CliRunner().invoke(
        tallyport, ["selftest", "--battery", "--quick", "--only", "C10", "--only", "D6", "--only", "T3"]
    )
    assert done.exit_code == 0, done.output


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
def test_every_attack_is_held(capfd) -> None:
    assert battery.main([]) == 0, capfd.readouterr().out


def rows(table: str) -> dict[str, list[str]]:
    """Give the lines of a table of the page by their first cell."""
    _, _, after = PAGE.read_text("utf-8").partition(f"<!-- {table} -->\n")
    lines = [line.strip("| ").split(" | ") for line in after.partition("\n\n")[0].splitlines()[2:]]
    assert len({cells[0] for cells in lines}) == len(lines), "a line stands there twice"
    return {cells[0]: cells for cells in lines}


def test_the_page_has_a_line_for_each_attack() -> None:
    assert set(rows("card")) == {attack.id for attack in ATTACKS}


def test_every_line_of_the_battery_is_proved_by_attacks_and_tests_that_there_are() -> None:
    found = rows("proofs")
    parts = {"C": 9, "D": 6, "S": 4, "T": 3}
    assert list(found) == [f"{part}{number}" for part, most in parts.items() for number in range(1, most + 1)]
    there = set()
    for path in Path(__file__).parents[1].rglob("test_*.py"):
        there |= set(re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.M))
    attacks = {attack.id for attack in ATTACKS}
    for line, cells in found.items():
        assert len(cells) == 5, line
        assert all(cells), line
        tests, made = set(re.findall(r"`(test_\w+)`", cells[3])), set(re.findall(r"attack (\w+)", cells[3]))
        assert tests | made, f"nothing proves {line}"
        assert tests - there == set(), f"{line} names tests that there are not"
        assert made - attacks == set(), f"{line} names attacks that there are not"
        assert made >= {line} & attacks, f"{line} has an attack of its own"
        assert set(re.findall(r"--only (\w+)", cells[4])) <= made, line


def test_without_saying_what_to_test_nothing_is_attacked() -> None:
    done = CliRunner().invoke(tallyport, ["selftest"])
    assert done.exit_code == 2
    assert "--battery --quick" in done.output


def stopped(here: Ground) -> None:
    """Be stopped: in the third round."""
    DRAWN.append(0.0)
    if len(DRAWN) == 3:
        raise KeyboardInterrupt


def test_a_battery_that_is_stopped_prints_the_card_so_far(monkeypatch, capsys) -> None:
    DRAWN.clear()
    attacks = (
        Attack("X1", seeds, "none", 1, 1),
        Attack("X2", stopped, "none", 5, 5),
        Attack("X3", seeds, "none", 1, 1),
    )
    monkeypatch.setattr(battery, "ATTACKS", attacks)
    assert battery.main(["--quick", "--format=json"]) == 130
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert [(score["id"], score["outcome"], score["rounds"]) for score in scores] == [
        ("X1", "held", 1),
        ("X2", "interrupted", 1),
    ]
    assert "round 2 of 5" in scores[1]["detail"]


def test_ctrl_c_ends_the_command_with_the_card_so_far() -> None:
    """On a terminal, where the rounds are shown; all its processes are sent the signal, as a terminal does."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "tallyport", "selftest", "--battery", "--quick", "--only", "C1"]
    program = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    try:
        while b"round 1 of 2" not in shown:
            shown += os.read(ours, 4096)
        os.killpg(program.pid, signal.SIGINT)
        out, _ = program.communicate(timeout=60)
    finally:
        program.kill()
        os.close(ours)
    assert program.returncode == 130
    assert b"stopped in round 1 of 2" in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_kill_of_the_command_alone_ends_its_battery_with_the_card_so_far(tmp_path: Path, number: int) -> None:
    """As of one that a shell put into the background, where Ctrl-C is ignored."""
    words = ["--battery", "--quick", "--only", "C1", "--scratch", str(tmp_path)]
    program = subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" INT; exec "$0" -m tallyport selftest "$@"', sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert faults.wait_until(lambda: any(tmp_path.glob("battery-*/*/*")), 60), "a round has begun"
        program.send_signal(number)
        out, _ = program.communicate(timeout=60)
        assert faults.wait_until(lambda: faults.living(program.pid) == [], 10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
    assert program.returncode == 130
    assert b"stopped in round 1 of 2" in out
    assert list(tmp_path.iterdir()) == []
