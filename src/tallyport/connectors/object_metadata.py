"""What an object store has no place for and keeps as metadata of ours: exact times, the content hash, named values."""

import base64
import hashlib
import json
import mimetypes
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.errors import ErrorKind

MTIME = "mtime"  # as rclone writes it: RFC 3339 with up to nine decimals
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|z|[+-]\d\d:\d\d)")
_SECONDS = re.compile(r"(-?)([0-9]{1,11})(?:\.([0-9]+))?")


def time_out(moment: int) -> str:
    """Write a time as RFC 3339 has it; what no calendar of it holds, as seconds."""
    whole, part = divmod(moment, _SECOND)
    try:
        # By hand: a date is computed from days, never from the clock's own range.
        days, rest = divmod(whole, 86_400)
        day = datetime.fromordinal(_EPOCH.toordinal() + days)
    except (ValueError, OverflowError):
        sign = "-" if moment < 0 else ""
        return f"{sign}{abs(moment) // _SECOND}.{abs(moment) % _SECOND:09}"
    return f"{day:%Y}-{day:%m-%d}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{part:09}Z".rjust(30, "0")


def time_in(text: str | None) -> int | None:
    """Read RFC 3339, or seconds with any number of decimals; what is neither is no time."""
    found = _RFC3339.fullmatch(text or "")
    if found is not None:
        stamp, part, zone = found.groups("")
        try:
            there = datetime.fromisoformat(f"{stamp}{'+00:00' if zone in 'Zz' else zone}") - _EPOCH
        except (ValueError, OverflowError):
            return None
        return (there.days * 86_400 + there.seconds) * _SECOND + int(part[:9].ljust(9, "0"))
    plain = _SECONDS.fullmatch(text or "")
    if plain is None:
        return None
    sign, whole, part = plain.groups("")
    moment = int(whole) * _SECOND + int(part[:9].ljust(9, "0"))
    return -moment if sign else moment


def hash_in(text: str | None) -> bytes | None:
    """Read a content hash of ours, or another one of as many bytes."""
    try:
        return bytes.fromhex(text) if text and len(text) == 32 else None
    except ValueError:
        return None


def type_of(key: str) -> str | None:
    """Guess the type of content from a name, as a browser would want it."""
    return mimetypes.guess_type(key.rpartition("/")[2])[0]


def checked(chunks: Iterable[bytes], path: str, content: bytes | None, md5: bytes | None) -> Iterator[bytes]:
    """Compare whole content with what is known of it, before its last piece is given: our hash, or an MD5."""
    if content is None and md5 is None:
        yield from chunks
        return
    running = ContentHash() if content is not None else hashlib.md5(usedforsecurity=False)
    held: bytes | None = None
    for chunk in chunks:
        if held is not None:
            yield held
        running.update(chunk)
        held = chunk
    if running.digest() != (content if content is not None else md5):
        why = "the content is not what was stored: damaged on its way, or there"
        raise refusal(ErrorKind.CORRUPT, "read", path, why)
    if held is not None:
        yield held


def properties_in(metadata: Mapping[str, str], ours: frozenset[str], coded: str) -> dict[str, bytes]:
    """Give the named values of an object: those of its own metadata, and under ``coded`` those it cannot hold."""
    values = {name: value.encode() for name, value in metadata.items() if name not in ours}
    try:
        held = json.loads(base64.b64decode(metadata.get(coded, ""), validate=True) or b"{}")
        values |= {str(name): base64.b64decode(value) for name, value in held.items()}
    except (ValueError, AttributeError, TypeError):
        pass  # somebody else's value under our name
    return values


def properties_out(
    values: Mapping[str, bytes], path: str, coded: str, is_plain: Callable[[str, bytes], bool], most: int
) -> dict[str, str]:
    """Write named values as metadata: plain ones as they are, others as base64 of JSON under one name."""
    plain = {name: value.decode() for name, value in values.items() if is_plain(name, value)}
    others = {name: base64.b64encode(value).decode() for name, value in values.items() if name not in plain}
    if others:
        plain[coded] = base64.b64encode(json.dumps(others, separators=(",", ":")).encode()).decode()
    if sum(len(name.encode()) + len(value.encode()) for name, value in plain.items()) > most:
        why = f"its named values are more than the {most} bytes that the platform keeps"
        raise refusal(ErrorKind.UNSUPPORTED, "set the properties of", path, why)
    return plain
