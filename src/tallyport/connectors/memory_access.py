"""What a memory platform keeps with an item besides content: grants, links, a lock, properties; and its accounts.

It behaves as some real ones do: a platform that has accounts drops, without an error, whoever is not one of
them; a lock keeps everybody else from changing the item.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tallyport.domain.access import Access, Grant, Link, Principal, PrincipalKind
from tallyport.domain.locks import Lock

_tokens = itertools.count(1)


class Accounts:
    """The accounts and groups of one store. While it has none, everybody is welcome."""

    def __init__(self) -> None:
        self._all: list[Principal] = []

    def add(self, principal: Principal) -> None:
        self._all.append(principal)

    def like(self, like: Principal) -> Iterator[Principal]:
        for one in self._all:
            if one.kind is like.kind and all(
                not asked or asked == there for asked, there in zip(like[1:], one[1:], strict=True)
            ):
                yield one

    def known(self, principal: Principal) -> Principal | None:
        """Give the account that is meant, or None when there are accounts and it is none of them."""
        if not self._all or principal.kind in (PrincipalKind.EVERYONE, PrincipalKind.DOMAIN):
            return principal
        for name in ("id", "name", "email", "username"):
            value = getattr(principal, name)
            if value:
                return next(self.like(Principal(principal.kind)._replace(**{name: value})), None)
        return None


@dataclass(slots=True, eq=False)
class Companions:
    """What one item has besides content."""

    owner: Principal | None = None
    group: Principal | None = None
    grants: tuple[Grant, ...] = ()
    inherits: bool = True
    links: tuple[Link, ...] = ()
    lock: Lock | None = None
    properties: dict[str, bytes] = field(default_factory=dict)

    def access(self) -> Access:
        return Access(self.owner, self.group, self.grants, self.inherits, self.links)

    def set_access(self, access: Access, accounts: Accounts, *, remove_others: bool) -> Access:
        """Add or replace, dropping without a word whoever is unknown here."""
        if access.owner is not None and (owner := accounts.known(access.owner)) is not None:
            self.owner = owner
        if access.group is not None and (group := accounts.known(access.group)) is not None:
            self.group = group
        standing = {} if remove_others else {_place(grant): grant for grant in self.grants}
        for grant in access.grants:
            principal = accounts.known(grant.principal)
            if principal is None:
                continue
            wanted = grant._replace(principal=principal)
            earlier = standing.get(_place(wanted))
            rights = wanted.rights if earlier is None else wanted.rights | earlier.rights
            standing[_place(wanted)] = wanted._replace(rights=rights)
        self.grants = tuple(standing.values())
        self.links = tuple(dict.fromkeys((*(() if remove_others else self.links), *access.links)))
        if access.grants or remove_others:
            self.inherits = access.inherits
        return self.access()

    def set_properties(self, values: Mapping[str, bytes | None]) -> dict[str, bytes]:
        for name, value in values.items():
            if value is None:
                self.properties.pop(name, None)
            else:
                self.properties[name] = value
        return dict(self.properties)


def with_token(lock: Lock) -> Lock:
    """Give a lock that is held: it has a name of its own."""
    return lock._replace(token=f"lock-{next(_tokens)}")  # its mark, where it has one, is kept with it


def _place(grant: Grant) -> tuple[Principal, bool, str]:
    return grant.principal, grant.deny, grant.reach.value
