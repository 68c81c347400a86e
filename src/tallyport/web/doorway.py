"""One address for the API and the console: who answers what, and how a browser's session reaches the API."""

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tallyport.web import session

PREFIX = "/console"
_OPEN_TO_BROWSERS = ("/v1/", "/openapi.json", "/metrics", "/readyz")


class Doorway:
    """Hands what lies below ``/console`` to the console and the rest to the API.

    A request to the API that carries a session cookie and no token of its own is given the session's token. So the
    scripts of the console use the API as everybody does, with the rights of who is signed in and no other.
    """

    def __init__(self, api: ASGIApp, console: ASGIApp) -> None:
        self._api = api
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        path = scope["path"]
        if path == PREFIX or path.startswith(f"{PREFIX}/") or path in ("/docs", "/setup", "/favicon.ico"):
            await self._console(scope, receive, send)
        elif path == "/" and scope["method"] in ("GET", "HEAD"):
            await RedirectResponse(f"{PREFIX}/", 302)(scope, receive, send)
        else:
            await self._to_api(scope, receive, send)

    async def _to_api(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(_OPEN_TO_BROWSERS):
            own = session.header(scope, b"authorization") or session.header(scope, b"authtoken")
            token = None if own else session.token_of(scope)
            if token is not None:
                if session.is_foreign(scope):
                    answer = Response("a page of another site made this request: it is not carried out\n", 403)
                    await answer(scope, receive, send)
                    return
                scope = dict(scope)
                scope["headers"] = [*scope["headers"], (b"authorization", f"Bearer {token}".encode("latin-1"))]
        await self._api(scope, receive, send)
