"""What S3 says and is told in XML besides listings, in the SDK's shape."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser
from xml.sax.saxutils import escape

_SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def document(content: bytes, name: str) -> tuple[Element, str] | None:
    """Read a document and its name space; None where it is no plain one: the SDK says what is wrong with it."""
    if b"<!" in content:  # document types and entities: no answer has any
        return None
    parser = XMLParser()
    try:
        parser.feed(content.lstrip())  # spaces keep a connection awake while parts are joined
        root: Element = parser.close()
    except (ParseError, ValueError, UnicodeDecodeError):
        return None
    if root.tag.removeprefix(_SPACE) != name:
        return None
    return root, _SPACE if root.tag.startswith(_SPACE) else ""


def versioning(content: bytes) -> dict[str, Any] | None:
    """Read whether a bucket keeps versions."""
    return _texts(content, "VersioningConfiguration", ("Status", "MfaDelete"))


def ownership(content: bytes) -> dict[str, Any] | None:
    """Read whether objects of a bucket have access lists."""
    found = document(content, "OwnershipControls")
    if found is None:
        return None
    root, space = found
    rules = [
        {"ObjectOwnership": one.findtext(f"{space}ObjectOwnership") or ""} for one in root.iterfind(f"{space}Rule")
    ]
    return {"OwnershipControls": {"Rules": rules}}


def begun(content: bytes) -> dict[str, Any] | None:
    """Read under which name an upload in parts goes on."""
    found = _texts(content, "InitiateMultipartUploadResult", ("UploadId",))
    return found if found and found["UploadId"] else None


def completed(content: bytes) -> dict[str, Any] | None:
    """Read what an upload became."""
    return _texts(content, "CompleteMultipartUploadResult", ("ETag", "VersionId"))


def copied(content: bytes) -> dict[str, Any] | None:
    """Read what a copy inside the platform became."""
    found = _texts(content, "CopyObjectResult", ("ETag",))
    return None if found is None else {"CopyObjectResult": found}


def parts(given: Sequence[Mapping[str, Any]]) -> bytes:
    """Name the parts that are to be joined."""
    told = "".join(
        f"<Part><PartNumber>{one['PartNumber']}</PartNumber><ETag>{escape(one['ETag'])}</ETag></Part>" for one in given
    )
    space = _SPACE.strip("{}")
    return f'<CompleteMultipartUpload xmlns="{space}">{told}</CompleteMultipartUpload>'.encode()


def _texts(content: bytes, name: str, fields: Sequence[str]) -> dict[str, Any] | None:
    found = document(content, name)
    if found is None:
        return None
    root, space = found
    return {one: text for one in fields if (text := root.findtext(space + one)) is not None}
