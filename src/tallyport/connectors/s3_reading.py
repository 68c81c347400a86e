"""Reading from a bucket, held to what is known of the content."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

from tallyport.connectors.bunches import Seen
from tallyport.connectors.object_keys import is_twin
from tallyport.connectors.object_store import CHANGED
from tallyport.connectors.protocol import SmallRead
from tallyport.connectors.remote_content import twice
from tallyport.connectors.s3_assembled import Assembled, count_in, lengths
from tallyport.connectors.s3_bucket import checked, etag_of, has_plain_tag, tag_of
from tallyport.connectors.s3_errors import Refused, refusal, translate
from tallyport.connectors.s3_flights import Journey, alone
from tallyport.connectors.s3_prefix import Prefix
from tallyport.connectors.s3_settings import CHUNK
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, split


class Reading(Prefix):
    """A prefix that can be read."""

    # -- reading

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, what: Mapping[str, Any]
    ) -> Iterator[Iterator[bytes]]:
        key = self._readable(path)
        if length == 0:
            self._existing(key, path, "read")
            yield iter(())
            return
        wanted = None
        if offset or length is not None:
            wanted = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        with translate("read", path, CHANGED):
            try:
                answer = self._bucket.call("get_object", Key=key, Range=wanted, **what)
            except Refused as error:
                _check_gone(error, path, what)
                if error.status != 416:
                    raise
                answer = None  # the range begins at the end, or after it
        if answer is None:
            yield iter(())
            return
        with closing(answer["Body"]) as body:
            chunks = self._chunks(body, path, answer["ContentLength"])
            yield chunks if wanted is not None else self._checked(key, path, chunks, answer, what)

    def _checked(
        self, key: str, path: str, chunks: Iterator[bytes], answer: Mapping[str, Any], what: Mapping[str, Any]
    ) -> Iterator[bytes]:
        """Compare whole content with a hash that is known of it; else read it again, where the way checks nothing."""
        known = checked(chunks, path, answer)
        if known is not None or self.limits.checks_ranges:
            return known or chunks
        assembled = self._assembled(key, path, answer, what)
        again = partial(self._once_more, key, path, answer, what)
        if assembled is None:
            return twice(chunks, again, path)
        return twice(assembled.passing(chunks), again, path, spares=assembled.is_whole)

    def _assembled(self, key: str, path: str, answer: Mapping[str, Any], what: Mapping[str, Any]) -> Assembled | None:
        """Prepare to compare content with the ETag of its parts, where it is known how long those are."""
        tag, first = tag_of(answer).decode(), None
        count = count_in(tag) if has_plain_tag(answer) else None
        if count is None:
            return None
        if count > 1:
            with translate("read", path), suppress(Refused):  # not every server knows parts
                first = self._bucket.call("head_object", Key=key, PartNumber=1, **what)["ContentLength"]
        size = answer["ContentLength"]
        parts = lengths(size, count, None if first == size else first)  # who knows no parts gives the whole
        return None if parts is None else Assembled(tag, parts)

    @contextmanager
    def _once_more(
        self, key: str, path: str, answer: Mapping[str, Any], what: Mapping[str, Any]
    ) -> Iterator[Iterator[bytes]]:
        same = {"IfMatch": answer["ETag"], **what} if answer.get("ETag") else what
        again = alone(self._bucket, self._asking(key, path, same))
        with closing(again["Body"]) as body:
            yield self._chunks(body, path, again["ContentLength"])

    def _getting(self, one: SmallRead) -> Journey[Seen]:
        """Get one object whole that is as it was seen; what was only glimpsed is seen now."""
        key, path = self._readable(one.path), one.path
        what = {"IfMatch": etag_of(one.entry)} if one.entry.tag else {}
        answer = yield from self._asking(key, path, what)
        size, entry = answer["ContentLength"], one.entry
        if entry.glimpsed:
            entry = self._entry(entry.name, answer)
        with closing(answer["Body"]) as body:
            chunks = self._chunks(body, path, size)
            known = checked(chunks, path, answer)
            content = b"".join(chunks if known is None else known)
        if known is None and not self.limits.checks_ranges:
            yield from self._proving(one, content, answer)
        return entry, content

    def _asking(self, key: str, path: str, what: Mapping[str, Any]) -> Journey[dict[str, Any]]:
        with translate("read", path, CHANGED):
            try:
                return (yield "get_object", {"Key": key, **what})
            except Refused as error:
                _check_gone(error, path, what)
                raise

    def _proving(self, one: SmallRead, content: bytes, answer: Mapping[str, Any]) -> Journey[None]:
        """Compare small content with its ETag, or with what comes when it is asked for again."""
        tag = tag_of(answer).decode()
        if has_plain_tag(answer) and count_in(tag) == 1:
            assembled = Assembled(tag, [len(content)])
            assembled.update(content)
            if assembled.is_whole():
                return
        same = {"IfMatch": answer["ETag"]} if answer.get("ETag") else {}
        again = yield from self._asking(self._readable(one.path), one.path, same)
        with closing(again["Body"]) as body:
            chunks = self._chunks(body, one.path, again["ContentLength"])
            b"".join(twice([content], lambda: nullcontext(chunks), one.path))

    def _readable(self, path: str) -> str:
        if path == ROOT or is_twin(split(path)[1]):
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, "a container has no content")
        return self._key(path, "read")

    def _chunks(self, body: Any, path: str, length: int) -> Iterator[bytes]:
        came = 0
        while came < length:
            with translate("read", path):
                chunk = body.read(min(CHUNK, length - came))
            if not chunk:
                why = f"the content ended after {came} of {length} bytes"
                raise refusal(ErrorKind.UNAVAILABLE, "read", path, why)
            came += len(chunk)
            yield chunk


def _check_gone(error: Refused, path: str, what: Mapping[str, Any]) -> None:
    if error.status == 404 and "IfMatch" in what:
        raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it is gone since it was seen") from error
