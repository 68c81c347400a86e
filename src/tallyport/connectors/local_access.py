"""Owner, access lists and user xattrs of what is open: read, set and read back, on descriptors alone.

Order: owner, access list, xattrs, so that nothing that a change of owner takes away is set before it. setuid,
setgid and file capabilities are never set. Only xattrs of the ``user`` name space are properties.
"""

import errno
import os
import stat
from collections.abc import Mapping

from tallyport.connectors.local_book import Book, number_of
from tallyport.domain import posix_acl
from tallyport.domain.access import Access, Principal, Reach
from tallyport.domain.errors import TallyportError
from tallyport.domain.posix_acl import Acl, AclEntry, Tag

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"
USER = "user."
MOST_KNOWN = 4_096  # kinds of access that are remembered: a tree has few

_NONE = frozenset({errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS})  # no such list, or a file system without lists
_REFUSED = frozenset(  # what a file system says to a property that it does not take
    {errno.ENOSPC, errno.EDQUOT, errno.E2BIG, errno.ERANGE, errno.EOPNOTSUPP, errno.EPERM, errno.ENAMETOOLONG}
)

Raw = tuple[int, int, int, bytes, bytes]  # uid, gid, mode, access list, default list


class LocalAccess:
    """Reads and sets access with the help of a book."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._known: dict[Raw, Access] = {}

    def read(self, fd: int) -> Access:
        """Give owner, group and both lists."""
        st = os.fstat(fd)
        is_container = stat.S_ISDIR(st.st_mode)
        if not is_container and not stat.S_ISREG(st.st_mode):
            return self.owners(st)
        raw = (
            st.st_uid,
            st.st_gid,
            st.st_mode & 0o40777,
            _list(fd, ACCESS),
            _list(fd, DEFAULT) if is_container else b"",
        )
        known = self._known.get(raw)
        if known is None:
            known = self._read(raw, is_container=is_container)
            if len(self._known) < MOST_KNOWN:
                self._known[raw] = known
        return known

    def owners(self, st: os.stat_result) -> Access:
        """Give owner and group alone: all that a symlink has."""
        return Access(self.book.account(st.st_uid), self.book.group(st.st_gid))

    def _read(self, raw: Raw, *, is_container: bool) -> Access:
        uid, gid, mode, access, default = raw
        acl = Acl(_decoded(access) or posix_acl.of_mode(mode), _decoded(default))
        owner, group = self.book.account(uid), self.book.group(gid)
        grants = posix_acl.grants_of(acl, owner, group, self._named, is_container=is_container)
        return Access(owner, group, grants, native=posix_acl.pack(acl), native_kind=posix_acl.KIND)

    def _named(self, tag: Tag, number: int) -> Principal:
        return self.book.account(number) if tag is Tag.USER else self.book.group(number)

    def numbers(self, wanted: Access) -> tuple[int, int]:
        """Give the numbers of owner and group, -1 for none asked."""
        uid = -1 if wanted.owner is None else number_of(wanted.owner, self.book)
        gid = -1 if wanted.group is None else number_of(wanted.group, self.book)
        return uid, gid

    def set(self, fd: int, wanted: Access, *, remove_others: bool = False, mode: int | None = None) -> None:
        """Set owner and group, then the lists. ``mode`` holds where no grants are asked for."""
        uid, gid = self.numbers(wanted)
        st = os.fstat(fd)
        if (uid not in (-1, st.st_uid)) or (gid not in (-1, st.st_gid)):
            os.fchown(fd, uid, gid)
            st = os.fstat(fd)
        is_container = stat.S_ISDIR(st.st_mode)
        if wanted.native_kind == posix_acl.KIND and wanted.native:
            self._set_lists(fd, st, posix_acl.unpack(wanted.native), remove_others=remove_others)
        elif wanted.grants or remove_others:
            standing = Acl(_standing(fd, st), _decoded(_list(fd, DEFAULT)) if is_container else ())
            self._set_lists(fd, st, self._asked(wanted, standing, st, remove_others), remove_others=True)
        elif mode is not None:
            _set_mode(fd, st, mode & 0o777)

    def _asked(self, wanted: Access, standing: Acl, st: os.stat_result, remove_others: bool) -> Acl:
        """Give the lists that grants of another platform ask for."""

        def number(principal: Principal) -> int | None:
            try:
                return number_of(principal, self.book)
            except TallyportError:
                return None  # found when it is read back

        is_container = stat.S_ISDIR(st.st_mode)
        reaches = ((Reach.ITEM, standing.access), (Reach.BELOW, standing.default))
        access, default = (
            posix_acl.of_grants(
                wanted.grants,
                there,
                owner=st.st_uid,
                group=st.st_gid,
                number_of=number,
                is_container=is_container,
                reach=reach,
                remove_others=remove_others,
            )
            for reach, there in reaches
        )
        return Acl(access, default if is_container else ())

    def _set_lists(self, fd: int, st: os.stat_result, acl: Acl, *, remove_others: bool) -> None:
        """Set what is asked for; without ``remove_others`` named entries that stand already stay."""
        raw = _list(fd, ACCESS)
        access = acl.access if remove_others or not raw else posix_acl.merged(acl.access, _decoded(raw))
        _set_access(fd, st, access, has_list=bool(raw))
        if not stat.S_ISDIR(st.st_mode):
            return
        raw = _list(fd, DEFAULT)
        default = (
            acl.default if remove_others or not raw else posix_acl.merged(acl.default or _decoded(raw), _decoded(raw))
        )
        if default and (encoded := posix_acl.encode(default)) != raw:
            try:
                os.setxattr(fd, DEFAULT, encoded)
            except OSError as error:
                if error.errno not in _NONE:
                    raise
        elif raw and not default:
            os.removexattr(fd, DEFAULT)


def _set_access(fd: int, st: os.stat_result, access: tuple[AclEntry, ...], *, has_list: bool) -> None:
    if posix_acl.is_extended(access):
        try:
            os.setxattr(fd, ACCESS, posix_acl.encode(access))
            return
        except OSError as error:
            if error.errno not in _NONE:
                raise
            has_list = False  # what bits can say is said; the rest is found when it is read back
    if has_list:
        os.removexattr(fd, ACCESS)
        st = os.fstat(fd)
    _set_mode(fd, st, posix_acl.base_mode(access))


def _set_mode(fd: int, st: os.stat_result, mode: int) -> None:
    if stat.S_ISDIR(st.st_mode):
        mode |= st.st_mode & stat.S_ISGID  # inherited from the folder above, not brought by the source
    if st.st_mode & 0o7777 != mode:
        os.fchmod(fd, mode)


def _standing(fd: int, st: os.stat_result) -> tuple[AclEntry, ...]:
    return _decoded(_list(fd, ACCESS)) or posix_acl.of_mode(st.st_mode)


def _list(fd: int, name: str) -> bytes:
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno in _NONE:
            return b""
        raise


def _decoded(raw: bytes) -> tuple[AclEntry, ...]:
    return posix_acl.decode(raw) if raw else ()


# -- properties


def properties(fd: int) -> dict[str, bytes]:
    """Give the user xattrs of what is open, by their names without the name space."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno in _NONE:
            return {}
        raise
    found: dict[str, bytes] = {}
    for name in names:
        if name.startswith(USER):
            try:
                found[name[len(USER) :]] = os.getxattr(fd, name)
            except OSError as error:
                if error.errno not in _NONE:  # removed meanwhile
                    raise
    return found


def set_properties(fd: int, values: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Set and remove user xattrs; gives all as they are then. One that is refused is missing there."""
    for name, value in values.items():
        try:
            if value is None:
                os.removexattr(fd, USER + name)
            else:
                os.setxattr(fd, USER + name, value)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            if isinstance(error, OSError) and error.errno not in _REFUSED and error.errno not in _NONE:
                raise
    return properties(fd)
