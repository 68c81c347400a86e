"""The content hash, one definition for every side.

xxh3-128. Content longer than :data:`PART` is hashed in parts of that length and the hash is that of the parts'
digests joined in order, so that parts carried by different workers prove the whole (16 bytes either way).
"""

from collections.abc import Iterable

import xxhash

PART = 64 * 1024 * 1024


def digest(data: bytes | bytearray | memoryview) -> bytes:
    """Hash content that is at most one part long."""
    return xxhash.xxh3_128_digest(data)


def of_parts(digests: Iterable[bytes]) -> bytes:
    """Hash of the whole from the digests of its parts, in order."""
    parts = list(digests)
    return parts[0] if len(parts) == 1 else xxhash.xxh3_128_digest(b"".join(parts))


class ContentHash:
    """Running content hash over chunks of any length."""

    __slots__ = ("_parts", "_room", "_running")

    def __init__(self) -> None:
        self._running = xxhash.xxh3_128()
        self._room = PART
        self._parts: list[bytes] = []

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next chunk."""
        view = memoryview(chunk)
        while len(view) > self._room:
            self._running.update(view[: self._room])
            view = view[self._room :]
            self._parts.append(self._running.digest())
            self._running = xxhash.xxh3_128()
            self._room = PART
        self._running.update(view)
        self._room -= len(view)

    def digest(self) -> bytes:
        """Give the hash of everything taken so far."""
        if not self._parts:
            return self._running.digest()
        return of_parts([*self._parts, self._running.digest()])
