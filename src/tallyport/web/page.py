"""One page: who asks, what is asked, and how the answer is drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tallyport import __version__
from tallyport.control.desk import Caller, Desk, Right
from tallyport.control.refusals import NotSignedIn
from tallyport.web import shown
from tallyport.web.doorway import PREFIX

HERE = Path(__file__).parent
STATIC = HERE / "static"

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # the form editor writes style attributes
        "img-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Link(NamedTuple):
    """One line of the navigation."""

    to: str
    name: str
    icon: str
    right: Right = Right.READ


class Section(NamedTuple):
    """Lines that belong together."""

    name: str
    links: Sequence[Link]


SECTIONS: Sequence[Section] = (
    Section(
        "",
        (
            Link("/approvals", "Approvals", "checklist"),
            Link("/connections", "Connections", "plug"),
            Link("/maps", "Maps", "map"),
            Link("/schedules", "Schedules", "calendar"),
            Link("/reports", "Reports", "chart-bar"),
        ),
    ),
    Section(
        "Server",
        (
            Link("/users", "Users", "users", Right.AUDIT),
            Link("/webhooks", "Webhooks", "webhook", Right.MANAGE),
            Link("/secrets", "Secrets", "key", Right.MANAGE),
            Link("/audit", "Admin audit", "history", Right.AUDIT),
            Link("/settings", "Settings", "settings", Right.ADMIN),
            Link("/about", "About", "info-circle"),
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page has at hand. ``someone`` is absent only on the pages that need no sign-in."""

    request: Request
    desk: Desk
    someone: Caller | None
    form: Mapping[str, str]

    @property
    def caller(self) -> Caller:
        if self.someone is None:
            raise NotSignedIn("sign in first")
        return self.someone

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    @property
    def sections(self) -> "Sequence[Section]":
        """Give the navigation that the caller may use."""
        kept = [
            Section(one.name, [link for link in one.links if self.someone and self.someone.may(link.right)])
            for one in SECTIONS
        ]
        return [one for one in kept if one.links]

    def part(self, name: str) -> str:
        """Give a part of the path."""
        return str(self.request.path_params[name])

    def whole(self, name: str, default: int, *, most: int = 1 << 62) -> int:
        """Read a whole number of the query; what cannot be read is the default."""
        text = self.query.get(name, "")
        return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 19 else default

    def several(self, name: str) -> list[str]:
        """Read a repeated or comma separated parameter."""
        return [word for value in self.request.query_params.getlist(name) for word in value.split(",") if word]

    def with_query(self, **changes: object) -> str:
        """Give this page's address with some parameters changed; None takes one away."""
        kept = [(k, v) for k, v in self.request.query_params.multi_items() if k not in changes]
        query = urlencode([*kept, *((k, v) for k, v in changes.items() if v is not None)])
        return f"{self.request.url.path}{'?' if query else ''}{query}"

    def filters(self, *without: str) -> str:
        """Give the query of this page without where in the list it is: what an export takes."""
        dropped = {"cursor", "offset", *without}
        return urlencode([(k, v) for k, v in self.request.query_params.multi_items() if k not in dropped])

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """Draw a template."""
        text = environment().get_template(template).render(page=self, who=self.someone, Right=Right, **values)
        strict = {"Strict-Transport-Security": "max-age=31536000"} if self.request.url.scheme == "https" else {}
        return HTMLResponse(text, status, {**HEADERS, **strict})


class Route(NamedTuple):
    """A page, where it is, and the right it asks for; None asks for no sign-in.

    ``fresh``: seconds for which what was drawn is handed to everybody who has the right. Only for what is the same
    for all of them, whoever asks and however.
    """

    path: str
    draw: Callable[[Page], Response]
    right: Right | None
    method: str = "GET"
    fresh: float = 0.0


def pages(*several: tuple[str, Callable[[Page], Response]], right: Right | None = Right.READ) -> Sequence[Route]:
    """List pages that ask for the same right."""
    return [Route(path, draw, right) for path, draw in several]


@cache
def environment() -> jinja2.Environment:
    """Give the templates, ready to draw: everything escaped, nothing undefined passed over."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.policies["json.dumps_kwargs"] = {"sort_keys": False, "ensure_ascii": True}
    made.filters |= {
        "size": shown.size,
        "number": shown.number,
        "rate": shown.rate,
        "duration": shown.duration,
        "when": shown.when,
        "when_file": shown.when_file,
        "path": shown.path,
        "many": shown.many,
        "code": shown.code,
    }
    made.globals |= {
        "prefix": PREFIX,
        "static": f"{PREFIX}/static/{__version__}",
        "version": __version__,
        "state_of": shown.state,
        "item_of": shown.item,
        "kept_by": shown.kept_by,
        "ITEMS": shown.ITEMS,
        "LEVELS": shown.LEVELS,
        "icon": icon,
        "query": urlencode,
    }
    return made


def icon(name: str, more: str = "") -> Markup:
    """Draw an icon of the sprite; it says nothing to a screen reader."""
    return Markup('<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>').format(
        more, f"{PREFIX}/static/{__version__}/vendor/icons/sprite.svg", name
    )
