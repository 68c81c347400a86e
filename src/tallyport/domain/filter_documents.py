"""Reading the filter of one side from JSON: a list of include and exclude blocks of rules."""

from collections.abc import Callable, Mapping

from tallyport.domain.documents import Reader, pointer
from tallyport.domain.filters import GROUPS, RULE_TYPES
from tallyport.domain.policies import FilterBlock, FilterRule

_RANGE_TYPES = ["day", "week", "month", "year", "range"]
_PATTERN_TARGETS = ["container", "item", "all", "none"]
_LAST_SECOND = 253_402_300_799  # of the year 9999
_DATE_TARGETS = ["created_on", "modified_on", "accessed_on", "last_touched", "all", "none"]


def read_filter(reader: Reader, value: object, path: str) -> tuple[FilterBlock, ...] | None:
    """Read the blocks of one side; None after a problem."""
    before = len(reader.problems)
    blocks = [_block(reader, member, here) for here, member in reader.items(value, path)]
    return tuple(blocks) if len(reader.problems) == before else None


def _block(reader: Reader, value: object, path: str) -> FilterBlock:
    members = reader.members(value, path, ("type", "action", "rules"))
    if "type" in members:
        reader.choice(members["type"], pointer(path, "type"), ["filter_rule"])
    action = reader.choice(members.get("action", "exclude"), pointer(path, "action"), ["include", "exclude"])
    here = pointer(path, "rules")
    if "rules" not in members and isinstance(value, dict):
        reader.wrong(here, "missing", "is needed: a list of rules")
    rules = [rule for at, member in reader.items(members.get("rules", []), here) for rule in _rules(reader, member, at)]
    if isinstance(members.get("rules"), list) and not members["rules"]:
        reader.wrong(here, "out_of_range", "must hold at least one rule")
    return FilterBlock(action=action or "exclude", rules=tuple(rules))


def _rules(reader: Reader, value: object, path: str) -> list[FilterRule]:
    """Read one rule, or the rules that a published sample nests inside one."""
    if not isinstance(value, dict):
        reader.wrong_type(value, path, "an object: a rule")
        return []
    words = [f"filter_{name}" for name in RULE_TYPES]
    given = value.get("type")
    if given is None:
        reader.wrong(pointer(path, "type"), "missing", "is needed", words)
        return []
    kind = given.removeprefix("filter_") if isinstance(given, str) else given
    if kind not in RULE_TYPES:
        reader.choice(given, pointer(path, "type"), words)
        return []
    if isinstance(value.get("rules"), list):
        nested = [{**member, "type": kind} if isinstance(member, dict) else member for member in value["rules"]]
        return [
            rule for at, member in reader.items(nested, pointer(path, "rules")) for rule in _rules(reader, member, at)
        ]
    rule = _READERS[kind](reader, value, path)
    return [] if rule is None else [rule]


def _needed(reader: Reader, members: Mapping[str, object], name: str, path: str) -> object:
    if name not in members:
        reader.wrong(pointer(path, name), "missing", "is needed")
    return members.get(name)


def _listed(reader: Reader, value: object, path: str, name: str) -> tuple[str, ...] | None:
    members = reader.members(value, path, ("type", name))
    given = _needed(reader, members, name, path)
    if given is None:
        return None
    texts = reader.texts(given, pointer(path, name))
    if given == []:
        reader.wrong(pointer(path, name), "out_of_range", "must not be empty")
    return texts or None


def _extension(reader: Reader, value: object, path: str) -> FilterRule | None:
    extensions = _listed(reader, value, path, "extensions")
    return None if extensions is None else FilterRule(type="extension", extensions=extensions)


def _pattern(reader: Reader, value: object, path: str) -> FilterRule | None:
    members = reader.members(value, path, ("type", "text", "targets"))
    given = _needed(reader, members, "text", path)
    text = None if given is None else reader.text(given, pointer(path, "text"))
    targets = _targets(reader, members, path, _PATTERN_TARGETS)
    return None if text is None else FilterRule(type="pattern", text=text, targets=targets)


def _size(reader: Reader, value: object, path: str) -> FilterRule | None:
    members = reader.members(value, path, ("type", "min", "max"))
    bounds = {
        name: reader.whole(members[name], pointer(path, name), least=0) for name in ("min", "max") if name in members
    }
    if not bounds:
        reader.wrong(path, "missing", "needs min, max or both, in bytes")
        return None
    low, high = bounds.get("min"), bounds.get("max")
    if low is not None and high is not None and low > high:
        reader.wrong(path, "out_of_range", "min is above max")
    return FilterRule(type="size", min=low, max=high)


def _date(reader: Reader, value: object, path: str) -> FilterRule | None:
    members = reader.members(value, path, ("type", "targets", "range"))
    targets = _targets(reader, members, path, _DATE_TARGETS)
    given = _needed(reader, members, "range", path)
    if given is None:
        return None
    here = pointer(path, "range")
    span = reader.members(given, here, ("type", "from", "to", "value"))
    kind = reader.choice(span.get("type", "day"), pointer(here, "type"), _RANGE_TYPES)
    if kind is None:
        return None
    if kind == "range":
        ends = {
            name: reader.number(span[name], pointer(here, name), least=0, most=_LAST_SECOND)
            for name in ("from", "to")
            if name in span
        }
        if not ends:
            reader.wrong(here, "missing", "needs from, to or both, in seconds since 1970")
        since, until = (None if end is None else int(end * 1_000_000_000) for end in (ends.get("from"), ends.get("to")))
        return FilterRule(type="date", targets=targets, range_type=kind, since=since, until=until)
    count = _needed(reader, span, "value", here)
    number = None if count is None else reader.whole(count, pointer(here, "value"), least=1, most=100_000)
    return FilterRule(type="date", targets=targets, range_type=kind, value=number)


def _bare(kind: str) -> Callable[[Reader, object, str], FilterRule]:
    def read(reader: Reader, value: object, path: str) -> FilterRule:
        reader.members(value, path, ("type",))
        return FilterRule(type=kind)

    return read


def _group(reader: Reader, value: object, path: str) -> FilterRule | None:
    given = _listed(reader, value, path, "groups")
    if given is None:
        return None
    names = {name.lower(): name for name in GROUPS}
    groups = []
    for index, name in enumerate(given):
        if name.lower() in names:
            groups.append(names[name.lower()])
        else:
            reader.choice(name, pointer(pointer(path, "groups"), index), list(GROUPS))
    return FilterRule(type="group", groups=tuple(groups))


def _path(reader: Reader, value: object, path: str) -> FilterRule | None:
    given = _listed(reader, value, path, "paths")
    if given is None:
        return None
    for index, text in enumerate(given):
        if not text.startswith("/"):
            here = pointer(pointer(path, "paths"), index)
            reader.wrong(here, "out_of_range", "must start with /, counted from the source path")
    return FilterRule(type="path", paths=tuple(text.strip("/") for text in given))


def _targets(reader: Reader, members: Mapping[str, object], path: str, words: list[str]) -> tuple[str, ...]:
    given = members.get("targets")
    if given is None:
        return ()
    here = pointer(path, "targets")
    texts = reader.texts(given, here) or ()
    return tuple(text for index, text in enumerate(texts) if reader.choice(text, pointer(here, index), words))


_READERS: Mapping[str, Callable[[Reader, object, str], FilterRule | None]] = {
    "extension": _extension,
    "pattern": _pattern,
    "size": _size,
    "date": _date,
    "shared": _bare("shared"),
    "hidden": _bare("hidden"),
    "group": _group,
    "path": _path,
}
