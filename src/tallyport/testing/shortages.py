"""Places where there is little of something: a folder with a quota, a control group. Both need root."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from tallyport.testing.faults import wait_until


@contextmanager
def quota(path: str, size: int) -> Iterator[Callable[[int], None]]:
    """Make a new folder with a quota of ``size`` bytes on a disk that has far more; yields a function that changes it.

    Needs the right to mount (root) and btrfs, whose quotas belong to a folder; without it PermissionError is raised.
    """
    with tempfile.TemporaryDirectory(prefix="quota-") as scratch:
        image, disk = os.path.join(scratch, "image"), os.path.join(scratch, "disk")
        os.mkdir(disk)
        with open(image, "wb") as stream:
            stream.truncate(256 << 20)
        subprocess.run(["mkfs.btrfs", "-q", "-M", image], check=True, capture_output=True)
        mounted = subprocess.run(["mount", "-o", "loop", image, disk], capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            raise PermissionError(f"cannot mount a disk with quotas: {mounted.stderr.strip()}")
        try:
            folder = os.path.join(disk, "folder")

            def resize(new_size: int) -> None:
                subprocess.run(["btrfs", "qgroup", "limit", str(new_size), folder], check=True, capture_output=True)

            subprocess.run(["btrfs", "quota", "enable", disk], check=True, capture_output=True)
            subprocess.run(["btrfs", "subvolume", "create", folder], check=True, capture_output=True)
            resize(size)
            os.mkdir(path)
            subprocess.run(["mount", "--bind", folder, path], check=True, capture_output=True)
            yield resize
        finally:
            for mounted_on in (path, disk):
                subprocess.run(["umount", "--lazy", mounted_on], capture_output=True, check=False)
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(path)


@contextmanager
def control_group(*, memory: int = 0, processes: int = 0) -> Iterator[list[str]]:
    """Make a control group with a limit of memory, or of processes and threads; yields a prefix that enters it.

    Needs the right to make one (root); without it PermissionError is raised.
    """
    one_tree = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    limits: list[tuple[str, str, int]] = []
    if memory:
        limits.append(("memory", "memory.max" if one_tree else "memory.limit_in_bytes", memory))
    if processes:
        limits.append(("pids", "pids.max", processes))
    name = f"tallyport-test-{os.getpid()}"
    groups: list[str] = []
    try:
        try:
            for controller, limit, value in limits:
                above = "/sys/fs/cgroup" if one_tree else f"/sys/fs/cgroup/{controller}"
                group = os.path.join(above, name)
                if group not in groups:
                    os.mkdir(group)
                    groups.append(group)
                with open(os.path.join(group, limit), "w", encoding="ascii") as stream:
                    stream.write(str(value))
        except OSError as error:
            raise PermissionError(f"cannot make a control group: {error}") from error
        entering = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
        yield ["sh", "-c", f'{entering}exec "$@"', "sh"]
    finally:
        for group in reversed(groups):
            wait_until(partial(_is_left, group), 10)
            os.rmdir(group)


def _is_left(group: str) -> bool:
    with open(os.path.join(group, "cgroup.procs"), encoding="ascii") as stream:
        return not stream.read()
