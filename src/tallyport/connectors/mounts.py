"""Which folders of this machine are another machine's: what is mounted over a network has that one's clock."""

import os

_MOUNTS = "/proc/self/mountinfo"  # Linux alone has it; elsewhere every folder counts as this machine's
_OVER_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "virtiofs", "davfs"),
        *("ceph", "lustre", "gpfs", "beegfs", "glusterfs", "orangefs", "pvfs2", "panfs", "ocfs2", "gfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.rclone", "fuse.s3fs", "fuse.curlftpfs", "fuse.juicefs"),
    }
)


def is_over_network(fd: int) -> bool:
    """Tell whether an open folder is mounted over a network, so that another clock may date what is written there."""
    number = os.fstat(fd).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:
            return any(_type(line) in _OVER_NETWORK for line in mounts if line.split(" ", 3)[2] == device)
    except OSError:
        return False


def _type(line: str) -> str:
    """Give the type of a mount; it stands after a dash, since the fields before it are of any number."""
    return line.partition(" - ")[2].partition(" ")[0]
