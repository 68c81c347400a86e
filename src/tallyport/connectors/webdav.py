"""Folders of a WebDAV server: Apache, WsgiDAV, SabreDAV, and with more abilities Nextcloud (``nextcloud.py``).

A write goes to a temporary beside its place and is moved onto it: ``Overwrite: F`` when the name must be free. The
servers we know replace by removing the old file first, so for a moment nothing stands there: ``atomic_replace`` is
off. Whether ``Overwrite: F`` holds against another writer at the same instant is the server's affair.

Traps: a DELETE of a folder takes all that is in it, so we look first; ETags that begin with ``W/`` never satisfy
If-Match; fresh files of Apache have such. Few servers let a file's time be set: by ``X-OC-Mtime`` (Nextcloud,
ownCloud, rclone) or by the property ``getlastmodified`` (WsgiDAV, if configured). See RFC 4918.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar
from urllib.parse import urlsplit

from tallyport.connectors.pausing import Pause
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import chained
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.temporaries import is_of
from tallyport.connectors.webdav_content import Content
from tallyport.connectors.webdav_folder import SECOND, changed, moment_of
from tallyport.connectors.webdav_http import Settings
from tallyport.connectors.webdav_values import Values
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display, join, split

__all__ = ["SECOND", "Settings", "Webdav", "moment_of", "open_webdav"]

T = TypeVar("T")


def open_webdav(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Webdav":
    """Open a folder of a WebDAV server, as the registry asks for it."""
    from tallyport.connectors.nextcloud import HOME, Nextcloud

    kind = Nextcloud if HOME.search(urlsplit(settings.url).path) else Webdav
    return kind(settings, path, make=make)


class Webdav(Content, Values):
    """One folder of one server. ``token`` marks what is unfinished, so that :meth:`sweep` finds it."""

    sends_hashes = False  # along with content, for the server to check

    # -- what every platform can do

    def children(self, path: str) -> Iterator[Entry]:
        check_path("list", path)
        listing = self._listing(path)
        first = next(listing, None)
        return listing if first is None else chained(first, listing)

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
                if error.kind is not ErrorKind.INVALID_NAME:
                    raise
                holder = self._stat(split(path)[0])
                if holder is None or holder.kind is not Kind.CONTAINER:
                    raise refusal(ErrorKind.NOT_FOUND, "write", path, "its folder is not there") from error
                if self.sends_hashes:  # the name is one of ours, and right: the content is not
                    why = "what came there is not what was sent: damaged on its way"
                    raise refusal(ErrorKind.CORRUPT, "write", path, why) from error
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
        try:
            with self._call("MKCOL", path, "make", allowed=(400, 405)):  # 400: Apache, of a file's name
                pass
        except TallyportError as error:  # a server may stumble where several make one folder at once
            stumbles = error.kind in (ErrorKind.UNEXPECTED, ErrorKind.PERMISSION_DENIED)
            if not stumbles or self._stat(path) is None:
                raise
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
            self._locks.pop(path, None)  # it went with the file

    def close(self) -> None:
        self._server.close()

    def pause_with(self, pause: Pause) -> None:
        self._server.pause = pause

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
                raise changed(path)
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
