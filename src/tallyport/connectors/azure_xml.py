"""What the blob service says in XML: pages of a listing, lists of blocks. Entities and document types are refused."""

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from tallyport.connectors.remote_errors import refusal
from tallyport.domain.errors import ErrorKind


class Blob(NamedTuple):
    """What a listing or a look tells of a blob."""

    name: str
    size: int
    modified: int  # nanoseconds; the platform's own time
    tag: bytes
    metadata: Mapping[str, str]
    snapshot: str = ""  # moment, as text
    version: str = ""
    is_current: bool = True
    is_folder: bool = False
    type: str = "BlockBlob"
    is_leased: bool = False
    md5: str = ""  # base64


class Listed(NamedTuple):
    """One page: names in order, prefixes among them, and where it goes on."""

    lines: list[Blob | str]
    marker: str


def page(content: bytes, path: str) -> Listed:
    """Read one page of a listing."""
    root = _root(content, path)
    lines: list[Blob | str] = []
    for one in root.find("Blobs") or ():
        if one.tag == "BlobPrefix":
            lines.append(_name(one))
        elif one.tag == "Blob":
            lines.append(_blob(one))
    lines.sort(key=key_of)  # the emulator gives prefixes after blobs
    return Listed(lines, root.findtext("NextMarker") or "")


def key_of(line: Blob | str) -> str:
    """Give what a line is about."""
    return line if isinstance(line, str) else line.name


def blocks(content: bytes, path: str) -> dict[str, int]:
    """Read the blocks that wait to be joined: id and size."""
    found = _root(content, path).find("UncommittedBlocks")
    return {one.findtext("Name") or "": int(one.findtext("Size") or 0) for one in (found if found is not None else ())}


def block_list(ids: Iterable[str]) -> bytes:
    """Write which blocks make the blob."""
    lines = "".join(f"<Uncommitted>{one}</Uncommitted>" for one in ids)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{lines}</BlockList>'.encode()


def moment(text: str | None) -> int:
    """Read a time of HTTP."""
    try:
        return round(parsedate_to_datetime(text or "").timestamp()) * 1_000_000_000
    except (ValueError, TypeError):
        return 0


def _root(content: bytes, path: str) -> Element:
    try:
        root: Element = defusedxml.ElementTree.fromstring(content.decode("utf-8-sig"))
    except (ParseError, DefusedXmlException, UnicodeDecodeError) as error:
        why = "the platform answers with XML that cannot be read: a name in it holds a character that XML has not"
        raise refusal(ErrorKind.IO_ERROR, "list", path, why, advice="rename it with another program") from error
    return root


def _name(one: Element) -> str:
    found = one.find("Name")
    if found is None:
        return ""
    return unquote(found.text or "") if found.get("Encoded") == "true" else found.text or ""


def _blob(one: Element) -> Blob:
    told: dict[str, str] = {each.tag: each.text or "" for each in one.find("Properties") or ()}
    metadata = {each.tag.lower(): each.text or "" for each in one.find("Metadata") or ()}
    return Blob(
        name=_name(one),
        size=int(told.get("Content-Length") or 0),
        modified=moment(told.get("Last-Modified")),
        tag=told.get("Etag", "").strip('"').encode(),
        metadata=metadata,
        snapshot=one.findtext("Snapshot") or "",
        version=one.findtext("VersionId") or "",
        is_current=one.findtext("IsCurrentVersion") != "false",
        is_folder=metadata.get("hdi_isfolder", "").lower() == "true" or told.get("ResourceType") == "directory",
        type=told.get("BlobType", "BlockBlob"),
        is_leased=told.get("LeaseStatus") == "locked",
        md5=told.get("Content-MD5", ""),
    )
