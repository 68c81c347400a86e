"""Account and group maps as documents: reading, with every problem told at once, and writing back."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.documents import Reader, pointer
from tallyport.domain.maps import (
    ACCOUNT_DEFAULTS,
    ACCOUNT_RULES,
    FIELDS,
    GROUP_DEFAULTS,
    GROUP_RULES,
    Pair,
    PrincipalMap,
    Rule,
    Unmapped,
    key_of,
)

KINDS: Mapping[str, PrincipalKind] = {"account_map": PrincipalKind.ACCOUNT, "group_map": PrincipalKind.GROUP}
KEYS = ("name", "type", "source", "destination", "map_by", "unmapped_policy", "exceptions")
TEXTS = ("id", "username", "name", "caption", "email")
_ALIASES = {"displayname": Rule.CAPTION, "externalpassthrough": Rule.EXTERNAL_PASSTHROUGH}
_LONGEST = 1_000  # characters of one text of a principal


class MapDraft(NamedTuple):
    """A map as somebody wants it, checked as far as the document alone allows."""

    name: str | None
    source_connection: str | None
    destination_connection: str | None
    map: PrincipalMap


def read_map_document(reader: Reader, value: object, path: str, kind: str, *, needs_rule: bool = True) -> MapDraft:
    """Read a whole map. ``kind`` is account_map or group_map; problems are noted in ``reader``."""
    who = KINDS[kind]
    members = reader.members(value, path, (*KEYS, "id"))
    if "type" in members:
        reader.choice(members["type"], pointer(path, "type"), [kind])
    ends = {side: _end(reader, members.get(side), pointer(path, side), who) for side in ("source", "destination")}
    rules = _rules(reader, members.get("map_by"), pointer(path, "map_by"), who)
    unmapped = None
    if "unmapped_policy" in members:
        unmapped = reader.word(members["unmapped_policy"], pointer(path, "unmapped_policy"), Unmapped)
    default = ends["destination"].default
    pairs = read_pairs(reader, members.get("exceptions", []), pointer(path, "exceptions"), who)
    if needs_rule and not rules and default is None and not pairs:
        message = "needs at least one true rule, or a default at the destination, or an exception"
        reader.wrong(pointer(path, "map_by"), "missing", message, [rule.value for rule in _known(who)])
    if unmapped is Unmapped.DEFAULT and default is None:
        where = pointer(pointer(path, "destination"), "default")
        reader.wrong(where, "missing", "is needed: unmapped_policy is default")
    name = reader.text(members["name"], pointer(path, "name")) if "name" in members else None
    made = PrincipalMap(
        kind=who,
        pairs=pairs,
        rules=frozenset(rules),
        default=default,
        source_default=ends["source"].default,
        source_exclusions=ends["source"].exclusions,
        destination_exclusions=ends["destination"].exclusions,
        unmapped=unmapped,
    )
    return MapDraft(name, ends["source"].connection, ends["destination"].connection, made)


def read_pairs(reader: Reader, value: object, path: str, kind: PrincipalKind) -> tuple[Pair, ...]:
    """Read a list of explicit pairs, or an object that has one in ``items``."""
    if isinstance(value, dict):
        value, path = reader.members(value, path, ("items",)).get("items", []), pointer(path, "items")
    pairs: list[Pair] = []
    first: dict[tuple[str, str], tuple[str, Pair]] = {}
    for here, member in reader.items(value, path):
        sides = reader.members(member, here, ("source", "destination"))
        for missing in {"source", "destination"} - sides.keys():
            reader.wrong(pointer(here, missing), "missing", "is needed")
        read = [
            read_principal(reader, sides.get(side, {}), pointer(here, side), kind) for side in ("source", "destination")
        ]
        if len(sides) < 2 or read[0] is None or read[1] is None:
            continue
        pair, key = Pair(read[0], read[1]), key_of(read[0])
        if key in first and first[key][1].destination != pair.destination:
            reader.wrong(here, "not_together", f"its source is that of {first[key][0]}, with another destination")
        elif key is not None:
            first[key] = here, pair
        pairs.append(pair)
    return tuple(pairs)


def read_principals(reader: Reader, value: object, path: str, kind: PrincipalKind) -> tuple[Principal, ...]:
    """Read a list of principals; each may stand in a member named ``sid``."""
    found: list[Principal] = []
    for here, member in reader.items(value, path):
        if isinstance(member, dict) and member.keys() == {"sid"} and isinstance(member["sid"], dict):
            here, member = pointer(here, "sid"), member["sid"]
        principal = read_principal(reader, member, here, kind)
        if principal is not None:
            found.append(principal)
    return tuple(found)


def read_principal(reader: Reader, value: object, path: str, kind: PrincipalKind) -> Principal | None:
    """Read one account or group; at least one of its texts is needed."""
    before = len(reader.problems)
    members = reader.members(value, path, (*TEXTS, "sid", "type"))
    if "type" in members:
        reader.choice(members["type"], pointer(path, "type"), [kind.value])
    texts: dict[str, str] = {}
    for name in (*TEXTS, "sid"):
        if name not in members:
            continue
        text = members[name]
        here = pointer(path, name)
        if isinstance(text, int) and not isinstance(text, bool):
            text = str(text)  # a uid is often written as a number
        if not isinstance(text, str):
            reader.wrong_type(text, here, "text")
        elif len(text) > _LONGEST or "\0" in text:
            reader.wrong(here, "out_of_range", f"must be at most {_LONGEST} characters and hold no NUL")
        elif text.strip():
            texts["id" if name == "sid" else name] = text.strip()
    if not texts and len(reader.problems) == before and isinstance(value, dict):
        reader.wrong(path, "missing", f"needs one of {', '.join(FIELDS)}", FIELDS)
    return Principal(kind, **texts) if texts else None


def principal_document(principal: Principal) -> dict[str, str]:
    """Write a principal as answers and maps show it."""
    texts = {name: getattr(principal, name) for name in TEXTS}
    return {name: text for name, text in texts.items() if text} | {"type": principal.kind.value}


def map_document(chosen: PrincipalMap) -> dict[str, Any]:
    """Write a map: what :func:`read_map_document` takes."""
    document: dict[str, Any] = {
        "type": next(word for word, kind in KINDS.items() if kind is chosen.kind),
        "source": _end_document(chosen.source_default, chosen.source_exclusions),
        "destination": _end_document(chosen.default, chosen.destination_exclusions),
        "map_by": {rule.value: rule in chosen.rules for rule in _known(chosen.kind)},
        "exceptions": [
            {"source": principal_document(pair.source), "destination": principal_document(pair.destination)}
            for pair in chosen.pairs
        ],
    }
    if chosen.unmapped is not None:
        document["unmapped_policy"] = chosen.unmapped.value
    return document


class _End(NamedTuple):
    connection: str | None = None
    default: Principal | None = None
    exclusions: tuple[Principal, ...] = ()


def _end(reader: Reader, value: object, path: str, kind: PrincipalKind) -> _End:
    if value is None:
        return _End()
    members = reader.members(value, path, ("connection", "default", "exclusions"))
    connection = default = None
    if "connection" in members:
        here = pointer(path, "connection")
        given = reader.members(members["connection"], here, ("id", "name", "platform", "type"))
        if "id" in given:
            connection = reader.text(given["id"], pointer(here, "id"))
        elif isinstance(members["connection"], dict):
            reader.wrong(pointer(here, "id"), "missing", "is needed: the id of a connection")
    if "default" in members:
        default = read_principal(reader, members["default"], pointer(path, "default"), kind)
    exclusions = read_principals(reader, members.get("exclusions", []), pointer(path, "exclusions"), kind)
    return _End(connection, default, exclusions)


def _rules(reader: Reader, value: object, path: str, kind: PrincipalKind) -> set[Rule]:
    """Read ``map_by``: an object of flags, a list of words, or one word. Left out, it is ``default``."""
    known = _known(kind)
    defaults = set(ACCOUNT_DEFAULTS if kind is PrincipalKind.ACCOUNT else GROUP_DEFAULTS)
    if value is None:
        return defaults
    words = {"default", *(rule.value for rule in known), *(word for word, rule in _ALIASES.items() if rule in known)}
    chosen: list[str] = []
    if isinstance(value, dict):
        for word, member in reader.members(value, path, sorted(words)).items():
            if reader.flag(member, pointer(path, word)):
                chosen.append(word)
    else:
        for here, member in [(path, value)] if isinstance(value, str) else reader.items(value, path):
            read = reader.choice(member, here, sorted(words))
            if read is not None:
                chosen.append(read)
    rules: set[Rule] = set()
    for word in chosen:
        rules |= defaults if word == "default" else {_ALIASES.get(word) or Rule(word)}
    return rules


def _known(kind: PrincipalKind) -> tuple[Rule, ...]:
    return ACCOUNT_RULES if kind is PrincipalKind.ACCOUNT else GROUP_RULES


def _end_document(default: Principal | None, exclusions: tuple[Principal, ...]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if default is not None:
        document["default"] = principal_document(default)
    if exclusions:
        document["exclusions"] = [{"sid": principal_document(one)} for one in exclusions]
    return document
