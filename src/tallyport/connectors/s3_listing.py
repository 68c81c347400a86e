"""One page of a listing as S3 says it in XML, in the SDK's shape: of what stands there, or of all contents."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from tallyport.connectors.s3_xml import document


def read(content: bytes) -> dict[str, Any] | None:
    """Read a page; None where it is no plain one: the SDK says what is wrong with it."""
    return _read(content, "ListBucketResult", _page)


def read_versions(content: bytes) -> dict[str, Any] | None:
    """Read a page of all contents; None where it is no plain one. What marks a deletion is left out."""
    return _read(content, "ListVersionsResult", _versions)


class _Names:
    """Finds texts in an answer that may have its names coded."""

    def __init__(self, root: Element, space: str) -> None:
        self._space = space
        self._is_coded = root.findtext(f"{space}EncodingType") == "url"

    def text(self, one: Element, name: str) -> str:
        found = one.findtext(self._space + name)
        if found is None:
            raise ValueError(name)
        return found

    def decoded(self, text: str) -> str:
        return unquote_plus(text) if self._is_coded else text

    def object(self, one: Element) -> dict[str, Any]:
        return {
            "Key": self.decoded(self.text(one, "Key")),
            "Size": int(self.text(one, "Size")),
            "LastModified": datetime.fromisoformat(self.text(one, "LastModified")),
            "ETag": one.findtext(f"{self._space}ETag") or "",
        }


def _read(content: bytes, name: str, page: Callable[[Element, str, _Names], dict[str, Any]]) -> dict[str, Any] | None:
    found = document(content, name)
    try:
        return None if found is None else page(*found, _Names(*found))
    except ValueError:
        return None


def _page(root: Element, space: str, names: _Names) -> dict[str, Any]:
    prefixes = root.iterfind(f"{space}CommonPrefixes")
    page: dict[str, Any] = {
        "Contents": [names.object(one) for one in root.iterfind(f"{space}Contents")],
        "CommonPrefixes": [{"Prefix": names.decoded(names.text(one, "Prefix"))} for one in prefixes],
        "IsTruncated": names.text(root, "IsTruncated") == "true",
    }
    following = root.findtext(f"{space}NextContinuationToken")
    if following:
        page["NextContinuationToken"] = following
    return page


def _versions(root: Element, space: str, names: _Names) -> dict[str, Any]:
    page: dict[str, Any] = {
        "Versions": [
            {
                **names.object(one),
                "VersionId": names.text(one, "VersionId"),
                "IsLatest": names.text(one, "IsLatest") == "true",
            }
            for one in root.iterfind(f"{space}Version")
        ],
        "IsTruncated": names.text(root, "IsTruncated") == "true",
    }
    if page["IsTruncated"]:
        page["NextKeyMarker"] = names.decoded(names.text(root, "NextKeyMarker"))
        page["NextVersionIdMarker"] = root.findtext(f"{space}NextVersionIdMarker") or ""
    return page
