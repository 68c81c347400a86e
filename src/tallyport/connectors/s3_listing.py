"""One page of a listing as S3 says it in XML, in the SDK's shape."""

from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from tallyport.connectors.s3_xml import document


def read(content: bytes) -> dict[str, Any] | None:
    """Read a page; None where it is no plain one: the SDK says what is wrong with it."""
    found = document(content, "ListBucketResult")
    try:
        return None if found is None else _page(*found)
    except ValueError:
        return None


def _page(root: Element, space: str) -> dict[str, Any]:
    is_coded = root.findtext(f"{space}EncodingType") == "url"

    def text(one: Element, name: str) -> str:
        found = one.findtext(space + name)
        if found is None:
            raise ValueError(name)
        return found

    def name(one: Element, of: str) -> str:
        found = text(one, of)
        return unquote_plus(found) if is_coded else found

    page: dict[str, Any] = {
        "Contents": [
            {
                "Key": name(one, "Key"),
                "Size": int(text(one, "Size")),
                "LastModified": datetime.fromisoformat(text(one, "LastModified")),
                "ETag": one.findtext(f"{space}ETag") or "",
            }
            for one in root.iterfind(f"{space}Contents")
        ],
        "CommonPrefixes": [{"Prefix": name(one, "Prefix")} for one in root.iterfind(f"{space}CommonPrefixes")],
        "IsTruncated": text(root, "IsTruncated") == "true",
    }
    following = root.findtext(f"{space}NextContinuationToken")
    if following:
        page["NextContinuationToken"] = following
    return page
