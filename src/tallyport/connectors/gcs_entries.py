"""Objects as entries, and what is compared of their content."""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import google_crc32c

from tallyport.connectors.object_http import Answer
from tallyport.connectors.object_metadata import MTIME, hash_in, time_in, time_out
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind

SECONDS = "goog-reserved-file-mtime"  # as gsutil and gcloud keep a time
HASH = "tallyport-xxh3"
PROPERTIES = "tallyport-properties"
OURS = frozenset({MTIME, SECONDS, HASH, PROPERTIES})


def entry_of(name: str, found: Mapping[str, Any]) -> Entry:
    metadata = found.get("metadata", {})
    told = time_in(metadata.get(MTIME))
    if told is None:
        told = time_in(metadata.get(SECONDS))
    if told is None:
        told = time_in(found.get("timeCreated")) or 0
    size = int(found.get("size", 0))
    return Entry(name, Kind.FILE, size, told, tag_of(found), hash=hash_in(metadata.get(HASH)))


def tag_of(found: Mapping[str, Any]) -> bytes:
    return str(found.get("generation", "")).encode()


def times(modified: int | None) -> dict[str, str]:
    if modified is None:
        return {}
    return {MTIME: time_out(modified), SECONDS: str(modified // 1_000_000_000)}


def is_plain(name: str, value: bytes) -> bool:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return name.isprintable() and text.isprintable() and text.strip() == text != "" and name not in OURS


def crc_of(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(4, "big")


def crc_in(answer: Answer) -> bytes | None:
    """Find the CRC32C of the whole object in the headers of its content."""
    for one in answer.headers.get("x-goog-hash", "").split(","):
        word, _, value = one.strip().partition("=")
        if word == "crc32c":
            try:
                return b64decode(value, validate=True)
            except ValueError:
                return None
    return None


def checked(chunks: Iterable[bytes], path: str, crc: bytes | None) -> Iterator[bytes]:
    """Compare whole content with its CRC32C, before its last piece is given."""
    running: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    held: bytes | None = None
    for chunk in chunks:
        if held is not None:
            yield held
        running.update(chunk)
        held = chunk
    if crc is not None and running.digest() != crc:
        why = "the content is not what was stored: damaged on its way, or there"
        raise refusal(ErrorKind.CORRUPT, "read", path, why)
    if held is not None:
        yield held


def compare(stored: Mapping[str, Any], path: str, size: int, crc: bytes) -> None:
    """Compare what the platform says of content with what was sent."""
    told = stored.get("crc32c")
    is_other = told is not None and b64decode(told) != crc
    if is_other or int(stored.get("size", size)) != size:
        raise refusal(ErrorKind.CORRUPT, "write", path, "the platform reports another content than was sent")
