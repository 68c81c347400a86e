"""What 200 open streams of events cost a transfer: the same job with nobody watching and with all of them, in turn."""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tallyport.client import Client
from tallyport.testing.servers import free_port
from tests.bench import measure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WATCHERS = 200
GOAL = 1.05  # of the time, and of the server's processor time, without watchers
SIZE = 4_096  # bytes of a file
FOLDER = 500  # files of one folder


class Figures:
    """What was measured: for each run, seconds and processor seconds of the server."""

    def __init__(self) -> None:
        self.alone: list[tuple[float, float]] = []
        self.watched: list[tuple[float, float]] = []
        self.received = 0  # bytes the watchers got in the last run

    def lines(self, files: int) -> list[list[str]]:
        """Arrange them beside their goal."""
        rows = [[f"{files:,} files", "wall s", "CPU s of the server", "goal", ""]]
        for name, found in (("nobody watches", self.alone), (f"{WATCHERS} watchers", self.watched)):
            rows.append([name, f"{middle(found, 0):.2f}", f"{middle(found, 1):.2f}", "", ""])
        ratios = [middle(self.watched, which) / middle(self.alone, which) for which in (0, 1)]
        verdict = "met" if ratios[0] <= GOAL else f"missed by {ratios[0] / GOAL - 1:.0%}"
        rows.append(["ratio", f"{ratios[0]:.3f}", f"{ratios[1]:.3f}", f"<= {GOAL:g}", verdict])
        rows.append(["each watcher got", f"{self.received / WATCHERS / 1_000:.1f} kB", "", "", ""])
        return rows


def measured(folder: str, files: int, rounds: int, say: Callable[[str], None]) -> Figures:
    """Run a job again and again into new folders, by turns watched and not."""
    figures = Figures()
    source = os.path.join(folder, "source")
    for number in range(files):
        place = os.path.join(source, f"{number // FOLDER:04d}")
        if number % FOLDER == 0:
            os.makedirs(place)
        with open(os.path.join(place, f"{number:07d}"), "wb") as stream:
            stream.write(number.to_bytes(8, "little") * (SIZE // 8))
    with serving(os.path.join(folder, "data")) as (process, url, token), Client(url, token, timeout=120) as client:
        one(client, process, source, os.path.join(folder, "warm"), url, token, 0, figures)
        for number in range(rounds):
            for watchers in (0, WATCHERS) if number % 2 else (WATCHERS, 0):
                target = os.path.join(folder, f"to-{number}-{watchers}")
                found = one(client, process, source, target, url, token, watchers, figures)
                (figures.watched if watchers else figures.alone).append(found)
                say(f"{watchers} watchers: {found[0]:.2f} s, {found[1]:.2f} s CPU")
    return figures


def one(
    client: Client,
    process: subprocess.Popen[bytes],
    source: str,
    target: str,
    url: str,
    token: str,
    watchers: int,
    figures: Figures,
) -> tuple[float, float]:
    """Run one job; gives its seconds and the server's processor seconds."""
    ends = [client.connections.create("fs", {"path": path}, make=True) for path in (source, target)]
    job = client.jobs.create(name="watched", source=ends[0], destination=ends[1], transfer_type="copy")
    with watching(url, token, job.id, watchers, figures):
        before, begun = measure.processor_time(process.pid), time.monotonic()
        client.jobs.start(job)
        client.jobs.wait(job, timeout=600)
        return time.monotonic() - begun, measure.processor_time(process.pid) - before


@contextmanager
def watching(url: str, token: str, job: str, count: int, figures: Figures) -> Iterator[None]:
    """Hold streams open in a process of their own, which reads and throws away."""
    if not count:
        yield
        return
    port = url.rpartition(":")[2]
    words = [sys.executable, __file__, port, job, str(count)]
    own = {**os.environ, "WATCH": token, "PYTHONPATH": ROOT}
    reader = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=own)
    assert reader.stdout is not None
    assert reader.stdin is not None
    assert reader.stdout.readline() == b"open\n"
    try:
        yield
    finally:
        time.sleep(1.0)  # the last frames
        reader.stdin.close()
        figures.received = int(reader.stdout.readline())
        reader.stdout.close()
        reader.wait(30)


@contextmanager
def serving(data: str) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """Run the server."""
    port = free_port()
    program = [sys.executable, "-m", "tallyport"]
    given = {key: value for key, value in os.environ.items() if not key.startswith("TALLYPORT_")}
    given["TALLYPORT_DATA"] = data
    add = [*program, "users", "add", "ann", "--role", "admin", "--no-password"]
    subprocess.run(add, env=given, check=True, stdout=subprocess.DEVNULL)
    made = subprocess.run([*program, "tokens", "create", "--user", "ann"], env=given, check=True, capture_output=True)
    process = subprocess.Popen([*program, "serve", "--port", str(port)], env=given, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process, url, made.stdout.decode().strip()
    finally:
        process.terminate()
        process.wait(60)


def middle(found: list[tuple[float, float]], which: int) -> float:
    return statistics.median(one[which] for one in found)


def read(port: int, job: str, count: int) -> None:
    """Open streams, say so, read until standard input closes, and say how many bytes came."""
    chosen = selectors.DefaultSelector()
    head = f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {os.environ['WATCH']}\r\n\r\n"
    for _ in range(count):
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(head.encode())
        assert stream.recv(4_096).startswith(b"HTTP/1.1 200")
        stream.setblocking(False)
        chosen.register(stream, selectors.EVENT_READ)
    print("open", flush=True)
    chosen.register(sys.stdin.fileno(), selectors.EVENT_READ)
    received = 0
    while True:
        for key, _ in chosen.select():
            if isinstance(key.fileobj, int):
                print(received, flush=True)
                return
            content = key.fileobj.recv(65_536)  # type: ignore[union-attr]
            received += len(content)
            if not content:
                chosen.unregister(key.fileobj)


if __name__ == "__main__":
    read(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
