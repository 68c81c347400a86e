"""Network namespaces as separate hosts: programs in one reach this host over cables of their own, which can be cut.

Needs root and the program ``ip``. A cable leads to one TCP port of this host's loopback, so that servers need not know.
"""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def lacking() -> str | None:
    """Say why there can be no namespaces here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "the program ip is missing (Debian: iproute2)"
    name = f"tallyport-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"this kernel makes no network namespaces: {tried.stderr.strip()}"
    _ip("netns", "del", name)
    return None


class Cable:
    """Leads from a host to one port here."""

    def __init__(self, host: str, number: int, port: int) -> None:
        self.here = f"tp{os.getpid() % 10_000:04}{number}h"
        there = f"tp{os.getpid() % 10_000:04}{number}t"
        net = f"10.{200 + number}.{os.getpid() % 200}"
        _ip("link", "add", self.here, "type", "veth", "peer", "name", there)
        _ip("link", "set", there, "netns", host)
        _ip("addr", "add", f"{net}.1/24", "dev", self.here)
        _ip("link", "set", self.here, "up")
        for command in (
            ("addr", "add", f"{net}.2/24", "dev", there),
            ("link", "set", there, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", host, *command)
        self.address = f"{net}.1"
        self._forward = _Forward(self.address, port)
        self.port = self._forward.port

    def cut(self) -> None:
        """Let nothing through; whoever waits for an answer goes on waiting."""
        _ip("link", "set", self.here, "down")

    def heal(self) -> None:
        _ip("link", "set", self.here, "up")

    def remove(self) -> None:
        self._forward.close()
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "del", self.here)


@contextmanager
def host(name: str, ports: Sequence[int]) -> Iterator[list[Cable]]:
    """Make a host with a cable to each of some ports, for as long as the block lasts."""
    _ip("netns", "add", name)
    cables: list[Cable] = []
    try:
        for number, port in enumerate(ports):
            cables.append(Cable(name, number, port))
        yield cables
    finally:
        for cable in cables:
            cable.remove()
        _ip("netns", "del", name)


class _Forward:
    """Hands connections to an address on to a port of loopback."""

    def __init__(self, address: str, port: int) -> None:
        self._target = port
        self._listening = socket.create_server((address, 0), backlog=64)
        self._listening.settimeout(0.2)
        self.port = int(self._listening.getsockname()[1])
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(10)
        self._listening.close()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                near, _ = self._listening.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._pass_on, args=(near,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _pass_on(self, near: socket.socket) -> None:
        """Pass on both ways until one side ends."""
        with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target), 10) as far:
            other = {near: far, far: near}
            while not self._ending.is_set():
                ready, _, _ = select.select(list(other), [], [], 0.2)
                for one in ready:
                    data = one.recv(65_536)
                    if not data:
                        return
                    other[one].sendall(data)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
