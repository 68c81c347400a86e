"""A simulation looks and touches nothing."""

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from tallyport.connectors.layers.layer import Layer, P, T
from tallyport.connectors.protocol import Bunches, Read, SmallRead
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import display

READING = frozenset(
    {
        *("stat", "content_hash", "sync", "page", "look_many", "versions", "read_version"),
        *("access", "principals", "lock_of", "properties"),
    }
)


class ReadOnly(Layer):
    """Refuses every call that would change something: a simulation looks and touches nothing."""

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        if operation in READING:
            return act(*arguments, **named)
        path = str(arguments[0])
        words = operation.replace("_", " ")
        message = f"cannot {words} {display(path) or '/'!r}: this is a simulation, which changes nothing"
        raise TallyportError(ErrorKind.READ_ONLY, message, path=path, operation=operation)

    def _reading_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return cast(Bunches, self.inner).read_many(reads)
