"""One folder of a WebDAV server: calls, what the server takes, and looking at what stands there."""

import calendar
import email.utils
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from tallyport.connectors import webdav_xml as xml
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_path
from tallyport.connectors.temporaries import Temporaries, is_temporary
from tallyport.connectors.webdav_http import Reply, Server, Settings, encoded
from tallyport.connectors.webdav_xml import DAV, Response
from tallyport.domain.capabilities import Limits, VerifyLevel
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, check_segment, display, from_bytes, join, segments, split

T = TypeVar("T")

SECOND = 1_000_000_000
ODD = "?c#d;e\tf\ng"  # what a server may misread in an address
ODD_CHARACTERS = "?#;" + "".join(map(chr, range(1, 32))) + "\x7f"

_ASKED = tuple(
    DAV + name for name in ("resourcetype", "getcontentlength", "getlastmodified", "getetag", "creationdate")
)
DATED = f"{DAV}getlastmodified"


class Folder:
    """A folder below which everything is reached by address."""

    asked: tuple[str, ...] = _ASKED  # properties of an entry

    def __init__(self, settings: Settings, path: str = ROOT, *, make: bool = False, token: str = "webdav") -> None:
        self.token = token
        self._server = Server(settings)
        self._temporaries = Temporaries()
        self._locks: dict[str, str] = {}  # path → token of a lock of ours
        self._base = self._server.base
        self._way = "none"
        self.untaken = ""  # characters that the server does not take in a name, as was tried
        try:
            self._open_root(path, make=make)
            self._way = self._way_of_times(settings, make=make)
            self.untaken = self._untaken_characters(make=make)
        except BaseException:
            self._server.close()
            raise
        self.limits = self._limits()
        if self._way == "none":
            self.__class__ = without_stamp(type(self))
        self.location = f"{self._server.where}/{display(path)}".rstrip("/")

    def stat(self, path: str) -> Entry | None:
        check_path("look at", path)
        return self._stat(path)

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
            self._proppatch(probe, "try out", {DATED: date_of(moment * SECOND)}, is_container=False)
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
            forbidden_characters="/\0" + self.untaken,
            unicode_only=True,
            locks=True,
            sets_times=self._way != "none",
            dates_containers=False,  # every opening as a destination tries something out, and shows in its time
            best_verify=VerifyLevel.READBACK,
            checks_way=self._server.is_encrypted,
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
        etag = text_of(response, f"{DAV}getetag").strip().removeprefix("W/")
        size = text_of(response, f"{DAV}getcontentlength").strip()
        return Entry(
            name=name,
            kind=Kind.CONTAINER if is_container else Kind.FILE,
            size=int(size) if size.isdigit() and not is_container else 0,
            modified=moment_of(text_of(response, DATED)),
            tag=b"" if is_container else etag.encode(),
            created=created_of(text_of(response, f"{DAV}creationdate")),
        )

    # -- moving and dating

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

    def _set_time(self, path: str, modified: int, *, is_container: bool) -> None:
        self._proppatch(path, "stamp", {DATED: date_of(modified)}, is_container=is_container)


def without_stamp(cls: type[Any]) -> type[Any]:
    """Give the class whose instances cannot stamp: None in a class means "not here" to isinstance."""
    return type(cls.__name__, (cls,), {"stamp": None})


def changed(path: str) -> TallyportError:
    return refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed while it was read")


def differs(now: Entry, wanted: Entry) -> bool:
    return fingerprint(now) != fingerprint(wanted)


def text_of(response: Response, tag: str) -> str:
    node = response.found.get(tag)
    return "" if node is None else node.text


def moment_of(text: str) -> int:
    """Read a date of HTTP; 0 where there is none."""
    parsed = email.utils.parsedate_tz(text.strip()) if text.strip() else None
    if parsed is None:
        return 0
    return (calendar.timegm(parsed[:6]) - (parsed[9] or 0)) * SECOND


def date_of(modified: int) -> str:
    """Give a moment as HTTP writes it."""
    seconds = min(max(modified // SECOND, -62_135_596_800), 253_402_300_799)
    moment = datetime.fromtimestamp(0, UTC).timestamp() + seconds
    return email.utils.formatdate(moment, usegmt=True)


def created_of(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * SECOND
