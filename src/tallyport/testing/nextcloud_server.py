"""What Nextcloud adds to WebDAV, small: for tests of the connector where no Nextcloud can be run.

Files, chunked uploads (v2), versions, file times and checksums, as the developer manual tells them. Written from the
manual, not from the connector; where a real one answers otherwise, this is to be mended.
"""

import hashlib
import posixpath
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tallyport.testing.servers import HOST
from tallyport.testing.share_servers import DavServer
from tallyport.testing.shelf import Content, Shelf

HOME = "/remote.php/dav"
LEAST_CHUNK = 5 * 1024 * 1024


class _Item:
    """A file or folder."""

    def __init__(self, number: int, content: Content | None, modified: int) -> None:
        self.number = number
        self.content = content  # None: a folder
        self.modified = modified
        self.checksum = ""
        self.properties: dict[str, str] = {}
        self.versions: dict[str, Content] = {}  # time → content


class _State:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.numbers = 1
        self.items: dict[str, _Item] = {"": _Item(1, None, int(time.time()))}
        self.uploads: dict[str, dict[str, Content]] = {}
        self.shelf = Shelf()

    def new(self, content: Content | None, modified: int | None = None) -> _Item:
        self.numbers += 1
        return _Item(self.numbers, content, int(time.time()) if modified is None else modified)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out whole
    disable_nagle_algorithm = True
    state: _State

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def handle_one(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        if self.headers.get("Authorization") != "Basic dTpw":
            return self._answer(401)
        with self.state.lock:
            parts = path.removeprefix(HOME).strip("/").split("/", 2)
            kind, rest = parts[0], "/".join(parts[2:]).strip("/")
            if not path.startswith(HOME) or len(parts) < 2 or parts[1] != "u":
                return self._answer(404)
            act = getattr(self, f"{kind}_{self.command.lower()}", None)
            if act is None:
                return self._answer(405)
            act(rest, body)

    do_GET = do_PUT = do_DELETE = do_MKCOL = do_MOVE = do_COPY = do_PROPFIND = do_PROPPATCH = handle_one

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    # -- files

    def files_get(self, rest: str, body: bytes) -> None:
        item = self.state.items.get(rest)
        if item is None or item.content is None:
            return self._answer(404 if item is None else 405)
        self._content(item.content.read())

    def _content(self, content: bytes) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            return self._answer(200, content)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        if int(first) >= len(content):
            return self._answer(416)
        end = min(int(last) + 1 if last else len(content), len(content))
        self._answer(206, content[int(first) : end], Content_Range=f"bytes {first}-{end - 1}/{len(content)}")

    def files_put(self, rest: str, body: bytes) -> None:
        old = self.state.items.get(rest)
        if self._holder(rest) is None:
            return self._answer(409)
        if old is not None and old.content is None:
            return self._answer(409)
        announced = self.headers.get("OC-Checksum", "")
        if announced and announced != f"SHA1:{hashlib.sha1(body, usedforsecurity=False).hexdigest()}":
            return self._answer(400)
        self._store(rest, body)
        self._answer(204 if old is not None else 201, X_OC_MTime="accepted" if "X-OC-Mtime" in self.headers else "")

    def _store(self, rest: str, content: bytes) -> None:
        mtime = self.headers.get("X-OC-Mtime")
        kept = self.state.shelf.keep(content)
        item, old = self.state.new(kept, None if mtime is None else int(mtime)), self.state.items.get(rest)
        if old is not None and old.content is not None:
            item.number, item.versions = old.number, {**old.versions, str(old.modified): old.content}
        item.checksum = self.headers.get("OC-Checksum", "")
        self.state.items[rest] = item

    def _holder(self, rest: str) -> _Item | None:
        holder = self.state.items.get(posixpath.dirname(rest))
        return holder if holder is not None and holder.content is None else None

    def files_mkcol(self, rest: str, body: bytes) -> None:
        if rest in self.state.items:
            return self._answer(405)
        if self._holder(rest) is None:
            return self._answer(409)
        self.state.items[rest] = self.state.new(None)
        self._answer(201)

    def files_delete(self, rest: str, body: bytes) -> None:
        if rest not in self.state.items:
            return self._answer(404)
        for name in [name for name in self.state.items if name == rest or name.startswith(f"{rest}/")]:
            del self.state.items[name]
        self._answer(204)

    def files_move(self, rest: str, body: bytes) -> None:
        self._relocate(rest, keeps=False)

    def files_copy(self, rest: str, body: bytes) -> None:
        self._relocate(rest, keeps=True)

    def _destination(self) -> str:
        path = unquote(urlsplit(self.headers["Destination"]).path)
        return path.removeprefix(f"{HOME}/files/u").strip("/")

    def _relocate(self, rest: str, *, keeps: bool) -> None:
        to = self._destination()
        if rest not in self.state.items:
            return self._answer(404)
        if self._holder(to) is None:
            return self._answer(409)
        taken = self.state.items.get(to)
        if taken is not None and self.headers.get("Overwrite", "T") == "F":
            return self._answer(412)
        moved = [name for name in self.state.items if name == rest or name.startswith(f"{rest}/")]
        for name in moved:
            item = self.state.items[name]
            if keeps:
                copied = self.state.new(item.content, item.modified)
                copied.properties = dict(item.properties)
                item = copied
            else:
                del self.state.items[name]
            if taken is not None and taken.content is not None and name == rest:
                item.number = taken.number
                item.versions = {**taken.versions, str(taken.modified): taken.content}
            self.state.items[to + name[len(rest) :]] = item
        self._answer(204 if taken is not None else 201)

    def files_proppatch(self, rest: str, body: bytes) -> None:
        import re

        item = self.state.items.get(rest)
        if item is None:
            return self._answer(404)
        text, names = body.decode(), []
        for part, inner in re.findall(r"<d:(set|remove)><d:prop>(.*?)</d:prop></d:(?:set|remove)>", text, re.S):
            match = re.fullmatch(r'<(?:\w+:)?([\w.-]+)(?: xmlns:\w+="([^"]*)")?>(.*)</[^>]*>', inner, re.S)
            assert match is not None
            name, space, value = match.groups()
            if not space and name == "lastmodified":
                item.modified = int(value)
            elif part == "set":
                item.properties[f"{space} {name}"] = value
            else:
                item.properties.pop(f"{space} {name}", None)
            names.append(f'<x:{name} xmlns:x="{space or "DAV:"}"/>')
        found = f"<d:propstat><d:prop>{''.join(names)}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
        self._multistatus([f"<d:response><d:href>{quote(self.path)}</d:href>{found}</d:response>"])

    def files_propfind(self, rest: str, body: bytes) -> None:
        item = self.state.items.get(rest)
        if item is None:
            return self._answer(404)
        names = [rest]
        if self.headers.get("Depth") == "1" and item.content is None:
            names += [name for name in self.state.items if name and posixpath.dirname(name) == rest and name != rest]
        self._multistatus([self._described(name, b"propname" in body) for name in names])

    def _described(self, name: str, names_only: bool) -> str:
        item = self.state.items[name]
        is_folder = item.content is None
        href = f"{HOME}/files/u/{quote(name)}" + ("/" if is_folder and name else "")
        size = 0 if item.content is None else item.content.size
        props = (
            f"<d:resourcetype>{'<d:collection/>' if is_folder else ''}</d:resourcetype>"
            f"<d:getlastmodified>{formatdate(item.modified, usegmt=True)}</d:getlastmodified>"
            f'<d:getetag>"{item.number:x}-{item.modified:x}-{size:x}-{id(item):x}"</d:getetag>'
            f"<oc:fileid>{item.number}</oc:fileid>"
        )
        props += "" if is_folder else f"<d:getcontentlength>{size}</d:getcontentlength>"
        for key, value in item.properties.items():
            space, _, local = key.partition(" ")
            props += f'<x:{local} xmlns:x="{escape(space)}">{"" if names_only else value}</x:{local}>'
        return (
            f"<d:response><d:href>{href}</d:href><d:propstat><d:prop>{props}</d:prop>"
            "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        )

    def _multistatus(self, parts: list[str]) -> None:
        text = '<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns">'
        self._answer(207, (text + "".join(parts) + "</d:multistatus>").encode(), Content_Type="application/xml")

    # -- uploads

    def uploads_mkcol(self, rest: str, body: bytes) -> None:
        if rest in self.state.uploads:
            return self._answer(405)
        self.state.uploads[rest] = {}
        self._answer(201)

    def uploads_put(self, rest: str, body: bytes) -> None:
        folder, _, name = rest.partition("/")
        if folder not in self.state.uploads or not name.isdigit() or not 1 <= int(name) <= 10_000:
            return self._answer(404)
        if len(body) != int(self.headers.get("Content-Length") or len(body)):
            return self._answer(400)
        self.state.uploads[folder][name] = self.state.shelf.keep(body)
        self._answer(201)

    def uploads_propfind(self, rest: str, body: bytes) -> None:
        if rest not in self.state.uploads:
            return self._answer(404)
        parts = [
            f"<d:response><d:href>{HOME}/uploads/u/{rest}/{name}</d:href><d:propstat><d:prop>"
            f"<d:getcontentlength>{content.size}</d:getcontentlength></d:prop>"
            "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
            for name, content in self.state.uploads[rest].items()
        ]
        self._multistatus(parts)

    def uploads_delete(self, rest: str, body: bytes) -> None:
        self._answer(204 if self.state.uploads.pop(rest, None) is not None else 404)

    def uploads_move(self, rest: str, body: bytes) -> None:
        folder = rest.removesuffix("/.file")
        chunks = self.state.uploads.get(folder)
        to = self._destination()
        if chunks is None:
            return self._answer(404)
        if self._holder(to) is None:
            return self._answer(409)
        if to in self.state.items and self.headers.get("Overwrite", "T") == "F":
            return self._answer(412)
        names = sorted(chunks)
        if any(chunks[name].size < LEAST_CHUNK for name in names[:-1]):
            return self._answer(400)
        content = b"".join(chunks[name].read() for name in names)
        if int(self.headers.get("OC-Total-Length", len(content))) != len(content):
            return self._answer(400)
        is_new = to not in self.state.items
        self._store(to, content)
        del self.state.uploads[folder]
        self._answer(201 if is_new else 204)

    # -- versions

    def versions_propfind(self, rest: str, body: bytes) -> None:
        item = self._numbered(rest)
        if item is None:
            return self._answer(404)
        parts = [f"<d:response><d:href>{HOME}/versions/u/{rest}/</d:href></d:response>"]
        parts += [
            f"<d:response><d:href>{HOME}/versions/u/{rest}/{moment}</d:href><d:propstat><d:prop>"
            f"<d:getcontentlength>{content.size}</d:getcontentlength>"
            f"<d:getlastmodified>{formatdate(int(moment), usegmt=True)}</d:getlastmodified></d:prop>"
            "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
            for moment, content in item.versions.items()
        ]
        self._multistatus(parts)

    def versions_get(self, rest: str, body: bytes) -> None:
        number, _, moment = rest.rpartition("/")
        item = self._numbered(number)
        if item is None or moment not in item.versions:
            return self._answer(404)
        self._content(item.versions[moment].read())

    def _numbered(self, rest: str) -> _Item | None:
        number = rest.removeprefix("versions/")
        return next((item for item in self.state.items.values() if str(item.number) == number), None)


@contextmanager
def nextcloud() -> Iterator[DavServer]:
    """Serve the account ``u`` with the password ``p`` from this process."""
    state = _State()
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield DavServer(f"http://{HOST}:{server.server_address[1]}{HOME}/files/u", "u", "p", "")
        finally:
            server.shutdown()
            state.shelf.close()
            thread.join(5)
