"""Signing in and out."""

from starlette.responses import RedirectResponse, Response

from tallyport.control import users
from tallyport.control.users import SignInRefused
from tallyport.web import session
from tallyport.web.doorway import PREFIX
from tallyport.web.page import HEADERS, Page, Route


def ask(page: Page) -> Response:
    """Ask for name and password."""
    if page.someone is not None:
        return RedirectResponse(_there(page.query.get("to", "")), 303, HEADERS)
    return page.render("sign_in.html", to=_there(page.query.get("to", "")), wrong=None, name="")


def sign_in(page: Page) -> Response:
    """Open a session, or say that name or password is wrong."""
    there = _there(page.form.get("to", ""))
    name = page.form.get("name", "")
    try:
        opened = users.sign_in(page.desk.database, name, page.form.get("password", ""))
    except SignInRefused as error:
        return page.render("sign_in.html", 401, to=there, wrong=error.message, name=name)
    response = RedirectResponse(there, 303, HEADERS)
    session.keep(response, page.request.scope, opened.token, opened.seconds)
    return response


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
    Route(f"{PREFIX}/sign-out", sign_out, None, "POST"),
)
