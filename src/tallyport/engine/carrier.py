"""Carries what an item has besides content: owner, grants and properties, under the policies of one execution.

``domain/carrying.py`` says what shall travel; here it is read, set and read back. A carrier is used by one thread.
It remembers whom the maps lead to, and how often, for the job's record of who became whom.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tallyport.connectors.protocol import Connector, Facts, Grants, Locks, Principals, Properties, Stamps
from tallyport.domain import nobody
from tallyport.domain.access import Access, Principal, PrincipalKind
from tallyport.domain.carrying import (
    Carriage,
    Planned,
    compare,
    has_rules,
    is_denial,
    kept_properties,
    plan,
)
from tallyport.domain.documents import Reader
from tallyport.domain.endpoints import MAIL
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError
from tallyport.domain.locks import Fate, Lock, fate, mark_of
from tallyport.domain.losses import MOST, Loss, Lost, loss
from tallyport.domain.map_documents import principal_document, read_map_document
from tallyport.domain.maps import PrincipalMap, Resolution, automatic, resolve, shown
from tallyport.domain.paths import display
from tallyport.domain.policies import LockPropagation, PermissionsPolicy
from tallyport.domain.properties import choose
from tallyport.engine.imports import Imported
from tallyport.engine.work import Held, LockWork

MOST_KNOWN = 4_096  # kinds of access whose plan is remembered
EVERYBODY = 50_000  # principals of one platform that are gone through where a rule asks for all

Use = tuple[str, str, str, str, str, int]
"""Side it was looked up at, source as JSON, how, destination as JSON (empty: nobody), message, items it was met on."""


class Maps:
    """The account map and the group map of a job, as its terms carry them."""

    def __init__(self, text: str, *, is_same_book: bool) -> None:
        document: dict[str, object] = json.loads(text) if text else {}
        self._maps: dict[tuple[PrincipalKind, Side], PrincipalMap] = {}
        for word, kind in (("account_map", PrincipalKind.ACCOUNT), ("group_map", PrincipalKind.GROUP)):
            given = document.get(word)
            if given is None:
                chosen = automatic(kind, is_same_book=is_same_book)
            else:
                reader = Reader()
                chosen = read_map_document(reader, given, f"/{word}", word, needs_rule=False).map
                reader.finish()
            self._maps[kind, Side.DESTINATION] = chosen
            self._maps[kind, Side.SOURCE] = chosen.reversed()

    def of(self, kind: PrincipalKind, to: Side) -> PrincipalMap:
        """Give the map of a kind of principal, on the way to a side."""
        return self._maps[PrincipalKind.GROUP if kind is PrincipalKind.GROUP else PrincipalKind.ACCOUNT, to]


class Carrier:
    """Gives what was carried its owner, grants and properties."""

    def __init__(
        self,
        carriage: Carriage,
        maps: Maps,
        source: Connector,
        destination: Connector,
        *,
        native_kind: str = "",
        job: str = "",
    ) -> None:
        self.carriage = carriage
        self._job = job
        self._native_kind = native_kind  # of access lists that both sides speak
        self._maps = maps
        self._sides: Mapping[Side, Connector] = {Side.SOURCE: source, Side.DESTINATION: destination}
        self._resolved: dict[tuple[Side, Principal], Resolution] = {}
        self._found: dict[tuple[Side, Principal], Sequence[Principal] | None] = {}
        self._plans: dict[tuple[Side, Access], tuple[Planned, tuple[Principal, ...]]] = {}
        self._uses: Counter[tuple[Side, Principal]] = Counter()
        self._losses: list[Loss] = []
        self._held: list[Held] = []
        self.grants_from: Imported | None = None  # a text file with the grants of the source's items
        self.properties_from: Imported | None = None
        self.own_account = "its own account"
        self.could_read: Callable[[str, Entry], bool] = lambda who, entry: False  # whether it made no difference

    # -- who becomes whom

    def planned(self, access: Access, to: Side) -> Planned:
        """Say what of an item's access is to be set at one side."""
        known = self._plans.get((to, access))
        if known is None:
            met: dict[Principal, None] = {}

            def other(principal: Principal) -> Resolution:
                met[principal] = None
                return self.resolved(principal, to)

            known = plan(access, self.carriage, other, native_kind=self._native_kind), tuple(met)
            if len(self._plans) < MOST_KNOWN:
                self._plans[to, access] = known
        for principal in known[1]:
            self._uses[to, principal] += 1
        return known[0]

    def resolved(self, principal: Principal, to: Side) -> Resolution:
        """Say who a principal is at one side; each is looked up once."""
        found = self._resolved.get((to, principal))
        if found is None:
            chosen = self._maps.of(principal.kind, to)
            found = resolve(
                principal, chosen, self._finder(to), is_external=lambda one: self._is_external(one, to.other)
            )
            self._resolved[to, principal] = found
        return found

    def uses(self) -> tuple[Use, ...]:
        """Give who was met since the last call, and what became of them."""
        uses, self._uses = self._uses, Counter()
        told: list[Use] = []
        for (to, principal), count in uses.items():
            if principal.kind in (PrincipalKind.EVERYONE, PrincipalKind.DOMAIN):
                continue
            found = self.resolved(principal, to)
            became = "" if found.principal is None else json.dumps(principal_document(found.principal), sort_keys=True)
            was = json.dumps(principal_document(principal), sort_keys=True)
            told.append((to.value, was, found.how.value, became, found.message, count))
        return tuple(told)

    def _finder(self, side: Side) -> Callable[[Principal], Sequence[Principal] | None]:
        connector = self._sides[side]

        def find(like: Principal) -> Sequence[Principal] | None:
            if not isinstance(connector, Principals):
                return None
            if (side, like) not in self._found:
                self._found[side, like] = tuple(itertools.islice(connector.principals(like), EVERYBODY))
            return self._found[side, like]

        return find

    def _is_external(self, principal: Principal, side: Side) -> bool:
        """Tell whether the side it comes from does not know somebody itself."""
        found = self._finder(side)(Principal(principal.kind, email=principal.email))
        return found is None or not found

    def close(self) -> None:
        """Let go of the files that are imported."""
        for one in (self.grants_from, self.properties_from):
            if one is not None:
                one.close()

    # -- what was said

    def note(self, losses: Sequence[Loss]) -> None:
        """Keep what an item lost until ``take`` asks for it."""
        self._losses.extend(losses)

    def take(self) -> tuple[Loss, ...]:
        """Give what was noted since the last call."""
        losses, self._losses = self._losses, []
        return tuple(losses)

    # -- any two connections

    def carry(self, to: Side, path: str, entry: Entry, receiving: str) -> tuple[Loss, ...]:
        """Give what stands at the receiving side what the item has besides content; says what was lost."""
        giving, taking = self._sides[to.other], self._sides[to]
        losses: list[Loss] = []
        if self.carriage.has_access:
            losses += self._carry_access(giving, taking, to, path, entry, receiving)
        if self.carriage.has_properties and entry.kind is not Kind.SYMLINK:
            losses += self._carry_properties(giving, taking, to, path, receiving)
        losses += self.acted(entry)
        if self.carriage.locks is not LockPropagation.IGNORE and entry.kind is Kind.FILE:
            losses += self._carry_lock(giving, taking, to, path, receiving)
        return tuple(losses[:MOST])

    def miss(self, to: Side, path: str, entry: Entry) -> tuple[Loss, ...]:
        """Say what a container has besides content that one cannot have which is there by what it holds alone."""
        giving = self._sides[to.other]
        losses: list[Loss] = []
        if self.carriage.has_access:
            access = _access_told(giving, path, entry)
            planned = self.planned(access, to)
            wanted = planned.access
            losses += [*planned.losses, *compare(Access(wanted.owner, wanted.group), Access())]
            if self.carriage.grants is not PermissionsPolicy.NONE and has_rules(access):
                losses.append(_without_grants_said(access))
        if self.carriage.has_properties and (values := _properties_told(giving, path)):
            losses.append(_without_properties_said(values))
        return tuple(losses[:MOST])

    def check_lock(self, to: Side, path: str) -> None:
        """Refuse a locked file whose lock cannot be made again: it is carried once it is released."""
        giving, taking = self._sides[to.other], self._sides[to]
        if self.carriage.locks is LockPropagation.IGNORE or isinstance(taking, Locks) or not isinstance(giving, Locks):
            return
        lock = giving.lock_of(path)
        if lock is not None:
            who = "somebody" if lock.owner is None else shown(lock.owner)
            what = f"{who} holds a lock on it, which the destination cannot keep; it is carried once it is released"
            message = f"cannot carry {display(path)}: {what}"
            raise TallyportError(ErrorKind.LOCKED, message, path=path, side=to.other, operation="carry")

    def _carry_lock(self, giving: Connector, taking: Connector, to: Side, path: str, receiving: str) -> list[Loss]:
        """Make the item's lock again, in the name of whom the map says where that is asked for."""
        if not isinstance(giving, Locks) or not isinstance(taking, Locks):
            return []
        lock = giving.lock_of(path)
        mine = receiving if to is Side.SOURCE else path  # the item's path at the source
        if lock is None:
            self._give_up_lock(taking, to, path, receiving, mine)
            return []
        if lock.mark and lock.mark == mark_of(self._job, to.other, mine):
            return []  # one of ours is a lock of the other side's
        losses: list[Loss] = []
        owner, why = self._in_whose_name(lock, to)
        if why:
            losses.append(loss(Lost.LOCK, f"the lock is in nobody's name: {why}"))
        try:
            held = taking.lock(receiving, Lock(owner, lock.until, mark=mark_of(self._job, to, mine)))
            self._held.append(_held(to, path, receiving, held.token))
        except TallyportError as error:
            if REMEDIES[error.kind][0] is Scope.CONNECTION:
                raise
            return [*losses, loss(Lost.LOCK, f"the lock was not made again: {error.message}")]
        if owner is not None and (held.owner is None or held.owner.kind is not owner.kind or held.owner != owner):
            now = "nobody's" if held.owner is None else f"{shown(held.owner)}'s"
            losses.append(loss(Lost.LOCK, f"the lock is {now}, not {shown(owner)}'s"))
        return losses

    def _give_up_lock(self, taking: Locks, to: Side, path: str, receiving: str, mine: str) -> None:
        """Take away a lock of ours that the other side has none for: who made it fell before it was written down."""
        there = lock_at(taking, receiving)
        if there is not None and there.mark and there.mark == mark_of(self._job, to, mine):
            _unlock(taking, receiving, there.token)
            self._held.append(_held(to, path, receiving, ""))

    def _in_whose_name(self, lock: Lock, to: Side) -> tuple[Principal | None, str]:
        """Say in whose name a lock is to be made again, or why in nobody's."""
        if self.carriage.locks is not LockPropagation.MIRROR_OWNER or lock.owner is None:
            return None, ""
        found = self.resolved(lock.owner, to)
        return found.principal, "" if found.principal is not None else found.message

    def present(self, to: Side, path: str, receiving: str, through: Connector | None = None, at: str = "") -> None:
        """Have changes of an item let through by the lock that this job made on it, where there is one.

        ``through`` is another connection to the same side, where the item is at ``at``.
        """
        taking = self._sides[to] if through is None else through
        if self.carriage.locks is not LockPropagation.IGNORE and isinstance(taking, Locks):
            mine = receiving if to is Side.SOURCE else path
            taking.hold(receiving if through is None else at, mark_of(self._job, to, mine))

    def locks(self) -> tuple[Held, ...]:
        """Give the locks that were made again since the last call."""
        held, self._held = self._held, []
        return tuple(held)

    def look_at_lock(self, work: LockWork) -> tuple[Held, ...]:
        """Take a lock that this job made away once the other side has none, or see to it that it is still held."""
        to = Side(work.side)
        giving, taking = self._sides[to.other], self._sides[to]
        if not isinstance(giving, Locks) or not isinstance(taking, Locks):
            return ()
        path, receiving = (work.path, work.d_path) if to is Side.DESTINATION else (work.d_path, work.path)
        given, there = lock_at(giving, path), lock_at(taking, receiving)
        mark = mark_of(self._job, to, work.path)
        if there is not None and mark != there.mark != "":
            there = None  # somebody else's: ours ended
        owner = None if given is None else self._in_whose_name(given, to)[0]
        what = fate(given=given, held=there, owner=owner)
        # The platform knows best: some take a lock away with the content that is replaced, and it was made anew.
        held = there if there is not None and there.mark == mark and there.token else Lock(token=work.token)
        if what is Fate.RELEASE or (what is Fate.RENEW and there is not None):
            _unlock(taking, receiving, held.token)
            held = Lock()
        if what is Fate.RENEW and given is not None:
            try:
                held = taking.lock(receiving, Lock(owner, given.until, mark=mark))
            except TallyportError as error:
                if error.kind not in (ErrorKind.LOCKED, ErrorKind.NOT_FOUND):
                    raise
                held = Lock()  # somebody else was faster, or it is gone
        return (_held(to, path, receiving, held.token),)

    def _carry_access(
        self, giving: Connector, taking: Connector, to: Side, path: str, entry: Entry, receiving: str
    ) -> list[Loss]:
        access = _access_told(giving, path, entry)
        removes = self.carriage.grants is PermissionsPolicy.DIFF
        losses: list[Loss] = []
        if self.grants_from is not None and to is Side.DESTINATION:
            found = self.grants_from.grants(path, is_container=entry.kind is Kind.CONTAINER)
            access = access._replace(grants=found.grants, inherits=True, native=b"", native_kind="")
            removes = removes and found.is_named
            losses += found.losses
        planned = self.planned(access, to)
        if planned.refusal:
            raise refused(receiving, planned.refusal)
        wanted = planned.access
        losses += planned.losses
        can_give = taking.limits.owners
        if self.carriage.owners and can_give and nobody.is_orphan(access, wanted):
            (owner, group), said = nobody.adopted(access, wanted, _standing(taking, receiving))
            wanted = wanted._replace(owner=owner, group=group)
            losses += said
        if not isinstance(taking, Grants):
            losses += _without_grants(taking, access, wanted, receiving, self.carriage)
            return losses
        asked = wanted if can_give else wanted._replace(owner=None, group=None)
        if asked == Access() and not removes:
            return losses + list(compare(wanted, taking.access(receiving)))
        try:
            got = taking.set_access(receiving, asked, remove_others=removes)
        except TallyportError as error:
            self.excuse(error, losses)
            if can_give and self.carriage.owners:
                self._give_to_nobody(taking, receiving, access, losses)
            return losses
        self.check(wanted, got, losses, receiving)
        return losses

    def _give_to_nobody(self, taking: Grants, receiving: str, access: Access, losses: list[Loss]) -> None:
        """See to it that what could not be given to its own owner is not left with the superuser."""
        try:
            pair, said = nobody.adopted(access, Access(), taking.access(receiving))
            if pair != (None, None):
                taking.set_access(receiving, Access(*pair))
                losses += said
        except TallyportError as error:
            self.excuse(error, losses)

    def chosen(self, values: Mapping[str, bytes], path: str) -> dict[str, bytes]:
        """Give the properties to be set; raises where a required one is missing."""
        found = choose(values, self.carriage.mappings, others=self.carriage.properties)
        if found.missing:
            raise refused(path, f"the required property {', '.join(found.missing)} is missing")
        return found.values

    def acted(self, entry: Entry) -> tuple[Loss, ...]:
        """Say that a connection acted as its own account where another was asked for."""
        losses: list[Loss] = []
        for side, who in self.carriage.accounts:
            is_reading = side is Side.SOURCE
            named = who.removeprefix(MAIL)
            if named != self.own_account and not (is_reading and self.could_read(who, entry)):
                did = "read" if is_reading else "written"
                losses.append(loss(Lost.IMPERSONATION, f"it was {did} as {self.own_account}, not as {named}"))
        return tuple(losses)

    def _carry_properties(
        self, giving: Connector, taking: Connector, to: Side, path: str, receiving: str
    ) -> list[Loss]:
        """Add the item's properties to what stands at the receiving side."""
        own = _properties_told(giving, path)
        imported = self.properties_from.properties(path) if self.properties_from and to is Side.DESTINATION else {}
        values = self.chosen({**own, **imported}, receiving)
        mapped = {mapping.source for mapping in self.carriage.mappings}
        values |= {name: value for name, value in imported.items() if name not in mapped}
        if not values:
            return []
        if not isinstance(taking, Properties):
            return [_without_properties_said(values)]
        try:
            return list(kept_properties(values, taking.set_properties(receiving, dict(values))))
        except TallyportError as error:
            if REMEDIES[error.kind][0] is Scope.CONNECTION:
                raise
            return [loss(Lost.PROPERTY, f"properties were not set: {error.message}")]

    def excuse(self, error: TallyportError, losses: list[Loss]) -> None:
        """Write an error of the platform down as a loss, where the job says that it stops nothing; else raise it."""
        if REMEDIES[error.kind][0] is Scope.CONNECTION or self.carriage.stops_at_errors:
            raise error
        losses.append(loss(Lost.IGNORED_RULE, f"grants were not set: {error.message}"))

    def check(self, wanted: Access, got: Access, losses: list[Loss], path: str) -> None:
        """Add what was not kept; raise where that is a denial which the job does not do without."""
        lost = compare(wanted, got)
        losses.extend(lost)
        if self.carriage.stops_at_denials:
            for one in lost:
                if is_denial(one, wanted):
                    raise refused(path, one.detail)


def lock_at(connector: Locks, path: str) -> Lock | None:
    """Give the lock on an item; one that is gone has none."""
    try:
        return connector.lock_of(path)
    except TallyportError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        return None


def _unlock(connector: Locks, path: str, token: str) -> None:
    """Take a lock of ours away; where another has come in its place, it is gone already."""
    try:
        connector.unlock(path, Lock(token=token))
    except TallyportError as error:
        if error.kind not in (ErrorKind.LOCKED, ErrorKind.NOT_FOUND):
            raise


def _held(to: Side, path: str, receiving: str, token: str) -> Held:
    here, there = (path, receiving) if to is Side.DESTINATION else (receiving, path)
    return str(to), here, there, token


def _standing(taking: Connector, receiving: str) -> Access:
    """Give whose an item is now."""
    if isinstance(taking, Grants):
        return taking.access(receiving)
    entry = taking.stat(receiving)
    return Access() if entry is None else access_of(entry)


def access_of(entry: Entry) -> Access:
    """Give owner and group as a platform without grants tells them."""
    return Access(_principal(PrincipalKind.ACCOUNT, entry.owner), _principal(PrincipalKind.GROUP, entry.group))


def refused(path: str, why: str) -> TallyportError:
    """Make the error of an item that may not be carried without something."""
    message = f"cannot carry {display(path) or 'the root'}: {why}; complete the map, or let the job do without"
    return TallyportError(ErrorKind.UNSUPPORTED, message, path=path, operation="carry the access of")


def _principal(kind: PrincipalKind, owner: str | int | None) -> Principal | None:
    if owner is None:
        return None
    return Principal(kind, str(owner)) if isinstance(owner, int) else Principal(kind, name=owner)


def _access_told(giving: Connector, path: str, entry: Entry) -> Access:
    """Give owner and grants; a platform may have none of some items, as of the prefixes that are its folders."""
    if isinstance(giving, Grants):
        with _where_there_is_one():
            return giving.access(path)
    return access_of(entry)


def _properties_told(giving: Connector, path: str) -> dict[str, bytes]:
    """Give the named values, likewise."""
    if isinstance(giving, Properties):
        with _where_there_is_one():
            return dict(giving.properties(path))
    return {}


@contextmanager
def _where_there_is_one() -> Iterator[None]:
    """Go on where the platform has no such thing of an item."""
    try:
        yield
    except TallyportError as error:
        if error.kind is not ErrorKind.UNSUPPORTED:
            raise


def _without_grants(
    taking: Connector, access: Access, wanted: Access, receiving: str, carriage: Carriage
) -> list[Loss]:
    """Set at least the owner, where the platform keeps one; the rest is lost."""
    losses: list[Loss] = []
    if wanted.owner is not None or wanted.group is not None:
        stored = None
        if taking.limits.owners and isinstance(taking, Stamps):
            facts = Facts(owner=_fact(wanted.owner), group=_fact(wanted.group))
            stored = access_of(taking.stamp(receiving, facts))
        losses += compare(wanted._replace(grants=(), links=(), native=b""), stored or Access())
    if carriage.grants is not PermissionsPolicy.NONE and has_rules(access):
        losses.append(_without_grants_said(access))
    return losses


def _without_grants_said(access: Access) -> Loss:
    who = ", ".join(sorted({shown(grant.principal) for grant in access.grants}))
    return loss(Lost.IGNORED_RULE, f"the destination keeps no grants: those for {who or 'nobody'} are lost")


def _without_properties_said(values: Mapping[str, bytes]) -> Loss:
    return loss(Lost.PROPERTY, f"the destination keeps no properties: {', '.join(sorted(values))} are lost")


def _fact(principal: Principal | None) -> str | int | None:
    if principal is None:
        return None
    if not principal.id.isdecimal():
        return principal.name or principal.id
    number = nobody.number_of(principal)
    if number is None:
        message = f"no {principal.kind} can have the number {principal.id}: correct the map"
        raise TallyportError(ErrorKind.UNSUPPORTED, message, operation="carry the access of")
    return number
