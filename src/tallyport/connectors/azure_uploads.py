"""A big blob that arrives in parts, each of them some blocks; what they are joined from is known by their ids alone."""

import secrets
from collections.abc import Iterable, Sequence

from tallyport.connectors.azure_entries import upload_of
from tallyport.connectors.azure_limits import BLOCKS_MAX, UPLOAD_PART
from tallyport.connectors.azure_writing import Writing
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import Announced, blocks
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind


class Uploads(Writing):
    """A prefix that takes big files in parts."""

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        self._new_key(path, "write")
        size = facts.size or 0
        self._check_size(path, size)
        parts = -(-size // UPLOAD_PART)
        pieces = next(n for n in (8, 4, 2, 1) if n == 1 or parts * n <= BLOCKS_MAX)
        return f"{pieces}:{secrets.token_hex(8)}"

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        key = self._new_key(path, "write")
        upload = upload_of(handle)
        passing = Announced(content, Facts(size=size), path)
        count = 0
        for count, data in enumerate(blocks(passing, UPLOAD_PART // upload.pieces), 1):
            self._put_block(key, path, upload.block(number, count - 1), data)
        return b"%d:%d" % (count, size)

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        key = self._new_key(path, "write")
        upload = upload_of(handle)
        self._check(key, path, when)
        ids: list[str] = []
        size = 0
        for number, receipt in enumerate(receipts):
            count, _, length = receipt.partition(b":")
            ids += [upload.block(number, n) for n in range(int(count))]
            size += int(length)
        waiting = self._waiting(key, path)
        if any(one not in waiting for one in ids) or sum(waiting[one] for one in ids) != size:
            why = "the upload is gone: it was abandoned, another write replaced it, or a week has passed"
            raise refusal(ErrorKind.NOT_FOUND, "write", path, why)
        return self._join(key, path, ids, facts, size, when, md5=None)

    def abandon_upload(self, path: str, handle: str) -> None:
        self._free(self._key(path, "write"), path, upload_of(handle))
