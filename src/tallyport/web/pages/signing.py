"""Signing in and out."""

from starlette.responses import RedirectResponse, Response

from tallyport.control import accounts, users
from tallyport.control.refusals import Refusal
from tallyport.control.users import SignInRefused, TooManyAttempts
from tallyport.web import session
from tallyport.web.doorway import PREFIX
from tallyport.web.page import HEADERS, Page, Route


def ask(page: Page) -> Response:
    """Ask for name and password."""
    if page.someone is not None:
        return RedirectResponse(_there(page.query.get("to", "")), 303, HEADERS)
    there = _there(page.query.get("to", ""))
    return page.render("sign_in.html", to=there, wrong=None, name="")


def sign_in(page: Page) -> Response:
    """Open a session, or say that name or password is wrong."""
    there = _there(page.form.get("to", ""))
    name = page.form.get("name", "")
    try:
        with page.request.app.state.attempts.guarded(_address(page)):
            opened = users.sign_in(page.desk.database, name, page.form.get("password", ""))
    except (SignInRefused, TooManyAttempts) as error:
        return page.render("sign_in.html", 401, to=there, wrong=error.message, name=name)
    response = RedirectResponse(there, 303, HEADERS)
    session.keep(response, page.request.scope, opened.token, opened.seconds)
    return response


def set_up(page: Page) -> Response:
    """Ask for the first administrator: whoever has the link that the server printed makes it."""
    needed = accounts.needs_setup(page.desk.database)
    return page.render("setup.html", needed=needed, wrong=None, name="", email="", token="")


def finish_setup(page: Page) -> Response:
    """Make the first administrator and sign them in."""
    form = page.form
    token, name, email = form.get("token", ""), form.get("name", ""), form.get("email", "")
    try:
        with page.request.app.state.attempts.guarded(_address(page)):
            opened = accounts.set_up(page.desk.database, token, name, form.get("password", ""), email or None)
    except Refusal as error:
        needed = accounts.needs_setup(page.desk.database)
        return page.render("setup.html", 400, needed=needed, wrong=error.message, name=name, email=email, token=token)
    response = RedirectResponse(f"{PREFIX}/", 303, HEADERS)
    session.keep(response, page.request.scope, opened.token, opened.seconds)
    return response


def _address(page: Page) -> str:
    return page.request.client.host if page.request.client is not None else ""


def sign_out(page: Page) -> Response:
    """End the session."""
    token = session.token_of(page.request.scope)
    if token is not None:
        users.sign_out(page.desk.database, token)
    response = RedirectResponse(f"{PREFIX}/sign-in", 303, HEADERS)
    session.drop(response, page.request.scope)
    return response


def _there(to: str) -> str:
    """Give where to go after signing in: a page of ours, never another site."""
    is_ours = to.startswith(f"{PREFIX}/") and not any(c in to for c in "\\\r\n\t")
    return to if is_ours and not to.startswith(f"{PREFIX}/sign") else f"{PREFIX}/"


ROUTES = (
    Route(f"{PREFIX}/sign-in", ask, None),
    Route(f"{PREFIX}/sign-in", sign_in, None, "POST"),
    Route("/setup", set_up, None),
    Route("/setup", finish_setup, None, "POST"),
    Route(f"{PREFIX}/sign-out", sign_out, None, "POST"),
)
