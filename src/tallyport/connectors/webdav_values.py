"""Locks and named values (dead properties) over WebDAV."""

import base64
import re
import time
from collections.abc import Mapping
from typing import TypeVar

from tallyport.connectors import webdav_xml as xml
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_path
from tallyport.connectors.webdav_folder import SECOND, Folder
from tallyport.connectors.webdav_xml import DAV
from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind
from tallyport.domain.locks import Lock

T = TypeVar("T")


VALUE_MOST = 65_536  # bytes of a named value: servers keep them in memory, and so do we
OURS = "{urn:tallyport:properties}"
LIVE = ("DAV:", "http://apache.org/dav/props/", "http://owncloud.org/ns", "http://nextcloud.org/ns")

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLAIN_VALUE = re.compile(r"[\x21-\x7e\u00a1-\ud7ff]([\x20-\x7e\u00a1-\ud7ff]*[\x21-\x7e\u00a1-\ud7ff])?")
_CODED = "base64:"


class Values(Folder):
    """A folder whose entries have locks and named values."""

    # -- locks

    def lock_of(self, path: str) -> Lock | None:
        check_path("look at", path)
        with self._propfind(path, "look at", 0, xml.propfind([f"{DAV}lockdiscovery"])) as found:
            for response in found:
                discovery = response.found.get(f"{DAV}lockdiscovery")
                for active in discovery.all(f"{DAV}activelock") if discovery is not None else ():
                    return _lock(active)
        return None

    def lock(self, path: str, lock: Lock) -> Lock:
        check_path("lock", path)
        self._standing(path)  # a lock of nothing would make an empty file
        owner = lock.owner.name or lock.owner.id or lock.owner.email if lock.owner is not None else "Tallyport"
        headers = {"Content-Type": "application/xml; charset=utf-8", "Depth": "0", "Timeout": _timeout(lock.until)}
        with self._call("LOCK", path, "lock", headers=headers, body=xml.lockinfo(owner)) as reply:
            token = reply.headers.get("Lock-Token", "").strip("<> ")
            active = xml.document(reply.content(), f"{DAV}activelock")
        if not token:
            raise refusal(ErrorKind.UNSUPPORTED, "lock", path, "the server gave no lock")
        self._locks[path] = token
        held = _lock(active[0]) if active else Lock(lock.owner, lock.until)
        return held._replace(token=token)

    def unlock(self, path: str, lock: Lock) -> None:
        check_path("unlock", path)
        headers = {"Lock-Token": f"<{lock.token}>"}
        with self._call("UNLOCK", path, "unlock", headers=headers, allowed=(400, 404, 409, 412)):
            self._locks.pop(path, None)

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


def _timeout(until: int | None) -> str:
    if until is None:
        return "Infinite, Second-4100000000"
    return f"Second-{max(1, until // SECOND - int(time.time()))}"


def _lock(active: xml.Node) -> Lock:
    owner, token, limit = (next(active.all(DAV + name), None) for name in ("owner", "locktoken", "timeout"))
    named = "" if owner is None else (owner.text.strip() or "".join(child.text for child in owner.children).strip())
    href = None if token is None else next(token.all(f"{DAV}href"), None)
    seconds = re.fullmatch(r"second-(\d+)", "" if limit is None else limit.text.strip().lower())
    until = None
    if seconds is not None and int(seconds[1]) < 4_000_000_000:
        until = (int(time.time()) + int(seconds[1])) * SECOND
    return Lock(
        Principal(PrincipalKind.ACCOUNT, name=named) if named else None,
        until,
        "" if href is None else href.text.strip(),
    )


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
