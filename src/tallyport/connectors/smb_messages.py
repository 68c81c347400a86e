"""The SMB 2 requests that we send, packed by hand, and the parts of their answers that we read.

The library's own classes cost more time than the server does. Layouts are those of MS-SMB2 2.2 and MS-FSCC 2.4;
offsets count from the header, which is 64 bytes long and the library's.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from smbprotocol.header import Commands

HEADER = 64
THE_SAME = b"\xff" * 16  # the file that the request before this one opened
EPOCH = 11_644_473_600 * 10_000_000  # 1970 in steps of 100 ns since 1601

# access
READ_DATA, WRITE_DATA, READ_EA, WRITE_EA = 0x1, 0x2, 0x8, 0x10
READ_ATTRIBUTES, WRITE_ATTRIBUTES, DELETE = 0x80, 0x100, 0x10000
READ_CONTROL, WRITE_DAC, WRITE_OWNER, SYNCHRONIZE = 0x20000, 0x40000, 0x80000, 0x100000
LIST = READ_DATA
# sharing
SHARE_READ, SHARE_WRITE, SHARE_DELETE = 1, 2, 4
SHARE_ALL = 7
# dispositions
OPEN, CREATE, OPEN_IF = 1, 2, 3
# options
A_FOLDER, NO_FOLDER, AS_LINK = 0x1, 0x40, 0x200000
# attributes
READ_ONLY, HIDDEN, DIRECTORY, SPARSE, REPARSE = 0x1, 0x2, 0x10, 0x200, 0x400
NORMAL = 0x80
# classes of information
BASIC, RENAME, DISPOSITION, FULL_EA, END_OF_FILE, STREAMS, IDS_AND_NAMES = 4, 10, 13, 15, 20, 22, 37
OF_FILE, OF_FILE_SYSTEM, OF_SECURITY = 1, 2, 3
OWNER_INFO, GROUP_INFO, DACL_INFO = 1, 2, 4

LINK_TAG = 0xA000000C
NAME_SURROGATE = 0x20000000  # a reparse tag with this bit stands for another name


class Message:
    """A request as bytes; ``payload`` is what is sent or asked for with it, which its credits are counted by."""

    __slots__ = ("COMMAND", "_body", "payload")

    def __init__(self, command: int, body: bytes, payload: int = 0) -> None:
        self.COMMAND = command
        self._body = body
        self.payload = payload

    def pack(self) -> bytes:
        return self._body


class Standing(NamedTuple):
    """What an item is, as the answers to open and close tell it; times in nanoseconds since 1970."""

    created: int
    modified: int
    changed: bytes
    size: int
    attributes: int


class Opened(NamedTuple):
    """An item that was opened."""

    handle: bytes
    standing: Standing
    number: bytes  # of the item on its disk; empty where the server does not tell


_CREATE = struct.Struct("<HBBIQQIIIIIHHII")
_CREATED = struct.Struct("<HBBIqqqqqqII16sII")
_CLOSED = struct.Struct("<HHIqqqqqqI")


def create(
    name: str,
    access: int,
    *,
    disposition: int = OPEN,
    options: int = 0,
    attributes: int = 0,
    sharing: int = SHARE_ALL,
    snapshot: int | None = None,
) -> Message:
    """Open or make a name, relative to the share; ``snapshot`` is the time of an earlier state of the share."""
    path = name.encode("utf-16-le", "surrogatepass")
    contexts = [_context(b"QFid", b"")]
    if snapshot is not None:
        contexts.append(_context(b"TWrp", struct.pack("<Q", snapshot)))
    blob = b"".join(
        struct.pack("<I", len(context) if number < len(contexts) - 1 else 0) + context[4:]
        for number, context in enumerate(contexts)
    )
    name_at = HEADER + _CREATE.size
    room = path + bytes(-len(path) % 8)
    room = room or bytes(8)
    fixed = _CREATE.pack(
        *(57, 0, 0, 2, 0, 0, access | SYNCHRONIZE, attributes, sharing, disposition, options),
        *(name_at, len(path), name_at + len(room), len(blob)),
    )
    return Message(Commands.SMB2_CREATE, fixed + room + blob)


def _context(name: bytes, data: bytes) -> bytes:
    """Write a create context; the link to the next one is filled in later."""
    head = struct.pack("<IHHHHI", 0, 16, len(name), 0, 24 if data else 0, len(data)) + name + bytes(4)
    return head + data + bytes(-len(data) % 8)


def created(body: bytes) -> Opened:
    """Read the answer to :func:`create`."""
    fields = _CREATED.unpack_from(body)
    _, _, _, _, born, _, written, changed, _, size, attributes, _, handle, contexts_at, length = fields
    number = b""
    at = contexts_at - HEADER
    end = at + length
    while length and at < end:
        following, name_at, name_length, _, data_at, data_length = struct.unpack_from("<IHHHHI", body, at)
        if body[at + name_at : at + name_at + name_length] == b"QFid" and data_length >= 8:
            number = body[at + data_at : at + data_at + 8]
        if not following:
            break
        at += following
    return Opened(handle, Standing(_time(born), _time(written), _changed(changed), size, attributes), number)


def close(handle: bytes = THE_SAME, *, tell: bool = False) -> Message:
    """Close; ``tell`` asks how the item stands then."""
    return Message(Commands.SMB2_CLOSE, struct.pack("<HHI16s", 24, 1 if tell else 0, 0, handle))


def closed(body: bytes) -> Standing:
    """Read the answer to :func:`close` with ``tell``."""
    _, _, _, born, _, written, changed, _, size, attributes = _CLOSED.unpack_from(body)
    return Standing(_time(born), _time(written), _changed(changed), size, attributes)


def read(handle: bytes, offset: int, length: int) -> Message:
    """Read a range."""
    body = struct.pack("<HBBIQ16sIIIHHB", 49, 0x50, 0, length, offset, handle, 0, 0, 0, 0, 0, 0)
    return Message(Commands.SMB2_READ, body, length)


def data_of(body: bytes) -> bytes:
    """Read the answer to :func:`read`."""
    at, length = body[2] - HEADER, int.from_bytes(body[4:8], "little")
    return body[at : at + length]


def write(data: bytes, offset: int, handle: bytes = THE_SAME) -> Message:
    """Write a range."""
    body = struct.pack("<HHIQ16sIIHHI", 49, HEADER + 48, len(data), offset, handle, 0, 0, 0, 0, 0)
    return Message(Commands.SMB2_WRITE, body + data, len(data))


def written(body: bytes) -> int:
    """Read the answer to :func:`write`: the number of bytes."""
    return int.from_bytes(body[4:8], "little")


def flush(handle: bytes = THE_SAME) -> Message:
    """Have what was written on the disk."""
    return Message(Commands.SMB2_FLUSH, struct.pack("<HHI16s", 24, 0, 0, handle))


def query(kind: int, information: int, *, handle: bytes = THE_SAME, most: int = 65_536, which: int = 0) -> Message:
    """Ask for information about what is open."""
    body = struct.pack("<HBBIHHIII16sB", 41, kind, information, most, 0, 0, 0, which, 0, handle, 0)
    return Message(Commands.SMB2_QUERY_INFO, body)


def queried(body: bytes) -> bytes:
    """Read the answer to :func:`query`."""
    at, length = struct.unpack_from("<HI", body, 2)
    return body[at - HEADER : at - HEADER + length] if length else b""


def change(kind: int, information: int, buffer: bytes, *, handle: bytes = THE_SAME, which: int = 0) -> Message:
    """Set information of what is open."""
    head = struct.pack("<HBBIHHI16s", 33, kind, information, len(buffer), HEADER + 32, 0, which, handle)
    return Message(Commands.SMB2_SET_INFO, head + buffer)


def stamp(modified: int | None, *, attributes: int = 0, handle: bytes = THE_SAME) -> Message:
    """Set the time of last change; what is not given stays."""
    moment = 0 if modified is None else file_time(modified)
    return change(OF_FILE, BASIC, struct.pack("<qqqqII", 0, 0, moment, 0, attributes, 0), handle=handle)


def rename(name: str, *, replaces: bool, handle: bytes = THE_SAME) -> Message:
    """Give what is open a name, relative to the share."""
    path = name.encode("utf-16-le", "surrogatepass")
    return change(OF_FILE, RENAME, struct.pack("<B7xQI", replaces, 0, len(path)) + path, handle=handle)


def dispose(handle: bytes = THE_SAME) -> Message:
    """Have what is open deleted when it is closed."""
    return change(OF_FILE, DISPOSITION, b"\x01", handle=handle)


def list_names(handle: bytes, pattern: str = "*", *, most: int, restart: bool = False) -> Message:
    """Ask for the next entries of a folder."""
    wanted = pattern.encode("utf-16-le")
    head = struct.pack("<HBBI16sHHI", 33, IDS_AND_NAMES, 1 if restart else 0, 0, handle, HEADER + 32, len(wanted), most)
    return Message(Commands.SMB2_QUERY_DIRECTORY, head + wanted, most)


class Listed(NamedTuple):
    """One entry of a folder."""

    name: str
    standing: Standing
    number: bytes
    tag: int  # of a reparse point


_LISTED = struct.Struct("<IIqqqqqqIII")


def listed(body: bytes) -> Iterator[Listed]:
    """Read the answer to :func:`list_names`."""
    buffer = queried(body)
    at = 0
    while at < len(buffer):
        following, _, born, _, wrote, changed, size, _, attributes, length, tag = _LISTED.unpack_from(buffer, at)
        name = buffer[at + 104 : at + 104 + length].decode("utf-16-le", "surrogatepass")
        standing = Standing(_time(born), _time(wrote), _changed(changed), size, attributes)
        yield Listed(name, standing, buffer[at + 96 : at + 104], tag if attributes & REPARSE else 0)
        if not following:
            return
        at += following


def control(code: int, handle: bytes, data: bytes = b"", *, most: int = 65_536) -> Message:
    """Send a control code to what is open."""
    head = struct.pack("<HHI16sIIIIIIII", 57, 0, code, handle, HEADER + 56, len(data), 0, 0, 0, most, 1, 0)
    return Message(Commands.SMB2_IOCTL, head + (data or b"\0"), max(most, len(data)))


def controlled(body: bytes) -> bytes:
    """Read the answer to :func:`control`."""
    at, length = struct.unpack_from("<II", body, 32)
    return body[at - HEADER : at - HEADER + length] if length else b""


def file_time(moment: int) -> int:
    """Give nanoseconds since 1970 as steps of 100 ns since 1601; 0 and -1 mean something else to a server."""
    return max(1, moment // 100 + EPOCH)


def _time(steps: int) -> int:
    return (steps - EPOCH) * 100


def _changed(steps: int) -> bytes:
    return struct.pack("<q", steps)
