"""Items: the filters of their lists, and everything that is known of one."""

from typing import NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from tallyport.control import items
from tallyport.control.desk import Right
from tallyport.control.items import Wanted
from tallyport.domain.actions import EQUAL, GONE, Reason
from tallyport.domain.entries import Kind
from tallyport.domain.items import Status
from tallyport.domain.losses import BITS, Fact
from tallyport.domain.words import ADVICE, REASONS, STATUSES
from tallyport.web import shown
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages

_SIZE = 100
_BY_WORD = {words[0]: Status(status) for status, words in shown.ITEMS.items()}
_KINDS = {"file": Kind.FILE, "container": Kind.CONTAINER, "symlink": Kind.SYMLINK, "special": Kind.SPECIAL}


_NO_CONTAINER = tuple(int(one) for one in Kind if one is not Kind.CONTAINER)
_SETTLED = (Status.SUCCESS, Status.PROCESSED)


class Outcome(NamedTuple):
    """One of the totals of a run: which items it counts. A total counts no containers, but for those left out."""

    words: str
    statuses: tuple[Status, ...]
    reasons: tuple[str, ...]


OUTCOMES = {
    "carried": Outcome("carried", _SETTLED, tuple(sorted(set(Reason) - EQUAL - GONE))),
    "equal": Outcome("known equal", _SETTLED, tuple(sorted(EQUAL))),
    "deleted": Outcome("deleted", _SETTLED, tuple(sorted(GONE - {Reason.MOVED}))),
    "good": Outcome("carried or equal", _SETTLED, tuple(sorted(set(Reason) - GONE | {Reason.MOVED}))),
}


class Chosen(NamedTuple):
    """The filters as the form shows them."""

    statuses: tuple[str, ...]
    kinds: tuple[str, ...]
    reason: str
    text: str
    execution: int
    outcome: str
    lost: str

    @property
    def export(self) -> str:
        """Give the same choice in the words of the API."""
        asked = OUTCOMES.get(self.outcome)
        statuses = self.statuses or tuple(shown.ITEMS[one][0] for one in (asked.statuses if asked else ()))
        kinds = self.kinds or (tuple(word for word in _KINDS if word != "container") if asked else ())
        reasons = (self.reason,) if self.reason else (asked.reasons if asked else ())
        chosen = {"status": ",".join(statuses), "type": ",".join(kinds), "reason": ",".join(reasons)}
        chosen |= {"q": self.text, "execution": str(self.execution or ""), "lost": self.lost}
        return urlencode({key: value for key, value in chosen.items() if value})


def item_filters(page: Page) -> tuple[Wanted, Chosen]:
    """Read the filters of a list of items; a word that is none of a filter's counts as absent."""
    statuses = tuple(word for word in page.several("status") if word in _BY_WORD)
    kinds = tuple(word for word in page.several("type") if word in _KINDS)
    reason = page.query.get("reason", "")
    reason = reason if reason in set(Reason) else ""
    text = page.query.get("q", "").replace("\0", "")
    execution = page.whole("execution", 0)
    outcome = page.query.get("outcome", "")
    outcome = outcome if outcome in OUTCOMES else ""
    lost = page.query.get("lost", "")
    lost = lost if lost in set(Fact) else ""
    asked = OUTCOMES.get(outcome)
    wanted = Wanted(
        statuses=sorted({_BY_WORD[word] for word in statuses} or (asked.statuses if asked else ())) or tuple(Status),
        kinds=tuple(int(_KINDS[word]) for word in kinds) or (_NO_CONTAINER if asked else ()),
        reasons=(reason,) if reason else (asked.reasons if asked else ()),
        text=text or None,
        execution=execution or None,
        lost=BITS[Fact(lost)] if lost else None,
        after=page.whole("cursor", 0),
        limit=_SIZE,
    )
    return wanted, Chosen(statuses, kinds, reason, text, execution, outcome, lost)


def explain(page: Page) -> Response:
    """Show what happened to one item, and why."""
    number = page.part("item")
    found = items.explain(page.desk, int(number) if number.isdecimal() and len(number) < 19 else 0)
    status = Status(found.item.status)
    return page.render(
        "item.html",
        found=found,
        lacks=items.lacking(found.item, found.losses),
        ranges=items.parts(page.desk, found.item.id, limit=_SIZE) if found.shares else [],
        item=found.item,
        job=found.job,
        kind=Kind(found.item.kind).name.lower(),
        says=STATUSES.get(status.name.lower(), ""),
        why=REASONS.get(found.item.reason, ""),
        advice=ADVICE.get(found.item.reason, ""),
        may_settle=page.caller.may(Right.RUN),
    )


ROUTES = pages((f"{PREFIX}/items/{{item}}", explain))
