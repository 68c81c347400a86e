"""The console as an application: routes, static files, sign-in before everything else."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tallyport import __version__
from tallyport.control import refusals, users
from tallyport.control.desk import Caller, Desk
from tallyport.domain.errors import TallyportError
from tallyport.store import rows
from tallyport.store.acting import Actor, acting
from tallyport.web import session
from tallyport.web.doorway import PREFIX
from tallyport.web.page import HEADERS, STATIC, Page, Route
from tallyport.web.pages import ROUTES

_log = logging.getLogger("tallyport.web")
_TOUCHED_EVERY = 60.0  # seconds between two notes that a session is in use
_STATUSES: Mapping[type[Exception], int] = {
    refusals.NotFound: 404,
    refusals.NotAllowed: 403,
    refusals.Conflict: 409,
    refusals.Stale: 412,
    refusals.Refusal: 400,
    TallyportError: 409,
}


class Guard:
    """Finds out who a browser's session speaks for."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._touched: dict[str, float] = {}

    def caller(self, scope: Scope) -> Caller | None:
        """Give who is signed in, or None."""
        token = session.token_of(scope)
        if token is None:
            return None
        now = rows.now()
        found = users.authenticate(self.desk.database, token, now)
        clock = time.monotonic()
        if found is not None and clock - self._touched.get(found.token_id, -_TOUCHED_EVERY) >= _TOUCHED_EVERY:
            if len(self._touched) > 10_000:
                self._touched.clear()
            self._touched[found.token_id] = clock
            users.touch(self.desk.database, found.token_id, now)
        return found


class Kept(StaticFiles):
    """Static files under an address that holds the version: a browser asks once for each."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def create_console(shared: State) -> Starlette:
    """Make the application over what it shares with the API: the desk, and what watches over all requests."""
    guard = Guard(shared.desk)
    static = GZipMiddleware(Kept(directory=STATIC), minimum_size=1_000, compresslevel=6)
    app = Starlette(
        routes=[
            Mount(f"{PREFIX}/static/{__version__}", app=static),
            StarletteRoute("/favicon.ico", _icon),
            *[StarletteRoute(one.path, _endpoint(one, guard), methods=[one.method]) for one in ROUTES],
        ],
        exception_handlers={HTTPException: _missing(guard), Exception: _broken},
    )
    app.state = shared
    return app


def _endpoint(route: Route, guard: Guard) -> Callable[[Request], object]:
    """Wrap a page: its form is read, its caller known, its refusals drawn as pages."""

    draw_once = _Shared(route).draw if route.fresh else route.draw

    def draw(request: Request, form: Mapping[str, str]) -> Response:
        someone = guard.caller(request.scope)
        page = Page(request=request, desk=guard.desk, someone=someone, form=form)
        if session.is_foreign(request.scope):
            return page.render(
                "error.html", 403, title="Not from here", said="A page of another site made this request."
            )
        if route.right is not None and someone is None:
            return _to_sign_in(request)
        try:
            if route.right is not None:
                page.caller.require(route.right)
            with acting(_actor(request.scope, someone)):
                return draw_once(page)
        except (refusals.Refusal, TallyportError) as error:
            return _refused(page, error)

    if route.method == "GET":

        def get(request: Request) -> Response:
            return draw(request, {})

        return get

    async def post(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=50, max_part_size=64 * 1024)
        values = {key: value for key, value in form.items() if isinstance(value, str)}
        return await run_in_threadpool(draw, request, values)

    return post


class _Shared:
    """A page that is drawn once a moment, whoever asks for it; who may see it was found out before."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._lock = threading.Lock()
        self._kept: tuple[float, bytes] | None = None

    def draw(self, page: Page) -> Response:
        """Give what was drawn a moment ago, or draw it: one at a time, so that nobody draws beside another."""
        with self._lock:
            if self._kept is None or not 0 <= time.monotonic() - self._kept[0] <= self._route.fresh:
                answer = self._route.draw(page)
                if answer.status_code != 200:
                    return answer
                self._kept = (time.monotonic(), bytes(answer.body))
            return HTMLResponse(self._kept[1], headers=HEADERS)


def _actor(scope: Scope, someone: Caller | None) -> Actor:
    address = scope["client"][0] if scope.get("client") else None
    if someone is None:
        return Actor("nobody", None, None, address, None)
    return Actor(someone.name, someone.user_id, someone.token_id or None, address, None)


def _to_sign_in(request: Request) -> Response:
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={**HEADERS, "HX-Refresh": "true"})
    there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{PREFIX}/sign-in?to={quote(there, safe='')}", 303, HEADERS)


def _refused(page: Page, error: refusals.Refusal | TallyportError) -> Response:
    if isinstance(error, refusals.NotSignedIn):
        return _to_sign_in(page.request)
    status = next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
    titles = {404: "There is no such thing", 403: "Not allowed"}
    return page.render("error.html", status, title=titles.get(status, "That did not work"), said=error.message)


def _missing(guard: Guard) -> Callable[[Request, Exception], Response]:
    def missing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        page = Page(request=request, desk=guard.desk, someone=guard.caller(request.scope), form={})
        return page.render("error.html", error.status_code, title="There is no such page", said=request.url.path)

    return missing


def _broken(request: Request, error: Exception) -> Response:
    """Say that the fault is here; the log has what it was."""
    _log.error("a page failed: %s %s", request.method, request.url.path, exc_info=error)
    said = "Something went wrong here. The server's log has what it was."
    page = Page(request=request, desk=request.app.state.desk, someone=None, form={})
    return page.render("error.html", 500, title="A fault of ours", said=said)


def _icon(_request: Request) -> Response:
    return RedirectResponse(f"{PREFIX}/static/{__version__}/favicon.svg", 301)
