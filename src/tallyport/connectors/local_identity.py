"""Acting at the file system as another account of this machine, for one thread and a moment at a time.

Linux checks files against a thread's *file-system* identity (user, group, supplementary groups) and its effective
capabilities. :func:`acting` takes on another's and puts ours back, so that the kernel decides what that account may do
as if it had come itself, also over NFS. The calls are made past the C library, which would change every thread.

Whatever is asked of this process while it acts (a module to import, the ledger) is asked as that account: keep the
moments short, or go back for them with ``acting(None)``. A thread that begins meanwhile is that account for as long as
it lives: begin none that lives on. See setfsuid(2), setgroups(2), credentials(7), capset(2).
"""

import errno
import os
import platform
import pwd
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from tallyport.domain import nobody
from tallyport.domain.endpoints import MAIL
from tallyport.domain.errors import ErrorKind, TallyportError

_SETGROUPS = {"x86_64": 116, "aarch64": 159, "riscv64": 159, "loongarch64": 159, "ppc64le": 81, "s390x": 206}
_CAPABILITIES_V3 = 0x20080522
_NEEDED = 1 << 6 | 1 << 7  # CAP_SETGID, CAP_SETUID
_NO_GROUP = int(nobody.NUMBER)  # of a number without an account


class Identity(NamedTuple):
    """As whom the file system sees a thread."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class _State(threading.local):
    now: Identity | None = None


class _Calls(NamedTuple):
    """The system calls, each raising OSError."""

    set_groups: Callable[[tuple[int, ...]], None]
    set_fsuid: Callable[[int], int]  # gives the one before
    set_fsgid: Callable[[int], int]
    capabilities: Callable[[], tuple[int, int]]  # effective, permitted
    set_effective: Callable[[int], None]


class _Own(NamedTuple):
    """What a thread of this process is when it acts as nobody else."""

    identity: Identity
    effective: int


_state = _State()


@contextmanager
def acting(identity: Identity | None) -> Iterator[None]:
    """Let this thread be somebody at the file system; None is the account that the process runs as."""
    before = _state.now
    if identity == before:
        yield
        return
    _become(identity)
    try:
        yield
    finally:
        _become(before)


def is_acting() -> bool:
    """Tell whether this thread is somebody else now."""
    return _state.now is not None


def identity_of(who: str) -> Identity | None:
    """Give the identity to take on for an account; None where it is our own, or :func:`why_not` says why not.

    An account that there is not is CONFIG: in the place of somebody who left, nobody does anything. An e-mail address
    that is no name here says nothing to this machine, which is no way to act: then we act as ourselves.
    """
    found = _named(who)
    if found is None and who.startswith(MAIL):
        return None
    if found is None:
        message = f"impersonate_as: {why_not(who)}; nothing is done in its place"
        raise TallyportError(ErrorKind.CONFIG, message, operation="act as another account")
    return None if found.uid == os.geteuid() or why_not(who) is not None else found


def is_known(who: str) -> bool:
    """Tell whether this machine has an account of that name, or takes it for a number."""
    return _named(who) is not None


def why_not(who: str) -> str | None:
    """Say why this process cannot act as an account, or None where it can."""
    found = _named(who)
    if found is None:
        hint = "; an e-mail address is no name here, give a username or an id" if "@" in who else ""
        return f"this machine knows no account {who.removeprefix(MAIL)!r}{hint}"
    if found.uid == os.geteuid():
        return None
    if found.uid == 0:
        return "nobody is let act as the superuser"
    if platform.system() != "Linux":
        return f"{platform.system()} lets no thread act as another account, only Linux does"
    if platform.machine() not in _SETGROUPS:
        return f"acting as another account is not known on {platform.machine()} processors"
    if _calls().capabilities()[1] & _NEEDED != _NEEDED:
        return "this server has no right to: it must run as root, or with CAP_SETUID and CAP_SETGID"
    return None


def _named(who: str) -> Identity | None:
    """Look an account up. A number is taken at its word: not every one has an account."""
    is_mail, who = who.startswith(MAIL), who.removeprefix(MAIL)
    try:
        if not is_mail and who.isdecimal() and who.isascii():
            number = int(who)
            if number > nobody.LAST:
                return None
            try:
                entry = pwd.getpwuid(number)
            except KeyError:
                return Identity(number, _NO_GROUP)
        else:
            entry = pwd.getpwnam(who)
        return Identity(entry.pw_uid, entry.pw_gid, tuple(sorted(set(os.getgrouplist(entry.pw_name, entry.pw_gid)))))
    except (KeyError, ValueError, OverflowError):  # nobody; a NUL in the name; too large
        return None


def _become(identity: Identity | None) -> None:
    """Change this thread as a whole or not at all."""
    own, calls = _own(), _calls()
    try:
        calls.set_effective(own.effective)
        _set(calls, own.identity if identity is None else identity)
        if identity is not None:
            calls.set_effective(0)  # or root's rights over files would still be there for one that is not root
    except OSError as error:
        calls.set_effective(own.effective)
        _set(calls, own.identity)
        _state.now = None
        who = "ourselves" if identity is None else f"account {identity.uid}"
        message = f"cannot act as {who} (impersonate_as): {error.strerror}"
        raise TallyportError(ErrorKind.CONFIG, message, operation="act as another account") from error
    if identity is None:
        calls.set_effective(own.effective)  # leaving and entering the superuser's number moves them
    _state.now = identity


def _set(calls: _Calls, identity: Identity) -> None:
    calls.set_groups(identity.groups)
    calls.set_fsgid(identity.gid)
    calls.set_fsuid(identity.uid)
    if calls.set_fsuid(-1) != identity.uid or calls.set_fsgid(-1) != identity.gid:  # they say it in no other way
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@cache
def _own() -> _Own:
    calls = _calls()
    own = Identity(calls.set_fsuid(-1), calls.set_fsgid(-1), tuple(os.getgroups()))
    return _Own(own, calls.capabilities()[0])


@cache
def _calls() -> _Calls:
    import ctypes

    library: Any = ctypes.CDLL(None, use_errno=True)
    number = _SETGROUPS[platform.machine()]
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)  # of this thread
    three_pairs = ctypes.c_uint32 * 6  # effective, permitted, inheritable; then the upper halves of them

    def checked(result: int) -> int:
        if result == -1:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result

    def set_groups(groups: tuple[int, ...]) -> None:
        array = (ctypes.c_uint32 * len(groups))(*groups)
        checked(library.syscall(ctypes.c_long(number), ctypes.c_size_t(len(groups)), array))

    def set_fsuid(uid: int) -> int:
        return int(library.setfsuid(ctypes.c_uint32(uid & 0xFFFFFFFF))) & 0xFFFFFFFF

    def set_fsgid(gid: int) -> int:
        return int(library.setfsgid(ctypes.c_uint32(gid & 0xFFFFFFFF))) & 0xFFFFFFFF

    def read() -> Any:
        held = three_pairs()
        checked(library.capget(header, held))
        return held

    def capabilities() -> tuple[int, int]:
        held = read()
        return held[0] | held[3] << 32, held[1] | held[4] << 32

    def set_effective(wanted: int) -> None:
        held = read()
        held[0], held[3] = wanted & 0xFFFFFFFF, wanted >> 32
        checked(library.capset(header, held))

    return _Calls(set_groups, set_fsuid, set_fsgid, capabilities, set_effective)
