"""Windows access lists: as bytes the way SMB carries them, as entries, and as grants.

A security descriptor has an owner, a group and a list of entries that allow or deny; entries come from above
(inherited) or are the item's own. Order decides: own before inherited, deny before allow. See MS-DTYP 2.4.
"""

import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind, Reach

KIND = "ntfs"  # Access.native_kind

ALLOW, DENY = 0, 1  # the two kinds of entry that grant or take rights by mask alone
OBJECT_INHERIT, CONTAINER_INHERIT, NO_PROPAGATE, INHERIT_ONLY, INHERITED = 0x01, 0x02, 0x04, 0x08, 0x10
DACL_PRESENT, DACL_AUTO_INHERITED, DACL_PROTECTED, SELF_RELATIVE = 0x0004, 0x0400, 0x1000, 0x8000
EVERYONE = "S-1-1-0"

READ_DATA, WRITE_DATA, APPEND_DATA, READ_EA, WRITE_EA, EXECUTE, DELETE_CHILD = 1, 2, 4, 8, 0x10, 0x20, 0x40
READ_ATTRIBUTES, WRITE_ATTRIBUTES = 0x80, 0x100
DELETE, READ_CONTROL, WRITE_DAC, WRITE_OWNER, SYNCHRONIZE = 0x10000, 0x20000, 0x40000, 0x80000, 0x100000

ALL = 0x1F01FF

_GENERIC = {
    0x80000000: READ_DATA | READ_EA | READ_ATTRIBUTES | READ_CONTROL | SYNCHRONIZE,
    0x40000000: WRITE_DATA | APPEND_DATA | WRITE_EA | WRITE_ATTRIBUTES | READ_CONTROL | SYNCHRONIZE,
    0x20000000: EXECUTE | READ_ATTRIBUTES | READ_CONTROL | SYNCHRONIZE,
    0x10000000: ALL,
}

# A right is there when all its bits are; it is given by these bits and what every use of them needs.
_COMMON = {
    AccessRight.EXECUTE: EXECUTE,
    AccessRight.DELETE: DELETE,
    AccessRight.READ_ACCESS: READ_CONTROL,
    AccessRight.WRITE_ACCESS: WRITE_DAC,
    AccessRight.OWN: WRITE_OWNER,
}
_OF_FILE = {AccessRight.READ: READ_DATA, AccessRight.WRITE: WRITE_DATA | APPEND_DATA, **_COMMON}
_OF_FOLDER = {
    AccessRight.LIST: READ_DATA,
    AccessRight.CREATE: WRITE_DATA | APPEND_DATA,
    **_COMMON,
}
_ALONG = {
    AccessRight.READ: READ_EA | READ_ATTRIBUTES | SYNCHRONIZE,
    AccessRight.LIST: READ_EA | READ_ATTRIBUTES | SYNCHRONIZE,
    AccessRight.WRITE: WRITE_EA | WRITE_ATTRIBUTES | SYNCHRONIZE,
    AccessRight.CREATE: WRITE_EA | WRITE_ATTRIBUTES | SYNCHRONIZE,
    AccessRight.EXECUTE: READ_ATTRIBUTES | SYNCHRONIZE,
    AccessRight.DELETE: SYNCHRONIZE,
}


class Ace(NamedTuple):
    """One entry. ``raw`` holds an entry of a kind that is carried as it is and not understood."""

    kind: int
    flags: int
    mask: int
    sid: str
    raw: bytes = b""


class Security(NamedTuple):
    """What a security descriptor says, its audit list left out."""

    owner: str = ""
    group: str = ""
    control: int = SELF_RELATIVE | DACL_PRESENT
    aces: tuple[Ace, ...] = ()
    has_list: bool = True  # False: everybody may do everything


_HEAD = struct.Struct("<BBHIIII")
_ACL = struct.Struct("<BBHHH")
_ACE = struct.Struct("<BBHI")


def sid_of(raw: bytes) -> str:
    """Write a security identifier as text."""
    count = raw[1]
    authority = int.from_bytes(raw[2:8], "big")
    parts = struct.unpack_from(f"<{count}I", raw, 8)
    return "-".join(["S", str(raw[0]), str(authority), *map(str, parts)])


def sid_bytes(text: str) -> bytes:
    """Read a security identifier; ValueError when it is none."""
    parts = text.split("-")
    if len(parts) < 3 or parts[0].upper() != "S" or not all(part.isascii() and part.isdigit() for part in parts[1:]):
        raise ValueError(f"{text!r} is not a security identifier (S-1-5-...)")
    numbers = [int(part) for part in parts[1:]]
    rest = numbers[2:]
    if numbers[0] > 255 or numbers[1] >= 1 << 48 or len(rest) > 15 or any(part >= 1 << 32 for part in rest):
        raise ValueError(f"{text!r} is not a security identifier (S-1-5-...)")
    return bytes([numbers[0], len(rest)]) + numbers[1].to_bytes(6, "big") + struct.pack(f"<{len(rest)}I", *rest)


def decode(raw: bytes) -> Security:
    """Read a self-relative security descriptor; ValueError when it is none."""
    try:
        _, _, control, owner_at, group_at, _, list_at = _HEAD.unpack_from(raw)
        owner = sid_of(raw[owner_at:]) if owner_at else ""
        group = sid_of(raw[group_at:]) if group_at else ""
        if not list_at:
            return Security(owner, group, control, (), has_list=False)
        _, _, _, count, _ = _ACL.unpack_from(raw, list_at)
        at = list_at + _ACL.size
        aces = []
        for _ in range(count):
            kind, flags, size, mask = _ACE.unpack_from(raw, at)
            if size < _ACE.size or at + size > len(raw):
                raise ValueError("an access list that is cut off")
            body = raw[at : at + size]
            known = kind in (ALLOW, DENY)
            aces.append(Ace(kind, flags, mask, sid_of(body[_ACE.size :]) if known else "", b"" if known else body))
            at += size
    except (struct.error, IndexError) as error:
        raise ValueError("not a security descriptor") from error
    return Security(owner, group, control, tuple(aces))


def encode(security: Security) -> bytes:
    """Write a self-relative security descriptor; parts that are empty are left out."""
    body = b""
    places = []
    for sid in (security.owner, security.group):
        places.append(_HEAD.size + len(body) if sid else 0)
        body += sid_bytes(sid) if sid else b""
    list_at = 0
    if security.has_list:
        list_at = _HEAD.size + len(body)
        entries = b"".join(_ace_bytes(ace) for ace in security.aces)
        revision = 4 if any(ace.raw for ace in security.aces) else 2
        body += _ACL.pack(revision, 0, _ACL.size + len(entries), len(security.aces), 0) + entries
    control = security.control | SELF_RELATIVE | DACL_PRESENT
    return _HEAD.pack(1, 0, control, places[0], places[1], 0, list_at) + body


def _ace_bytes(ace: Ace) -> bytes:
    if ace.raw:
        return ace.raw
    sid = sid_bytes(ace.sid)
    return _ACE.pack(ace.kind, ace.flags, _ACE.size + len(sid), ace.mask) + sid


def kind_of(sid: str) -> PrincipalKind:
    """Tell an account from a group as far as the identifier itself says it."""
    if sid == EVERYONE:
        return PrincipalKind.EVERYONE
    if sid.startswith(("S-1-5-32-", "S-1-22-2-")) or sid in ("S-1-5-11", "S-1-3-1"):
        return PrincipalKind.GROUP
    last = sid.rpartition("-")[2]
    if sid.startswith("S-1-5-21-") and last in ("512", "513", "514", "515", "516", "517", "518", "519", "520"):
        return PrincipalKind.GROUP
    return PrincipalKind.ACCOUNT


def principal(sid: str, *, kind: PrincipalKind | None = None) -> Principal:
    """Give whom an identifier means."""
    return Principal(kind or kind_of(sid), id=sid)


def access_of(security: Security, raw: bytes, *, is_container: bool) -> Access:
    """Give what a descriptor says in the words of all platforms; ``raw`` goes along as it is."""
    aces = security.aces if security.has_list else (Ace(ALLOW, 0, ALL, EVERYONE),)
    return Access(
        owner=principal(security.owner) if security.owner else None,
        group=principal(security.group, kind=PrincipalKind.GROUP) if security.group else None,
        grants=tuple(_grant(ace, is_container=is_container) for ace in aces if not ace.raw),
        inherits=not security.control & DACL_PROTECTED,
        native=raw,
        native_kind=KIND,
    )


def _grant(ace: Ace, *, is_container: bool) -> Grant:
    reach = Reach.ITEM
    if ace.flags & (OBJECT_INHERIT | CONTAINER_INHERIT):
        reach = Reach.BELOW if ace.flags & INHERIT_ONLY else Reach.BOTH
    rights = rights_of(ace.mask, is_container=is_container)
    return Grant(principal(ace.sid), rights, ace.kind == DENY, bool(ace.flags & INHERITED), reach)


def rights_of(mask: int, *, is_container: bool) -> frozenset[AccessRight]:
    """Give the rights that a mask holds whole."""
    for generic, bits in _GENERIC.items():
        if mask & generic:
            mask |= bits
    words = _OF_FOLDER if is_container else _OF_FILE
    return frozenset(right for right, bits in words.items() if mask & bits == bits)


def mask_for(rights: Iterable[AccessRight], *, is_container: bool) -> int:
    """Give the smallest mask that holds the rights; one that means nothing for such an item adds nothing.

    A folder that can be read can be listed: both words ask for the same bit.
    """
    mask = 0
    words = _OF_FOLDER if is_container else _OF_FILE
    for right in rights:
        if is_container and right in (AccessRight.READ, AccessRight.WRITE):
            right = AccessRight.LIST if right is AccessRight.READ else AccessRight.CREATE
        if right in words:
            mask |= words[right] | _ALONG.get(right, 0)
    return mask


def with_grants(
    standing: Security,
    access: Access,
    *,
    is_container: bool,
    sid_for: Callable[[Principal], str | None],
    remove_others: bool,
) -> Security:
    """Give the descriptor that has the grants asked for, besides what stands unless that is to go.

    Whoever has no identifier here gets nothing: it is found when it is read back. What comes from above stays
    while the item inherits.
    """
    own: list[Ace] = []
    for grant in access.grants:
        sid = EVERYONE if grant.principal.kind is PrincipalKind.EVERYONE else sid_for(grant.principal)
        mask = mask_for(grant.rights, is_container=is_container)
        if grant.inherited or sid is None or not mask:
            continue
        flags = 0
        if is_container and grant.reach is not Reach.ITEM:
            flags = OBJECT_INHERIT | CONTAINER_INHERIT | (INHERIT_ONLY if grant.reach is Reach.BELOW else 0)
        own.append(Ace(DENY if grant.deny else ALLOW, flags, mask, sid))
    kept = [] if remove_others else [ace for ace in standing.aces if not ace.flags & INHERITED and ace not in own]
    above = [ace for ace in standing.aces if ace.flags & INHERITED] if access.inherits else []
    control = standing.control & ~DACL_PROTECTED if access.inherits else standing.control | DACL_PROTECTED
    return standing._replace(control=control, aces=(*_ordered([*own, *kept]), *above), has_list=True)


def _ordered(aces: list[Ace]) -> list[Ace]:
    """Put denials first, as Windows reads a list."""
    return sorted(aces, key=lambda ace: 0 if ace.kind == DENY else 1)


def translated(security: Security, sid_for: Callable[[str], str | None]) -> Security:
    """Give everybody their identifier at the other side; whoever has none there loses the entry."""
    aces = []
    for ace in security.aces:
        sid = None if ace.raw else sid_for(ace.sid)
        if ace.raw or sid is not None:
            aces.append(ace if sid is None else ace._replace(sid=sid))
    owner, group = (sid and (sid_for(sid) or "") for sid in (security.owner, security.group))
    return security._replace(owner=owner, group=group, aces=tuple(aces))
