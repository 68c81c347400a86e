"""Reading from a bucket, held to what is known of the content."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from tallyport.connectors.bunches import Seen
from tallyport.connectors.object_keys import is_twin
from tallyport.connectors.object_store import CHANGED
from tallyport.connectors.protocol import SmallRead
from tallyport.connectors.s3_bucket import checked, etag_of
from tallyport.connectors.s3_errors import Refused, refusal, translate
from tallyport.connectors.s3_flights import Journey
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
        with self._opening(path, what):
            try:
                answer = self._bucket.call("get_object", Key=key, Range=wanted, **what)
            except Refused as error:
                if error.status != 416:
                    raise
                answer = None  # the range begins at the end, or after it
        if answer is None:
            yield iter(())
            return
        with closing(answer["Body"]) as body:
            chunks = self._chunks(body, path, answer["ContentLength"])
            yield chunks if wanted is not None else checked(chunks, path, answer)

    def _getting(self, one: SmallRead) -> Journey[Seen]:
        """Get one object whole that is as it was seen; what was only glimpsed is seen now."""
        key, path = self._readable(one.path), one.path
        what = {"IfMatch": etag_of(one.entry)} if one.entry.tag else {}
        with self._opening(path, what):
            answer = yield "get_object", {"Key": key, **what}
        size, entry = answer["ContentLength"], one.entry
        if entry.glimpsed:
            entry = self._entry(entry.name, answer)
        with closing(answer["Body"]) as body:
            return entry, b"".join(checked(self._chunks(body, path, size), path, answer))

    def _readable(self, path: str) -> str:
        if path == ROOT or is_twin(split(path)[1]):
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, "a container has no content")
        return self._key(path, "read")

    @contextmanager
    def _opening(self, path: str, what: Mapping[str, Any]) -> Iterator[None]:
        with translate("read", path, CHANGED):
            try:
                yield
            except Refused as error:
                if error.status == 404 and "IfMatch" in what:
                    why = "it is gone since it was seen"
                    raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, why) from error
                raise

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
