"""What is known of a folder of this machine by how it is mounted: whose clock dates what is in it, and how finely."""

import os

_MOUNTS = "/proc/self/mountinfo"  # Linux alone has it; elsewhere every folder counts as this machine's
_OVER_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "virtiofs", "davfs"),
        *("ceph", "lustre", "gpfs", "beegfs", "glusterfs", "orangefs", "pvfs2", "panfs", "ocfs2", "gfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.rclone", "fuse.s3fs", "fuse.curlftpfs", "fuse.juicefs"),
    }
)


_STEPS = {
    "vfat": 2_000_000_000,
    "msdos": 2_000_000_000,
    "exfat": 10_000_000,
    "hfs": 1_000_000_000,
    "hfsplus": 1_000_000_000,
}
"""Nanoseconds between two times of last change that a file system can keep, where that is told by its type."""


def is_over_network(fd: int) -> bool:
    """Tell whether an open folder is mounted over a network, so that another clock may date what is written there."""
    return not _OVER_NETWORK.isdisjoint(_types(fd))


def time_step(fd: int) -> int:
    """Give the step that times have in an open folder, as far as its type tells: 1 = exact."""
    return max((_STEPS.get(one, 1) for one in _types(fd)), default=1)


def _types(fd: int) -> list[str]:
    """Give the types of what is mounted from the device of an open folder; none where the system does not tell."""
    number = os.fstat(fd).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:
            return [_type(line) for line in mounts if line.split(" ", 3)[2] == device]
    except OSError:
        return []


def _type(line: str) -> str:
    """Give the type of a mount; it stands after a dash, since the fields before it are of any number."""
    return line.partition(" - ")[2].partition(" ")[0]
