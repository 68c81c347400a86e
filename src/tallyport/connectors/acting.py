"""A connection that acts as another account than its own: who can, and the layer that does it.

Only folders of this machine can: there each call to the file system is made as that account (``local_identity.py``).
"""

import grp  # noqa: F401
import resource  # noqa: F401
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from tallyport.connectors import local_following, local_versions, registry  # noqa: F401
from tallyport.connectors.layers.layer import Layer, Listed, innermost
from tallyport.connectors.local import Local
from tallyport.connectors.local_identity import Identity, acting, identity_of, is_known, why_not
from tallyport.connectors.protocol import Bunches, Connector, Read, SmallRead, SmallWrite, Written
from tallyport.domain.endpoints import MAIL
from tallyport.domain.entries import Entry

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

_END = object()
_LOCAL = "fs"
_AT_ONCE = 256  # entries of a listing that are taken in one go


def refusal(platform_id: str, who: str) -> str | None:
    """Say why a connection to a platform cannot act as an account, or None where it can."""
    if registry.platform(platform_id).id != _LOCAL:
        return f"{platform_id} has no way to act as another account"
    return why_not(who)


def is_missing(platform_id: str, who: str) -> bool:
    """Tell whether a platform that can act as others knows no such account, so that nothing is done in its place."""
    return registry.platform(platform_id).id == _LOCAL and not is_known(who) and not who.startswith(MAIL)


def identity_on(platform_id: str, who: str) -> Identity | None:
    """Give the identity that a connection takes on for an account; None: it acts as its own.

    An account that a platform which can act as others does not know is CONFIG, where it is named by more than an
    e-mail address.
    """
    return identity_of(who) if who and registry.platform(platform_id).id == _LOCAL else None


def acts_as(connector: Connector, who: str) -> bool:
    """Tell whether a connection that was opened to act as an account does."""
    return isinstance(innermost(connector), Local) and why_not(who) is None


class Acting(Layer):
    """Makes every call as another account of this machine."""

    def __init__(self, inner: Connector, identity: Identity) -> None:
        super().__init__(inner)
        self.identity = identity

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        with acting(self.identity):
            return act(*arguments, **named)

    def _listing(self, path: str, listed: Listed) -> Iterator[Entry]:
        with acting(self.identity):
            entries = listed(path)
        return self._taken(entries)

    def _taken(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Take entries in handfuls: each switch costs."""
        while True:
            with acting(self.identity):
                handful = list(islice(entries, _AT_ONCE))
            yield from handful
            if len(handful) < _AT_ONCE:
                return

    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        with acting(self.identity):
            return _Reading(self._opening(path, offset, length, entry), self.identity)

    def _sent(self, path: str, content: Iterable[bytes]) -> Iterable[bytes]:
        """Have content made by who makes it: the other side is not this account's."""
        return self._asked(content)

    def _asked(self, asked: Iterable[A]) -> Iterator[A]:
        """Take each thing as ourselves, since it is the other side that gives it."""
        each = iter(asked)
        while True:
            with acting(None):
                one = next(each, _END)
            if one is _END:
                return
            yield cast(A, one)

    def _reading_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return self._many(cast(Bunches, self.inner).read_many, reads)

    def _writing_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return self._many(cast(Bunches, self.inner).write_many, map(self._guarded, writes))

    def _guarded(self, one: SmallWrite | None) -> SmallWrite | None:
        """Have the guard ask as ourselves: it asks this process, and not the folder."""
        if one is None:
            return None
        return one._replace(guard=partial(self._as_ourselves, one.guard))

    def _as_ourselves(self, act: Callable[[], T]) -> T:
        with acting(None):
            return act()

    def _many(self, act: Callable[[Iterator[A]], Iterator[B]], asked: Iterable[A]) -> Iterator[B]:
        """Be the account while files are read and written; what is asked for, and what came, is the other side's."""
        with closing(cast(Any, act(self._asked(asked)))) as found:
            while True:
                with acting(self.identity):
                    outcome = next(found, _END)
                if outcome is _END:
                    return
                yield cast(B, outcome)


class _Reading:
    """An open content, each piece of which is read as another account."""

    def __init__(self, opening: AbstractContextManager[Iterator[bytes]], identity: Identity) -> None:
        self._opening = opening
        self._identity = identity

    def __enter__(self) -> Iterator[bytes]:
        with acting(self._identity):
            return self._pieces(self._opening.__enter__())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with acting(self._identity):
            return self._opening.__exit__(kind, error, trace)

    def _pieces(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            with acting(self._identity):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk
