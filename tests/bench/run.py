"""Measures Tallyport beside its peers. `python3 dev.py bench W1 --against rclone,rsync,cp`.

Every round runs each program once, in turn, on one file system and with warm caches. What is printed are
medians, ratios and the goals; at full scale the reference page is brought up to date.

W5, W6, W7, `sftp` and `smb` go to and from other platforms, beside rclone alone (`remote.py`).

Beside the workloads there are seven measures of ours alone: `memory` (of all processes, at 100 000 and at
1 000 000 items), `start` (processor time from the call to the first byte at the destination) and `decide`
(decisions a second), `api` (the API over 1 000 000 items while a job writes; `--ledger FOLDER` keeps the ledger, which
`python -m tests.bench.ledgers FOLDER` makes), `watchers` (what 200 open streams of events cost a transfer), `console`
(every page over 1 000 000 items) and `dashboards` (what 50 open ones cost a transfer).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from tallyport.connectors import reach  # noqa: E402
from tallyport.testing import trees  # noqa: E402
from tests.bench import api, console, decide, measure, programs, remote, report, watchers  # noqa: E402
from tests.bench.measure import Cost  # noqa: E402
from tests.bench.programs import Program  # noqa: E402
from tests.bench.workloads import WORKLOADS, Workload, scaled  # noqa: E402

PAGE = os.path.join(ROOT, "docs", "reference", "benchmarks.md")
ALONE = ("memory", "start", "decide", "api", "watchers", "console", "dashboards")
ROOM = 300 * 10**6  # bytes of memory that all our processes may hold at 1 000 000 items
GROWTH = 1.15  # from 100 000 to 1 000 000 items
START = 1.0  # seconds of processor time to the first byte
LEDGER = 700  # bytes for an item, indexes included


def main() -> int:
    """Run what was asked for; 1 if a program failed."""
    options = arguments()
    if problem := what_is_missing(options.against):
        print(problem, file=sys.stderr)
        return 1
    measure.adopt_orphans()
    reach.by_hand()  # servers to measure against stand on this machine
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
        for name in options.what:
            print(f"\n{name}", flush=True)
            with own_disk(folder, options.disk) as place:
                bench = Bench(place, options)
                if name in WORKLOADS:
                    bench.compare(name, WORKLOADS[name])
                elif name in remote.REMOTES:
                    bench.remote(name)
                else:
                    getattr(bench, name)()
    return 0


@contextlib.contextmanager
def own_disk(folder: str, size: int) -> Iterator[str]:
    """Make a fresh ext4 in a file and give its mount point; without a size, give the folder itself.

    What others do to the machine's file system then costs nobody here anything. ext4 without a journal, for
    one, makes every new file wait for those that were deleted in the last minutes.
    """
    if not size:
        yield folder
        return
    image, mount = os.path.join(folder, "image"), os.path.join(folder, "disk")
    os.mkdir(mount)
    with open(image, "wb") as stream:
        stream.truncate(size * 2**30)
    options = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-i", "8192"]
    subprocess.run(["mkfs.ext4", *options, image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, mount], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)
        os.unlink(image)
        os.rmdir(mount)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = [*WORKLOADS, *remote.REMOTES, *ALONE]
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"{' '.join(every)} (default: W1 W2 W3 W4)")
    parser.add_argument("--against", default="rclone,rsync,cp", help=f"of {','.join(programs.PEERS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="smaller trees, for a first look")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=remote.WIDTH, help="files at once, to and from other platforms")
    parser.add_argument("--folder", help="where to work: its file system is the one that is measured")
    parser.add_argument("--ledger", metavar="FOLDER", help="where the large ledger of api is kept between runs")
    parser.add_argument("--disk", type=int, default=0, metavar="GIB", help="on a fresh ext4 of this size (root)")
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, help="the page; default: at full scale")
    options = parser.parse_args()
    options.what = options.what or ["W1", "W2", "W3", "W4"]
    options.against = [name for name in options.against.split(",") if name]
    if unknown := sorted({*options.what} - {*every} | {*options.against} - {*programs.PEERS}):
        parser.error(f"unknown: {' '.join(unknown)}")
    options.write = options.scale == 1.0 if options.write is None else options.write
    return options


def what_is_missing(peers: Sequence[str]) -> str:
    """Say what stands in the way, or nothing."""
    if missing := programs.missing(peers):
        return f"not on this machine: {', '.join(missing)} (`python3 dev.py bench` installs them)"
    done = subprocess.run([*programs.OURS, "--version"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"tallyport does not start: {done.stderr.strip()}"


class Bench:
    """A folder to work in, and what was asked for."""

    def __init__(self, folder: str, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.facts = report.machine(folder)
        self.versions = programs.versions(options.against)

    # Ours and its peers

    def compare(self, name: str, workload: Workload) -> None:
        """Measure one workload with all programs, and print and keep the table."""
        source = os.path.join(self.folder, "source")
        made = workload.make(source, self.options.scale)
        say(f"{workload.title}: {made.files} files, {made.bytes / 1e6:.0f} MB")
        if self.options.scale != 1.0:
            say("the goals are for scale 1: at a smaller one, starting costs more than the work")
        ours = [programs.tallyport(level) for level in workload.levels]
        peers = {name: programs.peer(name) for name in self.options.against}
        everybody = [*ours, *peers.values()]
        costs: dict[str, list[Cost]] = {program.name: [] for program in everybody}
        if not workload.first:
            for program in everybody:
                self.once(program, source, made, again=False)
        for number in range(self.options.rounds):
            if workload.change is not None:
                workload.change(source, number)
            for program in turned(everybody, number):
                cost = self.once(program, source, made, again=not workload.first, sync=workload.sync)
                costs[program.name].append(cost)
                say(f"round {number + 1}  {program.name:<18} {cost.wall:7.2f} s  {cost.cpu:7.2f} s CPU")
                if workload.first:
                    self.forget(program)
        short = {program.name: name for name, program in peers.items()}
        rows = [
            report.Row(
                name=program.name,
                peer=short.get(program.name, ""),
                cost=measure.middle(costs[program.name]),
            )
            for program in everybody
        ]
        self.publish(name, workload.title, report.table(rows, workload.goals))
        for program in everybody:
            self.forget(program)
        trees.remove_tree(source)

    def once(self, program: Program, source: str, made: trees.Tree, *, again: bool, sync: bool = False) -> Cost:
        """Run a program once, and see that it did its work."""
        destination, data = self.places(program)
        os.makedirs(destination, exist_ok=True)
        measure.warm(source)
        if again:
            measure.warm(destination)
        os.sync()  # what others left to be written is not this program's to wait for
        command = program.command(source, destination, data, again=again)
        cost = measure.run(command, env=environment())
        if sync:
            begun = time.perf_counter()
            subprocess.run(["sync", "-f", destination], check=True)
            cost = with_wall(cost, cost.wall + time.perf_counter() - begun)
        if cost.status not in program.fine:
            raise SystemExit(f"{' '.join(command)} ended with {cost.status}: {cost.out[-500:]}")
        if not again and trees.count(destination).files != made.files:
            raise SystemExit(f"{program.name} did not copy all files")
        return cost

    def places(self, program: Program) -> tuple[str, str]:
        """Give the destination and the data folder of a program."""
        place = os.path.join(self.folder, program.name.replace(" ", "-").replace(",", ""))
        return os.path.join(place, "destination"), os.path.join(place, "data")

    def forget(self, program: Program) -> None:
        """Remove what a program made, so that its next run starts anew."""
        shutil.rmtree(os.path.dirname(self.places(program)[0]), ignore_errors=True)

    def remote(self, name: str) -> None:
        """Measure the way to and from another platform beside rclone."""
        lines = remote.measured(name, self.folder, self.options.scale, self.options.rounds, self.options.width, say)
        self.publish(name, remote.REMOTES[name].title, lines)

    # Ours alone

    def memory(self) -> None:
        """Measure the memory of all our processes, at 100 000 and at 1 000 000 items, and the ledger's size."""
        lines = [["items", "run", "memory MB", "shared pages once MB", "ledger bytes an item", "goal", ""]]
        firsts: list[Cost] = []
        program = programs.tallyport()
        for factor in (1, 10):
            source = os.path.join(self.folder, "source")
            files = scaled(100_000 * factor, self.options.scale)
            made = trees.bench_tree(source, files=files, folders=max(files // 100, 1), smallest=1, largest=trees.KIB)
            say(f"{made.items} items")
            for again in (False, True):
                cost = self.once(program, source, made, again=again)
                ledger = folder_size(self.places(program)[1]) / made.items
                goal, verdict = "", ""
                if not again:
                    firsts.append(cost)
                    goal = f"<= {ROOM / 1e6:.0f} MB, <= {LEDGER} bytes"
                    verdict = "met" if cost.memory <= ROOM and ledger <= LEDGER else "missed"
                megabytes = [f"{cost.memory / 1e6:.0f}", f"{cost.shared / 1e6:.0f}"]
                which = "second" if again else "first"
                lines.append([f"{made.items:,}", which, *megabytes, f"{ledger:.0f}", goal, verdict])
            self.forget(program)
            trees.remove_tree(source)
        growth = firsts[1].memory / firsts[0].memory
        verdict = "met" if growth <= GROWTH else "missed"
        lines.append(["growth, tenfold items", "", f"{growth:.2f} x", "", "", f"<= {GROWTH} x", verdict])
        self.publish("memory", "memory of all our processes", lines)

    def start(self) -> None:
        """Measure the processor time from the call to the first byte at the destination, and of a whole run."""
        source = os.path.join(self.folder, "source")
        made = trees.bench_tree(source, files=1, folders=1, smallest=trees.MIB, largest=trees.MIB)
        program = programs.tallyport()
        firsts: list[float] = []
        walls: list[float] = []
        wholes: list[Cost] = []
        for _ in range(max(self.options.rounds, 3)):
            destination, _data = self.places(program)
            os.makedirs(destination, exist_ok=True)
            command = program.command(source, destination, self.places(program)[1])
            begun = time.perf_counter()

            def look(running: subprocess.Popen[bytes], destination: str = destination) -> None:
                while running.poll() is None and not has_bytes(destination):
                    time.sleep(0.001)
                firsts.append(measure.processor_time(running.pid))

            wholes.append(measure.run(command, env=environment(), while_it_runs=look))
            walls.append(time.perf_counter() - begun)
            self.forget(program)
        first = sorted(firsts)[len(firsts) // 2]
        whole = measure.middle(wholes)
        verdict = "met" if first <= START else f"missed by {first / START - 1:.0%}"
        self.publish(
            "start",
            f"one-shot of {made.files} file",
            [
                ["", "CPU s", "wall s", "goal", ""],
                ["to the first byte at the destination", f"{first:.2f}", "", f"<= {START:g} s CPU", verdict],
                ["to the end", f"{whole.cpu:.2f}", f"{whole.wall:.2f}", "", ""],
            ],
        )
        trees.remove_tree(source)

    def decide(self) -> None:
        """Measure how many pairs are decided on in a second, on one core."""
        count = scaled(300_000, self.options.scale)
        lines = [["pairs", "decisions a second"]]
        lines += [[what, f"{rate:,.0f}"] for what, rate in decide.rates(count)]
        self.publish("decide", "decisions a second, one core", lines)

    def api(self) -> None:
        """Measure what the API answers over a large ledger while a job writes."""
        count = scaled(1_000_000, self.options.scale)
        found = api.measured(self.options.ledger or os.path.join(self.folder, "api"), count, say)
        self.publish("api", "the API over a large ledger", found.lines(count))

    def watchers(self) -> None:
        """Measure what open streams of events cost a transfer."""
        count = scaled(100_000, self.options.scale)
        found = watchers.measured(os.path.join(self.folder, "watchers"), count, self.options.rounds, say)
        self.publish("watchers", f"{watchers.WATCHERS} open streams of events beside a transfer", found.lines(count))

    def console(self) -> None:
        """Measure every page of the console over a large ledger."""
        count = scaled(1_000_000, self.options.scale)
        found = console.pages(os.path.join(self.folder, "console"), count, say)
        self.publish("console", "the console over a large ledger", console.page_lines(found, count))

    def dashboards(self) -> None:
        """Measure what open dashboards cost a transfer."""
        count = scaled(300_000, self.options.scale)
        found = console.dashboards(os.path.join(self.folder, "dashboards"), count, self.options.rounds, say)
        title = f"{console.DASHBOARDS} dashboards, opened before, beside a transfer"
        self.publish("dashboards", title, console.dashboard_lines(found, count))

    def publish(self, name: str, title: str, lines: list[list[str]]) -> None:
        """Print a table, and write it to the page when that is wished."""
        print(f"\n{report.as_text(lines)}\n", flush=True)
        if not self.options.write:
            return
        page = report.PAGE_HEAD
        if os.path.exists(PAGE):
            with open(PAGE, encoding="utf-8") as stream:
                page = stream.read()
        command = f"python3 dev.py bench {name}"
        if name in WORKLOADS:
            command += f" --against {','.join(self.options.against)} --rounds {self.options.rounds}"
        if name in remote.REMOTES:
            command += f" --rounds {self.options.rounds} --width {self.options.width}"
        command += "" if self.options.scale == 1.0 else f" --scale {self.options.scale:g}"
        command += f" --disk {self.options.disk}" if self.options.disk else ""
        content = report.section(name, title, command, self.facts, self.versions, lines)
        os.makedirs(os.path.dirname(PAGE), exist_ok=True)
        with open(PAGE, "w", encoding="utf-8") as stream:
            stream.write(report.put(page, name, content))


def turned(everybody: list[Program], number: int) -> list[Program]:
    """Give the programs in the order of this round: each round another one begins."""
    place = number % len(everybody)
    return everybody[place:] + everybody[:place]


def with_wall(cost: Cost, wall: float) -> Cost:
    return Cost(wall=wall, cpu=cost.cpu, memory=cost.memory, shared=cost.shared, status=cost.status, out=cost.out)


def environment() -> dict[str, str]:
    """Give the variables that programs are measured under: none of ours from outside, and compiled modules are kept."""
    unwanted = "PYTHONDONTWRITEBYTECODE"  # it has every start compile the whole program again, 0.2 s of processor time
    return {name: value for name, value in os.environ.items() if not name.startswith("TALLYPORT_") and name != unwanted}


def has_bytes(folder: str) -> bool:
    """Tell whether any file below a folder, whatever its name, has content."""
    for here, _, names in os.walk(folder):
        for name in names:
            try:
                if os.lstat(os.path.join(here, name)).st_size:
                    return True
            except OSError:
                continue
    return False


def folder_size(folder: str) -> int:
    """Give the bytes that all files below a folder take."""
    return sum(os.lstat(os.path.join(here, name)).st_size for here, _, names in os.walk(folder) for name in names)


def say(what: str) -> None:
    print(f"  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
