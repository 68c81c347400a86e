"""The accounts and groups of this machine, as it knows them: by number and by name.

Whatever the machine asks (files, LDAP, SSSD) is asked through the C library. A number without an account is a
principal with a number alone; a name without one is nobody, and never the superuser.
"""

import grp
import pwd
from collections.abc import Iterator
from typing import Protocol

from tallyport.connectors.local_errors import refusal
from tallyport.domain import nobody
from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.errors import ErrorKind

MOST_KNOWN = 10_000  # principals that are remembered


class Book(Protocol):
    """Knows principals by number and by their texts."""

    def account(self, number: int) -> Principal: ...

    def group(self, number: int) -> Principal: ...

    def principals(self, like: Principal) -> Iterator[Principal]: ...


class SystemBook:
    """What this machine says, remembered for a while: for as long as the connection is open."""

    def __init__(self) -> None:
        self._accounts: dict[int, Principal] = {}
        self._groups: dict[int, Principal] = {}

    def account(self, number: int) -> Principal:
        known = self._accounts.get(number)
        if known is None:
            try:
                known = _account(pwd.getpwuid(number))
            except (KeyError, OverflowError):
                known = Principal(PrincipalKind.ACCOUNT, str(number))
            if len(self._accounts) < MOST_KNOWN:
                self._accounts[number] = known
        return known

    def group(self, number: int) -> Principal:
        known = self._groups.get(number)
        if known is None:
            try:
                known = _group(grp.getgrgid(number))
            except (KeyError, OverflowError):
                known = Principal(PrincipalKind.GROUP, str(number))
            if len(self._groups) < MOST_KNOWN:
                self._groups[number] = known
        return known

    def principals(self, like: Principal) -> Iterator[Principal]:
        is_group = like.kind is PrincipalKind.GROUP
        if like.email or like.kind not in (PrincipalKind.ACCOUNT, PrincipalKind.GROUP):
            return  # this machine knows no e-mail addresses
        found: list[Principal] = []
        name = like.name or like.username
        try:
            if like.id:
                if not like.id.isdecimal():
                    return
                number = int(like.id)
                found = [_group(grp.getgrgid(number)) if is_group else _account(pwd.getpwuid(number))]
            elif name:
                found = [_group(grp.getgrnam(name)) if is_group else _account(pwd.getpwnam(name))]
            elif is_group:
                found = [_group(one) for one in grp.getgrall()]
            else:
                found = [_account(one) for one in pwd.getpwall()]
        except (KeyError, OverflowError, ValueError):  # nobody; a number too large; a NUL in a name
            return
        for one in found:
            if all(not asked or asked == there for asked, there in zip(like[1:5], one[1:5], strict=True)):
                yield one


def number_of(principal: Principal, book: Book) -> int:
    """Give the number of a principal here. An unknown name is an error, never the superuser."""
    if principal.id.isdecimal():
        number = nobody.number_of(principal)
        if number is None:
            what = f"no {principal.kind} can have that number"
            raise refusal(ErrorKind.UNSUPPORTED, f"set the {principal.kind}", principal.id, what)
        return number
    like = principal._replace(id="", email="")
    found = list(book.principals(like)) if any(like[1:]) else []
    if len(found) != 1 or not found[0].id.isdecimal():
        who = principal.name or principal.email or principal.id or principal.caption
        what = f"no {principal.kind} of that name on this machine"
        raise refusal(ErrorKind.UNSUPPORTED, f"set the {principal.kind}", who, what)
    return int(found[0].id)


def _account(entry: pwd.struct_passwd) -> Principal:
    caption = entry.pw_gecos.partition(",")[0]
    return Principal(PrincipalKind.ACCOUNT, str(entry.pw_uid), entry.pw_name, entry.pw_name, caption)


def _group(entry: grp.struct_group) -> Principal:
    return Principal(PrincipalKind.GROUP, str(entry.gr_gid), entry.gr_name, entry.gr_name)
