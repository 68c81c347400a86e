"""POSIX access lists: as bytes the way Linux keeps them, as entries, and as grants.

What a file has: an access list, which says what its permission bits say and more. What a folder has besides: a
default list, which new entries in it begin with. See acl(5); the layout is that of ``linux/posix_acl_xattr.h``.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from tallyport.domain.access import AccessRight, Grant, Principal, PrincipalKind, Reach

KIND = "posix_acl"  # Access.native_kind


class Tag(IntEnum):
    """Whom an entry is for. The order is the order they are stored in."""

    OWNER = 0x01
    USER = 0x02
    GROUP = 0x04  # of the file
    NAMED_GROUP = 0x08
    MASK = 0x10  # the most that users, the group and named groups get
    OTHER = 0x20


class AclEntry(NamedTuple):
    """One entry; ``id`` is -1 where the tag says it all."""

    tag: Tag
    bits: int  # rwx as 4, 2, 1
    id: int = -1


class Acl(NamedTuple):
    """Both lists of one file or folder; ``default`` is empty where there is none."""

    access: tuple[AclEntry, ...]
    default: tuple[AclEntry, ...] = ()


_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_VERSION = 2
_NOBODY = 0xFFFFFFFF
_NAMED = (Tag.USER, Tag.NAMED_GROUP)
_BASE = (Tag.OWNER, Tag.GROUP, Tag.OTHER)


def decode(value: bytes) -> tuple[AclEntry, ...]:
    """Read what Linux keeps; ValueError when it is nothing of the kind."""
    if len(value) < _HEADER.size or _HEADER.unpack_from(value)[0] != _VERSION:
        raise ValueError("not an access list of version 2")
    if (len(value) - _HEADER.size) % _ENTRY.size:
        raise ValueError("an access list that is cut off")
    found = (_ENTRY.unpack_from(value, at) for at in range(_HEADER.size, len(value), _ENTRY.size))
    return tuple(AclEntry(Tag(tag), bits & 7, -1 if number == _NOBODY else number) for tag, bits, number in found)


def encode(entries: Iterable[AclEntry]) -> bytes:
    """Write entries as Linux keeps them."""
    parts = [
        _ENTRY.pack(entry.tag, entry.bits, _NOBODY if entry.id < 0 else entry.id)
        for entry in sorted(entries, key=lambda entry: (entry.tag, entry.id))
    ]
    return _HEADER.pack(_VERSION) + b"".join(parts)


def pack(acl: Acl) -> bytes:
    """Write both lists as one value (``Access.native``)."""
    access = encode(acl.access)
    return len(access).to_bytes(4, "little") + access + (encode(acl.default) if acl.default else b"")


def unpack(native: bytes) -> Acl:
    """Read what :func:`pack` wrote."""
    size = int.from_bytes(native[:4], "little")
    default = native[4 + size :]
    return Acl(decode(native[4 : 4 + size]), decode(default) if default else ())


def of_mode(mode: int) -> tuple[AclEntry, ...]:
    """Give the access list that permission bits are."""
    return (
        AclEntry(Tag.OWNER, mode >> 6 & 7),
        AclEntry(Tag.GROUP, mode >> 3 & 7),
        AclEntry(Tag.OTHER, mode & 7),
    )


def mode_of(entries: Iterable[AclEntry]) -> int:
    """Give the permission bits of an access list: the group's are the mask, where there is one."""
    bits = bits_of(entries)
    group = bits.get(Tag.MASK, bits.get(Tag.GROUP, 0))
    return bits.get(Tag.OWNER, 0) << 6 | group << 3 | bits.get(Tag.OTHER, 0)


def bits_of(entries: Iterable[AclEntry]) -> dict[Tag, int]:
    """Give the bits of the entries that are there but once."""
    return {entry.tag: entry.bits for entry in entries if entry.tag not in _NAMED}


def is_extended(entries: Iterable[AclEntry]) -> bool:
    """Tell whether a list says more than permission bits can."""
    return any(entry.tag not in _BASE for entry in entries)


def base_mode(entries: Iterable[AclEntry]) -> int:
    """Give the permission bits that are left of a list when its named entries and mask go: never wider."""
    bits = bits_of(entries)
    group = bits.get(Tag.GROUP, 0) & bits.get(Tag.MASK, 7)
    return bits.get(Tag.OWNER, 0) << 6 | group << 3 | bits.get(Tag.OTHER, 0)


def merged(wanted: tuple[AclEntry, ...], standing: tuple[AclEntry, ...]) -> tuple[AclEntry, ...]:
    """Add the named entries that stand already to those that are wanted; nobody's effective rights shrink or grow.

    The base entries are the wanted ones. Where both name somebody, they get what either gives.
    """
    extra = {(entry.tag, entry.id): entry.bits for entry in effective(standing) if entry.tag in _NAMED}
    named = {(entry.tag, entry.id): entry.bits for entry in effective(wanted) if entry.tag in _NAMED}
    if all(bits & ~named.get(key, 0) == 0 and key in named for key, bits in extra.items()):
        return wanted
    for key, bits in extra.items():
        named[key] = named.get(key, 0) | bits
    base = bits_of(effective(wanted))
    return completed(
        (
            *(AclEntry(tag, base.get(tag, 0)) for tag in _BASE),
            *(AclEntry(tag, bits, number) for (tag, number), bits in named.items()),
        )
    )


def effective(entries: tuple[AclEntry, ...]) -> tuple[AclEntry, ...]:
    """Give entries without the mask, each cut to what it lets through."""
    mask = bits_of(entries).get(Tag.MASK)
    if mask is None:
        return entries
    cut = (Tag.USER, Tag.GROUP, Tag.NAMED_GROUP)
    return tuple(
        entry._replace(bits=entry.bits & mask) if entry.tag in cut else entry
        for entry in entries
        if entry.tag is not Tag.MASK
    )


def completed(entries: Iterable[AclEntry]) -> tuple[AclEntry, ...]:
    """Give a list its mask, as wide as its entries; a list without named entries needs none."""
    found = tuple(entry for entry in entries if entry.tag is not Tag.MASK)
    if not any(entry.tag in _NAMED for entry in found):
        return found
    mask = 0
    for entry in found:
        if entry.tag in (*_NAMED, Tag.GROUP):
            mask |= entry.bits
    return (*found, AclEntry(Tag.MASK, mask))


def translated(acl: Acl, number_of: Callable[[Tag, int], int | None]) -> Acl:
    """Give everybody their number at the other side; whoever has none there loses the entry.

    Named entries that become one number are given what they have in common, never what either has.
    """
    return Acl(_translated(acl.access, number_of), _translated(acl.default, number_of))


def _translated(entries: tuple[AclEntry, ...], number_of: Callable[[Tag, int], int | None]) -> tuple[AclEntry, ...]:
    kept: dict[tuple[Tag, int], AclEntry] = {}
    for entry in entries:
        number: int | None = entry.id
        if entry.tag in _NAMED:
            number = number_of(entry.tag, entry.id)
        if number is None:
            continue
        key = entry.tag, number
        bits = entry.bits & kept[key].bits if key in kept else entry.bits
        kept[key] = AclEntry(entry.tag, bits, number)
    found = tuple(kept.values())
    if is_extended(entries) and not any(entry.tag in _NAMED for entry in found):
        return effective(found)  # the mask held for those who are gone: the group keeps what it let through
    return found


# -- grants

_FILE_RIGHTS: Mapping[int, frozenset[AccessRight]] = {
    4: frozenset({AccessRight.READ}),
    2: frozenset({AccessRight.WRITE}),
    1: frozenset({AccessRight.EXECUTE}),
}
_FOLDER_RIGHTS: Mapping[int, frozenset[AccessRight]] = {
    4: frozenset({AccessRight.LIST, AccessRight.READ}),
    2: frozenset({AccessRight.CREATE, AccessRight.DELETE, AccessRight.WRITE}),
    1: frozenset({AccessRight.EXECUTE}),
}
_NEEDED: Mapping[bool, Mapping[int, frozenset[AccessRight]]] = {  # a bit is given where all of these are
    False: _FILE_RIGHTS,
    True: {
        4: frozenset({AccessRight.LIST}),
        2: frozenset({AccessRight.CREATE, AccessRight.DELETE}),
        1: frozenset({AccessRight.EXECUTE}),
    },
}


def rights_of(bits: int, *, is_container: bool) -> frozenset[AccessRight]:
    """Give what rwx bits allow."""
    words = _FOLDER_RIGHTS if is_container else _FILE_RIGHTS
    return frozenset(right for bit, rights in words.items() if bits & bit for right in rights)


def bits_for(rights: frozenset[AccessRight], *, is_container: bool) -> int:
    """Give the rwx bits that rights cover; never a bit that allows more."""
    return sum(bit for bit, needed in _NEEDED[is_container].items() if needed <= rights)


def grants_of(
    acl: Acl,
    owner: Principal,
    group: Principal,
    named: Callable[[Tag, int], Principal],
    *,
    is_container: bool,
) -> tuple[Grant, ...]:
    """Give the lists as grants of what they let through."""
    found = [*_grants(acl.access, owner, group, named, is_container=is_container, reach=Reach.ITEM)]
    found += _grants(acl.default, owner, group, named, is_container=is_container, reach=Reach.BELOW)
    return tuple(found)


def _grants(
    entries: tuple[AclEntry, ...],
    owner: Principal,
    group: Principal,
    named: Callable[[Tag, int], Principal],
    *,
    is_container: bool,
    reach: Reach,
) -> Iterable[Grant]:
    for entry in effective(entries):
        match entry.tag:
            case Tag.OWNER:
                who = owner
            case Tag.GROUP:
                who = group
            case Tag.OTHER:
                who = Principal(PrincipalKind.EVERYONE)
            case _:
                who = named(entry.tag, entry.id)
        rights = rights_of(entry.bits, is_container=is_container)
        if rights or entry.tag in _NAMED:
            yield Grant(who, rights, reach=reach)


def of_grants(
    grants: Iterable[Grant],
    standing: tuple[AclEntry, ...],
    *,
    owner: int,
    group: int,
    number_of: Callable[[Principal], int | None],
    is_container: bool,
    reach: Reach,
    remove_others: bool,
) -> tuple[AclEntry, ...]:
    """Give the list that grants ask for, over what stands.

    A denial to an account becomes an entry with what is allowed to it and not denied: the system asks no
    further where it finds one. A denial to a group, to everyone or to the organisation cannot be said. Whoever
    belongs to the organisation is fewer than everyone, so that is not said either.
    """
    allowed: dict[tuple[Tag, int], int] = {}
    denied: dict[int, int] = {}
    wanted = [grant for grant in grants if grant.reach in (reach, Reach.BOTH)]
    for grant in wanted:
        key = _entry_of(grant.principal, owner, group, number_of)
        if key is None:
            continue
        bits = bits_for(grant.rights, is_container=is_container)
        if not grant.deny:
            allowed[key] = allowed.get(key, 0) | bits
        elif grant.principal.kind is PrincipalKind.ACCOUNT:
            number = owner if key[0] is Tag.OWNER else key[1]
            denied[number] = denied.get(number, 0) | _touched(grant.rights, is_container=is_container)
    for number, bits in denied.items():
        key = (Tag.OWNER, -1) if number == owner else (Tag.USER, number)
        allowed[key] = allowed.get(key, 0) & ~bits
    base = bits_of(effective(standing)) if standing else {}
    if not remove_others:
        for entry in effective(standing):
            if entry.tag in _NAMED and entry.id not in denied:
                allowed[entry.tag, entry.id] = allowed.get((entry.tag, entry.id), 0) | entry.bits
        for tag in _BASE:
            kept = base.get(tag, 0) & ~(denied.get(owner, 0) if tag is Tag.OWNER else 0)
            allowed[tag, -1] = allowed.get((tag, -1), 0) | kept
    elif not wanted:
        for tag in _BASE:
            allowed[tag, -1] = base.get(tag, 0)  # nothing was said of them
    elif (Tag.OWNER, -1) not in allowed:
        allowed[Tag.OWNER, -1] = base.get(Tag.OWNER, 6)  # nobody grants an owner what is theirs by being one
    if reach is Reach.BELOW and not wanted and (remove_others or not standing):
        return ()
    for tag in _BASE:
        allowed.setdefault((tag, -1), 0)
    return completed(AclEntry(tag, bits, number) for (tag, number), bits in allowed.items())


def _entry_of(
    principal: Principal, owner: int, group: int, number_of: Callable[[Principal], int | None]
) -> tuple[Tag, int] | None:
    if principal.kind is PrincipalKind.EVERYONE:
        return Tag.OTHER, -1
    if principal.kind is PrincipalKind.DOMAIN:
        return None
    number = number_of(principal)
    if number is None:
        return None
    if principal.kind is PrincipalKind.ACCOUNT:
        return (Tag.OWNER, -1) if number == owner else (Tag.USER, number)
    return (Tag.GROUP, -1) if number == group else (Tag.NAMED_GROUP, number)


def _touched(rights: frozenset[AccessRight], *, is_container: bool) -> int:
    """Give the bits that a denial of these rights takes: any bit that would allow one of them."""
    words = _FOLDER_RIGHTS if is_container else _FILE_RIGHTS
    return sum(bit for bit, allows in words.items() if allows & rights)
