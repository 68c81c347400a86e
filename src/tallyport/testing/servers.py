"""Real servers for tests: a program of somebody else, on loopback, in a folder of its own, stopped by its pid."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

HOST = "127.0.0.1"
READY = 30.0  # seconds until a server must answer


def free_port(*, below: int = 32_000) -> int:
    """Give a port that nobody has now.

    The system gives none of them (they are below 32 768) to whoever connects somewhere, as others do meanwhile.
    """
    while True:
        port = random.randrange(10_000, below)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


@contextlib.contextmanager
def scratch(name: str) -> Iterator[str]:
    """Give a folder for one server, removed afterwards. Others may pass through it, as a server's own user must."""
    folder = tempfile.mkdtemp(prefix=f"tallyport-{name}-")
    os.chmod(folder, 0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(
    command: Sequence[str],
    port: int,
    folder: str,
    *,
    environment: Mapping[str, str] | None = None,
    is_ready: Callable[[], bool] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server until the block ends; what it says goes to a file and into the error when it does not start."""
    log = os.path.join(folder, "server.log")
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # with what it starts itself it is one group, ended as one
        )
    try:
        _wait(process, is_ready or (lambda: answers(port)), log)
        yield process
    finally:
        stop(process)


def answers(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
    process.wait(5)


def _wait(process: "subprocess.Popen[bytes]", is_ready: Callable[[], bool], log: str) -> None:
    end = time.monotonic() + READY
    while not is_ready():
        if process.poll() is not None or time.monotonic() > end:
            with open(log, "rb") as stream:
                said = stream.read()[-2000:].decode("utf-8", "replace")
            raise RuntimeError(f"{process.args!r} does not answer: {said}")
        time.sleep(0.02)
