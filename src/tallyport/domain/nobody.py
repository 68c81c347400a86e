"""Whose an item becomes where its own owner cannot be carried: never the superuser's, whom nobody asked for.

A server that runs as root writes in root's name. Where a job carries owners and the map leaves one out, the item
would stay root's without a word of anybody; nobody gets it instead, whom nothing else is granted to.
"""

from tallyport.domain.access import Access, Principal, PrincipalKind
from tallyport.domain.losses import Loss, Lost, loss

NUMBER = "65534"  # what Linux and NFS put in the place of whom they cannot tell
LAST = 2**32 - 2  # the highest that a POSIX system gives anybody; the one after means "as it is", which may be root's
ACCOUNT, GROUP = Principal(PrincipalKind.ACCOUNT, NUMBER), Principal(PrincipalKind.GROUP, NUMBER)

Pair = tuple[Principal | None, Principal | None]  # owner, group


def is_superuser(principal: Principal) -> bool:
    """Tell whether it is root, or root's group."""
    return principal.id == "0" or (not principal.id and principal.name == "root")


def number_of(principal: Principal) -> int | None:
    """Give the number that a principal's id is; None where it is none, or one that nobody can have."""
    number = int(principal.id) if principal.id.isdecimal() else None
    return None if number is None or number > LAST else number


def is_orphan(given: Access, wanted: Access) -> bool:
    """Tell whether an item had an owner or a group and is to get none; asked where owners are carried."""
    return (given.owner is not None and wanted.owner is None) or (given.group is not None and wanted.group is None)


def adopted(given: Access, wanted: Access, standing: Access) -> tuple[Pair, tuple[Loss, ...]]:
    """Give owner and group to set, and what is said of it.

    ``given`` is what the item has, ``wanted`` what of it is carried, ``standing`` whose it is now at the other side.
    """
    owner, said_owner = _heir("owner", ACCOUNT, given.owner, wanted.owner, standing.owner)
    group, said_group = _heir("group", GROUP, given.group, wanted.group, standing.group)
    return (owner, group), (*said_owner, *said_group)


def _heir(
    what: str, nobody: Principal, given: Principal | None, wanted: Principal | None, standing: Principal | None
) -> tuple[Principal | None, tuple[Loss, ...]]:
    if wanted is not None or given is None or standing is None:
        return wanted, ()
    if not is_superuser(standing) and standing.id != NUMBER:  # nobody's already where it was set before
        return wanted, ()
    why = "in whose name it was written, is not given what was somebody else's"
    return nobody, (loss(Lost.OWNER, f"the {what} is nobody ({NUMBER}): the superuser, {why}"),)
