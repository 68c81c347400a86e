"""Objects that were stored in parts: their ETag is the MD5 of the MD5s of the parts, and the number of those.

Nothing says how long each part is but what the platform tells of the first, and the habits of whoever stores.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tallyport.connectors.s3_parts import slice_length
from tallyport.connectors.s3_settings import MIB, PART, PARTS_MAX, UPLOAD_PART

HABITS = (8, 5, 16, 10, 15, 32, 50, 64, 100, 128, 256, 512, 1024)  # MiB of a part, as the tools have them
_TAG = re.compile(r"[0-9a-f]{32}-([1-9][0-9]{0,4})")


def count_in(tag: str) -> int | None:
    """Read from an ETag of how many parts the object is; None where that is not said."""
    found = _TAG.fullmatch(tag)
    return None if found is None or int(found[1]) > PARTS_MAX else int(found[1])


def lengths(size: int, count: int, first: int | None = None) -> Sequence[int] | None:
    """Give the lengths of the parts of an object, or None where nothing fits what is known.

    Nearly all who store make parts of one length, the last perhaps shorter; ours are so but for the last few.
    """
    if count == 1:
        return [size]
    ours = _ours(size)
    if len(ours) == count and first in (None, ours[0]):
        return ours
    for length in [one * MIB for one in HABITS] if first is None else [first]:
        if length and -(-size // length) == count:
            return [length] * (count - 1) + [size - length * (count - 1)]
    return None


def _ours(size: int) -> list[int]:
    """Give the lengths of the parts that an upload of ours has: each 64 MiB of content is stored as up to eight."""
    full, rest = divmod(size, UPLOAD_PART)
    length = slice_length(rest, PART)
    last = [length] * (rest // length) + [rest % length] * (rest % length > 0) if rest else []
    return [PART] * (full * (UPLOAD_PART // PART)) + last


class Assembled:
    """Content of an object in parts, as it passes."""

    def __init__(self, tag: str, lengths: Sequence[int]) -> None:
        self._tag = tag
        self._left = iter(lengths)
        self._count = len(lengths)
        self._digests = hashlib.md5(usedforsecurity=False)
        self._part = hashlib.md5(usedforsecurity=False)
        self._room = next(self._left, 0)

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Give chunks as they are while the hashes run along, each beside what its receiver does with it."""
        with ThreadPoolExecutor(1, thread_name_prefix="etag") as pool:
            hashing: Future[None] | None = None
            for chunk in chunks:
                if hashing is not None:
                    hashing.result()
                hashing = pool.submit(self.update, chunk)
                yield chunk
            if hashing is not None:
                hashing.result()

    def update(self, chunk: bytes) -> None:
        """Take the next chunk."""
        rest = memoryview(chunk)
        while len(rest) >= self._room > 0:
            self._part.update(rest[: self._room])
            rest = rest[self._room :]
            self._digests.update(self._part.digest())
            self._part = hashlib.md5(usedforsecurity=False)
            self._room = next(self._left, 0)
        self._part.update(rest)
        self._room -= len(rest)

    def is_whole(self) -> bool:
        """Tell whether what passed is what the ETag says."""
        return f"{self._digests.hexdigest()}-{self._count}" == self._tag
