"""Nextcloud and ownCloud: WebDAV with chunked uploads, versions, checksums and file times.

A big file is uploaded in numbered chunks into a folder of its own and put together by the server, which makes it
visible at once; the folder is forgotten after a day without an upload. Versions are read; each overwriting makes
one. See the developer manual of Nextcloud, "Chunked file upload v2" and "Versions API".
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import Announced, blocks, hashed
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.temporaries import is_temporary
from tallyport.connectors.webdav import SECOND, Settings, Webdav, moment_of
from tallyport.connectors.webdav_xml import DAV, propfind
from tallyport.domain.capabilities import LengthUnit, Limits
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import split
from tallyport.domain.versions import Version

__all__ = ["HOME", "Nextcloud", "Settings"]

HOME = re.compile(r"^(?P<dav>.*/remote\.php/dav)/files/(?P<user>[^/]+)(?:/|$)")
FILE_ID = "{http://owncloud.org/ns}fileid"
CURRENT = "current"
MEBIBYTE = 1024 * 1024


class Nextcloud(Webdav):
    """One folder of one account."""

    asked = (*Webdav.asked, FILE_ID)
    sends_hashes = True

    # -- uploads

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        check_new("write", path, self.limits)
        name = self._temporaries.name(token)
        with self._server.call("MKCOL", self._upload_url(path, name), "write", path, headers=self._meant_for(path)):
            return name

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        check_new("write", path, self.limits)
        running = ContentHash()
        announced = Announced(content, Facts(size=size), path)
        headers = {**self._meant_for(path), "Content-Length": str(size), "Content-Type": "application/octet-stream"}
        # Chunks are numbered from 1 and put together in the order of their names.
        url = f"{self._upload_url(path, handle)}/{number + 1:05}"
        body = hashed(blocks(announced), running)
        with self._server.call("PUT", url, "write", path, headers=headers, body=body):
            return size.to_bytes(8, "big") + running.digest()

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        check_new("write", path, self.limits)
        size = sum(int.from_bytes(receipt[:8], "big") for receipt in receipts)
        if facts.size is not None and facts.size != size:
            what = f"{facts.size} bytes were announced and the parts have {size}"
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, what)
        url = self._upload_url(path, handle)
        self._check_parts(path, url, [int.from_bytes(receipt[:8], "big") for receipt in receipts])
        headers = {"OC-Total-Length": str(size)}
        if facts.modified is not None and self._way == "header":
            headers["X-OC-Mtime"] = str(max(0, facts.modified // SECOND))
        self.move_into_place(f"{url}/.file", path, when, headers)
        return self._standing(path)

    def abandon_upload(self, path: str, handle: str) -> None:
        check_path("write", path)
        with self._server.call("DELETE", self._upload_url(path, handle), "delete", path, allowed=(404, 410)):
            pass

    def _check_parts(self, path: str, url: str, sizes: list[int]) -> None:
        """See that the server holds the chunks that were promised, and no others."""
        held: dict[str, int] = {}
        with self._propfind(path, "write", 1, propfind([f"{DAV}getcontentlength"]), url=url) as found:
            for response in found:
                name = urlsplit(response.href).path.rstrip("/").rpartition("/")[2]
                node = response.found.get(f"{DAV}getcontentlength")
                if name.isdigit() and node is not None and node.text.strip().isdigit():
                    held[name] = int(node.text)
        if held != {f"{number + 1:05}": size for number, size in enumerate(sizes)}:
            raise refusal(ErrorKind.CORRUPT, "write", path, "the server does not hold the parts that were sent")

    def _upload_url(self, path: str, name: str) -> str:
        if not is_temporary(name):
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "there is no such upload")
        return f"{self._dav}/uploads/{self._user}/{name.lstrip('.')}"

    def _meant_for(self, path: str) -> Mapping[str, str]:
        """Say where an upload will go: the server checks quota and rights before it takes the chunks."""
        return {"Destination": self._server.origin + self._url(path)}

    # -- versions

    def versions(self, path: str) -> Sequence[Version]:
        """Give all contents, oldest first, the current one last."""
        check_path("look at", path)
        entry, url = self._numbered(path)
        asked = (f"{DAV}getcontentlength", f"{DAV}getlastmodified")
        found: list[Version] = []
        with self._propfind(path, "look at", 1, propfind(asked), url=url, allowed=(404, 501)) as responses:
            for response in responses:
                name = unquote(urlsplit(response.href).path.rstrip("/").rpartition("/")[2])
                size, moment = (response.found.get(tag) for tag in asked)
                if size is None or not size.text.strip().isdigit() or not re.fullmatch(r"[0-9A-Za-z.]+", name):
                    continue
                found.append(Version(name, int(size.text), moment_of("" if moment is None else moment.text)))
        found = [version for version in found if version.modified != entry.modified or version.size != entry.size]
        found.sort(key=lambda version: (version.modified, version.id))
        return (*found, Version(CURRENT, entry.size, entry.modified, is_current=True))

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        check_path("read", path)
        if version == CURRENT:
            return self.read(path, offset=offset, length=length)
        return self._reading_version(path, version, offset, length)

    @contextmanager
    def _reading_version(self, path: str, version: str, offset: int, length: int | None) -> Iterator[Iterator[bytes]]:
        known = next((one for one in self.versions(path) if one.id == version), None)
        if known is None:
            raise refusal(ErrorKind.NOT_FOUND, "read", path, f"there is no version {version!r}")
        yield from self._ranged(f"{self._numbered(path)[1]}/{version}", path, known.size, offset, length, None)

    def _numbered(self, path: str) -> tuple[Entry, str]:
        """Give a file, and where its versions are."""
        with self._propfind(path, "look at", 0, propfind(self.asked), allowed=(404, 409, 410)) as found:
            response = next(iter(found), None)
            if response is None or response.status in (404, 409, 410):
                raise refusal(ErrorKind.NOT_FOUND, "look at", path, "it is not there")
            entry, number = self.entry(split(path)[1], response), response.found.get(FILE_ID)
        if entry.kind is not Kind.FILE:
            raise refusal(ErrorKind.UNSUPPORTED, "look at", path, "only files have versions")
        if number is None or not number.text.strip().isdigit():
            raise refusal(ErrorKind.UNSUPPORTED, "look at", path, "the server tells no number of the file")
        return entry, f"{self._dav}/versions/{self._user}/versions/{number.text.strip()}"

    # -- behind them

    @property
    def _dav(self) -> str:
        return self._home["dav"]

    @property
    def _user(self) -> str:
        return self._home["user"]

    @property
    def _home(self) -> "re.Match[str]":
        found = HOME.search(self._server.base)
        if found is None:
            message = "the address is not that of an account: .../remote.php/dav/files/NAME"
            raise TallyportError(ErrorKind.CONFIG, message, operation="open")
        return found

    def put_headers(self, first: bytes, *, is_whole: bool) -> Mapping[str, str]:
        """Give a checksum along: the server keeps it with the file, and ownCloud checks it."""
        if not is_whole:
            return {}
        return {"OC-Checksum": f"SHA1:{hashlib.sha1(first, usedforsecurity=False).hexdigest()}"}

    def _way_of_times(self, settings: Settings, *, make: bool) -> str:
        return "header" if settings.times == "auto" else settings.times

    def _untaken_characters(self, *, make: bool) -> str:
        return ""

    def _set_time(self, path: str, modified: int, *, is_container: bool) -> None:
        """Set a time of what stands: the server takes one only with an upload, and as a property."""
        self._proppatch(path, "stamp", {"{DAV:}lastmodified": str(modified // SECOND)}, is_container=is_container)

    def _limits(self) -> Limits:
        return replace(
            super()._limits(),
            max_name=250,
            name_unit=LengthUnit.CHARACTERS,
            forbidden_characters="\\/\0",
            refused_extensions=frozenset({"part", "filepart"}),
            reserved_names=frozenset({".htaccess"}),
            versions=True,
            sets_times=True,
            part_min=5 * MEBIBYTE,
            part_max=5 * 1024 * MEBIBYTE,
            parts_max=10_000,
        )
