"""A copy of a process: tried in a process of its own, since this one has threads."""

from __future__ import annotations

import subprocess
import sys
import threading

from tallyport.engine.forked import can_fork

_PROGRAM = """
import os, signal, subprocess, sys
from tallyport.engine.forked import can_fork, fork

assert can_fork()
inlet, outlet = os.pipe()
other, other_end = os.pipe()

def act():
    kept = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    own_group = os.getpgid(0) == os.getpid()
    stdin = os.readlink("/proc/self/fd/0")
    os.write(outlet, repr((kept[:3], outlet in kept, other in kept or other_end in kept, own_group, stdin)).encode())

print("said once", end="")
child = fork(act, keep=(outlet,))
os.close(outlet)
print(os.read(inlet, 1000).decode(), child.wait(10), child.wait())
child.send_signal(signal.SIGTERM)  # gone: nothing happens to whoever has its number now
failing = fork(lambda: 1 / 0, keep=())
print(failing.wait(10))
sleeping = fork(signal.pause, keep=())
try:
    sleeping.wait(0.01)
except subprocess.TimeoutExpired:
    print("still there")
sleeping.kill()
print(sleeping.wait(10))
"""


def test_a_copy_keeps_what_it_is_told_to_and_ends_as_it_ends() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.splitlines() == [
        "said once([0, 1, 2], True, False, True, '/dev/null') 0 0",
        "1",
        "still there",
        "-9",
    ], ended.stderr
    assert "ZeroDivisionError" in ended.stderr


def test_a_process_with_threads_is_not_copied() -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        assert not can_fork()
    finally:
        ended.set()
        thread.join()
