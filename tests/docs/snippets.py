"""Runs the console blocks of a page in one shell, in order, and compares what they print with what the page says.

A block is run when an HTML comment stands before it:

    <!-- run -->            each command must end with 0
    <!-- run, ends 5 -->    the last command must end with 5
    <!-- serve -->          as run, and then waits until a server answers on the page's port
    <!-- setup: COMMANDS -->  run, and not shown

In the output of a page, digits stand for any number and ``...`` for anything, also over lines.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tallyport.testing.servers import free_port

PORT = "9090"  # in the pages; another one is taken when they are run
_PART = re.compile(
    r"<!-- setup: (?P<setup>.*?) -->"
    r"|<!-- (?P<how>run(?:, ends (?P<ends>\d+))?|serve) -->\n+```console\n(?P<block>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_MARK = "--- snippet"
_ANY = "\0"
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_TIMES = re.compile(r"# (?:k|M|G)?B\b|# (?:min # )?s\b")


class Step(NamedTuple):
    """One command of a page."""

    command: str
    expected: str
    ends: int | None  # None: whatever it ends with


def steps(page: str) -> list[Step]:
    """Give the commands of a page."""
    found = []
    for part in _PART.finditer(page):
        if part["setup"] is not None:
            found.append(Step(part["setup"].strip(), "...", None))
            continue
        commands = re.split(r"^\$ ", part["block"], flags=re.MULTILINE)[1:]
        for at, text in enumerate(commands):
            command, _, expected = text.partition("\n")
            last = at + 1 == len(commands)
            found.append(Step(command, expected, int(part["ends"] or 0) if last else 0))
        if part["how"] == "serve":
            wait = "for i in $(seq 300); do curl -sf http://127.0.0.1:9090/healthz && break; sleep 0.1; done"
            found.append(Step(wait, "...", 0))
    return found


def matches(expected: str, printed: str) -> bool:
    """Tell whether output is what a page says, numbers aside."""
    pattern = re.escape(_plain(expected)).replace(re.escape("..."), r"[\s\S]*")
    return re.fullmatch(pattern, _plain(printed)) is not None


def _plain(text: str) -> str:
    lines = [re.sub(r" +", " ", line.rstrip()) for line in text.strip().splitlines()]
    return _TIMES.sub("# ?", _NUMBER.sub("#", "\n".join(lines)))


def run(page: str, folder: Path) -> list[str]:
    """Run a page in a folder and give what was not as it says."""
    todo = steps(page)
    port = str(free_port())
    script = ["exec 2>&1 </dev/null"]
    for step in todo:
        # The job's own number is what a shell prints for a command in the background.
        script += [step.command.replace(PORT, port), f'printf "\\n{_MARK} %s\\n" "$?"']
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TALLYPORT_")},
        "PATH": os.pathsep.join([str(_programs(folder)), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TALLYPORT_DATA": str(folder / "tallyport-data"),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
    }
    work = folder / "work"
    work.mkdir()
    shell = subprocess.Popen(
        ["bash", "-c", "\n".join(script)],
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    lines: list[str] = []
    outputs: list[tuple[str, int]] = []
    assert shell.stdout is not None
    try:
        # To the last mark, not to the end of the pipe: a server in the background holds it open.
        for line in shell.stdout:
            if line.startswith(_MARK):
                outputs.append(("".join(lines), int(line.split()[-1])))
                lines = []
                if len(outputs) == len(todo):
                    break
            else:
                lines.append(line)
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
        try:
            shell.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        shell.stdout.close()
    wrong = []
    for step, (printed, status) in zip(todo, outputs, strict=False):
        if step.ends is not None and status != step.ends:
            wrong.append(f"$ {step.command}\nended with {status}, not {step.ends}:\n{printed}")
        elif not matches(step.expected, printed):
            wrong.append(f"$ {step.command}\nprinted\n{printed}\nwhere the page says\n{step.expected}")
    if len(outputs) < len(todo):
        wrong.append(f"the shell ended before: {todo[len(outputs)].command}\n{''.join(lines)}")
    return wrong


def _programs(folder: Path) -> Path:
    """Make `tallyport` a program that runs the package under test, whatever is installed."""
    place = folder / "bin"
    place.mkdir()
    program = place / "tallyport"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tallyport "$@"\n')
    program.chmod(0o755)
    return place
