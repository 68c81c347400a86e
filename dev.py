#!/usr/bin/env python3
"""Sets up and drives a Tallyport checkout. Needs Python 3.11 or newer, git and a package registry.

Everything it installs goes into .venv beside this file. Only programs that tests need and that no Python
package brings are asked of the system, and only where that is certain to be welcome: as root on Debian.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

OLDEST_PYTHON = (3, 11)
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
BIN = os.path.join(VENV, "bin")
STAMPS = os.path.join(VENV, "stamps")
PYTHON = os.path.join(BIN, "python")
IN_CI = os.environ.get("CI", "").lower() == "true"

# A set of packages, and every file that decides what is in it. Each set contains the one before it.
SETS = {
    "run": ("pyproject.toml", "src/tallyport/__init__.py", "requirements/run.txt"),
    "dev": ("pyproject.toml", "src/tallyport/__init__.py", "requirements/run.txt", "requirements/dev.txt"),
    "bench": (
        "pyproject.toml",
        "src/tallyport/__init__.py",
        "requirements/run.txt",
        "requirements/dev.txt",
        "requirements/bench.txt",
    ),
}

# Programs that tests or benchmarks drive, and the Debian packages each one needs.
TEST_PROGRAMS = {
    "apache2": "apache2",
    "chromium": "chromium",
    "curl": "curl",
    "git": "git",
    "mkfs.btrfs": "btrfs-progs",
    "npm": "npm",
    "pg_ctlcluster": "postgresql",
    "rsync": "rsync",
    "smbd": "samba samba-vfs-modules",
    "sshd": "openssh-server",
    "strace": "strace",
    "vsftpd": "vsftpd",
}
BENCH_PROGRAMS = {"rsync": "rsync"}

# Servers that npm brings, by the name of the launcher in .venv/bin, and the script that each one is.
NODE_SERVERS = {"azurite-blob": os.path.join("azurite", "dist", "src", "blob", "main.js")}
LAUNCHER = """#!{python}
import os, sys
from playwright._impl._driver import compute_driver_executable
node = compute_driver_executable()[0]
os.execv(node, [node, "{script}", *sys.argv[1:]])
"""

OFFLINE = """
If this machine is offline or cannot reach its package registry: connect it once, then run the same command.
Nothing outside .venv was changed. A mirror is named in the usual places: pip.conf, PIP_INDEX_URL,
UV_DEFAULT_INDEX."""


class Failure(Exception):
    """What went wrong, in words for the person at the keyboard."""


# Commands


def demo(arguments: Sequence[str]) -> int:
    """set up, then run the main job on sample data and print the outcome"""
    script = os.path.join(ROOT, "tools", "demo.py")
    if not os.path.exists(script):
        raise Failure("tools/demo.py is missing from this checkout")
    install("run")
    return become(PYTHON, script, *arguments)


def serve(arguments: Sequence[str]) -> int:
    """start the server; ARGS as in `tallyport serve --help`"""
    install("run")
    return become(os.path.join(BIN, "tallyport"), "serve", *arguments)


def run(arguments: Sequence[str]) -> int:
    """run any tallyport command in the environment: run -- copy SRC DST"""
    install("run")
    return become(os.path.join(BIN, "tallyport"), *without_dashes(arguments))


def test(arguments: Sequence[str]) -> int:
    """run the tests, acceptance tests included; ARGS go to pytest"""
    install("dev")
    provide_for_tests()
    os.chdir(ROOT)
    return become(*pytest_command(chosen)) if (chosen := without_dashes(arguments)) else every_test()


def check(arguments: Sequence[str]) -> int:
    """run what CI runs: style, types, floors, lints, fresh documents, tests"""
    if arguments:
        raise Failure("check takes no arguments")
    begun = time.monotonic()
    install("dev")
    provide_for_tests()
    say(f"set up in {time.monotonic() - begun:.1f} s")
    for name, command in check_steps():
        begun = time.monotonic()
        say(f"\n== {name}")
        status = call(command)
        seconds = f"{time.monotonic() - begun:.1f} s"
        if status != 0:
            say(f"== {name}: FAILED with status {status} after {seconds}")
            return status
        say(f"== {name}: ok, {seconds}")
    # Last, and with nothing after it: whoever reads this output looks for pytest's closing line.
    say("\n== tests")
    return every_test()


def fix(arguments: Sequence[str]) -> int:
    """mend what ruff can mend, then format; ARGS are paths"""
    install("dev")
    paths = list(arguments) or ["."]
    return call([tool("ruff"), "check", "--fix", *paths]) or call([tool("ruff"), "format", *paths])


def bench(arguments: Sequence[str]) -> int:
    """set up the benchmarks, with the tools we compare with, and run them"""
    install("bench")
    provide(BENCH_PROGRAMS)
    return become(PYTHON, os.path.join(ROOT, "tests", "bench", "run.py"), *arguments)


def setup(arguments: Sequence[str]) -> int:
    """make the whole environment and do nothing with it; ARG is run, dev or bench (default dev)"""
    wanted = arguments[0] if arguments else "dev"
    if wanted not in SETS or len(arguments) > 1:
        raise Failure(f"setup takes one of: {', '.join(SETS)}")
    install(wanted)
    if wanted != "run":
        provide_for_tests()
    say(f"ready: {os.path.relpath(BIN)}")
    return 0


def lock(arguments: Sequence[str]) -> int:
    """resolve requirements/*.txt anew, to the newest releases that fit (--keep: change only what must)"""
    keep = list(arguments) == ["--keep"]
    if arguments and not keep:
        raise Failure("lock takes no arguments but --keep")
    install("run")
    everything = ["pyproject.toml", "--all-extras", "requirements/run.in", "requirements/dev.in"]
    compile_requirements("boot", keep, "requirements/boot.in")
    compile_requirements("run", keep, "pyproject.toml", "requirements/run.in")
    compile_requirements("dev", keep, *everything, "-c", "requirements/run.txt")
    compile_requirements("bench", keep, *everything, "requirements/bench.in", "-c", "requirements/dev.txt")
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "demo": demo,
    "test": test,
    "check": check,
    "serve": serve,
    "run": run,
    "bench": bench,
    "fix": fix,
    "setup": setup,
    "lock": lock,
}


def usage() -> str:
    """The help page: the commands and the first sentence of each."""
    lines = [f"  {name:<6} {command.__doc__}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: python3 dev.py COMMAND [ARGS]", "", *lines])


# What check and test are made of


def check_steps() -> Iterator[tuple[str, list[str]]]:
    """Yield the steps before the tests: a name and a command each, cheapest first."""
    yield "style", [tool("ruff"), "check", "."]
    yield "format", [tool("ruff"), "format", "--check", "."]
    for script in sorted(os.listdir(os.path.join(ROOT, "tools"))):
        if script.startswith("lint_") and script.endswith(".py"):
            yield f"tools/{script}", [PYTHON, os.path.join("tools", script)]
    if os.path.exists(os.path.join(ROOT, "src", "tallyport", "cli", "__init__.py")):
        yield "floors", [tool("lint-imports"), "--no-logo", "--no-cache"]
    else:
        say("floors: not checked before src/tallyport/cli exists")
    yield "types", [tool("mypy")]
    if os.path.exists(os.path.join(ROOT, "tools", "docs.py")):
        yield "generated documents", [PYTHON, "-m", "tools.docs", "--check"]


def every_test() -> int:
    """Run all tests: those in a browser by themselves, since their driver keeps an event loop running.

    A test that fails is run up to twice more. Where that passes, pytest names it as RERUN, with its first failure: it
    depends on the pace of the machine, which is a defect of the test or of the product.
    """
    browser = os.path.join("tests", "web", "browser")
    again = ["--reruns=2", "--reruns-delay=2", "--max-suite-reruns=10", "--rerun-show-tracebacks"]
    failed = call(pytest_command(["-n", "0", *again, browser])) if os.path.exists(os.path.join(ROOT, browser)) else 0
    return call(pytest_command([*again, f"--ignore={browser}"])) or failed


def pytest_command(arguments: Sequence[str]) -> list[str]:
    """Say how pytest is run: on two processes, unless the arguments choose otherwise."""
    chosen = ("-n", "--numprocesses", "--pdb", "--trace", "-p=no:xdist")
    spread = [] if any(argument.startswith(chosen) for argument in arguments) else ["-n", "2"]
    return [PYTHON, "-m", "pytest", *spread, *arguments]


def compile_requirements(name: str, keep: bool, *sources: str) -> None:
    """Write requirements/NAME.txt from its sources, without an address or a local path in it."""
    options = ["--generate-hashes", "--universal", "--python-version", ".".join(map(str, OLDEST_PYTHON))]
    options += ["--no-emit-index-url", "--no-header", "--no-annotate", "--quiet"]
    options += [] if keep else ["--upgrade"]
    if call([uv(), "pip", "compile", *options, *sources, "-o", f"requirements/{name}.txt"]) != 0:
        raise Failure(f"requirements/{name}.txt could not be resolved")
    say(f"resolved requirements/{name}.txt")


# The environment


def install(wanted: str) -> None:
    """Bring .venv up to the wanted set. Costs a few file reads when it is there already."""
    if not is_stamped("venv", venv_key()) or not is_stamped(wanted, set_key(wanted)):
        with alone():
            create_venv()
            install_set(wanted)


def create_venv() -> None:
    """Make .venv with uv in it, unless the one that is there was made by this Python in this folder."""
    if is_stamped("venv", venv_key()):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    with step("environment in .venv"):
        at_hand = shutil.which("uv") is not None
        if not at_hand and importlib.util.find_spec("ensurepip") is None:
            provide_ensurepip()
        quietly([sys.executable, "-m", "venv", *(["--without-pip"] if at_hand else []), VENV])
        if not at_hand:
            boot = os.path.join("requirements", "boot.txt")
            quietly([PYTHON, "-m", "pip", "install", "--require-hashes", "-r", boot], otherwise=OFFLINE)
        stamp("venv", venv_key())


def install_set(wanted: str) -> None:
    """Install a set of packages, each by its hash, and the checkout itself in place."""
    if is_stamped(wanted, set_key(wanted)):
        return
    with step(f"packages for {wanted}"):
        requirements = os.path.join("requirements", f"{wanted}.txt")
        install_packages(["--require-hashes", "-r", requirements])
        install_packages(["--no-deps", "--no-build-isolation", "-e", ROOT])
        for name in SETS:
            stamp(name, set_key(name))
            if name == wanted:
                break


def install_packages(arguments: Sequence[str]) -> None:
    """Install with uv; where only pip knows the way to the registry, with pip."""
    try:
        quietly([uv(), "pip", "install", "--compile-bytecode", "--python", PYTHON, *arguments])
    except Failure:
        if importlib.util.find_spec("ensurepip") is None:
            raise
        say("uv could not install this; trying pip")
        quietly([PYTHON, "-m", "ensurepip"])
        quietly([PYTHON, "-m", "pip", "install", *arguments], otherwise=OFFLINE)


def provide_ensurepip() -> None:
    """Get the half of the standard library that Debian packs apart."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if not may_use_apt():
        raise Failure(f"this Python has no ensurepip: install it first (Debian: apt-get install {package})")
    if not apt_install([package]):
        raise Failure(f"this Python has no ensurepip, and apt-get could not install {package}")


def uv() -> str:
    """Find uv: ours if there is one, else the machine's."""
    return shutil.which("uv", path=BIN) or shutil.which("uv") or os.path.join(BIN, "uv")


def tool(name: str) -> str:
    """Name a program of the environment."""
    return os.path.join(BIN, name)


def venv_key() -> str:
    """Say what .venv is tied to: this Python, and this folder, whose name its scripts hold."""
    return f"1 {sys.implementation.cache_tag} {platform.python_version()} {sys.base_prefix} {ROOT}"


def set_key(name: str) -> str:
    """Say what decides the contents of a set of packages, in one short word."""
    digest = hashlib.sha256(venv_key().encode())
    for file in SETS[name]:
        with open(os.path.join(ROOT, file), "rb") as stream:
            digest.update(hashlib.sha256(stream.read()).digest())
    return digest.hexdigest()


def is_stamped(name: str, key: str) -> bool:
    """Tell whether this was done before, for the same key."""
    try:
        with open(os.path.join(STAMPS, name), encoding="utf-8") as stream:
            return stream.read() == key
    except OSError:
        return False


def stamp(name: str, key: str) -> None:
    """Record that this is done."""
    os.makedirs(STAMPS, exist_ok=True)
    with open(os.path.join(STAMPS, name), "w", encoding="utf-8") as stream:
        stream.write(key)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep two set-ups of one checkout apart: the second waits, then finds the work done."""
    import fcntl  # not on every system, and needed by none of the help pages

    with open(os.path.join(ROOT, ".venv.lock"), "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


# Programs of the system


def provide_for_tests() -> None:
    """Get what tests drive: programs of the system, and the servers that npm brings."""
    provide(TEST_PROGRAMS)
    with alone():
        install_node_servers()


def install_node_servers() -> None:
    """Install what requirements/node names into .venv, each package by its hash, and a launcher for each server.

    Node comes with Playwright, newer than Debian's; npm is the system's. No package runs a script of its own.
    """
    key = node_key()
    if is_stamped("node", key):
        return
    if shutil.which("npm") is None:
        say("missing: npm. Azurite is not installed, and what needs it is skipped")
        return
    folder = os.path.join(VENV, "node")
    with step("servers from npm"):
        os.makedirs(folder, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(os.path.join(ROOT, "requirements", "node", name), os.path.join(folder, name))
        options = ["--no-audit", "--no-fund", "--omit=dev", "--omit=optional", "--ignore-scripts", "--loglevel=error"]
        quietly(["npm", "ci", "--prefix", folder, *options], otherwise=OFFLINE)
        for name, script in NODE_SERVERS.items():
            launcher = os.path.join(BIN, name)
            with open(launcher, "w", encoding="utf-8") as stream:
                stream.write(LAUNCHER.format(python=PYTHON, script=os.path.join(folder, "node_modules", script)))
            os.chmod(launcher, 0o755)
        stamp("node", key)


def node_key() -> str:
    """Say what decides which servers npm brings."""
    with open(os.path.join(ROOT, "requirements", "node", "package-lock.json"), "rb") as stream:
        return f"{venv_key()} {hashlib.sha256(stream.read()).hexdigest()}"


def provide(programs: dict[str, str]) -> None:
    """Install the missing programs where that is possible; otherwise say what is missing.

    In CI a program that cannot be had is an error, so that no test is skipped there unseen.
    """
    missing = {program: package for program, package in programs.items() if shutil.which(program) is None}
    if not missing:
        return
    if may_use_apt():
        with step(f"Debian packages {' '.join(missing.values())}"):
            apt_install(sorted({package for packages in missing.values() for package in packages.split()}))
    missing = {program: package for program, package in missing.items() if shutil.which(program) is None}
    if not missing:
        return
    names = ", ".join(missing)
    if IN_CI:
        raise Failure(f"missing in CI: {names}")
    say(f"missing: {names}. What needs them is skipped. Debian: apt-get install {' '.join(missing.values())}")


def may_use_apt() -> bool:
    """Tell whether packages can be installed without asking anybody: root, on Debian or its kin."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(packages: Sequence[str]) -> bool:
    """Install Debian packages; update the lists only if it does not work without. Says why if it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    fetch = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    for command in (fetch, ["apt-get", "update", "-qq"], fetch):
        result = captured(command, environment)
        if command is fetch and result.returncode == 0:
            return True
    say(tail(result.stdout))
    return False


# Running and saying


def become(*command: str) -> int:
    """Replace this process by the command; signals and the exit status are then the command's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment_of_checkout())


def call(command: Sequence[str]) -> int:
    """Run a command in the checkout, its output in plain sight, and return its exit status."""
    sys.stdout.flush()
    try:
        return subprocess.run(command, cwd=ROOT, env=environment_of_checkout()).returncode
    except FileNotFoundError as cause:
        raise Failure(f"cannot run {command[0]}: {cause.strerror}; remove .venv and try again") from cause


def quietly(command: Sequence[str], otherwise: str = "") -> None:
    """Run a command in the checkout and show its last words only if it fails."""
    result = captured(command)
    if result.returncode != 0:
        shown = " ".join(os.path.basename(word) if word.startswith(ROOT) else word for word in command)
        raise Failure(f"{shown}\n{tail(result.stdout)}\n{otherwise}".rstrip())


def captured(command: Sequence[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout, out of sight and with nobody to ask, and return what it said."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def environment_of_checkout() -> dict[str, str]:
    """Give the variables that programs of the environment run under: .venv's programs come first."""
    path = BIN + os.pathsep + os.environ.get("PATH", os.defpath)
    # Compiled modules are kept: without them every start compiles the whole program again.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "VIRTUAL_ENV": VENV, "PATH": path}


def without_dashes(arguments: Sequence[str]) -> list[str]:
    """Drop a leading `--`, which only parts our arguments from the others'."""
    return list(arguments[1:] if arguments[:1] == ["--"] else arguments)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    begun = time.monotonic()
    print(f"setting up: {what} ... ", end="", flush=True, file=sys.stderr)
    try:
        yield
    except BaseException:
        print("failed", flush=True, file=sys.stderr)
        raise
    print(f"{time.monotonic() - begun:.1f} s", flush=True, file=sys.stderr)


def say(text: str) -> None:
    """Print a line now, so that it keeps its place among the lines of the programs we run."""
    print(text, flush=True)


def tail(text: str, lines: int = 25) -> str:
    """Keep the last lines of a program's output."""
    return "\n".join(text.strip().splitlines()[-lines:])


def newer_python() -> str | None:
    """Look for a Python that is new enough, beside the one that is not."""
    return next(filter(None, (shutil.which(f"python3.{minor}") for minor in (13, 12, 11))), None)


def main(arguments: Sequence[str]) -> int:
    """Run one command; 2 for a wrong call, 1 for a failure of our own, else the status of what was run."""
    if sys.version_info < OLDEST_PYTHON:
        newer = newer_python()
        if newer is not None:
            os.execv(newer, [newer, os.path.abspath(__file__), *arguments])
        wanted = ".".join(map(str, OLDEST_PYTHON))
        ours = platform.python_version()
        print(f"Tallyport needs Python {wanted} or newer; this is {ours}.", file=sys.stderr)
        return 2
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    command = COMMANDS.get(arguments[0])
    if command is None:
        print(f"no command {arguments[0]!r}\n\n{usage()}", file=sys.stderr)
        return 2
    try:
        return command(arguments[1:])
    except Failure as failure:
        print(f"\ndev.py {arguments[0]}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
