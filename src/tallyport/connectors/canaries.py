"""The canaries of a probe: written down before the first is made, so that those of a probe that was killed are found.

A probe that may still be running is somebody else's affair: which ones are over, the book says.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import Protocol, cast

from tallyport.connectors.layers.layer import Layer, P, T
from tallyport.connectors.protocol import Connector, Sweeps, Uploads
from tallyport.connectors.temporaries import Tokened
from tallyport.domain.connections import Canaries
from tallyport.domain.entries import Kind
from tallyport.domain.errors import TallyportError
from tallyport.domain.paths import join

TOKEN = "probe"  # of what a probe leaves unfinished inside its own folder


class Book(Protocol):
    """Remembers the probes of one connection."""

    def begin(self, canaries: Canaries) -> None:
        """Write down what is about to be made."""

    def note(self, canaries: Canaries) -> None:
        """Write down an upload that was begun since."""

    def end(self, canaries: Canaries, *, is_gone: bool) -> None:
        """Write down that a probe is over, and whether all it made is gone."""

    def left(self) -> Iterable[Canaries]:
        """Give what probes left that are over."""


class NoBook:
    """For a probe that nobody has to clean up after: nothing is remembered."""

    def begin(self, canaries: Canaries) -> None: ...

    def note(self, canaries: Canaries) -> None: ...

    def end(self, canaries: Canaries, *, is_gone: bool) -> None: ...

    def left(self) -> Iterable[Canaries]:
        return ()


class Noting(Layer):
    """Tells which uploads are begun: no listing shows one that is never finished."""

    def __init__(self, inner: Connector, noted: Callable[[str, str], None]) -> None:
        super().__init__(inner)
        self._noted = noted

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        answer = act(*arguments, **named)
        if operation == "begin_upload":
            self._noted(str(arguments[0]), str(answer))
        return answer


def mark(connector: Connector) -> None:
    """Have a connector mark as a probe's what it leaves unfinished."""
    if isinstance(connector, Tokened):
        connector.token = TOKEN


def remove(connector: Connector, canaries: Canaries) -> bool:
    """Remove canaries, and tell whether all is gone; what is left has a name that says whose it is."""
    for path, handle in canaries.uploads:
        with contextlib.suppress(TallyportError):
            cast(Uploads, connector).abandon_upload(path, handle)
    with contextlib.suppress(TallyportError):
        if connector.stat(canaries.place) is not None:
            _remove_below(connector, canaries.place)
        return not _has_something(connector, canaries.place)
    return False


def _remove_below(connector: Connector, path: str) -> None:
    if isinstance(connector, Sweeps):
        with contextlib.suppress(TallyportError):
            connector.sweep(path, TOKEN)
    with contextlib.suppress(TallyportError):
        for entry in list(connector.children(path)):
            below_it = join(path, entry.name)
            if entry.kind is Kind.CONTAINER:
                _remove_below(connector, below_it)
            else:
                with contextlib.suppress(TallyportError):
                    connector.delete(below_it)
    with contextlib.suppress(TallyportError):
        connector.delete(path)


def _has_something(connector: Connector, path: str) -> bool:
    """Tell whether a container stands; a prefix that only seems to, for a while, does not."""
    if connector.stat(path) is None:
        return False
    if not connector.limits.containers_implied:
        return True
    return any(
        entry.kind is not Kind.CONTAINER or _has_something(connector, join(path, entry.name))
        for entry in connector.children(path)
    )
