"""Tables of results, on the terminal and in the reference page."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.measure import Cost
from tests.bench.workloads import Goal

HEADINGS = ["", "wall s", "CPU s", "memory MB", "ours is faster by", "goal", ""]
PAGE_HEAD = """# Benchmarks

What one run costs, beside programs that do the same. Each table says the command that made it, so that you can
make it again: `python3 dev.py bench`. Programs take turns on one file system with warm caches; figures are
medians. CPU is that of all processes a program started. Memory is the highest sum over all its processes at one
moment. **Read the ratios rather than the seconds**: they were taken in one run on one machine.

Ours verifies each file by hash and writes its ledger in all of these runs, unless a row says otherwise. At level
`none` it syncs nothing, as the peers do; at level `group`, its default, an item is called done only when it is on
the disk.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One program in one workload."""

    name: str
    peer: str  # short name; empty for ours
    cost: Cost


def table(rows: Sequence[Row], goals: Sequence[Goal]) -> list[list[str]]:
    """Arrange the results: each peer with how much longer it takes than ours, beside the goal."""
    ours = {row.name: row.cost for row in rows if not row.peer}
    lines = [HEADINGS]
    for row in rows:
        lines.append([row.name, *figures(row.cost), "", "", ""])
        if not row.peer:
            continue
        for name, cost in ours.items():
            ratio = row.cost.wall / cost.wall
            goal = next((g for g in goals if (g.peer, g.of, g.ours) == (row.peer, "wall", name)), None)
            lines.append(comparison(f"against {name}", ratio, goal))
        for goal in goals:
            if goal.peer == row.peer and goal.of == "cpu" and goal.ours in ours:
                ratio = row.cost.cpu / max(ours[goal.ours].cpu, 0.001)
                lines.append(comparison(f"CPU against {goal.ours}", ratio, goal))
    return lines


def comparison(name: str, ratio: float, goal: Goal | None) -> list[str]:
    """Write one ratio and say whether it meets its goal."""
    if goal is None:
        return [f"· {name}", "", "", "", f"{ratio:.2f} x", "", ""]
    verdict = "met" if ratio >= goal.least else f"missed by {1 - ratio / goal.least:.0%}"
    return [f"· {name}", "", "", "", f"{ratio:.2f} x", f">= {goal.least:g} x", verdict]


def figures(cost: Cost) -> list[str]:
    memory = f"{cost.memory / 1e6:.0f}"
    return [f"{cost.wall:.2f}", f"{cost.cpu:.2f}", memory]


def as_text(lines: Sequence[Sequence[str]]) -> str:
    """Align a table for the terminal."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    aligned = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join(aligned)


def as_markdown(lines: Sequence[Sequence[str]]) -> str:
    """Write a table for the page."""
    head, *rest = lines
    ruled = [head, ["---", *["---:"] * (len(head) - 1)], *rest]
    return "\n".join("| " + " | ".join(line) + " |" for line in ruled)


def machine(folder: str) -> str:
    """Describe where the figures were taken, in one line."""
    with open("/proc/cpuinfo") as stream:
        model = next((line.partition(":")[2].strip() for line in stream if line.startswith("model name")), "")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} cores ({model or platform.machine()}), {memory:.0f} GiB, "
        f"Linux {platform.release()}, {file_system(folder)}; load before: {os.getloadavg()[0]:.1f}"
    )


def file_system(folder: str) -> str:
    """Name the kind of file system a folder is on."""
    best, kind = "", "unknown"
    with open("/proc/mounts") as stream:
        for line in stream:
            _, mount, found, *_ = line.split()
            is_above = os.path.abspath(folder).startswith(mount.rstrip("/") + "/")
            if is_above and len(mount) >= len(best):
                best, kind = mount, found
    return kind


def section(
    name: str, title: str, command: str, facts: str, versions: Mapping[str, str], lines: Sequence[Sequence[str]]
) -> str:
    """Write the part of the page that one workload has."""
    programs = "; ".join(f"{key}: {value}" for key, value in versions.items())
    return "\n".join(
        [
            f"## {name}: {title}",
            "",
            as_markdown(lines),
            "",
            f"`{command}` on {time.strftime('%Y-%m-%d')}: {facts}. {programs}.",
        ]
    )


def put(page: str, name: str, content: str) -> str:
    """Replace the part of a page that has this name, or add it at the end."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    whole = f"{begin}\n{content}\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if pattern.search(page):
        return pattern.sub(lambda _: whole, page)
    return f"{page.rstrip()}\n\n{whole}\n"
