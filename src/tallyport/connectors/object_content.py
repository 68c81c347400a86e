"""Content of a store of objects over HTTP: read in parts and pinned, written in one request or in pieces."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, TypeVar

from tallyport.connectors.object_http import Answer, Refused, check_part, let_go
from tallyport.connectors.object_keys import is_twin
from tallyport.connectors.object_store import CHANGED, ObjectStore
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import Announced, blocks, chained, twice
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, split

F = TypeVar("F")


class Which(NamedTuple):
    """Which content of a name is meant; without either, the present one."""

    tag: bytes | None = None  # this very one: another is CHANGED_DURING_COPY
    version: str | None = None  # the platform's name for one of several


NOW = Which()


class ObjectContent(ObjectStore[F]):
    """A prefix whose objects are read and written."""

    piece: int  # bytes of one request, all in memory
    pieces_noun = "parts"  # what more than one request is sent as

    # -- what a platform adds

    @abstractmethod
    def _ask(self, key: str, which: Which, span: str | None) -> Answer:
        """Ask for content, or for a span of it (``bytes=0-9``), that is still to be read."""

    @abstractmethod
    def _given(self, key: str, path: str, answer: Answer, which: Which, *, is_whole: bool) -> Iterator[bytes]:
        """Give the content of an answer; the whole of it is compared with what is known of it."""

    @abstractmethod
    def _put(self, key: str, path: str, data: bytes, facts: Facts, when: Precondition) -> Entry:
        """Store content in one request."""

    @abstractmethod
    def _put_pieces(self, key: str, path: str, pieces: Iterator[bytes], facts: Facts, when: Precondition) -> Entry:
        """Store content of more than one piece; nothing is seen of it when that fails."""

    @abstractmethod
    def _tells_hash(self, key: str, answer: Answer) -> bool:
        """Tell whether an answer says a hash of the whole content."""

    def _is_missing(self, error: Refused) -> bool:
        """Tell whether a refusal says that the object of a condition is not there."""
        return error.status == 404

    # -- reading

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, NOW)

    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, Which(tag=entry.tag))

    @contextmanager
    def _reading(self, path: str, offset: int, length: int | None, which: Which) -> Iterator[Iterator[bytes]]:
        key = self._key(path, "read")
        if path == ROOT or is_twin(split(path)[1]):
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, "a container has no content")
        if length == 0:
            self._existing(key, path, "read")
            yield iter(())
            return
        is_whole = not offset and length is None
        span = None if is_whole else f"bytes={offset}-{'' if length is None else offset + length - 1}"
        with self._answered(key, path, which, span) as answer:
            if answer is None:
                yield iter(())
                return
            chunks = self._given(key, path, answer, which, is_whole=is_whole)
            if is_whole and not (self.limits.checks_ranges or self._tells_hash(key, answer)):
                chunks = twice(chunks, lambda: self._once_more(key, path, which), path)
            yield chunks

    @contextmanager
    def _once_more(self, key: str, path: str, which: Which) -> Iterator[Iterator[bytes]]:
        with self._answered(key, path, which, None) as answer:
            yield iter(()) if answer is None else self._given(key, path, answer, which, is_whole=True)

    @contextmanager
    def _answered(self, key: str, path: str, which: Which, span: str | None) -> Iterator[Answer | None]:
        """Open the answer with content, or with a span of it; None where nothing lies there."""
        answer: Answer | None = None
        with self._translated("read", path, CHANGED):
            try:
                answer = self._ask(key, which, span)
            except Refused as error:
                if error.status == 404 and which.tag is not None:
                    why = "it is gone since it was seen"
                    raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, why) from error
                if error.status != 416:  # the range begins at the end, or after it
                    raise
        if answer is None:
            yield None
            return
        try:
            check_part(answer, path, is_whole=span is None)
            yield answer
        finally:
            let_go(answer)

    # -- writing

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key = self._new_key(path, "write")
        self._check_size(path, facts.size or 0)
        self._check(key, path, when)
        pieces = blocks(Announced(content, facts, path), self.piece)
        first = next(pieces, b"")
        second = next(pieces, None) if len(first) == self.piece else None
        if second is None:
            return self._put(key, path, first, facts, when)
        return self._put_pieces(key, path, chained(first, chained(second, pieces)), facts, when)

    def _check_size(self, path: str, size: int) -> None:
        most = self.limits.max_size
        if most is not None and size > most:
            why = f"it has more than the {most} bytes that are carried in {self.pieces_noun}"
            raise refusal(ErrorKind.TOO_LARGE, "write", path, why)

    @contextmanager
    def _while_there(self, when: Precondition, path: str) -> Iterator[None]:
        """A condition on an object that is gone may answer 404: it does not hold."""
        try:
            yield
        except Refused as error:
            if when.entry is None or not self._is_missing(error):
                raise
            why = "what was to be replaced is gone"
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, why) from error
