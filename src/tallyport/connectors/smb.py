"""Folders of a Windows server or of Samba, over SMB 2 and 3.

Names fold case and keep it; times have steps of 100 ns. A write goes to a temporary beside its place, is stamped
and, unless the job asks for no durability, flushed; then it takes its name by a rename on the same handle, which
replaces nothing when the name must be free. The tag of an entry is the item's number on its disk and its time of
change: every change of content or metadata shows.

Traps: ``name:other`` would write a second stream of a file called ``name``, so names are checked before every
call. The server alone enforces share modes: what another program has open without sharing is LOCKED. A replaced
file must not be open elsewhere without the right to delete it. Between our last look at a known entry and the
rename somebody else may change it: ``replaces_checked`` is off. Samba drops unknown identifiers from an access
list without a word, so what was set is read back. Symlinks and junctions are items, never followed.
See MS-SMB2, MS-FSCC.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

from tallyport.connectors import smb_messages as smb
from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import Announced, blocks, hashed
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.smb_companions import Companions
from tallyport.connectors.smb_earlier import Earlier
from tallyport.connectors.smb_entries import entry_of
from tallyport.connectors.smb_folder import changed
from tallyport.connectors.smb_session import (
    CANNOT_DELETE,
    Settings,
    SmbError,
)
from tallyport.connectors.smb_writing import Writing
from tallyport.connectors.temporaries import TEMPORARY, is_of
from tallyport.domain.entries import Entry, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display, join, split

__all__ = ["Settings", "Smb", "open_smb"]


_LOOK = smb.READ_ATTRIBUTES
_RESUME_KEY, _COPY_CHUNK_CODE = 0x00140078, 0x001440F2
_COPY_CHUNK, _COPY_AT_ONCE = 1024 * 1024, 16 * 1024 * 1024  # what every server takes (MS-SMB2 3.3.3)


def open_smb(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Smb":
    """Open a folder of a share, as the registry asks for it."""
    return Smb(settings, path, make=make)


class Smb(Earlier, Writing, Companions):
    """One folder of one share. ``token`` marks what is unfinished, so that :meth:`sweep` finds it."""

    tells = frozenset({"created_on", "denials"})  # see control/honoured.py

    # -- what every platform can do

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        check_path("read", path)
        return self._reading(path, offset, length, None)

    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        check_path("read", path)
        return self._reading(path, offset, length, None, entry)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_new("write", path, self.limits)
        container, _ = split(path)
        pieces = blocks(Announced(content, facts, path), self._session.chunk)
        first = next(pieces, b"")
        temporary = join(container, self._temporaries.name(self.token))
        begin = [self._create_message(temporary)]
        is_small = len(first) < self._session.chunk
        begin += self._last_steps(facts, smb.THE_SAME) if is_small else []
        made = self._begin(path, temporary, begin, first)
        try:
            if not is_small:
                self._pour(path, made.handle, pieces, len(first))
                for message in self._last_steps(facts, made.handle):
                    self._session.exchange("write", path, message)
            return self._publish(path, made, when)
        except BaseException:
            self._discard(made.handle, temporary)
            raise

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        check_path("delete", path)
        if path == ROOT:
            raise refusal(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
        try:
            self._delete(path, expect)
        except TallyportError as error:
            if error.kind not in (ErrorKind.NOT_FOUND, ErrorKind.INVALID_NAME):
                raise

    def close(self) -> None:
        self._session.close()

    # -- abilities

    def stamp(self, path: str, facts: Facts) -> Entry:
        check_path("stamp", path)
        access = _LOOK | smb.WRITE_ATTRIBUTES
        messages = [smb.create(self._name(path), access, options=smb.AS_LINK)]
        if facts.modified is not None:
            messages.append(smb.stamp(facts.modified))
        answers = self._session.exchange("stamp", path, *messages, smb.close(tell=True))
        name = split(path)[1] if path else ROOT
        return entry_of(name, smb.closed(answers[-1]), smb.created(answers[0]).number)

    def rename(self, path: str, to: str) -> Entry:
        check_path("rename", path)
        check_new("rename", to, self.limits)
        if path == ROOT or to.startswith(f"{path}/"):
            raise refusal(ErrorKind.UNSUPPORTED, "rename", path, f"it cannot become {display(to)!r}")
        if path == to:
            raise refusal(ErrorKind.ALREADY_EXISTS, "rename", path, "the name is taken")
        opened = self._open(path, _LOOK | smb.DELETE, operation="rename", options=smb.AS_LINK)
        try:
            self._session.exchange("rename", path, smb.rename(self._name(to), replaces=False, handle=opened.handle))
        finally:
            self._close(opened.handle)
        return self._stat(to)

    def sweep(self, path: str, token: str) -> int:
        check_path("sweep", path)
        handle = self._open(path, smb.LIST | _LOOK, operation="sweep", options=smb.A_FOLDER).handle
        left = []
        for batch in self._batches(path, handle, f"{TEMPORARY}{token}-*"):
            left += [one.name for one in batch if is_of(one.name, token)]
        self._close(handle)
        for name in left:
            self._delete(join(path, name), None)
        return len(left)

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_path("copy", path)
        check_new("copy", to, self.limits)
        source = self._open(path, smb.READ_DATA | _LOOK, operation="copy", options=smb.NO_FOLDER)
        container, _ = split(to)
        temporary = join(container, self._temporaries.name(self.token))
        made: smb.Opened | None = None
        try:
            key = smb.controlled(
                self._session.exchange("copy", path, smb.control(_RESUME_KEY, source.handle, most=32))[0]
            )[:24]
            made = self._begin(to, temporary, [self._create_message(temporary, smb.READ_DATA)])
            self._copy_chunks(path, key, made.handle, source.standing.size)
            modified = source.standing.modified if facts.modified is None else facts.modified
            for message in self._last_steps(facts._replace(modified=modified), made.handle):
                self._session.exchange("copy", to, message)
            named = self._properties(path)
            if named:
                self.set_properties(temporary, dict(named))
            now = self._open(path, _LOOK, operation="copy")
            self._close(now.handle)
            if (now.number, now.standing) != (source.number, source.standing):
                raise changed(path)
            return self._publish(to, made, when)
        except BaseException:
            if made is not None:
                self._discard(made.handle, temporary)
            raise
        finally:
            self._close(source.handle)

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        check_new("write", path, self.limits)
        name = self._temporaries.name(token)
        temporary = join(split(path)[0], name)
        made = self._begin(path, temporary, [self._create_message(temporary)])
        self._close(made.handle)
        return name

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        check_new("write", path, self.limits)
        running = ContentHash()
        opened = self._open_upload(path, handle, smb.WRITE_DATA | _LOOK)
        try:
            announced = Announced(content, Facts(size=size), path)
            self._pour(path, opened.handle, hashed(blocks(announced, self._session.chunk), running), offset)
        finally:
            self._close(opened.handle)
        return size.to_bytes(8, "big") + running.digest()

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        check_new("write", path, self.limits)
        size = sum(int.from_bytes(receipt[:8], "big") for receipt in receipts)
        if facts.size is not None and facts.size != size:
            what = f"{facts.size} bytes were announced and the parts have {size}"
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, what)
        access = smb.WRITE_DATA | smb.DELETE | _LOOK | smb.WRITE_ATTRIBUTES
        opened = self._open_upload(path, handle, access)
        try:
            if opened.standing.size < size:
                what = f"the server holds {opened.standing.size} of {size} bytes"
                raise refusal(ErrorKind.CORRUPT, "write", path, what)
            if opened.standing.size > size:
                cut = smb.change(smb.OF_FILE, smb.END_OF_FILE, struct.pack("<q", size), handle=opened.handle)
                self._session.exchange("write", path, cut)
            for message in self._last_steps(facts, opened.handle):
                self._session.exchange("write", path, message)
            return self._publish(path, opened, when)
        except BaseException:
            self._close(opened.handle)
            raise

    def abandon_upload(self, path: str, handle: str) -> None:
        check_path("write", path)
        try:
            self._delete(self._upload(path, handle), None)
        except TallyportError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    # -- the rest

    def _delete(self, path: str, expect: Entry | None) -> None:
        access = _LOOK | smb.DELETE
        opened = self._open(path, access, operation="delete", options=smb.AS_LINK)
        try:
            if expect is not None:
                entry = self._entry_of_open(path, opened)
                if entry.kind is not expect.kind or fingerprint(entry) != fingerprint(expect):
                    what = "it changed since it was seen"
                    raise refusal(ErrorKind.CHANGED_DURING_COPY, "delete", path, what)
            try:
                self._session.exchange("delete", path, smb.dispose(opened.handle))
            except SmbError as error:
                if error.status != CANNOT_DELETE or not opened.standing.attributes & smb.READ_ONLY:
                    raise
                self._delete_read_only(path, opened)
        finally:
            self._close(opened.handle)

    def _delete_read_only(self, path: str, opened: smb.Opened) -> None:
        """Take the attribute off that keeps a file from being deleted, then delete it."""
        access = _LOOK | smb.WRITE_ATTRIBUTES | smb.DELETE
        again = self._open(path, access, operation="delete", options=smb.AS_LINK)
        try:
            if again.number != opened.number:
                raise refusal(ErrorKind.CHANGED_DURING_COPY, "delete", path, "it changed since it was seen")
            bits = again.standing.attributes & ~smb.READ_ONLY or smb.NORMAL
            self._session.exchange("delete", path, smb.stamp(None, attributes=bits, handle=again.handle))
            self._session.exchange("delete", path, smb.dispose(again.handle))
        finally:
            self._close(again.handle)

    def _copy_chunks(self, path: str, key: bytes, handle: bytes, size: int) -> None:
        offset = 0
        while offset < size:
            chunks = []
            end = min(size, offset + _COPY_AT_ONCE)
            while offset < end:
                part = min(_COPY_CHUNK, end - offset)
                chunks.append(struct.pack("<QQII", offset, offset, part, 0))
                offset += part
            data = key + struct.pack("<II", len(chunks), 0) + b"".join(chunks)
            self._session.exchange("copy", path, smb.control(_COPY_CHUNK_CODE, handle, data, most=12))
