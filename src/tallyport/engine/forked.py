"""A process that is a copy of this one as of now: it starts with everything imported.

Only while this process has one thread. What it held is not the child's: every descriptor but those named is closed
there, it has a process group of its own, and it ends without this process's farewells.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection

_MOST = 1 << 20  # descriptors


class Forked:
    """The child, with as much of the face of ``subprocess.Popen`` as a pool of movers asks for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None
        self._lock = threading.Lock()

    def wait(self, timeout: float | None = None) -> int:
        """Give how it ended; negative is the number of a signal. Raises ``subprocess.TimeoutExpired``."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = 0.0005
        while True:
            with self._lock:
                if self._status is None:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                    if pid:
                        self._status = os.waitstatus_to_exitcode(status)
                if self._status is not None:
                    return self._status
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(pause)
            pause = min(0.05, pause * 2)

    def send_signal(self, number: int) -> None:
        """Signal it, unless it was waited for already."""
        with self._lock:
            if self._status is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def can_fork() -> bool:
    """Tell whether a copy of this process would be whole: threads are not copied."""
    return threading.active_count() == 1


def fork(act: Callable[[], None], *, keep: Collection[int]) -> Forked:
    """Have ``act`` done by a copy of this process; of its descriptors it keeps these and the standard ones."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or the child might say it again
    pid = os.fork()
    if pid:
        return Forked(pid)
    status = 1
    try:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        at = 3
        for fd in sorted(keep):
            os.closerange(at, fd)
            at = fd + 1
        os.closerange(at, _MOST)
        act()
        status = 0
    except BaseException:  # the top of a process
        traceback.print_exc()
    finally:
        os._exit(status)
