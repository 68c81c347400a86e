"""Blobs as entries, and what goes into a request: metadata, tags, checksums, ids of blocks."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import NamedTuple

from tallyport.connectors import azure_xml as xml
from tallyport.connectors.azure_xml import Blob
from tallyport.connectors.object_http import Answer
from tallyport.connectors.object_listing import Found
from tallyport.connectors.object_metadata import MTIME, hash_in, time_in, time_out
from tallyport.connectors.object_store import folder
from tallyport.connectors.protocol import Facts
from tallyport.domain.entries import Entry, Kind

FOLDER = "hdi_isfolder"
HASH = "tallyportxxh3"  # names of metadata are those of variables
PROPERTIES = "tallyportproperties"
OURS = frozenset({MTIME, HASH, PROPERTIES, FOLDER})


class Upload(NamedTuple):
    """Blocks that belong together: all ids that ever wait at one name must have one length."""

    pieces: int  # blocks in a part
    word: str  # sixteen letters

    @property
    def handle(self) -> str:
        return f"{self.pieces}:{self.word}"

    def block(self, part: int, piece: int) -> str:
        return b64encode(f"{self.word}-{part * self.pieces + piece:06}".encode()).decode()

    def owns(self, block: str) -> bool:
        return b64decode(block).startswith(self.word.encode())


def upload_of(handle: str) -> Upload:
    pieces, _, word = handle.partition(":")
    return Upload(int(pieces), word)


def entry_of(name: str, found: Blob) -> Entry:
    if found.is_folder:
        return folder(name)
    told = time_in(found.metadata.get(MTIME))
    modified = found.modified if told is None else told
    return Entry(name, Kind.FILE, found.size, modified, found.tag, hash=hash_in(found.metadata.get(HASH)))


def found_in(one: Blob | str) -> Found:
    return Found(one) if isinstance(one, str) else Found(one.name, entry_of("", one), one.is_folder)


def looked(key: str, answer: Answer) -> Blob:
    """Read what the headers of an answer tell of a blob."""
    headers = answer.headers
    metadata = {word[10:].lower(): value for word, value in headers.items() if word.lower().startswith("x-ms-meta-")}
    return Blob(
        name=key,
        size=int(headers.get("Content-Length", "0")),
        modified=xml.moment(headers.get("Last-Modified")),
        tag=tag_of(answer),
        metadata=metadata,
        is_folder=metadata.get(FOLDER, "").lower() == "true",
        type=headers.get("x-ms-blob-type", ""),
        is_leased=headers.get("x-ms-lease-status") == "locked",
        md5=headers.get("Content-MD5", ""),
    )


def is_now(found: Blob) -> bool:
    return not found.snapshot and found.is_current


def version_id(found: Blob) -> str:
    if found.snapshot:
        return f"snapshot={found.snapshot}"
    return f"versionid={found.version}" if found.version else f"etag={found.tag.decode()}"


def metadata_of(facts: Facts, content: bytes | None) -> dict[str, str]:
    metadata = {}
    if facts.modified is not None:
        metadata[MTIME] = time_out(facts.modified)
    if content is not None:
        metadata[HASH] = content.hex()
    return metadata


def headers_of(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"x-ms-meta-{name}": value for name, value in metadata.items()}


def is_plain(name: str, value: bytes) -> bool:
    is_word = name.isascii() and name.isalnum() and name[0].isalpha() and name == name.lower() and name not in OURS
    text = value.decode("ascii", "replace")
    return is_word and text.isascii() and text.isprintable() and bool(value) and value.strip() == value


def tag_of(answer: Answer) -> bytes:
    return answer.headers.get("ETag", "").strip('"').encode()


def quoted(tag: bytes) -> str:
    return f'"{tag.decode()}"'


def md5_of(data: bytes) -> str:
    return b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def md5_in(found: Blob) -> bytes | None:
    try:
        return b64decode(found.md5, validate=True) or None
    except ValueError:
        return None
