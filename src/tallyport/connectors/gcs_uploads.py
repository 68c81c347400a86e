"""A big file that arrives in parts, each an object of its own: in any order and from anywhere, as no session takes it.

They are composed in layers, as many at once as the platform takes.
"""

import secrets
from collections.abc import Iterable, Sequence

from tallyport.connectors.gcs_limits import PIECE
from tallyport.connectors.gcs_writing import Stored, Writing
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import Announced, blocks
from tallyport.connectors.temporaries import TEMPORARY
from tallyport.domain.entries import Entry

COMPOSED = 32  # objects that are joined in one request


class Uploads(Writing):
    """A prefix that takes big files in parts."""

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        self._new_key(path, "write")
        self._check_size(path, facts.size or 0)
        # Not the execution's token: a sweep by it would take the parts of an upload that goes on.
        return secrets.token_hex(8)

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        key = self._new_key(path, "write")
        passing = Announced(content, Facts(size=size), path)
        stored = self._store(self._part(key, handle, number), path, blocks(passing, PIECE))
        return f"{stored.generation}:{stored.size}".encode()

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        key = self._new_key(path, "write")
        self._check(key, path, when)
        parts = []
        for number, receipt in enumerate(receipts):
            generation, _, size = receipt.decode().partition(":")
            parts.append(Stored(self._part(key, handle, number), generation, int(size)))
        joined: list[Stored] = []
        layer = parts
        try:
            while len(layer) > COMPOSED:
                groups = [layer[start : start + COMPOSED] for start in range(0, len(layer), COMPOSED)]
                layer = []
                for group in groups:
                    name = self._part(key, handle, len(parts) + len(joined))
                    joined.append(self._join(name, path, group))
                    layer.append(joined[-1])
            entry = self._compose(key, path, layer, facts, when)
        finally:
            self._forget([(one.name, one.generation) for one in joined])
        self._forget([(one.name, one.generation) for one in parts])
        return entry

    def abandon_upload(self, path: str, handle: str) -> None:
        key = self._key(path, "write")
        prefix = self._beside(key, f"{TEMPORARY}{handle}-")
        self._forget([(one["name"], one["generation"]) for one in self._all(prefix, path)])

    def _part(self, key: str, handle: str, number: int) -> str:
        return self._beside(key, f"{TEMPORARY}{handle}-{number:x}")
