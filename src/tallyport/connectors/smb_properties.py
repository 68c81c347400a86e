"""Extended attributes and second streams of a file, as SMB lists and takes them (MS-FSCC 2.4.16, 2.4.49)."""

import struct

from tallyport.connectors import smb_messages as smb


def eas_of(raw: bytes) -> dict[str, bytes]:
    """Read a list of extended attributes."""
    found: dict[str, bytes] = {}
    at = 0
    while at + 8 <= len(raw):
        following, _, name_length, length = struct.unpack_from("<IBBH", raw, at)
        name = raw[at + 8 : at + 8 + name_length].decode("utf-8", "replace")
        begin = at + 9 + name_length
        found[name] = raw[begin : begin + length]
        if not following:
            break
        at += following
    return found


def ea_message(name: str, value: bytes) -> smb.Message:
    """Set an extended attribute of what the request before opened; an empty value removes it."""
    raw = name.encode("utf-8")
    if not raw or len(raw) > 255 or len(value) > 65_535 or b"\0" in raw:
        raise UnicodeError("not a name or value of an extended attribute")
    entry = struct.pack("<IBBH", 0, 0, len(raw), len(value)) + raw + b"\0" + value
    return smb.change(smb.OF_FILE, smb.FULL_EA, entry)


def streams_of(raw: bytes) -> dict[str, bytes]:
    """Read a list of streams: each second one by ``:name``, with its size as eight bytes."""
    found: dict[str, bytes] = {}
    at = 0
    while at + 24 <= len(raw):
        following, length, size, _ = struct.unpack_from("<IIqq", raw, at)
        name = raw[at + 24 : at + 24 + length].decode("utf-16-le", "replace")
        _, stream, kind = [*name.split(":"), "", ""][:3]
        if stream and kind == "$DATA":
            found[f":{stream}"] = size.to_bytes(8, "big")
        if not following:
            break
        at += following
    return found
