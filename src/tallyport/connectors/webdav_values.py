"""Named values (dead properties) over WebDAV."""

import base64
import re
from collections.abc import Mapping
from typing import TypeVar

from tallyport.connectors import webdav_xml as xml
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_path
from tallyport.connectors.webdav_folder import Folder
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind

T = TypeVar("T")


VALUE_MOST = 65_536  # bytes of a named value: servers keep them in memory, and so do we
OURS = "{urn:tallyport:properties}"
LIVE = ("DAV:", "http://apache.org/dav/props/", "http://owncloud.org/ns", "http://nextcloud.org/ns")

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLAIN_VALUE = re.compile(r"[\x21-\x7e\u00a1-\ud7ff]([\x20-\x7e\u00a1-\ud7ff]*[\x21-\x7e\u00a1-\ud7ff])?")
_CODED = "base64:"


class Values(Folder):
    """A folder whose entries have named values."""

    # -- named values

    def properties(self, path: str) -> Mapping[str, bytes]:
        """Give the dead properties: ours by their names, those of others as ``{name space}name``."""
        check_path("see the properties of", path)
        operation = "see the properties of"
        values: dict[str, bytes] = {}
        named: set[str] = set()
        # Some servers give dead properties when all are asked for, some their names, and few both.
        for body in (xml.allprop(), xml.propname()):
            with self._propfind(path, operation, 0, body) as found:
                for response in found:
                    dead = {tag: node for tag, node in response.found.items() if _is_dead(tag)}
                    named.update(dead)
                    values.update(_values(dead) if b"allprop" in body else {})
        missing = sorted(tag for tag in named if _name_of(tag) not in values)
        if missing:
            with self._propfind(path, operation, 0, xml.propfind(missing)) as found:
                for response in found:
                    values.update(_values({tag: node for tag, node in response.found.items() if _is_dead(tag)}))
        return values

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        """Set dead properties; what the server refuses is missing from what is given back."""
        check_path("set the properties of", path)
        for name, value in values.items():
            if value is not None and len(value) > VALUE_MOST:
                what = f"the value {name!r} has more than {VALUE_MOST} bytes"
                raise refusal(ErrorKind.TOO_LARGE, "set the properties of", path, what)
        entry = self._standing(path)
        wanted = {tag: _text_of(value) for name, value in values.items() if (tag := _tag_of(name)) is not None}
        if wanted:
            self._proppatch(path, "set the properties of", wanted, is_container=entry.kind is Kind.CONTAINER)
            now = self._standing(path)
            if entry.kind is Kind.FILE and now.modified != entry.modified and self._way != "none":
                self._set_time(path, entry.modified, is_container=False)
        return self.properties(path)


def _is_dead(tag: str) -> bool:
    return tag.startswith("{") and not tag[1:].startswith(LIVE)


def _values(nodes: Mapping[str, xml.Node]) -> dict[str, bytes]:
    """Give what properties hold; one that holds elements is not a named value."""
    return {_name_of(tag): _value_of(node.text) for tag, node in nodes.items() if not node.children and node.text}


def _tag_of(name: str) -> str | None:
    """Give the property that keeps a named value, or None when there can be none."""
    if name.startswith("{"):
        space, _, local = name[1:].rpartition("}")
        is_usable = bool(space) and not space.startswith(LIVE) and _PLAIN_NAME.fullmatch(local)
        return name if is_usable else None
    if _PLAIN_NAME.fullmatch(name) and not name.startswith("x-"):
        return OURS + name
    return f"{OURS}x-{name.encode('utf-8', 'surrogatepass').hex()}"


def _name_of(tag: str) -> str:
    if not tag.startswith(OURS):
        return tag
    local = tag[len(OURS) :]
    if local.startswith("x-"):
        try:
            return bytes.fromhex(local[2:]).decode("utf-8", "surrogatepass")
        except ValueError:
            pass
    return local


def _text_of(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    if _PLAIN_VALUE.fullmatch(text) and not text.startswith(_CODED):
        return text
    return _CODED + base64.b64encode(value).decode()


def _value_of(text: str) -> bytes:
    if text.startswith(_CODED):
        try:
            return base64.b64decode(text[len(_CODED) :], validate=True)
        except ValueError:
            pass
    return text.encode()
