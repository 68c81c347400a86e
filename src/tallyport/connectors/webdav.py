"""Folders of a WebDAV server: Apache, WsgiDAV, SabreDAV, and with more abilities Nextcloud (``nextcloud.py``).

A write goes to a temporary beside its place and is moved onto it: ``Overwrite: F`` when the name must be free. The
servers we know replace by removing the old file first, so for a moment nothing stands there: ``atomic_replace`` is
off. Whether ``Overwrite: F`` holds against another writer at the same instant is the server's affair.

Traps: a DELETE of a folder takes all that is in it, so we look first; ETags that begin with ``W/`` never satisfy
If-Match; fresh files of Apache have such. Few servers let a file's time be set: by ``X-OC-Mtime`` (Nextcloud,
ownCloud, rclone) or by the property ``getlastmodified`` (WsgiDAV, if configured). See RFC 4918.
"""

import base64
import calendar
import email.utils
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from tallyport.connectors import webdav_xml as xml
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import CHUNK, Announced, blocks
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.temporaries import Temporaries, is_of, is_temporary
from tallyport.connectors.webdav_http import Reply, Server, Settings, encoded
from tallyport.connectors.webdav_xml import DAV, Response
from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.capabilities import Limits, VerifyLevel
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.paths import ROOT, check_segment, display, from_bytes, join, segments, split

__all__ = ["Settings", "Webdav", "open_webdav"]

T = TypeVar("T")

SECOND = 1_000_000_000
ODD = "?c#d;e\tf\ng"  # what a server may misread in an address
ODD_CHARACTERS = "?#;" + "".join(map(chr, range(1, 32))) + "\x7f"
VALUE_MOST = 65_536  # bytes of a named value: servers keep them in memory, and so do we
OURS = "{urn:tallyport:properties}"
LIVE = ("DAV:", "http://apache.org/dav/props/", "http://owncloud.org/ns", "http://nextcloud.org/ns")

_ASKED = tuple(
    DAV + name for name in ("resourcetype", "getcontentlength", "getlastmodified", "getetag", "creationdate")
)
_DATED = f"{DAV}getlastmodified"


def open_webdav(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Webdav":
    """Open a folder of a WebDAV server, as the registry asks for it."""
    from tallyport.connectors.nextcloud import HOME, Nextcloud

    kind = Nextcloud if HOME.search(urlsplit(settings.url).path) else Webdav
    return kind(settings, path, make=make)


class Webdav:
    """One folder of one server. ``token`` marks what is unfinished, so that :meth:`sweep` finds it."""

    asked: tuple[str, ...] = _ASKED  # properties of an entry

    def __init__(self, settings: Settings, path: str = ROOT, *, make: bool = False, token: str = "webdav") -> None:
        self.token = token
        self._server = Server(settings)
        self._temporaries = Temporaries()
        self._locks: dict[str, str] = {}  # path → token of a lock of ours
        self._base = self._server.base
        self._way = "none"
        self._untaken = ""
        try:
            self._open_root(path, make=make)
            self._way = self._way_of_times(settings, make=make)
            self._untaken = self._untaken_characters(make=make)
        except BaseException:
            self._server.close()
            raise
        self.limits = self._limits()
        if self._way == "none":
            self.__class__ = _without_stamp(type(self))
        self.location = f"{self._server.where}/{display(path)}".rstrip("/")

    # -- what every platform can do

    def stat(self, path: str) -> Entry | None:
        check_path("look at", path)
        return self._stat(path)

    def children(self, path: str) -> Iterator[Entry]:
        check_path("list", path)
        listing = self._listing(path)
        first = next(listing, None)
        return listing if first is None else _chain(first, listing)

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        check_path("read", path)
        return self._reading(self._url(path), path, offset, length)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_new("write", path, self.limits)
        if when.absent and self._stat(path) is not None:  # told before anything is sent
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")
        temporary = join(split(path)[0], self._temporaries.name(self.token))
        try:
            try:
                size = self._put(path, temporary, content, facts)
            except TallyportError as error:
                holder = self._stat(split(path)[0]) if error.kind is ErrorKind.INVALID_NAME else None
                if error.kind is ErrorKind.INVALID_NAME and (holder is None or holder.kind is not Kind.CONTAINER):
                    raise refusal(ErrorKind.NOT_FOUND, "write", path, "its folder is not there") from error
                raise
            self._settle(temporary, path, facts)
            return self._publish(temporary, path, when, size)
        except BaseException:
            self._remove_quietly(temporary)
            raise

    def make_container(self, path: str, facts: Facts) -> Entry:
        if path == ROOT:
            return self._standing(ROOT)
        check_new("make", path, self.limits)
        with self._call("MKCOL", path, "make", allowed=(400, 405)):  # 400: Apache, of a file's name
            pass
        entry = self._standing(path)
        if entry.kind is not Kind.CONTAINER:
            raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "a file has that name")
        return entry

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        check_path("delete", path)
        if path == ROOT:
            raise refusal(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
        entry = self._stat(path)
        if entry is None:
            return
        if expect is not None and (entry.kind is not expect.kind or fingerprint(entry) != fingerprint(expect)):
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "delete", path, "it changed since it was seen")
        if entry.kind is Kind.CONTAINER and next(self._listing(path, hides=False), None) is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "delete", path, "the folder is not empty")
        with self._call("DELETE", path, "delete", allowed=(404, 410), is_container=entry.kind is Kind.CONTAINER):
            pass

    def close(self) -> None:
        self._server.close()

    # -- abilities

    def stamp(self, path: str, facts: Facts) -> Entry:
        check_path("stamp", path)
        entry = self._standing(path)
        if facts.modified is None or self._way not in ("property", "header"):
            return entry
        if facts.modified // SECOND != entry.modified // SECOND:
            self._set_time(path, facts.modified, is_container=entry.kind is Kind.CONTAINER)
        return self._standing(path)

    def rename(self, path: str, to: str) -> Entry:
        check_path("rename", path)
        check_new("rename", to, self.limits)
        if path == ROOT or to.startswith(f"{path}/"):
            raise refusal(ErrorKind.UNSUPPORTED, "rename", path, f"it cannot become {display(to)!r}")
        entry = self._standing(path)
        if self._stat(to) is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "rename", path, f"the name {display(to)!r} is taken")
        try:
            self._move(path, to, "rename", replaces=False, is_container=entry.kind is Kind.CONTAINER)
        except TallyportError as error:
            container = split(to)[0]
            if error.kind is ErrorKind.UNEXPECTED and self._stat(container) is None:  # Apache answers 500
                raise refusal(ErrorKind.NOT_FOUND, "rename", to, "its folder is not there") from error
            raise
        return self._standing(to)

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_path("copy", path)
        check_new("copy", to, self.limits)
        seen = self._standing(path)
        if seen.kind is not Kind.FILE:
            raise refusal(ErrorKind.UNSUPPORTED, "copy", path, "it is a container, not a file")
        temporary = join(split(to)[0], self._temporaries.name(self.token))
        headers = {"Destination": self._server.origin + self._url(temporary), "Overwrite": "F", "Depth": "0"}
        try:
            with self._call("COPY", path, "copy", headers=headers):
                pass
            modified = seen.modified if facts.modified is None else facts.modified
            if self._way != "none":
                self._set_time(temporary, modified, is_container=False)
            if fingerprint(self._standing(path)) != fingerprint(seen):
                raise _changed(path)
            return self._publish(temporary, to, when, seen.size)
        except BaseException:
            self._remove_quietly(temporary)
            raise

    def sweep(self, path: str, token: str) -> int:
        check_path("sweep", path)
        left = [entry.name for entry in self._listing(path, hides=False) if is_of(entry.name, token)]
        for name in left:
            with self._call("DELETE", join(path, name), "sweep", allowed=(404, 410)):
                pass
        return len(left)

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

    # -- behind them: calls

    def _url(self, path: str, *, is_container: bool = False) -> str:
        return self._base + encoded(path) + ("/" if is_container or path == ROOT else "")

    def _call(
        self,
        method: str,
        path: str,
        operation: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        allowed: tuple[int, ...] = (),
        is_container: bool = False,
    ) -> AbstractContextManager[Reply]:
        sent = dict(headers or {})
        token = self._locks.get(path)
        if token is not None and method not in ("LOCK", "UNLOCK"):
            sent["If"] = f"<{self._server.origin}{self._url(path)}> (<{token}>)"
        url = self._url(path, is_container=is_container or method == "MKCOL")
        return self._server.call(method, url, operation, path, headers=sent, body=body, allowed=allowed)

    @contextmanager
    def _propfind(
        self,
        path: str,
        operation: str,
        depth: int,
        body: bytes,
        *,
        url: str | None = None,
        allowed: tuple[int, ...] = (),
    ) -> Iterator[Iterator[Response]]:
        """Ask for properties. Nothing is given when the answer is an allowed one."""
        headers = {"Content-Type": "application/xml; charset=utf-8", "Depth": str(depth)}
        asked = url if url is not None else self._url(path, is_container=depth > 0)
        with self._server.call(
            "PROPFIND", asked, operation, path, headers=headers, body=body, allowed=allowed
        ) as reply:
            if reply.status in allowed:
                yield iter(())
                return
            if reply.status != 207:
                what = f"the server answers {reply.status}: there is no WebDAV at this address"
                raise refusal(ErrorKind.CONFIG, operation, path, what)
            try:
                yield xml.responses(reply.chunks())
            except ValueError as error:
                raise refusal(ErrorKind.UNEXPECTED, operation, path, str(error)) from error

    def _proppatch(self, path: str, operation: str, values: Mapping[str, str | None], *, is_container: bool) -> bool:
        """Set properties; tells whether all were taken."""
        headers = {"Content-Type": "application/xml; charset=utf-8"}
        body = xml.proppatch(values)
        with self._call(
            "PROPPATCH", path, operation, headers=headers, body=body, is_container=is_container, allowed=(403, 405, 409)
        ) as reply:
            if reply.status != 207:
                return False
            try:
                return not any(response.refused for response in xml.responses(reply.chunks()))
            except ValueError as error:
                raise refusal(ErrorKind.UNEXPECTED, operation, path, str(error)) from error

    # -- the root

    def _open_root(self, path: str, *, make: bool) -> None:
        here = ROOT
        for name in segments(path) if make else ():
            here = join(here, name)
            with self._server.call("MKCOL", self._url(here) + "/", "open", here, allowed=(405,)):
                pass
        entry = self._stat(path)
        if entry is None or entry.kind is not Kind.CONTAINER:
            message = f"there is no folder {display(path)!r} at {self._server.where}: make it, or correct the address"
            raise TallyportError(ErrorKind.NOT_FOUND, message, path=path, operation="open")
        self._base += encoded(path)

    def _way_of_times(self, settings: Settings, *, make: bool) -> str:
        """Find out how a file gets its time. Only at a place that may be written to something is tried."""
        if settings.times != "auto" or not make:
            return "none" if settings.times == "auto" else settings.times
        probe, moment = self._temporaries.name(self.token), 1_000_000_000
        try:
            with self._call("PUT", probe, "try out", headers={"X-OC-Mtime": str(moment)}, body=b"x"):
                pass
            if self._standing(probe).modified == moment * SECOND:
                return "header"
            self._proppatch(probe, "try out", {_DATED: _date(moment * SECOND)}, is_container=False)
            return "property" if self._standing(probe).modified == moment * SECOND else "none"
        except TallyportError as error:
            if error.kind in (ErrorKind.UNAUTHENTICATED, ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT):
                raise
            return "none"
        finally:
            self._remove_quietly(probe)

    def _untaken_characters(self, *, make: bool) -> str:
        """Find out whether a name survives a move: WsgiDAV cuts one at the first of some characters.

        What is cut would replace another file, so such names are refused there.
        """
        if not make:
            return ""
        probe = self._temporaries.name(self.token)
        odd = f"{probe}-a{ODD}b"
        try:
            with self._call("PUT", probe, "try out", body=b""):
                pass
            self._move(probe, odd, "try out", replaces=False, is_container=False)
            return "" if self._stat(odd) is not None else ODD_CHARACTERS
        except TallyportError as error:
            if error.kind in (ErrorKind.UNAUTHENTICATED, ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT):
                raise
            return ODD_CHARACTERS
        finally:
            for name in (probe, odd, f"{probe}-a"):
                self._remove_quietly(name)

    def _limits(self) -> Limits:
        return Limits(
            time_precision=SECOND,
            forbidden_characters="/\0" + self._untaken,
            unicode_only=True,
            locks=True,
            sets_times=self._way != "none",
            dates_containers=False,  # every opening as a destination tries something out, and shows in its time
            best_verify=VerifyLevel.READBACK,
            atomic_replace=False,
            creates_only=False,
            replaces_checked=False,
        )

    # -- looking

    def _stat(self, path: str) -> Entry | None:
        try:
            with self._propfind(path, "look at", 0, xml.propfind(self.asked), allowed=(400, 404, 409, 410)) as found:
                for response in found:
                    if response.status in (404, 409, 410):
                        return None
                    entry = self.entry(split(path)[1] if path else ROOT, response)
                    return entry
        except TallyportError as error:
            if error.kind is ErrorKind.UNSUPPORTED and path:  # what Apache says of a path through a file
                return None
            raise
        return None

    def _standing(self, path: str) -> Entry:
        entry = self._stat(path)
        if entry is None:
            raise refusal(ErrorKind.NOT_FOUND, "look at", path, "it is not there")
        return entry

    def _listing(self, path: str, *, hides: bool = True) -> Iterator[Entry]:
        here = unquote_to_bytes(self._url(path)).rstrip(b"/")
        is_folder = False
        with self._propfind(path, "list", 1, xml.propfind(self.asked), allowed=(400,)) as found:
            for response in found:
                raw = urlsplit(response.href).path.rstrip("/")
                whole = unquote_to_bytes(raw)
                if whole == here:
                    is_folder = self.entry(ROOT, response).kind is Kind.CONTAINER
                    if not is_folder:
                        break
                    continue
                name = from_bytes(unquote_to_bytes(raw.rpartition("/")[2]))
                if check_segment(name) is not None or whole != here + b"/" + name.encode("utf-8", "surrogateescape"):
                    what = "the server lists something that is not in it"
                    raise refusal(ErrorKind.UNEXPECTED, "list", path, what)
                if hides and is_temporary(name):
                    continue
                yield self.entry(name, response)
        if not is_folder:
            raise refusal(ErrorKind.NOT_FOUND, "list", path, "it is not a folder")

    def entry(self, name: str, response: Response) -> Entry:
        """Make an entry of what a server says of a resource."""
        kind_of = response.found.get(f"{DAV}resourcetype")
        is_container = kind_of is not None and kind_of.find(f"{DAV}collection") is not None
        etag = _text(response, f"{DAV}getetag").strip().removeprefix("W/")
        size = _text(response, f"{DAV}getcontentlength").strip()
        return Entry(
            name=name,
            kind=Kind.CONTAINER if is_container else Kind.FILE,
            size=int(size) if size.isdigit() and not is_container else 0,
            modified=moment_of(_text(response, _DATED)),
            tag=b"" if is_container else etag.encode(),
            created=_created(_text(response, f"{DAV}creationdate")),
        )

    # -- reading

    @contextmanager
    def _reading(self, url: str, path: str, offset: int, length: int | None) -> Iterator[Iterator[bytes]]:
        entry = self._standing(path)
        if entry.kind is not Kind.FILE:
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, "it is a container, not a file")
        yield from self._ranged(url, path, entry.size, offset, length, entry)

    def _ranged(
        self, url: str, path: str, size: int, offset: int, length: int | None, entry: Entry | None
    ) -> Iterator[Iterator[bytes]]:
        """Give a range of what has a size; with an entry, what changed meanwhile raises instead of ending."""
        end = size if length is None else min(size, offset + length)
        if offset >= end:
            yield iter(())
            return
        headers = {"Accept-Encoding": "identity"}
        is_part = offset > 0 or end < size
        if is_part:
            headers["Range"] = f"bytes={offset}-{end - 1}"
        with self._server.call("GET", url, "read", path, headers=headers, allowed=(416,)) as reply:
            if reply.status == 416:
                raise _changed(path)
            skip = offset if is_part and reply.status == 200 else 0  # a server without ranges
            yield self._checked(reply.chunks(), path, skip, end - offset, entry)

    def _checked(
        self, chunks: Iterator[bytes], path: str, skip: int, wanted: int, entry: Entry | None
    ) -> Iterator[bytes]:
        for chunk in chunks:
            if skip:
                skip, chunk = max(0, skip - len(chunk)), chunk[skip:]
            chunk = chunk[:wanted]
            if not chunk:
                continue
            wanted -= len(chunk)
            if not wanted and entry is not None:
                now = self._stat(path)
                if now is None or fingerprint(now) != fingerprint(entry):
                    raise _changed(path)
            yield chunk
            if not wanted:
                return
        if wanted:
            raise _changed(path)

    # -- writing

    def _put(self, path: str, temporary: str, content: Iterable[bytes], facts: Facts) -> int:
        announced = Announced(content, facts, path)
        pieces = blocks(announced)
        first = next(pieces, b"")
        headers = {"Content-Type": "application/octet-stream"}
        body: bytes | Iterable[bytes]
        if len(first) < CHUNK:
            body = first
        else:
            body = _chain(first, pieces)
            if facts.size is not None:  # some servers take no upload of unknown length
                headers["Content-Length"] = str(facts.size)
        if facts.modified is not None and self._way == "header":
            headers["X-OC-Mtime"] = str(max(0, facts.modified // SECOND))
        headers.update(self.put_headers(first, is_whole=isinstance(body, bytes)))
        with self._call("PUT", temporary, "write", headers=headers, body=body):
            return announced.size

    def put_headers(self, first: bytes, *, is_whole: bool) -> Mapping[str, str]:
        """Give what else goes along with an upload."""
        return {}

    def _settle(self, temporary: str, path: str, facts: Facts) -> None:
        """Give a finished temporary its time, where the upload did not."""
        if facts.modified is not None and self._way == "property":
            self._set_time(temporary, facts.modified, is_container=False)

    def _set_time(self, path: str, modified: int, *, is_container: bool) -> None:
        self._proppatch(path, "stamp", {_DATED: _date(modified)}, is_container=is_container)

    def _publish(self, temporary: str, path: str, when: Precondition, size: int) -> Entry:
        standing = self._standing(temporary)
        if standing.size != size:
            what = f"the server holds {standing.size} of {size} bytes"
            raise refusal(ErrorKind.CORRUPT, "write", path, what)
        self.move_into_place(self._url(temporary), path, when)
        return self._standing(path)

    def move_into_place(
        self, url: str, path: str, when: Precondition, headers: Mapping[str, str] | None = None
    ) -> None:
        """Move what is finished onto its name under the condition that was asked for."""
        if not when.absent:
            now = self._stat(path)
            wanted = when.entry
            if wanted is not None and (now is None or now.kind is not wanted.kind or _differs(now, wanted)):
                raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")
            if now is not None and now.kind is Kind.CONTAINER:
                raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "a folder has that name")
        sent = {
            "Destination": self._server.origin + self._url(path),
            "Overwrite": "F" if when.absent else "T",
            **(headers or {}),
        }
        token = self._locks.get(path)
        if token is not None:
            sent["If"] = f"<{sent['Destination']}> (<{token}>)"
        with self._server.call("MOVE", url, "write", path, headers=sent):
            pass

    def _move(self, path: str, to: str, operation: str, *, replaces: bool, is_container: bool) -> None:
        headers = {
            "Destination": self._server.origin + self._url(to, is_container=is_container),
            "Overwrite": "T" if replaces else "F",
        }
        with self._call("MOVE", path, operation, headers=headers, is_container=is_container):
            pass

    def _remove_quietly(self, path: str) -> None:
        try:
            with self._call("DELETE", path, "delete", allowed=(404, 410)):
                pass
        except TallyportError:  # a sweep finds it
            pass


# -- words of WebDAV


def _without_stamp(cls: type[Any]) -> type[Any]:
    """Give the class whose instances cannot stamp: None in a class means "not here" to isinstance."""
    return type(cls.__name__, (cls,), {"stamp": None})


def _chain(first: T, rest: Iterator[T]) -> Iterator[T]:
    yield first
    yield from rest


def _changed(path: str) -> TallyportError:
    return refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed while it was read")


def _differs(now: Entry, wanted: Entry) -> bool:
    return fingerprint(now) != fingerprint(wanted)


def _text(response: Response, tag: str) -> str:
    node = response.found.get(tag)
    return "" if node is None else node.text


def moment_of(text: str) -> int:
    """Read a date of HTTP; 0 where there is none."""
    parsed = email.utils.parsedate_tz(text.strip()) if text.strip() else None
    if parsed is None:
        return 0
    return (calendar.timegm(parsed[:6]) - (parsed[9] or 0)) * SECOND


def _date(modified: int) -> str:
    """Give a moment as HTTP writes it."""
    seconds = min(max(modified // SECOND, -62_135_596_800), 253_402_300_799)
    moment = datetime.fromtimestamp(0, UTC).timestamp() + seconds
    return email.utils.formatdate(moment, usegmt=True)


def _created(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * SECOND


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


_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLAIN_VALUE = re.compile(r"[\x21-\x7e\u00a1-\ud7ff]([\x20-\x7e\u00a1-\ud7ff]*[\x21-\x7e\u00a1-\ud7ff])?")
_CODED = "base64:"


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
