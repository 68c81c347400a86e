"""Items: the filters of their lists, and everything that is known of one."""

from typing import NamedTuple

from starlette.responses import Response

from tallyport.control import items
from tallyport.control.desk import Right
from tallyport.control.items import Wanted
from tallyport.domain.actions import Reason
from tallyport.domain.entries import Kind
from tallyport.domain.items import Status
from tallyport.domain.words import ADVICE, REASONS, STATUSES
from tallyport.web import shown
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages

_SIZE = 100
_BY_WORD = {words[0]: Status(status) for status, words in shown.ITEMS.items()}
_KINDS = {"file": Kind.FILE, "container": Kind.CONTAINER, "symlink": Kind.SYMLINK, "special": Kind.SPECIAL}


class Chosen(NamedTuple):
    """The filters as the form shows them."""

    statuses: tuple[str, ...]
    kinds: tuple[str, ...]
    reason: str
    text: str
    execution: int


def item_filters(page: Page) -> tuple[Wanted, Chosen]:
    """Read the filters of a list of items; a word that is none of a filter's counts as absent."""
    statuses = tuple(word for word in page.several("status") if word in _BY_WORD)
    kinds = tuple(word for word in page.several("type") if word in _KINDS)
    reason = page.query.get("reason", "")
    reason = reason if reason in set(Reason) else ""
    text = page.query.get("q", "").replace("\0", "")
    execution = page.whole("execution", 0)
    wanted = Wanted(
        statuses=sorted({_BY_WORD[word] for word in statuses}) or tuple(Status),
        kinds=tuple(int(_KINDS[word]) for word in kinds),
        reasons=(reason,) if reason else (),
        text=text or None,
        execution=execution or None,
        after=page.whole("cursor", 0),
        limit=_SIZE,
    )
    return wanted, Chosen(statuses, kinds, reason, text, execution)


def explain(page: Page) -> Response:
    """Show what happened to one item, and why."""
    number = page.part("item")
    found = items.explain(page.desk, int(number) if number.isdecimal() and len(number) < 19 else 0)
    status = Status(found.item.status)
    return page.render(
        "item.html",
        found=found,
        item=found.item,
        job=found.job,
        kind=Kind(found.item.kind).name.lower(),
        says=STATUSES.get(status.name.lower(), ""),
        why=REASONS.get(found.item.reason, ""),
        advice=ADVICE.get(found.item.reason, ""),
        may_settle=page.caller.may(Right.RUN),
    )


ROUTES = pages((f"{PREFIX}/items/{{item}}", explain))
