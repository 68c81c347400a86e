"""Patience: small calls that failed for a passing reason are made again."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

from tallyport.connectors.layers.layer import Layer, Listed, P, T
from tallyport.connectors.pausing import rest
from tallyport.connectors.protocol import Bunches, Connector, Read, SmallRead, SmallWrite, Written
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError

PASSING = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT})
REPEATABLE = frozenset(
    {
        *("stat", "delete", "make_container", "stamp", "rename"),
        *(
            "page",
            "look_many",
            "versions",
            "access",
            "principals",
            "lock_of",
            "hold",
            "properties",
            "abandon_upload",
            "forget_uploads",
            "set_properties",
        ),
    }
)


class Retrying(Layer):
    """Repeats small calls that failed for a passing reason, after a pause.

    Repeated are ``REPEATABLE`` calls, the opening of a read, and listings, which go on after the entries
    already given. A write, or a read that has begun, is never repeated: only who knows both sides can. A rename
    that was done while its answer was lost ends as NOT_FOUND: look again. The pause is drawn between 0 and a
    bound that doubles (full jitter), and is never shorter than the platform asked for; when that is longer than
    ``longest``, or its thread is to stop, the error goes to the caller at once.
    """

    REMEMBERED = 20_000  # names of a listing; one that fails after more is not begun again

    def __init__(
        self,
        inner: Connector,
        *,
        attempts: int = 5,
        first: float = 0.5,
        longest: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        super().__init__(inner)
        self._attempts = attempts
        self._first = first
        self._longest = longest
        self._sleep = sleep
        self._chance = chance or random.Random()

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        if operation not in REPEATABLE:
            return act(*arguments, **named)
        return self._patiently(lambda: act(*arguments, **named))

    def _patiently(self, act: Callable[[], T]) -> T:
        attempt = 1
        while True:
            try:
                return act()
            except TallyportError as error:
                self._pause(error, attempt)
                attempt += 1

    def _pause(self, error: TallyportError, attempt: int) -> None:
        """Wait before the next attempt, or raise the error when there is none."""
        asked = error.retry_after or 0.0
        if error.kind not in PASSING or asked > self._longest:
            raise error
        if attempt >= self._attempts:
            raise TallyportError(
                error.kind,
                f"still failing after {attempt} attempts: {error.message}",
                path=error.path,
                side=error.side,
                operation=error.operation,
                retry_after=error.retry_after,
            ) from error
        bound = min(self._longest, self._first * 2 ** (attempt - 1))
        if not rest(max(asked, self._chance.uniform(0, bound)), self._sleep):
            raise error

    def _listing(self, path: str, listed: Listed) -> Iterator[Entry]:
        given: set[str] = set()
        attempt = 1
        while True:
            try:
                entries = iter(listed(path))
                for entry in entries:
                    if entry.name not in given:
                        given.add(entry.name)
                        yield entry
                        if len(given) >= self.REMEMBERED:
                            break
                else:
                    return
            except TallyportError as error:
                self._pause(error, attempt)
                attempt += 1
                continue
            given.clear()
            yield from entries
            return

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        with ExitStack() as stack:
            yield self._patiently(lambda: stack.enter_context(self._opening(path, offset, length, entry)))

    def _reading_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        """Read several files. What fails is given at once: a pause would hold up the others."""
        return cast(Bunches, self.inner).read_many(reads)

    def _writing_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return cast(Bunches, self.inner).write_many(writes)
