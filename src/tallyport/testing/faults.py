"""Faults to put a migration through: a kill at any moment, a full disk, a folder that turns into a link.

Beside them stands a reader of strace logs, which proves that what was called done was on the disk first.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

# Kill


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """How a process ended: by itself with a status, or by our hand."""

    status: int | None  # None: it was killed
    seconds: float

    @property
    def was_killed(self) -> bool:
        return self.status is None


def spawn(
    command: Sequence[str],
    *,
    env: dict[str, str] | None = None,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    cwd: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, so that all it starts can be killed with it."""
    return subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        start_new_session=True,
    )


def kill(program: subprocess.Popen[Any], *, whole_group: bool = True, patience: float = 10.0) -> None:
    """Kill with no warning, and return when nothing of the group is left.

    With ``whole_group`` false only the first process is killed. Those it started must then go by themselves
    within ``patience`` seconds; if they do not, they are killed and TimeoutError says who they were.
    """
    group = program.pid
    if whole_group:
        signal_group(group, signal.SIGKILL)
    else:
        program.kill()
    program.wait()
    if wait_until(lambda: not living(group), patience):
        return
    left = [command_of(pid) for pid in living(group)]
    signal_group(group, signal.SIGKILL)
    wait_until(lambda: not living(group), patience)
    raise TimeoutError(f"still running {patience} s after the process that started them was killed: {left}")


def killed_after(
    command: Sequence[str],
    seconds: float,
    *,
    env: dict[str, str] | None = None,
    whole_group: bool = True,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
) -> Fate:
    """Run a program and kill it after so many seconds, unless it ends before."""
    begun = time.monotonic()
    program = spawn(command, env=env, stdout=stdout, stderr=stderr)
    try:
        status: int | None = program.wait(seconds)
    except subprocess.TimeoutExpired:
        kill(program, whole_group=whole_group)
        status = None
    return Fate(status=status, seconds=time.monotonic() - begun)


def living(group: int) -> list[int]:
    """List the processes of a group that still run; the dead that nobody has counted yet are left out."""
    return [pid for pid, (state, its_group) in processes() if its_group == group and state not in "ZX"]


def processes() -> Iterator[tuple[int, tuple[str, int]]]:
    """Yield each process of the machine with its state and its group."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    facts = stream.read().rpartition(b")")[2].split()
            except OSError:
                continue  # gone between the listing and the look
            yield int(name), (facts[0].decode(), int(facts[2]))


def command_of(pid: int) -> str:
    """Give the command line of a process, for a message."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return f"{pid} {stream.read().replace(bytes(1), b' ').decode('utf-8', 'replace').strip()}"
    except OSError:
        return str(pid)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a group; a group that is gone is fine."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def wait_until(holds: Callable[[], bool], seconds: float, *, step: float = 0.02) -> bool:
    """Wait until something holds, and tell whether it came to that in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


# Damaged ledger


def spoil(path: str, table: str) -> None:
    """Overwrite the first page of a table in a SQLite file that nobody has open."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = raw.execute("PRAGMA page_size").fetchone()
        (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    with open(path, "r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(b"\xff" * size)


# Full disk


@contextmanager
def small_disk(path: str, size: int) -> Iterator[Callable[[int], None]]:
    """Mount a memory disk of ``size`` bytes on a new folder; yields a function that changes its size.

    Needs the right to mount (root); without it PermissionError is raised.
    """
    os.mkdir(path)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tallyport-test", path]
    result = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        os.rmdir(path)
        raise PermissionError(f"cannot mount a memory disk: {result.stderr.strip()}")

    def resize(new_size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={new_size}", path], check=True, capture_output=True)

    try:
        yield resize
    finally:
        if subprocess.run(["umount", path], capture_output=True, check=False).returncode != 0:
            subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)
        os.rmdir(path)


# A folder that turns into a link and back

RENAME_EXCHANGE = 2


def exchange(a: str, b: str) -> None:
    """Swap two names in one step, so that neither is ever absent."""
    if _renameat2(-100, os.fsencode(a), -100, os.fsencode(b), RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), a)


def _find_renameat2() -> Callable[[int, bytes, int, bytes, int], int]:
    function = ctypes.CDLL(None, use_errno=True).renameat2
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    function.restype = ctypes.c_int
    found: Callable[[int, bytes, int, bytes, int], int] = function
    return found


_renameat2 = _find_renameat2()


class Flipper:
    """Swaps pairs of names, all the time, in a process of its own, until it is left.

    A pair is a real folder (or file) and a link that leads out of the tree: whoever checks a name and then
    uses it by its path is led out before long. When it is left, every name is again what it was at first.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], *, pause: float = 0.0) -> None:
        self.pairs = list(pairs)
        self.pause = pause
        self._counter: IO[bytes] | None = None
        self._counted = 0
        self._program: subprocess.Popen[bytes] | None = None

    @property
    def flips(self) -> int:
        """How often names were swapped so far."""
        if self._counter is not None:
            self._counted = int.from_bytes(os.pread(self._counter.fileno(), COUNTER, 0), "little")
        return self._counted

    def __enter__(self) -> Flipper:
        self._counter = tempfile.TemporaryFile()
        counter = self._counter.fileno()
        arguments = [repr(self.pause), str(counter), *(name for pair in self.pairs for name in pair)]
        self._program = subprocess.Popen(
            [sys.executable, "-I", __file__, *arguments],  # by its path: nothing else needs to be imported
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[counter],
        )
        assert self._program.stdout is not None
        if self._program.stdout.readline() != b"flipping\n":
            raise RuntimeError("the flipper did not start")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._program is not None
        assert self._counter is not None
        self._program.communicate(b"stop\n", timeout=30)
        self._counted = self.flips
        self._counter.close()
        self._counter = None
        if self._program.returncode:
            raise RuntimeError(f"the flipper ended with status {self._program.returncode}")


COUNTER = 8  # bytes of a count of flips


def flip_until_told(pause: float, counter: int, names: Sequence[str]) -> None:
    """Flip pairs until standard input has something to say, counting them in a file; then put all back."""
    pairs = list(zip(names[::2], names[1::2], strict=True))
    at_first = [os.path.islink(a) for a, _ in pairs]
    os.set_blocking(0, False)
    print("flipping", flush=True)
    flips = 0
    while True:
        for a, b in pairs:
            flips += exchanged(a, b)
        os.pwrite(counter, flips.to_bytes(COUNTER, "little"), 0)
        if pause:
            time.sleep(pause)
        try:
            os.read(0, 100)
            break
        except BlockingIOError:
            continue
    for (a, b), was_link in zip(pairs, at_first, strict=True):
        if os.path.islink(a) != was_link:
            exchanged(a, b)


def exchanged(a: str, b: str) -> bool:
    """Swap two names unless one of them is absent at this moment."""
    try:
        exchange(a, b)
    except FileNotFoundError:
        return False
    return True


# What strace saw

# Everything that changes a file or makes a change durable. The length holds one page of a database in full.
STRACE = [
    *("strace", "-f", "-qq", "-y", "-s", "4200", "--seccomp-bpf", "-e", "signal=none", "-e"),
    "trace=open,openat,openat2,creat,write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,splice,"
    "ftruncate,fallocate,ioctl,fchmod,fchmodat,fchown,fchownat,utimensat,fsetxattr,fsync,fdatasync,syncfs,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "clone,clone3",
]

# Which of the annotated descriptors of a call is the file that it changes.
WRITES = {
    **dict.fromkeys(["write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "ftruncate"], 0),
    **dict.fromkeys(["fallocate", "ioctl", "fchmod", "fchown", "fsetxattr"], 0),
    **dict.fromkeys(["copy_file_range", "splice"], 1),
}
RENAMES = {"rename", "renameat", "renameat2"}
LINKS = {"link", "linkat"}
FILE_SYNCS = {"fsync", "fdatasync"}

COMPLETE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)(?:<([^>]*)>)?", re.DOTALL)
UNFINISHED = re.compile(r"^(\d+) +(\w+)\((.*?),? *<unfinished \.\.\.>$", re.DOTALL)
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+|\?)(?:<([^>]*)>)?", re.DOTALL)
DESCRIPTOR = re.compile(r"(?:\d+|AT_FDCWD)<([^>]*)>")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)", re.DOTALL)
ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"b": b"\b"}
NEVER = sys.maxsize


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that succeeded, or never returned. ``begun`` and ``ended`` are places in the log."""

    name: str
    arguments: str
    begun: int
    ended: int
    thread: int = 0
    result: int = 0  # what it returned
    opened: str = ""  # the path of the descriptor it returned

    def descriptors(self) -> list[str]:
        """Give the paths of the descriptors among the arguments, in their order."""
        return [unescaped(text) for text in DESCRIPTOR.findall(outside_quotes(self.arguments))]

    def texts(self) -> list[str]:
        """Give the quoted arguments, in their order."""
        return [unescaped(text) for text in QUOTED.findall(self.arguments)]

    def paths(self) -> list[str]:
        """Give the paths that the call names: each text, below the descriptor that stands before it."""
        found = []
        folder = ""
        for match in re.finditer(rf"{DESCRIPTOR.pattern}|{QUOTED.pattern}", self.arguments, re.DOTALL):
            if match[1] is not None:
                folder = unescaped(match[1])
            else:
                found.append(os.path.normpath(os.path.join(folder, unescaped(match[2]))))
        return found


@dataclass(slots=True)
class Steps:
    """What happened to one file on its way to its final name."""

    written: int = -1  # where the last change of content or metadata ended
    synced: list[tuple[int, int]] = field(default_factory=list)
    shown: tuple[int, int] | None = None  # the rename (or link) that made it visible
    shown_in: str = ""  # the folder of that rename
    is_link: bool = False  # made by link or symlink: it has no content of its own to sync
    is_anonymous: bool = False  # opened without a name; it gets one by a link, or goes


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOrder:
    """The files that became visible at the destination, and what was out of order on the way."""

    files: frozenset[str]  # final paths
    violations: list[str]


def order_of_steps(
    log: Iterable[str],
    *,
    destination: str,
    ledger: str,
    planned: Collection[str] = (),
    prefix: str = ".tallyport-",
) -> StepOrder:
    """Check a log of ``STRACE``: write < sync < rename < sync of the folder < commit, for each file.

    ``destination`` is the folder migrated to, ``ledger`` the folder of the database. A file is committed when
    a write-ahead log below ``ledger`` is written with the file's name in it, so names must be unique in the
    tree. The names in ``planned`` may be written there before: their items take several planned steps.
    """
    reader = Reader(destination.rstrip("/"), ledger.rstrip("/"), prefix)
    for call in calls(log):
        reader.take(call)
    return reader.verdict(frozenset(planned))


class Reader:
    """Follows each file of the destination from its temporary name to its final one."""

    def __init__(self, destination: str, ledger: str, prefix: str) -> None:
        self.destination = destination
        self.ledger = ledger
        self.prefix = prefix
        self.files: dict[str, Steps] = {}
        self.anonymous: dict[tuple[int, int], str] = {}  # (process, descriptor) → path of a file without a name
        self.process_of: dict[int, int] = {}  # of threads that are not the first of their process
        self.folder_syncs: dict[str, list[tuple[int, int]]] = {}
        self.all_syncs: list[tuple[int, int]] = []  # of the whole file system
        self.commits: list[tuple[int, str]] = []  # where a write to the log of the database began, and its bytes

    def take(self, call: Call) -> None:
        """Learn from one call."""
        if call.name in WRITES:
            self.take_write(call)
        elif call.name in FILE_SYNCS:
            path = call.descriptors()[0]
            if path in self.files:
                self.files[path].synced.append((call.begun, call.ended))
            self.folder_syncs.setdefault(path, []).append((call.begun, call.ended))
        elif call.name == "syncfs":
            if self.is_below(call.descriptors()[0]):
                self.all_syncs.append((call.begun, call.ended))
        elif call.name in RENAMES:
            self.take_rename(call)
        elif call.name in LINKS:
            self.take_link(call)
        elif call.name in ("symlink", "symlinkat"):
            path = call.paths()[-1]
            if self.is_below(path):
                self.files[path] = Steps(is_link=True)
                self.show(path, path, call)
        elif call.name in ("unlink", "unlinkat"):
            self.files.pop(call.paths()[0], None)
        elif call.name in ("open", "openat", "openat2", "creat"):
            self.take_open(call)
        elif call.name in ("clone", "clone3"):
            if "CLONE_THREAD" in call.arguments:
                self.process_of[call.result] = self.process(call)
        elif call.name in ("utimensat", "fchmodat", "fchownat"):
            named = call.paths() if call.texts() else call.descriptors()
            if named and named[0] in self.files:
                self.files[named[0]].written = call.ended

    def take_open(self, call: Call) -> None:
        if "O_TMPFILE" in call.arguments:
            path = unescaped(call.opened)
            if self.is_below(path):
                self.files[path] = Steps(written=call.ended, is_anonymous=True)
                self.anonymous[self.process(call), call.result] = path
        elif "O_CREAT" in call.arguments or call.name == "creat":
            path = call.paths()[0]
            if self.is_below(path):
                steps = self.files.setdefault(path, Steps())
                steps.written = max(steps.written, call.ended)

    def take_write(self, call: Call) -> None:
        if call.name == "ioctl" and "CLONE" not in call.arguments:
            return
        named = call.descriptors()
        if len(named) <= WRITES[call.name]:
            return
        path = named[WRITES[call.name]]
        if path.startswith(self.ledger + "/") and path.endswith("-wal"):
            self.commits.append((call.begun, "".join(call.texts())))
        elif self.is_below(path) and path in self.files:
            self.files[path].written = call.ended

    def take_rename(self, call: Call) -> None:
        old, new = call.paths()[:2]
        if not self.is_below(new):
            return
        moved = [old] if old in self.files else [path for path in self.files if path.startswith(old + "/")]
        for path in moved:
            self.files[new + path[len(old) :]] = self.files.pop(path)
            self.show(new + path[len(old) :], new, call)

    def take_link(self, call: Call) -> None:
        old, new = call.paths()[:2]
        if not self.is_below(new):
            return
        nameless = re.fullmatch(r"/proc/\w+/fd/(\d+)", old)
        if nameless is not None:
            path = self.anonymous.get((self.process(call), int(nameless[1])), old)
            self.files[new] = self.files.get(path) or Steps()  # its descriptor keeps the path it had
            self.files[new].is_anonymous = False
        else:
            self.files[new] = Steps(is_link=True)
        self.show(new, new, call)

    def process(self, call: Call) -> int:
        """Give the process of the thread that made a call."""
        return self.process_of.get(call.thread, call.thread)

    def show(self, path: str, renamed: str, call: Call) -> None:
        """Note that a path is visible under its final name, if no part of it is a temporary name."""
        below = path[len(self.destination) + 1 :]
        if not any(part.startswith(self.prefix) for part in below.split("/")):
            self.files[path].shown = (call.begun, call.ended)
            self.files[path].shown_in = os.path.dirname(renamed)

    def is_below(self, path: str) -> bool:
        return path == self.destination or path.startswith(self.destination + "/")

    def verdict(self, planned: frozenset[str]) -> StepOrder:
        """Judge every file that is visible, or was written in the open."""
        violations = []
        visible = {}
        for path, steps in self.files.items():
            name = os.path.basename(path)
            if steps.is_anonymous or name.startswith("#"):  # never shown, or judged under the name it got
                continue
            if steps.shown is None:
                if not any(part.startswith(self.prefix) for part in path.split("/")):
                    violations.append(f"{path!a}: written under its final name")
                continue
            visible[path] = steps
            violations += [f"{path!a}: {wrong}" for wrong in self.judge(steps, name, name in planned)]
        return StepOrder(files=frozenset(visible), violations=violations)

    def judge(self, steps: Steps, name: str, was_planned: bool) -> Iterator[str]:
        """Yield what was out of order for one visible file."""
        assert steps.shown is not None
        begun, ended = steps.shown
        if not steps.is_link:
            if steps.written > begun:
                yield "changed after it was renamed to its final name"
            syncs = [*steps.synced, *self.all_syncs]
            if not any(steps.written < first and last < begun for first, last in syncs):
                yield "renamed to its final name before its content was synced"
        after = [*self.folder_syncs.get(steps.shown_in, []), *self.all_syncs]
        folder = min((last for first, last in after if first > ended), default=NEVER)
        if folder == NEVER:
            yield "its folder was not synced after the rename"
        naming = [place for place, written in self.commits if name in written]
        if not naming:
            yield "never named in the ledger"
        elif naming[0] < folder and not was_planned:
            yield "named in the ledger before its folder was synced"
        elif was_planned and not any(place > folder for place, _ in self.commits):
            yield "nothing was written to the ledger after its folder was synced"


def calls(log: Iterable[str]) -> Iterator[Call]:
    """Yield the calls that succeeded, in the order they ended; then those that never returned."""
    open_calls: dict[str, tuple[str, str, int]] = {}
    for place, line in enumerate(log):
        line = line.rstrip("\n")
        if complete := COMPLETE.match(line):
            if not complete[4].startswith("-"):
                yield made(complete, complete[3], place, place)
        elif unfinished := UNFINISHED.match(line):
            open_calls[unfinished[1]] = (unfinished[2], unfinished[3], place)
        elif (resumed := RESUMED.match(line)) and resumed[1] in open_calls:
            name, arguments, begun = open_calls.pop(resumed[1])
            if not resumed[4].startswith("-"):
                yield made(resumed, f"{arguments}, {resumed[3]}", begun, place)
    for name, arguments, begun in open_calls.values():
        yield Call(name, arguments, begun, NEVER)


def made(match: re.Match[str], arguments: str, begun: int, ended: int) -> Call:
    """Make a call of a line of the log."""
    result = int(match[4]) if match[4] != "?" else 0
    return Call(match[2], arguments, begun, ended, int(match[1]), result, match[5] or "")


def outside_quotes(arguments: str) -> str:
    """Drop the quoted arguments, whose bytes may look like anything."""
    return QUOTED.sub('""', arguments)


def unescaped(text: str) -> str:
    """Turn strace's writing of bytes back into a file name or a piece of content."""
    raw = ESCAPE.sub(_unescape, text.encode("utf-8", "surrogateescape"))
    return os.fsdecode(raw)


def _unescape(match: re.Match[bytes]) -> bytes:
    what = match[1]
    if what[:1].isdigit():
        return bytes([int(what, 8)])
    if len(what) == 3:
        return bytes([int(what[1:], 16)])
    return ESCAPED.get(what, what)


if __name__ == "__main__":
    flip_until_told(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
