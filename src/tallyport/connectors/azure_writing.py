"""Writing blobs: one request, or blocks that are joined in one request, under the condition that was asked for.

Every request with content carries its MD5. Blocks wait at the name they are meant for, at most a week; a write of
somebody else to the same name forgets them.
"""

import hashlib
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from tallyport.connectors import azure_xml as xml
from tallyport.connectors.azure_entries import Upload, headers_of, md5_of, metadata_of, quoted, tag_of
from tallyport.connectors.azure_limits import BLOCKS_MAX, COPY_BLOCK, COPY_MAX, LOOKS
from tallyport.connectors.azure_versions import Versions
from tallyport.connectors.azure_xml import Blob
from tallyport.connectors.hashing import digest
from tallyport.connectors.object_http import Answer, Refused
from tallyport.connectors.object_metadata import type_of
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import split

_KEPT = ("Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition", "Cache-Control")


class Writing(Versions):
    """A prefix that can be written to."""

    def _condition(self, when: Precondition) -> dict[str, str]:
        if when.absent:
            return {"If-None-Match": "*"}
        return {"If-Match": quoted(when.entry.tag)} if when.entry is not None else {}

    def _tier(self) -> dict[str, str]:
        tier = self._container.settings.tier
        return {"x-ms-access-tier": tier} if tier else {}

    # -- in one request

    def _making(self, key: str, data: bytes, metadata: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        sent = {
            "x-ms-blob-type": "BlockBlob",
            "Content-MD5": md5_of(data),
            "Content-Type": type_of(key) or "application/octet-stream",
            **headers_of(metadata),
            **self._tier(),
            **headers,
        }
        return self._container.call("PUT", key, headers=sent, body=data)

    def _put(self, key: str, path: str, data: bytes, facts: Facts, when: Precondition) -> Entry:
        content = digest(data)
        self._keep(key, path)
        with self._container.translated("write", path), self._while_there(when, path):
            answer = self._making(key, data, metadata_of(facts, content), self._condition(when))
        told = answer.headers.get("Content-MD5")
        if told is not None and told != md5_of(data):
            raise refusal(ErrorKind.CORRUPT, "write", path, "the platform reports another MD5 than was sent")
        modified = facts.modified if facts.modified is not None else xml.moment(answer.headers.get("Last-Modified"))
        return Entry(split(path)[1], Kind.FILE, len(data), modified, tag_of(answer), hash=content)

    # -- in blocks

    def _put_pieces(self, key: str, path: str, pieces: Iterator[bytes], facts: Facts, when: Precondition) -> Entry:
        upload = Upload(1, secrets.token_hex(8))
        running = hashlib.md5(usedforsecurity=False)
        ids: list[str] = []
        size = 0
        try:
            for data in pieces:
                if len(ids) == BLOCKS_MAX:
                    self._check_size(path, (self.limits.max_size or 0) + 1)
                running.update(data)
                size += len(data)
                ids.append(upload.block(len(ids), 0))
                self._put_block(key, path, ids[-1], data)
            return self._join(key, path, ids, facts, size, when, md5=running.digest())
        except BaseException:
            try:
                self._free(key, path, upload)
            except TallyportError:
                pass  # the first error says what is wrong; the platform forgets the blocks after a week
            raise

    def _put_block(self, key: str, path: str, block: str, data: bytes) -> None:
        md5 = md5_of(data)
        with self._container.translated("write", path):
            query = {"comp": "block", "blockid": block}
            answer = self._container.call("PUT", key, query=query, headers={"Content-MD5": md5}, body=data)
        told = answer.headers.get("Content-MD5")
        if told is not None and told != md5:
            raise refusal(ErrorKind.CORRUPT, "write", path, "the platform reports another MD5 than was sent")

    def _waiting(self, key: str, path: str) -> dict[str, int]:
        """Give the blocks that wait at a name to be joined."""
        with self._container.translated("write", path):
            try:
                query = {"comp": "blocklist", "blocklisttype": "uncommitted"}
                return xml.blocks(self._container.call("GET", key, query=query).content, path)
            except Refused as error:
                if error.status == 404 and error.code != "ContainerNotFound":
                    return {}
                raise

    def _free(self, key: str, path: str, upload: Upload) -> None:
        """Blocks cannot be taken back: each is replaced by one byte, and the platform forgets them after a week."""
        left = [one for one, size in self._waiting(key, path).items() if upload.owns(one) and size > 1]
        with ThreadPoolExecutor(LOOKS, thread_name_prefix="azure-free") as pool:
            for done in [pool.submit(self._put_block, key, path, one, b"\0") for one in left]:
                done.result()

    def _join(
        self,
        key: str,
        path: str,
        ids: Sequence[str],
        facts: Facts,
        size: int,
        when: Precondition,
        *,
        md5: bytes | None,
        described: Mapping[str, str] | None = None,
        kept: Mapping[str, str] | None = None,
    ) -> Entry:
        self._keep(key, path)
        body = xml.block_list(ids)
        headers = {
            "Content-MD5": md5_of(body),
            "x-ms-blob-content-type": type_of(key) or "application/octet-stream",
            **({} if md5 is None else {"x-ms-blob-content-md5": b64encode(md5).decode()}),
            **headers_of(metadata_of(facts, facts.hash) if described is None else described),
            **self._tier(),
            **(kept or {}),
            **self._condition(when),
        }
        try:
            with self._container.translated("write", path), self._while_there(when, path):
                self._container.call("PUT", key, query={"comp": "blocklist"}, headers=headers, body=body)
        except TallyportError as error:
            if isinstance(error.__cause__, Refused) and error.__cause__.code == "InvalidBlockList":
                self._compare(self._look(key, path), path, when)
                why = "another write to the same name came between"
                raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, why) from error
            raise
        entry = self._seen(key, path)
        if entry.size != size:
            raise refusal(ErrorKind.CORRUPT, "write", path, f"{size} bytes were sent and {entry.size} are stored")
        return entry

    # -- copying inside the platform

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        key, new_key = self._key(path, "copy"), self._new_key(to, "copy")
        found = self._existing(key, path, "copy")
        self._check(new_key, to, when)
        metadata = dict(found.metadata)
        if facts.modified is not None:
            metadata |= self._times(facts.modified)
        self._keep(new_key, to)
        if found.size <= COPY_MAX:
            headers = {
                "x-ms-copy-source": self._container.source(key),
                "x-ms-source-if-match": quoted(found.tag),
                "x-ms-requires-sync": "true",
                **headers_of(metadata),
                **self._condition(when),
            }
            with self._container.translated("copy", to), self._while_there(when, to):
                self._container.call("PUT", new_key, headers=headers)
        else:
            self._copy_blocks(key, new_key, to, found, metadata, when)
        return self._seen(new_key, to)

    def _copy_blocks(
        self, key: str, new_key: str, path: str, found: Blob, metadata: Mapping[str, str], when: Precondition
    ) -> None:
        """Copy what is too large for one request: in blocks that the platform fetches itself."""
        upload = Upload(1, secrets.token_hex(8))
        ids = []
        with self._container.translated("copy", path):
            answer = self._container.call("HEAD", key)
            for number, start in enumerate(range(0, found.size, COPY_BLOCK)):
                ids.append(upload.block(number, 0))
                headers = {
                    "x-ms-copy-source": self._container.source(key),
                    "x-ms-source-range": f"bytes={start}-{min(found.size, start + COPY_BLOCK) - 1}",
                    "x-ms-source-if-match": quoted(found.tag),
                }
                self._container.call("PUT", new_key, query={"comp": "block", "blockid": ids[-1]}, headers=headers)
        told = {word: answer.headers[word] for word in _KEPT if answer.headers.get(word)}
        kept = {f"x-ms-blob-{word.lower()}": value for word, value in told.items()}
        md5 = b64decode(found.md5) if found.md5 else None
        self._join(new_key, path, ids, Facts(), found.size, when, md5=md5, described=metadata, kept=kept)
