"""What happens to every request before a route sees it: its id, its size, its path, its caller."""

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallyport.api import problems, rights, tokens
from tallyport.api.metrics import Metrics
from tallyport.control import replies, users
from tallyport.control.desk import Caller
from tallyport.control.refusals import NotSignedIn, Refusal, invalid
from tallyport.store import rows
from tallyport.store.acting import Actor, acting
from tallyport.store.database import Database

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TOUCHED_EVERY = 60.0  # seconds between two notes that a token is in use
_KEPT = ("content-type", "location", "etag", "x-total-count")  # of an answer that is given again
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
    # An answer of the API is no page: nothing in it is run or shown, and no page may frame it.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
_OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}

log = logging.getLogger("tallyport.requests")


class TooLarge(Refusal):
    """The body is larger than the server takes."""

    code = "too_large"


class Identified:
    """Gives each request an id, which its answer, its log line and its problem document carry; counts and logs it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id

        begun, status, took = time.perf_counter(), 500, 0.0

        async def send_with_id(message: Message) -> None:
            nonlocal status, took
            if message["type"] == "http.response.start":
                status, took = message["status"], time.perf_counter() - begun
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in (_HEADERS | _OVER_TLS if scope.get("scheme") == "https" else _HEADERS).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            took = took or time.perf_counter() - begun
            route = scope["state"].get("route", "none")
            self._metrics.count(scope["method"], route, status, took)
            if log.isEnabledFor(logging.INFO):
                caller = scope["state"].get("caller")
                facts = {"request": request_id, "method": scope["method"], "route": route, "status": status}
                facts |= {"seconds": round(took, 4), "user": None if caller is None else caller.name}
                log.info("request.served", extra=facts)


class Bounded:
    """Refuses bodies above a size, announced or not."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limit:
            answer = problems.response(scope, 413, "too_large", f"a body may have at most {self._limit} bytes")
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise _Overflow
            return message

        try:
            await self._app(scope, counted, send)
        except _Overflow:
            answer = problems.response(scope, 413, "too_large", f"a body may have at most {self._limit} bytes")
            await answer(scope, receive, send)


class _Overflow(Exception):
    """More came than was announced."""


class Rewritten:
    """Applies a function to the path of every request."""

    def __init__(self, app: ASGIApp, *, rewrite: Callable[[str], str]) -> None:
        self._app = app
        self._rewrite = rewrite

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = dict(scope)
            scope["path"] = self._rewrite(scope["path"])
            scope["raw_path"] = scope["path"].encode("utf-8", "surrogateescape")
        await self._app(scope, receive, send)


class SignedIn:
    """Finds out who asks. Without a valid token only the few public routes are reached."""

    def __init__(self, app: ASGIApp, *, database: Database) -> None:
        self._app = app
        self._database = database
        self._touched: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) in rights.PUBLIC:
            await self._app(scope, receive, send)
            return
        try:
            token = tokens.token_of(scope["headers"])
            if token is None:
                raise NotSignedIn("a token is needed: Authorization: Bearer TOKEN, or Authtoken: TOKEN")
            caller = await run_in_threadpool(self._authenticate, token, scope)
        except NotSignedIn as error:
            await problems.of_refusal(scope, error)(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        with acting(actor_of(scope, caller)):
            await self._app(scope, receive, send)

    def _authenticate(self, token: str, scope: Scope) -> Caller:
        now = rows.now()
        caller = users.authenticate(self._database, token, now)
        if caller is None:
            raise NotSignedIn("the token is not valid, or not any more")
        clock = time.monotonic()
        if clock - self._touched.get(caller.token_id, -_TOUCHED_EVERY) >= _TOUCHED_EVERY:
            if len(self._touched) > 10_000:
                self._touched.clear()
            self._touched[caller.token_id] = clock
            with acting(actor_of(scope, caller)):
                users.touch(self._database, caller.token_id, now)
        return caller


def actor_of(scope: Scope, caller: Caller | None) -> Actor:
    """Say who acts in a request, for what it changes."""
    address = scope["client"][0] if scope.get("client") else None
    request_id = scope.get("state", {}).get("request_id")
    if caller is None:
        return Actor("nobody", None, None, address, request_id)
    return Actor(caller.name, caller.user_id, caller.token_id or None, address, request_id)


class Once:
    """Carries a POST with an ``Idempotency-Key`` out once; its repeats get the first answer."""

    def __init__(self, app: ASGIApp, *, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = scope.get("state", {}).get("caller")
        if scope["type"] != "http" or scope["method"] != "POST" or caller is None:
            await self._app(scope, receive, send)
            return
        key = dict(scope["headers"]).get(b"idempotency-key", b"").decode("latin-1").strip()
        if not key:
            await self._app(scope, receive, send)
            return
        try:
            if len(key) > 255:
                raise invalid("Idempotency-Key", "may have at most 255 characters")
            await self._once(scope, receive, send, caller.user_id, key)
        except Refusal as error:
            await problems.of_refusal(scope, error)(scope, receive, send)

    async def _once(self, scope: Scope, receive: Receive, send: Send, user: str, key: str) -> None:
        content = await Request(scope, receive).body()
        asked = f"{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')}\n".encode() + content
        digest = hashlib.sha256(asked).hexdigest()
        known = await run_in_threadpool(replies.claim, self._database, user, key, digest)
        if known is not None:
            again = Response(known.body, known.status, {**known.headers, "Idempotency-Replayed": "true"})
            await again(scope, receive, send)
            return
        status, kept, headers = 0, bytearray(), dict[str, str]()

        async def again_receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def keeping(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = MutableHeaders(scope=message)
                if given.get("cache-control") == "no-store":
                    status = 500  # a new token is in it: not to be stored
                headers.update({name: given[name] for name in _KEPT if name in given})
            elif message["type"] == "http.response.body":
                kept.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await run_in_threadpool(self._settle, user, key, replies.Answer(status, bytes(kept), headers))
            await send(message)

        try:
            await self._app(scope, again_receive, keeping)
        except BaseException:
            await run_in_threadpool(replies.release, self._database, user, key)
            raise

    def _settle(self, user: str, key: str, answer: replies.Answer) -> None:
        """Keep answers that would be the same again; what failed here, or was refused as a conflict, may be retried.

        An answer that must not be stored (a new token is in it) counts as failed here.
        """
        if answer.status >= 500 or answer.status in (401, 403, 409, 429):
            replies.release(self._database, user, key)
        else:
            replies.keep(self._database, user, key, answer)
