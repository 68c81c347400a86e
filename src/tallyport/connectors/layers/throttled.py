"""Keeps content to a rate, which several connections may share."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import cast

from tallyport.connectors.layers.layer import Layer
from tallyport.connectors.protocol import Bunches, Connector, Read, SmallRead, SmallWrite, Written
from tallyport.domain.entries import Entry
from tallyport.domain.errors import TallyportError


class Bucket:
    """A token bucket of bytes, one second deep, that several connections may share.

    ``rate`` is bytes per second and may be changed at any time: None is no limit, 0 holds everybody until
    it is changed. Whoever waits looks again at least every ``LOOK`` seconds.
    """

    LOOK = 0.25

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._rate = rate
        self._tokens = rate or 0.0
        self._filled = clock()

    @property
    def rate(self) -> float | None:
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        with self._lock:
            self._fill()
            self._rate = rate
            self._tokens = min(self._tokens, rate or 0.0)

    def take(self, amount: int) -> None:
        """Take tokens, waiting until there are some. More than there are leaves a debt for the next taker."""
        while (pause := self._try(amount)) > 0:
            self._sleep(pause)

    def _try(self, amount: int) -> float:
        """Take and give 0, or give the seconds after which to look again."""
        with self._lock:
            self._fill()
            if self._rate is None:
                return 0.0
            if self._tokens > 0:
                self._tokens -= amount
                return 0.0
            if self._rate <= 0:
                return self.LOOK
            return min(self.LOOK, max(-self._tokens / self._rate, 0.001))

    def _fill(self) -> None:
        now = self._clock()
        if self._rate is not None:
            self._tokens = min(self._rate, self._tokens + (now - self._filled) * self._rate)
        self._filled = now


class Throttled(Layer):
    """Keeps content to the rate of a bucket, on both ways."""

    def __init__(self, inner: Connector, bucket: Bucket) -> None:
        super().__init__(inner)
        self.bucket = bucket

    def _paced(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.bucket.take(len(chunk))
            yield chunk

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        with self._opening(path, offset, length, entry) as chunks:
            yield self._paced(chunks)

    def _sent(self, path: str, content: Iterable[bytes]) -> Iterator[bytes]:
        return self._paced(content)

    def _reading_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        for found in cast(Bunches, self.inner).read_many(reads):
            if found is not None and not isinstance(found[1], TallyportError):
                self.bucket.take(len(found[1]))
            yield found

    def _writing_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return cast(Bunches, self.inner).write_many(map(self._taken, writes))

    def _taken(self, one: SmallWrite | None) -> SmallWrite | None:
        if one is not None:
            self.bucket.take(len(one.content))
        return one
