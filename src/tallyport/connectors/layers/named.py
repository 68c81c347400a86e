"""Says with every error whose it is: of the source or the destination, and of which connection."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import cast

from tallyport.connectors.layers.layer import Layer, Listed, P, T
from tallyport.connectors.protocol import Bunches, Connector, Read, SmallRead, SmallWrite, Written
from tallyport.domain.entries import Entry, Side
from tallyport.domain.errors import TallyportError, claimed


class Named(Layer):
    """Names the end whose errors pass. What passes on its way to another end was that one's first: it stays so."""

    def __init__(self, inner: Connector, side: Side, name: str) -> None:
        super().__init__(inner)
        self._side = side
        self._name = name

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        try:
            return act(*arguments, **named)
        except TallyportError as error:
            claimed(error, self._side, self._name)
            raise

    def _listing(self, path: str, listed: Listed) -> Iterator[Entry]:
        with naming(self._side, self._name):
            yield from listed(path)

    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._read(path, offset, length, entry)

    @contextmanager
    def _read(self, path: str, offset: int, length: int | None, entry: Entry | None) -> Iterator[Iterator[bytes]]:
        with ExitStack() as stack:
            with naming(self._side, self._name):
                chunks = stack.enter_context(self._opening(path, offset, length, entry))
            yield self._passing(chunks)

    def _passing(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        with naming(self._side, self._name):
            yield from chunks

    def _reading_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        for found in cast(Bunches, self.inner).read_many(reads):
            if found is not None and isinstance(found[1], TallyportError):
                claimed(found[1], self._side, self._name)
            yield found

    def _writing_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        for done in cast(Bunches, self.inner).write_many(writes):
            if done is not None and isinstance(done[1], TallyportError):
                claimed(done[1], self._side, self._name)
            yield done


@contextmanager
def naming(side: Side, name: str) -> Iterator[None]:
    """Name the end whose errors leave the block."""
    try:
        yield
    except TallyportError as error:
        claimed(error, side, name)
        raise
