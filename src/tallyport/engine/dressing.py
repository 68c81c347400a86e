"""What a carrier does between two local trees: on the descriptors that are held, before anybody sees the file."""

import os
import pwd
from collections.abc import Callable
from functools import cache

from tallyport.connectors.local import Local
from tallyport.connectors.local_access import properties, set_properties
from tallyport.connectors.local_errors import translate
from tallyport.connectors.local_folders import entry_of
from tallyport.connectors.local_special import restore
from tallyport.domain import nobody
from tallyport.domain.access import Access
from tallyport.domain.carrying import kept_properties
from tallyport.domain.endpoints import MAIL
from tallyport.domain.entries import Entry, Side
from tallyport.domain.errors import TallyportError
from tallyport.domain.losses import MOST, Loss, Lost, loss
from tallyport.domain.policies import PermissionsPolicy
from tallyport.domain.posix_acl import pack, unpack
from tallyport.engine.carrier import Carrier, refused


class Dresser:
    """Gives an open file or folder what another has besides content."""

    def __init__(self, carrier: Carrier, source: Local, destination: Local) -> None:
        self.carrier = carrier
        self._sides = {Side.SOURCE: source.local_access, Side.DESTINATION: destination.local_access}
        carrier.own_account = source.local_access.book.account(os.geteuid()).name or str(os.geteuid())
        carrier.could_read = _could_read
        self._gives_owners = {side: one.limits.owners for side, one in _pairs(source, destination)}

    def dressing(self, to: Side, name: str, mode: int | None) -> "Dressing":
        """Prepare for one file that is on its way."""
        return Dressing(self, to, name, mode)

    def dress(
        self, s_fd: int, d_fd: int, to: Side, name: str, mode: int | None, *, is_filled: bool = True
    ) -> tuple[Loss, ...]:
        """Set owner, lists and properties of ``d_fd`` after ``s_fd``; ``mode`` where no grants travel.

        A folder that is not filled yet gets no default list: what is carried into it has lists of its own.
        """
        losses: list[Loss] = []
        carriage = self.carrier.carriage
        if carriage.has_access:
            self._dress_access(s_fd, d_fd, to, name, mode, losses, is_filled=is_filled)
        elif mode is not None:
            with translate("set the permissions of", name):
                self._sides[to].set(d_fd, Access(), mode=mode)
        if carriage.has_properties:
            with translate("set the properties of", name):
                values = self.carrier.chosen(properties(s_fd), name)
                if values:
                    losses += kept_properties(values, set_properties(d_fd, dict(values)))
        if carriage.special_bits:
            with translate("restore the special bits of", name):
                losses += [loss(Lost.ACCESS_RULE, said) for said in restore(s_fd, d_fd, owners=carriage.owners)]
        if carriage.accounts:
            losses += self.carrier.acted(entry_of(name, os.fstat(s_fd)))
        return tuple(losses[:MOST])

    def owners(self, entry: Entry, to: Side, name: str) -> tuple[int | None, int | None, tuple[Loss, ...]]:
        """Give the numbers that a symlink's owner and group become, None for none, and what is lost."""
        if not self.carrier.carriage.owners or not isinstance(entry.owner, int) or not isinstance(entry.group, int):
            return None, None, ()
        book = self._sides[to.other].book
        access = Access(book.account(entry.owner), book.group(entry.group))
        planned = self.carrier.planned(access, to)
        if planned.refusal:
            raise refused(name, planned.refusal)
        if not self._gives_owners[to]:
            return None, None, planned.losses
        taking = self._sides[to]
        server = Access(taking.book.account(os.geteuid()), taking.book.group(os.getegid()))  # whose a new one is
        (heir, heirs), said = nobody.adopted(access, planned.access, server)
        owner, group = taking.numbers(Access(heir, heirs))
        return None if owner < 0 else owner, None if group < 0 else group, (*planned.losses, *said)

    def _dress_access(
        self,
        s_fd: int,
        d_fd: int,
        to: Side,
        name: str,
        mode: int | None,
        losses: list[Loss],
        *,
        is_filled: bool,
    ) -> None:
        carrier, taking = self.carrier, self._sides[to]
        with translate("see the access of", name, to.other):
            access = self._sides[to.other].read(s_fd)
        planned = carrier.planned(access, to)
        if planned.refusal:
            raise refused(name, planned.refusal)
        wanted = planned.access
        losses += planned.losses
        try:
            with translate("set the owner of", name):
                if self._gives_owners[to]:
                    self._give(d_fd, to, access, wanted, losses)
            with translate("set the permissions of", name):
                rules = wanted._replace(owner=None, group=None)
                if not is_filled and rules.native:
                    rules = rules._replace(native=pack(unpack(rules.native)._replace(default=())))
                taking.set(d_fd, rules, remove_others=carrier.carriage.grants is PermissionsPolicy.DIFF, mode=mode)
        except TallyportError as error:
            carrier.excuse(error, losses)
            if self._gives_owners[to]:
                try:
                    with translate("set the owner of", name):
                        self._give(d_fd, to, access, Access(), losses)
                except TallyportError as worse:
                    carrier.excuse(worse, losses)
            return
        if not is_filled:
            return  # looked at once it is filled
        with translate("see the access of", name):
            carrier.check(wanted, taking.read(d_fd), losses, name)

    def _give(self, d_fd: int, to: Side, access: Access, wanted: Access, losses: list[Loss]) -> None:
        """Give what is open to whom the plan says; where it says nobody, not to the superuser."""
        if not self.carrier.carriage.owners:
            return
        taking, pair = self._sides[to], (wanted.owner, wanted.group)
        if nobody.is_orphan(access, wanted):
            pair, said = nobody.adopted(access, wanted, taking.owners(os.fstat(d_fd)))
            losses += said
        if pair != (None, None):
            taking.set(d_fd, Access(*pair))


def _could_read(who: str, entry: Entry) -> bool:
    """Tell whether an account of this machine could have read an item by its permission bits; unknown is no."""
    found = _groups_of(who)
    if found is None or entry.mode is None:
        return False
    uid, groups = found
    shift = 6 if entry.owner == uid else 3 if entry.group in groups else 0
    return bool(entry.mode >> shift & 4)


@cache
def _groups_of(who: str) -> tuple[int, frozenset[int]] | None:
    try:
        entry = pwd.getpwnam(who.removeprefix(MAIL))
        return entry.pw_uid, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    except (KeyError, OSError, ValueError):
        return None


class Dressing:
    """One file on its way; called once its content stands, with the descriptors of both."""

    __slots__ = ("_dresser", "_mode", "_name", "_to", "losses")

    def __init__(self, dresser: Dresser, to: Side, name: str, mode: int | None) -> None:
        self._dresser = dresser
        self._to = to
        self._name = name
        self._mode = mode
        self.losses: tuple[Loss, ...] = ()

    def __call__(self, s_fd: int, d_fd: int) -> None:
        self.losses = self._dresser.dress(s_fd, d_fd, self._to, self._name, self._mode)


Dress = Callable[[int, int], None]


def _pairs(source: Local, destination: Local) -> tuple[tuple[Side, Local], ...]:
    return (Side.SOURCE, source), (Side.DESTINATION, destination)
