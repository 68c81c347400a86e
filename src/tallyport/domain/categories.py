"""Error categories: which failures are alike, how often they are tried, and what else they lead to.

Eleven are built in and cover every failure. A person adds others, for one job or for all; of those that match a
failure the one with the highest priority counts, a job's own before one for all jobs. Rules of one category stand
beside each other: any of them is enough.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from tallyport.domain.actions import Reason
from tallyport.domain.documents import Reader, pointer
from tallyport.domain.patterns import matcher

BUILT_IN_PRIORITY = 5_000
CUSTOM_PRIORITY = 10_000
LEVELS = {"trace": 1, "debug": 2, "info": 3, "warn": 4, "error": 5}


class CategoryAction(StrEnum):
    """What a failure of a category leads to."""

    RETRY = "retry"  # tried again in later executions, up to max_retry tries, then flagged
    IGNORE = "ignore"  # flagged at once
    HALT = "halt"  # flagged, the execution stops, and the job does not run again


class Failure(NamedTuple):
    """What is known of one failure."""

    reason: str
    message: str = ""
    path: str = ""

    @property
    def audit_type(self) -> int:
        return AUDIT_TYPES[self.reason].number if self.reason in AUDIT_TYPES else UNKNOWN.number

    def fact(self, name: str) -> object:
        """Give the fact of a context name; None where there is none."""
        facts: Mapping[str, object] = {
            "audit_type": self.audit_type,
            "audit_level": LEVELS["error"],
            "message": self.message,
            "event_type": self.reason,
            "hresult": None,
            "exception": self.reason,
        }
        return facts[name]


class AuditType(NamedTuple):
    """A built-in category and its number in the audit."""

    number: int
    name: str


UNKNOWN = AuditType(5001, "Unknown failures")
_BUILT_IN: Mapping[AuditType, tuple[Reason, ...]] = {
    UNKNOWN: (Reason.UNEXPECTED, Reason.CANCELLED, Reason.CORRUPT, Reason.CHANGED_DURING_COPY),
    AuditType(5002, "Conflict failures"): (Reason.CONFLICT, Reason.TIMES_TOO_CLOSE, Reason.KIND_CONFLICT),
    AuditType(5003, "Io failures"): (Reason.IO_ERROR, Reason.NO_SPACE, Reason.READ_ONLY, Reason.NOT_LISTED),
    AuditType(5004, "Invalid Item failures"): (Reason.INVALID_NAME, Reason.UNSUPPORTED),
    AuditType(5005, "Duplicate Item failures"): (Reason.ALREADY_EXISTS,),
    AuditType(5006, "Item Not Found failures"): (Reason.NOT_FOUND,),
    AuditType(5007, "Policy failures"): (
        Reason.TOO_LARGE,
        Reason.TOO_MANY_ITEMS,
        Reason.SYMLINK_REFUSED,
        Reason.OVERWRITE_REFUSED,
    ),
    AuditType(5008, "Permission failures"): (Reason.PERMISSION_DENIED,),
    AuditType(5009, "Access failures"): (Reason.LOCKED, Reason.UNAUTHENTICATED),
    AuditType(5010, "Connectivity failures"): (Reason.RATE_LIMITED, Reason.UNAVAILABLE, Reason.TIMEOUT),
    AuditType(5011, "License failures"): (Reason.CONFIG,),
}
AUDIT_TYPES: Mapping[str, AuditType] = {
    str(reason): audit_type for audit_type, reasons in _BUILT_IN.items() for reason in reasons
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One category as stored."""

    id: int = 0  # 0: not stored; built-in ones have their audit type
    job_id: str | None = None  # None: for all jobs
    name: str
    description: str = ""
    rules: tuple[Mapping[str, Any], ...] = ()  # as given
    action: CategoryAction = CategoryAction.RETRY
    max_retry: int = 3
    level: str = "error"
    priority: int = CUSTOM_PRIORITY


class Verdict(NamedTuple):
    """What the categories say of a failure."""

    category: str
    action: CategoryAction
    max_retry: int
    is_custom: bool


Test = Callable[[Failure], bool]


class Judge:
    """Judges failures by a job's categories; built once an execution."""

    def __init__(self, custom: Iterable[Category], *, max_attempts: int) -> None:
        ordered = sorted(custom, key=lambda one: (-one.priority, one.job_id is None, one.name))
        self._custom = [(one, _any(one.rules)) for one in ordered]
        self._max_attempts = max_attempts
        self.most_tries = max([max_attempts, *(one.max_retry for one in ordered)])

    def judge(self, failure: Failure) -> Verdict:
        """Say which category a failure belongs to; a built-in one where no other does."""
        for category, matches in self._custom:
            if matches(failure):
                return Verdict(category.name, category.action, category.max_retry, is_custom=True)
        name = AUDIT_TYPES.get(failure.reason, UNKNOWN).name
        return Verdict(name, CategoryAction.RETRY, self._max_attempts, is_custom=False)


def built_in(*, max_attempts: int = 3) -> tuple[Category, ...]:
    """Give the built-in categories as they are shown."""
    return tuple(
        Category(
            id=kind.number,
            name=kind.name,
            description=f"Reasons: {', '.join(reasons)}",
            rules=({"type": "filter_context", "text": f"[audit_type] eq {kind.number}"},),
            max_retry=max_attempts,
            priority=BUILT_IN_PRIORITY,
        )
        for kind, reasons in _BUILT_IN.items()
    )


# -- rules

NAMES = ("audit_type", "audit_level", "message", "event_type", "hresult", "exception")
NUMBERS = frozenset({"audit_type", "audit_level", "hresult"})
_SIGNS = {"=": "eq", "==": "eq", "!=": "ne", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def _text(value: object) -> str:
    return "" if value is None else str(value).casefold()


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda fact, value: _text(fact) == _text(value),
    "ne": lambda fact, value: _text(fact) != _text(value),
    "lt": lambda fact, value: fact is not None and fact < value,
    "le": lambda fact, value: fact is not None and fact <= value,
    "gt": lambda fact, value: fact is not None and fact > value,
    "ge": lambda fact, value: fact is not None and fact >= value,
    "starts_with": lambda fact, value: _text(fact).startswith(_text(value)),
    "not_starts_with": lambda fact, value: not _text(fact).startswith(_text(value)),
    "ends_with": lambda fact, value: _text(fact).endswith(_text(value)),
    "not_ends_with": lambda fact, value: not _text(fact).endswith(_text(value)),
    "contains": lambda fact, value: _text(value) in _text(fact),
    "not_contains": lambda fact, value: _text(value) not in _text(fact),
    "in": lambda fact, value: _text(fact) in map(_text, value),
    "not_in": lambda fact, value: _text(fact) not in map(_text, value),
    "empty": lambda fact, value: _text(fact) == "",
    "not_empty": lambda fact, value: _text(fact) != "",
}
OPERATORS = tuple(_OPERATORS)
_ORDERED = ("lt", "le", "gt", "ge")
_BARE = ("empty", "not_empty")
_LISTS = ("in", "not_in")


class Comparison(NamedTuple):
    """One fact against one value. ``joins`` says how it stands to the one before it."""

    name: str
    op: str
    value: Any = None
    joins: str = "and"


def _any(rules: Sequence[Mapping[str, Any]]) -> Test:
    tests = [_test(rule) for rule in rules]
    return lambda failure: any(test(failure) for test in tests)


def _test(rule: Mapping[str, Any]) -> Test:
    if rule["type"] in ("filter_pattern", "pattern"):
        named = matcher(rule["text"])
        return lambda failure: named(failure.path.rpartition("/")[2]) or named(f"/{failure.path}")
    comparisons, _ = _comparisons(rule)
    return lambda failure: _holds(comparisons, failure)


def _holds(comparisons: Sequence[Comparison], failure: Failure) -> bool:
    """Tell whether a chain holds; ``and`` binds before ``or``."""
    together = True
    for comparison in comparisons:
        if comparison.joins == "or":
            if together:
                return True
            together = True
        fact = failure.fact(comparison.name)
        together = together and _OPERATORS[comparison.op](fact, comparison.value)
    return together


def _comparisons(rule: Mapping[str, Any]) -> tuple[list[Comparison], str]:
    """Give the comparisons of a context rule, or what is wrong with it."""
    if "text" in rule:
        return parse(rule["text"])
    given = rule["filter"] if isinstance(rule["filter"], list) else [rule["filter"]]
    found = [Comparison(one["name"], one["op"], one.get("value"), one.get("select", "and")) for one in given]
    return found, ""


_TOKEN = re.compile(
    r"""\s*(?:\[(?P<name>[a-z_]+)\]|(?P<number>-?\d+)|'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<sign>[<>=!]+)|"""
    r"""(?P<word>[a-z_]+)|(?P<mark>[(),]))"""
)


def parse(text: str) -> tuple[list[Comparison], str]:
    """Read ``[audit_type] >= 5000 and [message] contains 'quota'``; the second member says what is wrong."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            return [], f"cannot read {text[at:].strip()[:20]!r}"
        kind = str(found.lastgroup)
        tokens.append((kind, found.group(kind)))
        at = found.end()
    comparisons: list[Comparison] = []
    joins = "and"
    while tokens:
        kind, name = tokens.pop(0)
        if kind != "name" or name not in NAMES:
            return [], f"a comparison begins with one of {', '.join(f'[{one}]' for one in NAMES)}, not {name!r}"
        kind, op = tokens.pop(0) if tokens else ("", "")
        op = _SIGNS.get(op, op)
        if op not in _OPERATORS:
            return [], f"after [{name}] stands an operator ({', '.join(OPERATORS)}), not {op!r}"
        value: Any = None
        if op in _LISTS:
            value, wrong = _list(tokens)
            if wrong:
                return [], wrong
        elif op not in _BARE:
            if not tokens or tokens[0][0] not in ("number", "single", "double"):
                return [], f"after {op} stands a number or a text in quotes"
            value = _value(tokens.pop(0))
        if op in _ORDERED and (name not in NUMBERS or not isinstance(value, int)):
            return [], f"{op} compares numbers: {', '.join(sorted(NUMBERS))}"
        comparisons.append(Comparison(name, op, value, joins))
        if tokens:
            _, joins = tokens.pop(0)
            if joins not in ("and", "or") or not tokens:
                return [], "comparisons are joined by `and` or `or`"
    return comparisons, "" if comparisons else "is empty"


def _value(token: tuple[str, str]) -> int | str:
    return int(token[1]) if token[0] == "number" else token[1]


def _list(tokens: list[tuple[str, str]]) -> tuple[list[int | str], str]:
    found: list[int | str] = []
    if not tokens or tokens.pop(0) != ("mark", "("):
        return [], "a list stands in parentheses: (5001, 5002)"
    while tokens:
        token = tokens.pop(0)
        if token == ("mark", ")"):
            return found, "" if found else "a list has at least one member"
        if token == ("mark", ","):
            continue
        if token[0] not in ("number", "single", "double"):
            break
        found.append(_value(token))
    return [], "a list holds numbers or texts in quotes and ends with )"


# -- documents

MEMBERS = ("name", "description", "filter", "action", "max_retry", "level", "priority", "job")


def read_category(document: object, *, path: str = "") -> Category:
    """Read a category from outside. Raises ``BlockErrors`` with every problem in it."""
    reader = Reader()
    members = reader.members(document, path, MEMBERS)
    name = reader.text(members["name"], pointer(path, "name")) if "name" in members else None
    if "name" not in members:
        reader.wrong(pointer(path, "name"), "missing", "is needed")
    values: dict[str, Any] = {}
    if "description" in members:
        values["description"] = reader.text(members["description"], pointer(path, "description"))
    if "action" in members:
        values["action"] = reader.word(members["action"], pointer(path, "action"), CategoryAction)
    if "max_retry" in members:
        values["max_retry"] = reader.whole(members["max_retry"], pointer(path, "max_retry"), least=1, most=1_000)
    if "level" in members:
        values["level"] = reader.choice(members["level"], pointer(path, "level"), list(LEVELS))
    if "priority" in members:
        values["priority"] = reader.whole(members["priority"], pointer(path, "priority"), least=0, most=1_000_000)
    if "job" in members:
        values["job_id"] = reader.text(members["job"], pointer(path, "job"))
    rules: list[Mapping[str, Any]] = []
    if "filter" not in members:
        reader.wrong(pointer(path, "filter"), "missing", 'is needed: {"rules": [...]}')
    else:
        here = pointer(path, "filter")
        given = reader.members(members["filter"], here, ("rules",))
        for place, rule in reader.items(given.get("rules", []), pointer(here, "rules")):
            read = _read_rule(reader, rule, place)
            if read is not None:
                rules.append(read)
        if not reader.problems and not rules:
            reader.wrong(pointer(here, "rules"), "out_of_range", "needs at least one rule")
    reader.finish()
    return Category(name=str(name), rules=tuple(rules), **values)


_TYPES = ["filter_context", "filter_pattern"]


def _read_rule(reader: Reader, value: object, path: str) -> Mapping[str, Any] | None:
    members = reader.members(value, path, ("type", "text", "filter"))
    if "type" not in members:
        reader.wrong(pointer(path, "type"), "missing", "is needed", _TYPES)
        return None
    kind = reader.choice(members["type"], pointer(path, "type"), _TYPES)
    if kind is None:
        return None
    if ("text" in members) is ("filter" in members and kind == "filter_context"):
        wanted = "give either text or filter" if kind == "filter_context" else "give text"
        reader.wrong(path, "missing", wanted)
        return None
    if "filter" in members:
        return _read_comparisons(reader, members["filter"], pointer(path, "filter"))
    text = reader.text(members["text"], pointer(path, "text"))
    if text is not None and kind == "filter_context":
        _, wrong = parse(text)
        if wrong:
            reader.wrong(pointer(path, "text"), "unknown_value", wrong)
            return None
    return None if text is None else {"type": kind, "text": text}


def _read_comparisons(reader: Reader, value: object, path: str) -> Mapping[str, Any] | None:
    given = reader.items(value, path) if isinstance(value, list) else [(path, value)]
    before = len(reader.problems)
    found = []
    for here, one in given:
        members = reader.members(one, here, ("name", "op", "value", "select"))
        for needed in ("name", "op"):
            if needed not in members:
                reader.wrong(pointer(here, needed), "missing", "is needed")
        name = reader.choice(members.get("name", NAMES[0]), pointer(here, "name"), list(NAMES))
        op = reader.choice(members.get("op", "eq"), pointer(here, "op"), list(OPERATORS))
        if "select" in members:
            reader.choice(members["select"], pointer(here, "select"), ["and", "or"])
        _read_value(reader, members.get("value"), pointer(here, "value"), name, op)
        found.append({key: members[key] for key in ("name", "op", "value", "select") if key in members})
    return {"type": "filter_context", "filter": found} if len(reader.problems) == before and found else None


def _read_value(reader: Reader, value: object, path: str, name: str | None, op: str | None) -> None:
    if op is None or name is None or op in _BARE:
        return
    if op in _LISTS:
        reader.items(value, path)
    elif op in _ORDERED:
        if name not in NUMBERS:
            reader.wrong(path, "wrong_type", f"{op} compares numbers: {', '.join(sorted(NUMBERS))}")
        else:
            reader.whole(value, path, least=-(2**63), most=2**63)
    elif isinstance(value, bool) or not isinstance(value, int | str):
        reader.wrong_type(value, path, "a number or text")
