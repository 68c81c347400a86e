"""Sessions of browsers: a token in a cookie, and the refusal of requests that another site made."""

from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import Scope

NAME = "tallyport"
SECURE_NAME = "__Host-tallyport"  # over TLS: no other host or path can set it
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def header(scope: Scope, name: bytes) -> str | None:
    """Give one header of a request, or None."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None


def cookie_name(scope: Scope) -> str:
    """Give the name of the cookie for a request's scheme."""
    return SECURE_NAME if scope.get("scheme") == "https" else NAME


def token_of(scope: Scope) -> str | None:
    """Give the session token a browser sent, or None."""
    given = header(scope, b"cookie")
    if not given:
        return None
    try:
        morsel = SimpleCookie(given).get(cookie_name(scope))
    except CookieError:
        return None
    return None if morsel is None else morsel.value or None


def keep(response: Response, scope: Scope, token: str, seconds: int) -> None:
    """Give the browser its session."""
    response.set_cookie(
        cookie_name(scope),
        token,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="lax",
        secure=scope.get("scheme") == "https",
    )


def drop(response: Response, scope: Scope) -> None:
    """Take the session from the browser."""
    response.delete_cookie(cookie_name(scope), path="/", httponly=True, samesite="lax")


def is_foreign(scope: Scope) -> bool:
    """Tell whether another site made a request that may change something.

    Browsers say so themselves: ``Sec-Fetch-Site``, or the older ``Origin``. What sends neither is no browser and
    has no cookie of ours.
    """
    if scope["method"] in SAFE:
        return False
    site = header(scope, b"sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = header(scope, b"origin")
    return origin is not None and urlsplit(origin).netloc != header(scope, b"host")
