"""Who an account or group of one side is on the other: explicit pairs, then rules, then the default.

Pure: a platform is asked through a function that is passed in. Nobody becomes the superuser by a rule: that takes
a pair, the default, or being the superuser.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.nobody import is_superuser

Find = Callable[[Principal], Sequence[Principal] | None]
"""Looks a principal up on the other side by the texts it has; None when the platform cannot be asked."""


class Rule(StrEnum):
    """One automatic way from a principal to its like. The order is the order they are tried in."""

    ID = "id"
    NAME = "name"
    USERNAME = "username"
    CAPTION = "caption"
    EMAIL = "email"
    LDAP = "ldap"  # the account name without its directory: company\\joe, joe@company.com and joe are one
    FUZZY = "fuzzy"  # the same letters and digits in name, user name, display name or e-mail address
    BUILT_IN = "built_in"  # what every system has: everyone, whoever signed in
    EXTERNAL_PASSTHROUGH = "external_passthrough"  # people whom the source does not know itself, as they are
    PASSTHROUGH = "passthrough"  # everybody as they are


class Unmapped(StrEnum):
    """What becomes of a principal that nothing maps."""

    SKIP = "skip"  # left out, and written down as lost
    DEFAULT = "default"  # the default takes its place
    FAIL = "fail"  # the item is not carried


class How(StrEnum):
    """How a principal was resolved. Stored and shown; never renamed."""

    EXCEPTION = "exception"  # an explicit pair
    ID = "id"
    NAME = "name"
    USERNAME = "username"
    CAPTION = "caption"
    EMAIL = "email"
    LDAP = "ldap"
    FUZZY = "fuzzy"
    BUILT_IN = "built_in"
    EXTERNAL_ACCOUNT = "external_account"
    PASSTHROUGH = "passthrough"
    SAME = "same"  # both sides ask the same book, and no map says otherwise
    DEFAULT = "default"
    EXCLUDED = "excluded"
    UNMAPPED = "unmapped"


class Pair(NamedTuple):
    """An explicit pair: whoever is like ``source`` becomes ``destination``."""

    source: Principal
    destination: Principal


class Resolution(NamedTuple):
    """What a principal became."""

    how: How
    principal: Principal | None = None
    message: str = ""  # why, when it became nobody
    is_refused: bool = False  # the item may not be carried without it


FIELDS = ("name", "id", "username", "caption", "email")
"""Texts of a principal, best key first: the order in which a pair's side is read."""

ACCOUNT_DEFAULTS = (Rule.ID, Rule.NAME, Rule.USERNAME, Rule.CAPTION, Rule.EMAIL)
GROUP_DEFAULTS = (Rule.ID, Rule.NAME, Rule.CAPTION)
ACCOUNT_RULES = tuple(Rule)
GROUP_RULES = (Rule.ID, Rule.NAME, Rule.CAPTION, Rule.LDAP, Rule.FUZZY, Rule.BUILT_IN, Rule.PASSTHROUGH)

_BUILT_IN: Mapping[str, PrincipalKind] = {  # well-known Windows identifiers
    "S-1-1-0": PrincipalKind.EVERYONE,
    "S-1-5-11": PrincipalKind.DOMAIN,
    "S-1-5-32-545": PrincipalKind.DOMAIN,
}


@dataclass(frozen=True, kw_only=True)
class PrincipalMap:
    """One account map or group map, from source to destination."""

    kind: PrincipalKind  # ACCOUNT or GROUP
    pairs: tuple[Pair, ...] = ()
    rules: frozenset[Rule] = frozenset(ACCOUNT_DEFAULTS)
    default: Principal | None = None  # at the destination
    source_default: Principal | None = None  # stands in when a sync job maps the other way
    source_exclusions: tuple[Principal, ...] = ()
    destination_exclusions: tuple[Principal, ...] = ()
    unmapped: Unmapped | None = None  # None: the default where there is one, else skip
    is_same_book: bool = field(default=False)  # no map was given, and both sides ask one book

    @cached_property
    def _index(self) -> dict[tuple[str, str], Pair]:
        """Pairs by the best text their source has; a later pair of the same source wins."""
        return {key: pair for pair in self.pairs if (key := key_of(pair.source)) is not None}

    def pair_of(self, principal: Principal) -> Pair | None:
        """Give the explicit pair of a principal, best key first."""
        for name in FIELDS:
            value = getattr(principal, name)
            if value and (pair := self._index.get((name, _plain(value)))) is not None:
                return pair
        return None

    def reversed(self) -> "PrincipalMap":
        """Give the map of the way back. Where several sources share a destination, the first one stands for it."""
        back: dict[tuple[str, str], Pair] = {}
        for pair in self.pairs:
            key = key_of(pair.destination)
            if key is not None:
                back.setdefault(key, Pair(pair.destination, pair.source))
        return replace(
            self,
            pairs=tuple(back.values()),
            default=self.source_default,
            source_default=self.default,
            source_exclusions=self.destination_exclusions,
            destination_exclusions=self.source_exclusions,
        )


def automatic(kind: PrincipalKind, *, is_same_book: bool) -> PrincipalMap:
    """Give what holds for a job without a map: its own principals at home, else the default rules."""
    rules = ACCOUNT_DEFAULTS if kind is PrincipalKind.ACCOUNT else GROUP_DEFAULTS
    return PrincipalMap(kind=kind, rules=frozenset(rules), is_same_book=is_same_book)


def key_of(principal: Principal) -> tuple[str, str] | None:
    """Give the best key of one side of a pair: the first text it has, in the order of :data:`FIELDS`."""
    for name in FIELDS:
        value = getattr(principal, name)
        if value:
            return name, _plain(value)
    return None


def is_like(principal: Principal, like: Principal) -> bool:
    """Tell whether a principal is meant by ``like``: equal in the first text, best key first, that both have."""
    if principal.kind is not like.kind:
        return False
    for name in FIELDS:
        one, other = getattr(principal, name), getattr(like, name)
        if one and other:
            return _plain(one) == _plain(other)
    return False


def shown(principal: Principal) -> str:
    """Name a principal for people: the most telling text it has."""
    return (
        principal.name or principal.email or principal.username or principal.caption or principal.id or principal.kind
    )


def resolve(
    principal: Principal,
    chosen: PrincipalMap,
    find: Find,
    *,
    is_external: Callable[[Principal], bool] = lambda _: False,
) -> Resolution:
    """Say who a principal is on the other side.

    An exclusion comes first, then the explicit pair, then the rules, then what becomes of the unmapped. A pair
    whose destination is not found does not fall through to the rules: the map is wrong, and says so.
    """
    if principal.kind in (PrincipalKind.EVERYONE, PrincipalKind.DOMAIN):
        return Resolution(How.BUILT_IN, principal)
    who = shown(principal)
    if any(is_like(principal, excluded) for excluded in chosen.source_exclusions):
        return Resolution(How.EXCLUDED, None, f"{who} is excluded by the map")
    pair = chosen.pair_of(principal)
    if pair is not None:
        found, why = _named(pair.destination, find)
        if found is None:
            return _unmapped(chosen, find, f"{who} is mapped to {shown(pair.destination)}, {why}")
        return _allowed(chosen, Resolution(How.EXCEPTION, found), who)
    if chosen.is_same_book:
        return Resolution(How.SAME, principal)
    notes: list[str] = []
    for how, found in _by_rules(principal, chosen, find, is_external, notes):
        if is_superuser(found) and not is_superuser(principal):
            notes.append(f"rule {how} leads to the superuser, which takes an explicit pair")
            continue
        return _allowed(chosen, Resolution(how, found), who)
    why = f": {'; '.join(notes)}" if notes else ""
    return _unmapped(chosen, find, f"nobody at the other side is {_kind_word(principal)} {who}{why}")


def _by_rules(
    principal: Principal,
    chosen: PrincipalMap,
    find: Find,
    is_external: Callable[[Principal], bool],
    notes: list[str],
) -> Iterator[tuple[How, Principal]]:
    for rule in Rule:
        if rule not in chosen.rules:
            continue
        match rule:
            case Rule.PASSTHROUGH:
                yield How.PASSTHROUGH, principal
            case Rule.EXTERNAL_PASSTHROUGH:
                if principal.email and is_external(principal):
                    yield How.EXTERNAL_ACCOUNT, principal
            case Rule.BUILT_IN:
                if principal.id in _BUILT_IN:
                    yield How.BUILT_IN, Principal(_BUILT_IN[principal.id])
            case Rule.FUZZY | Rule.LDAP:
                letters = _letters if rule is Rule.FUZZY else _directory_name
                wanted = {letters(text) for text in _texts(principal)} - {""}
                everybody = find(Principal(principal.kind)) or ()
                alike = [one for one in everybody if wanted & {letters(text) for text in _texts(one)}]
                yield from _only(How(rule.value), alike, notes)
            case _:
                value = getattr(principal, rule.value)
                if value:
                    like = Principal(principal.kind)._replace(**{rule.value: value})
                    found = find(like)
                    yield from [(How(rule.value), like)] if found is None else _only(How(rule.value), found, notes)


def _only(how: How, found: Sequence[Principal], notes: list[str]) -> Iterator[tuple[How, Principal]]:
    """Give the one that was found. Two are nobody: a guess could give a stranger what is not theirs."""
    if len(found) == 1:
        yield how, found[0]
    elif found:
        notes.append(f"{len(found)} match by {how}")


def _named(like: Principal, find: Find) -> tuple[Principal | None, str]:
    """Find whom a map names. A bare id is taken at its word: that is how a map says a number."""
    if like.kind in (PrincipalKind.EVERYONE, PrincipalKind.DOMAIN):
        return like, ""
    name, _ = key_of(like) or ("", "")
    found = find(Principal(like.kind)._replace(**{name: getattr(like, name)})) if name else ()
    if found is None or (not found and name == "id"):
        return like, ""
    if len(found) == 1:
        return found[0], ""
    return None, f"and {len(found)} there are called so" if found else "whom the other side does not know"


def _allowed(chosen: PrincipalMap, resolution: Resolution, who: str) -> Resolution:
    found = resolution.principal
    if found is not None and any(is_like(found, excluded) for excluded in chosen.destination_exclusions):
        return Resolution(How.EXCLUDED, None, f"{who} would become {shown(found)}, who is excluded by the map")
    return resolution


def _unmapped(chosen: PrincipalMap, find: Find, why: str) -> Resolution:
    policy = chosen.unmapped or (Unmapped.SKIP if chosen.default is None else Unmapped.DEFAULT)
    if policy is Unmapped.DEFAULT and chosen.default is not None:
        found, complaint = _named(chosen.default, find)
        if found is not None:
            return _allowed(chosen, Resolution(How.DEFAULT, found, why), shown(chosen.default))
        why = f"{why}; the default is {shown(chosen.default)}, {complaint}"
    return Resolution(How.UNMAPPED, None, why, policy is Unmapped.FAIL)


def _texts(principal: Principal) -> tuple[str, ...]:
    return tuple(getattr(principal, name) for name in FIELDS if name != "id" and getattr(principal, name))


def _kind_word(principal: Principal) -> str:
    return "the group" if principal.kind is PrincipalKind.GROUP else "the account"


def _plain(text: str) -> str:
    """Give a text as it is compared: directory names and e-mail addresses know no case."""
    return text.casefold() if "@" in text or "\\" in text else text


def _directory_name(text: str) -> str:
    return text.rpartition("\\")[2].partition("@")[0].casefold()


def _letters(text: str) -> str:
    return "".join(character for character in _directory_name(text) if character.isalnum())
