"""Who may do what with an item, in words that every platform's own model is mapped to and from.

A connector maps its grants to these rights by the smallest set that covers them, never a wider one, and says
what it could not express. ``native`` keeps the platform's own form, so that nothing is lost between two
connections of one kind.
"""

from enum import StrEnum
from typing import NamedTuple


class PrincipalKind(StrEnum):
    """What a principal is. Stored."""

    ACCOUNT = "account"
    GROUP = "group"
    EVERYONE = "everyone"  # whoever can reach the item
    DOMAIN = "domain"  # whoever belongs to the organisation


class Principal(NamedTuple):
    """An account or group on one platform. At least one of the texts is given."""

    kind: PrincipalKind
    id: str = ""  # the platform's own: a SID, a uid in decimal, a canonical id
    name: str = ""  # account name: an e-mail address on cloud platforms, a directory account on shares
    username: str = ""
    caption: str = ""  # display name
    email: str = ""


class AccessRight(StrEnum):
    """What a grant allows or denies. Stored."""

    LIST = "list"  # see what a container holds
    READ = "read"
    WRITE = "write"  # change content
    CREATE = "create"  # make entries in a container
    DELETE = "delete"
    EXECUTE = "execute"  # run a file, pass through a container
    READ_ACCESS = "read_access"  # see grants
    WRITE_ACCESS = "write_access"  # change grants
    OWN = "own"  # take ownership


class Reach(StrEnum):
    """What a grant on a container holds for."""

    ITEM = "item"
    BELOW = "below"  # what is made in it from now on
    BOTH = "both"


class Grant(NamedTuple):
    """One entry of an access list."""

    principal: Principal
    rights: frozenset[AccessRight]
    deny: bool = False
    inherited: bool = False  # comes from a container above
    reach: Reach = Reach.ITEM


class Link(NamedTuple):
    """A shared link of an item."""

    audience: PrincipalKind  # EVERYONE or DOMAIN
    rights: frozenset[AccessRight]


class Access(NamedTuple):
    """Owner and grants of one item, as one platform has them."""

    owner: Principal | None = None
    group: Principal | None = None
    grants: tuple[Grant, ...] = ()
    inherits: bool = True  # False: grants from above were cut off here
    links: tuple[Link, ...] = ()
    native: bytes = b""  # the platform's own form
    native_kind: str = ""  # what ``native`` is: posix_acl, ntfs, ...
