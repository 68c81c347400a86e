"""Users, their tokens, and one's own account."""

from starlette.responses import Response

from tallyport.control import accounts, tokens
from tallyport.control.desk import ROLES, Right
from tallyport.store import rows
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages

_SIZE = 100

ROLE_WORDS = {
    "viewer": "sees jobs, connections, items, reports",
    "operator": "also starts, pauses, cancels, retries, ignores",
    "manager": "also makes and changes jobs and connections",
    "admin": "also manages accounts, tokens and everything else",
    "auditor": "sees everything, also what administrators did; changes nothing",
}


def everyone(page: Page) -> Response:
    """Show every user."""
    offset = page.whole("offset", 0, most=1_000_000)
    text = page.query.get("q", "").replace("\0", "") or None
    role = page.query.get("role", "")
    found, total = accounts.page(page.desk, text=text, role=role if role in ROLES else None, offset=offset, limit=_SIZE)
    return page.render(
        "users.html", rows=found, total=total, offset=offset, size_of_page=_SIZE, roles=ROLE_WORDS, now=rows.now()
    )


def one(page: Page) -> Response:
    """Show one user with their tokens and sessions."""
    found = accounts.show(page.desk, page.part("user"))
    held, _ = tokens.page(page.desk, page.caller, user=found.id, offset=0, limit=200)
    return page.render("user.html", user=found, held=held, roles=ROLE_WORDS, now=rows.now(), rights=ROLES[found.role])


def me(page: Page) -> Response:
    """Show one's own account: password, tokens, sessions."""
    held, _ = tokens.page(page.desk, page.caller, user=page.caller.user_id, offset=0, limit=200)
    return page.render("me.html", held=held, roles=ROLE_WORDS, rights=[one for one in Right if page.caller.may(one)])


ROUTES = (
    *pages((f"{PREFIX}/users", everyone), (f"{PREFIX}/users/{{user}}", one), right=Right.AUDIT),
    *pages((f"{PREFIX}/me", me)),
)
