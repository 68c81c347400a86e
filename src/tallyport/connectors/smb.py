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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

from tallyport.connectors import smb_messages as smb
from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import Announced, blocks
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.smb_entries import entry_of, limits_of, link_text, listed_entry
from tallyport.connectors.smb_properties import ea_message, eas_of, streams_of
from tallyport.connectors.smb_session import (
    ACCESS_DENIED,
    CANNOT_DELETE,
    INVALID_GROUP,
    INVALID_OWNER,
    IS_DIRECTORY,
    NO_EAS,
    NO_MORE_FILES,
    NO_PRIVILEGE,
    NO_SUCH_FILE,
    Session,
    Settings,
    SmbError,
    status_of,
)
from tallyport.connectors.temporaries import TEMPORARY, Temporaries, is_of, is_temporary
from tallyport.domain import ntfs_acl
from tallyport.domain.access import Access, Principal
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display, join, segments, split
from tallyport.domain.versions import Version

__all__ = ["Settings", "Smb", "open_smb"]

AHEAD = 4  # chunks under way at once
LISTED = 256 * 1024  # bytes of a listing asked for at once
STREAM_MOST = 1024 * 1024  # bytes of a second stream that travel as a property

_LOOK = smb.READ_ATTRIBUTES
_SECURITY = smb.OWNER_INFO | smb.GROUP_INFO | smb.DACL_INFO


def open_smb(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Smb":
    """Open a folder of a share, as the registry asks for it."""
    return Smb(settings, path, make=make)


class Smb:
    """One folder of one share. ``token`` marks what is unfinished, so that :meth:`sweep` finds it."""

    tells = frozenset({"created_on"})  # see control/honoured.py

    def __init__(self, settings: Settings, path: str = ROOT, *, make: bool = False, token: str = "smb") -> None:
        self.token = token
        self.durability = Durability.GROUP
        self._session = Session(settings)
        self._temporaries = Temporaries()
        self._snapshots: tuple[tuple[str, int], ...] | None = None
        self.limits = limits_of()
        below = "/".join(part for part in settings.path.replace("\\", "/").split("/") if part)
        self._root = ROOT
        try:
            root = "/".join(part for part in (below, path) if part)
            check_path("open", root)
            self._open_root(below, root, make=make)
        except BaseException:
            self._session.close()
            raise
        self._root = root.replace("/", "\\")
        self.location = f"smb://{self._session.where}/{settings.share}/{display(root)}".rstrip("/")

    # -- what every platform can do

    def stat(self, path: str) -> Entry | None:
        check_path("look at", path)
        try:
            return self._stat(path)
        except TallyportError as error:
            if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.INVALID_NAME):
                return None
            raise

    def children(self, path: str) -> Iterator[Entry]:
        check_path("list", path)
        handle = self._open(path, smb.LIST | _LOOK, operation="list", options=smb.A_FOLDER).handle
        return self._listing(path, handle)

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        check_path("read", path)
        return self._reading(path, offset, length, None)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_new("write", path, self.limits)
        container, _ = split(path)
        pieces = blocks(Announced(content, facts, path), self._session.chunk)
        first = next(pieces, b"")
        temporary = join(container, self._temporaries.name(self.token))
        begin = [self._create_message(temporary)]
        if first:
            begin.append(smb.write(first, 0))
        is_small = len(first) < self._session.chunk
        begin += self._last_steps(facts, smb.THE_SAME) if is_small else []
        made = self._begin(path, begin)
        try:
            if not is_small:
                self._pour(path, made.handle, pieces, len(first))
                for message in self._last_steps(facts, made.handle):
                    self._session.exchange("write", path, message)
            return self._publish(path, made, when)
        except BaseException:
            self._discard(made.handle)
            raise

    def make_container(self, path: str, facts: Facts) -> Entry:
        if path == ROOT:
            return self._stat(path)
        check_new("make", path, self.limits)
        name = self._name(path)
        messages = [
            smb.create(
                name,
                _LOOK | smb.WRITE_ATTRIBUTES,
                disposition=smb.CREATE,
                options=smb.A_FOLDER,
                attributes=smb.DIRECTORY,
            )
        ]
        if facts.modified is not None:
            messages.append(smb.stamp(facts.modified))
        messages.append(smb.close(tell=True))
        try:
            answers = self._session.exchange("make", path, *messages)
        except TallyportError as error:
            if error.kind not in (ErrorKind.ALREADY_EXISTS, ErrorKind.PERMISSION_DENIED):
                raise
            entry = self.stat(path)
            if entry is None or (entry.kind is not Kind.CONTAINER and error.kind is ErrorKind.PERMISSION_DENIED):
                raise
            if entry.kind is not Kind.CONTAINER:
                raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "something else has that name") from error
            return entry
        opened = smb.created(answers[0])
        return entry_of(split(path)[1], smb.closed(answers[-1]), opened.number)

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
        made: smb.Opened | None = None
        try:
            key = smb.controlled(
                self._session.exchange("copy", path, smb.control(_RESUME_KEY, source.handle, most=32))[0]
            )[:24]
            temporary = join(container, self._temporaries.name(self.token))
            made = self._begin(to, [self._create_message(temporary, smb.READ_DATA)])
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
                raise _changed(path)
            return self._publish(to, made, when)
        except BaseException:
            if made is not None:
                self._discard(made.handle)
            raise
        finally:
            self._close(source.handle)

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        check_new("write", path, self.limits)
        name = self._temporaries.name(token)
        made = self._begin(path, [self._create_message(join(split(path)[0], name))])
        self._close(made.handle)
        return name

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        check_new("write", path, self.limits)
        running = ContentHash()
        opened = self._open_upload(path, handle, smb.WRITE_DATA | _LOOK)
        try:
            announced = Announced(content, Facts(size=size), path)
            self._pour(path, opened.handle, _hashed(blocks(announced, self._session.chunk), running), offset)
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

    # -- earlier versions

    def versions(self, path: str) -> Sequence[Version]:
        """Give each content that a previous version of the share holds, and the current one last."""
        check_path("look at", path)
        found: list[Version] = []
        seen: tuple[int, int] | None = None
        for token, moment in self._enumerate_snapshots():
            try:
                opened = self._open(path, _LOOK, operation="look at", snapshot=moment)
            except TallyportError as error:
                if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.UNSUPPORTED):
                    continue  # it was not there yet
                raise
            self._close(opened.handle)
            standing = opened.standing
            if standing.attributes & smb.DIRECTORY or (standing.size, standing.modified) == seen:
                continue
            seen = standing.size, standing.modified
            found.append(Version(token, standing.size, standing.modified))
        now = self._stat(path)
        if now.kind is not Kind.FILE:
            raise refusal(ErrorKind.UNSUPPORTED, "look at", path, "only files have versions")
        if found and (found[-1].size, found[-1].modified) == (now.size, now.modified):
            found.pop()
        return (*found, Version("current", now.size, now.modified, is_current=True))

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        check_path("read", path)
        if version == "current":
            return self._reading(path, offset, length, None)
        moment = next((moment for token, moment in self._enumerate_snapshots() if token == version), None)
        if moment is None:
            raise refusal(ErrorKind.NOT_FOUND, "read", path, f"there is no previous version {version!r}")
        return self._reading(path, offset, length, moment)

    # -- access and properties

    def access(self, path: str) -> Access:
        check_path("see the access of", path)
        raw, is_container = self._descriptor(path)
        return ntfs_acl.access_of(ntfs_acl.decode(raw), raw, is_container=is_container)

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        """Set owner and group, then the list. Whoever has no identifier (S-1-...) here gets nothing."""
        check_path("set the access of", path)
        raw, is_container = self._descriptor(path)
        standing = ntfs_acl.decode(raw)
        wanted = standing
        if access.native_kind == ntfs_acl.KIND and access.native:
            wanted = ntfs_acl.decode(access.native)
            if not remove_others:
                own = tuple(ace for ace in standing.aces if not ace.flags & ntfs_acl.INHERITED)
                wanted = wanted._replace(aces=(*wanted.aces, *(ace for ace in own if ace not in wanted.aces)))
        elif access.grants or remove_others or not access.inherits:
            wanted = ntfs_acl.with_grants(
                standing, access, is_container=is_container, sid_for=_sid, remove_others=remove_others
            )
        owner, group = access.owner and _sid(access.owner), access.group and _sid(access.group)
        for which, part in (
            (smb.OWNER_INFO, ntfs_acl.Security(owner=owner or "", has_list=False)),
            (smb.GROUP_INFO, ntfs_acl.Security(group=group or "", has_list=False)),
        ):
            known = part.owner or part.group
            if known and known not in (standing.owner if part.owner else standing.group,):
                self._set_descriptor(path, which, part, smb.WRITE_OWNER)
        if wanted is not standing:
            self._set_descriptor(path, smb.DACL_INFO, wanted._replace(owner="", group=""), smb.WRITE_DAC)
        return self.access(path)

    def properties(self, path: str) -> Mapping[str, bytes]:
        """Give extended attributes by their names, and small second streams by theirs after a colon."""
        check_path("see the properties of", path)
        return self._properties(path)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        """Set extended attributes and second streams; what the server refuses is missing from what is given back."""
        check_path("set the properties of", path)
        for name, value in values.items():
            try:
                if name.startswith(":"):
                    self._set_stream(path, name, value)
                else:
                    access = smb.WRITE_EA | _LOOK
                    messages = (smb.create(self._name(path), access), ea_message(name, value or b""), smb.close())
                    self._session.exchange("set the properties of", path, *messages)
            except (SmbError, UnicodeError) as error:
                if isinstance(error, SmbError) and error.kind not in _REFUSED:
                    raise
        return self._properties(path)

    # -- behind them

    def _name(self, path: str) -> str:
        """Give a path as the server wants it. Every segment was checked to be a name."""
        inside = path.replace("/", "\\")
        whole = "\\".join(part for part in (self._root, inside) if part)
        return self._session.name_of(whole)

    def _open_root(self, below: str, root: str, *, make: bool) -> None:
        here = ROOT
        for number, name in enumerate(segments(root), 1):
            here = join(here, name)
            if make and number > len(segments(below)):
                self.make_container(here, Facts())
        try:
            self._close(self._open(root, _LOOK, operation="open", options=smb.A_FOLDER).handle)
        except TallyportError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            share = self._session.settings.share
            message = f"there is no folder {display(root)!r} in the share {share!r}: make it, or correct the path"
            raise TallyportError(ErrorKind.NOT_FOUND, message, path=root, operation="open") from error

    def _open(
        self, path: str, access: int, *, operation: str, options: int = 0, snapshot: int | None = None
    ) -> smb.Opened:
        message = smb.create(self._name(path), access, options=options, snapshot=snapshot)
        try:
            return smb.created(self._session.exchange(operation, path, message)[0])
        except SmbError as error:
            if error.status == IS_DIRECTORY:
                raise refusal(ErrorKind.UNSUPPORTED, operation, path, "it is a container, not a file") from error
            raise

    def _close(self, handle: bytes) -> None:
        try:
            self._session.exchange("close", ROOT, smb.close(handle))
        except TallyportError:  # the session is gone, and the handle with it
            pass

    def _stat(self, path: str) -> Entry:
        messages = (smb.create(self._name(path), _LOOK, options=smb.AS_LINK), smb.close())
        opened = smb.created(self._session.exchange("look at", path, *messages)[0])
        name = split(path)[1] if path else ROOT
        if opened.standing.attributes & smb.REPARSE:
            return self._linked(path, name, opened)
        return entry_of(name, opened.standing, opened.number)

    def _linked(self, path: str, name: str, opened: smb.Opened) -> Entry:
        """Look at what a reparse point is: a link of some kind, or a file with a helper of the server's."""
        again = self._open(path, _LOOK, operation="look at", options=smb.AS_LINK)
        try:
            raw = smb.controlled(self._session.exchange("look at", path, smb.control(_GET_REPARSE, again.handle))[0])
        except TallyportError:
            raw = b""
        finally:
            self._close(again.handle)
        tag = int.from_bytes(raw[:4], "little")
        entry = entry_of(name, opened.standing, opened.number, tag=tag)
        return entry._replace(target=link_text(raw)) if entry.kind is Kind.SYMLINK else entry

    # -- listing

    def _listing(self, path: str, handle: bytes) -> Iterator[Entry]:
        try:
            for batch in self._batches(path, handle, "*"):
                for one in batch:
                    if one.name in (".", "..") or "/" in one.name or is_temporary(one.name):
                        continue
                    entry = listed_entry(one)
                    if entry.kind is Kind.SYMLINK:
                        seen = self.stat(join(path, one.name))
                        if seen is None:
                            continue
                        entry = seen
                    yield entry
        finally:
            self._close(handle)

    def _batches(self, path: str, handle: bytes, pattern: str) -> Iterator[list[smb.Listed]]:
        most = min(LISTED, self._session.chunk)
        is_first = True
        while True:
            message = smb.list_names(handle, pattern, most=most, restart=is_first)
            try:
                body = self._session.exchange("list", path, message)[0]
            except SmbError as error:
                if error.status in (NO_MORE_FILES, NO_SUCH_FILE):
                    return
                raise
            is_first = False
            yield list(smb.listed(body))

    # -- reading

    @contextmanager
    def _reading(self, path: str, offset: int, length: int | None, snapshot: int | None) -> Iterator[Iterator[bytes]]:
        opened = self._open(path, smb.READ_DATA | _LOOK, operation="read", options=smb.NO_FOLDER, snapshot=snapshot)
        try:
            yield self._chunks(path, opened, offset, length, is_past=snapshot is not None)
        finally:
            self._close(opened.handle)

    def _chunks(
        self, path: str, opened: smb.Opened, offset: int, length: int | None, *, is_past: bool
    ) -> Iterator[bytes]:
        """Give a range; chunks are asked for ahead. A file that changes meanwhile raises instead of ending."""
        size = opened.standing.size
        end = size if length is None else min(size, offset + length)
        asked = offset
        waiting: list[tuple[int, Any]] = []
        while offset < end:
            while asked < end and len(waiting) < AHEAD:
                part = min(self._session.chunk, end - asked)
                waiting.append((part, self._session.send("read", path, smb.read(opened.handle, asked, part))))
                asked += part
            part, requests = waiting.pop(0)
            try:
                chunk = smb.data_of(self._session.answers("read", path, requests)[0])
            except SmbError as error:
                if error.status == 0xC0000011:  # the end came early
                    raise _changed(path) from error
                raise
            offset += len(chunk)
            if len(chunk) != part:
                raise _changed(path)
            if offset >= end and not is_past and self._is_rewritten(path, opened):
                raise _changed(path)
            yield chunk

    def _is_rewritten(self, path: str, opened: smb.Opened) -> bool:
        """Tell whether the open file changed since it was opened. Losing its name to a newer file is no change."""
        message = smb.query(smb.OF_FILE, 34, handle=opened.handle)  # FileNetworkOpenInformation
        raw = smb.queried(self._session.exchange("read", path, message)[0])
        _, _, written, _, _, size, _ = struct.unpack_from("<qqqqqqI", raw)
        return (size, (written - smb.EPOCH) * 100) != (opened.standing.size, opened.standing.modified)

    # -- writing

    def _create_message(self, temporary: str, more: int = 0) -> smb.Message:
        access = smb.WRITE_DATA | smb.DELETE | smb.READ_ATTRIBUTES | smb.WRITE_ATTRIBUTES | more
        return smb.create(
            self._name(temporary), access, disposition=smb.CREATE, options=smb.NO_FOLDER, attributes=smb.NORMAL
        )

    def _begin(self, path: str, messages: list[smb.Message]) -> smb.Opened:
        """Make a temporary, with the first steps along; one that fails halfway is removed."""
        requests = self._session.send("write", path, *messages)
        bodies: list[bytes] = []
        try:
            for request in requests:
                bodies += self._session.answers("write", path, [request])
        except BaseException:
            for request in requests[len(bodies) + 1 :]:  # answered all the same
                try:
                    self._session.answers("write", path, [request])
                except TallyportError:
                    pass
            if bodies:
                self._discard(smb.created(bodies[0]).handle)
            raise
        return smb.created(bodies[0])

    def _last_steps(self, facts: Facts, handle: bytes) -> list[smb.Message]:
        steps = []
        if self.durability is not Durability.NONE:
            steps.append(smb.flush(handle))
        if facts.modified is not None:
            steps.append(smb.stamp(facts.modified, handle=handle))
        return steps

    def _pour(self, path: str, handle: bytes, pieces: Iterable[bytes], offset: int) -> None:
        """Write pieces one after the other, some of them on their way at once. The iterator's errors pass."""
        waiting: list[tuple[int, Any]] = []

        def settle() -> None:
            size, requests = waiting.pop(0)
            if smb.written(self._session.answers("write", path, requests)[0]) != size:
                raise refusal(ErrorKind.IO_ERROR, "write", path, "the server took less than it was given")

        try:
            for piece in pieces:
                message = smb.write(piece, offset, handle)
                waiting.append((len(piece), self._session.send("write", path, message)))
                offset += len(piece)
                if len(waiting) >= AHEAD:
                    settle()
            while waiting:
                settle()
        finally:
            for _, requests in waiting:
                try:
                    self._session.answers("write", path, requests)
                except TallyportError:  # one was told already
                    pass

    def _publish(self, path: str, made: smb.Opened, when: Precondition) -> Entry:
        """Give a finished temporary its name under the condition that was asked for, and close it."""
        if not when.absent:
            now = self._look_to_replace(path)
            wanted = when.entry
            if wanted is not None and (
                now is None or now.kind is not wanted.kind or fingerprint(now) != fingerprint(wanted)
            ):
                raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")
        message = smb.rename(self._name(path), replaces=not when.absent, handle=made.handle)
        try:
            self._session.exchange("write", path, message)
        except TallyportError as error:
            raise self._refused_rename(path, error, when) from error
        standing = smb.closed(self._session.exchange("write", path, smb.close(made.handle, tell=True))[0])
        return entry_of(split(path)[1], standing, made.number)

    def _look_to_replace(self, path: str) -> Entry | None:
        """Look at what is about to be replaced, as one who would delete it: so share modes of others are heard.

        Samba itself renames over what another client has open.
        """
        messages = (smb.create(self._name(path), _LOOK | smb.DELETE, options=smb.AS_LINK), smb.close())
        try:
            opened = smb.created(self._session.exchange("write", path, *messages)[0])
        except TallyportError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            if error.kind is ErrorKind.PERMISSION_DENIED:
                return self.stat(path)
            raise
        return self._entry_of_open(path, opened)

    def _refused_rename(self, path: str, error: TallyportError, when: Precondition) -> TallyportError:
        """Find out why a name was not given: a folder has it, or somebody has the old file open."""
        if status_of(error) == ACCESS_DENIED:
            there = self.stat(path)
            if there is not None and (there.kind is Kind.CONTAINER or when.absent):
                what = "a folder has that name" if there.kind is Kind.CONTAINER else "the name is taken"
                return refusal(ErrorKind.ALREADY_EXISTS, "write", path, what)
            if there is not None:
                return refusal(ErrorKind.LOCKED, "write", path, "somebody has it open, or it is read-only")
        return error

    def _discard(self, handle: bytes) -> None:
        """Remove an unfinished temporary that is open."""
        for messages in ((smb.dispose(handle),), (smb.close(handle),)):
            try:
                self._session.exchange("delete", ROOT, *messages)
            except TallyportError:  # the session is gone; a sweep finds it
                pass

    # -- uploads

    def _upload(self, path: str, name: str) -> str:
        if not is_temporary(name):
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "there is no such upload")
        return join(split(path)[0], name)

    def _open_upload(self, path: str, name: str, access: int) -> smb.Opened:
        try:
            return self._open(self._upload(path, name), access, operation="write", options=smb.NO_FOLDER)
        except TallyportError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                what = "what was uploaded of it is gone"
                raise refusal(ErrorKind.NOT_FOUND, "write", path, what) from error
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

    def _entry_of_open(self, path: str, opened: smb.Opened) -> Entry:
        name = split(path)[1]
        if opened.standing.attributes & smb.REPARSE:
            return self._linked(path, name, opened)
        return entry_of(name, opened.standing, opened.number)

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

    def _enumerate_snapshots(self) -> tuple[tuple[str, int], ...]:
        """Give the previous versions of the share, oldest first."""
        if self._snapshots is None:
            handle = self._open(ROOT, smb.LIST | _LOOK, operation="look at", options=smb.A_FOLDER).handle
            try:
                message = smb.control(_SNAPSHOTS, handle, most=65_536)
                raw = smb.controlled(self._session.exchange("look at", ROOT, message)[0])
            except TallyportError as error:
                if error.kind is not ErrorKind.UNSUPPORTED:
                    raise
                raw = b""  # the share keeps none
            finally:
                self._close(handle)
            names = raw[12:].decode("utf-16-le", "replace").split("\0") if len(raw) > 12 else []
            found = ((name, moment) for name in names if name and (moment := _moment(name)) is not None)
            self._snapshots = tuple(sorted(found, key=lambda one: one[1]))
        return self._snapshots

    def _descriptor(self, path: str) -> tuple[bytes, bool]:
        messages = (
            smb.create(self._name(path), smb.READ_CONTROL | _LOOK, options=smb.AS_LINK),
            smb.query(smb.OF_SECURITY, 0, which=_SECURITY),
            smb.close(),
        )
        answers = self._session.exchange("see the access of", path, *messages)
        is_container = bool(smb.created(answers[0]).standing.attributes & smb.DIRECTORY)
        return smb.queried(answers[1]), is_container

    def _set_descriptor(self, path: str, which: int, part: ntfs_acl.Security, access: int) -> None:
        """Set a part; an owner that the server does not let us give is found when it is read back."""
        messages = (
            smb.create(self._name(path), access | smb.READ_CONTROL, options=smb.AS_LINK),
            smb.change(smb.OF_SECURITY, 0, ntfs_acl.encode(part), which=which),
            smb.close(),
        )
        try:
            self._session.exchange("set the access of", path, *messages)
        except SmbError as error:
            if error.status not in (INVALID_OWNER, INVALID_GROUP, NO_PRIVILEGE):
                raise

    def _properties(self, path: str) -> dict[str, bytes]:
        access = smb.READ_EA | _LOOK
        found: dict[str, bytes] = {}
        for information, read in ((smb.FULL_EA, eas_of), (smb.STREAMS, streams_of)):
            messages = (
                smb.create(self._name(path), access),
                smb.query(smb.OF_FILE, information),
                smb.close(),
            )
            try:
                answers = self._session.exchange("see the properties of", path, *messages)
            except SmbError as error:
                if error.status == NO_EAS or error.kind is ErrorKind.UNSUPPORTED:
                    continue
                raise
            found.update(read(smb.queried(answers[1])))
        for name, size in [(name, int.from_bytes(size, "big")) for name, size in found.items() if name[:1] == ":"]:
            del found[name]
            if size <= STREAM_MOST:
                found[name] = self._read_stream(path, name, size)
        return found

    def _read_stream(self, path: str, name: str, size: int) -> bytes:
        opened = smb.created(
            self._session.exchange("see the properties of", path, smb.create(self._name(path) + name, smb.READ_DATA))[0]
        )
        try:
            if not size:
                return b""
            message = smb.read(opened.handle, 0, min(size, self._session.chunk))
            return smb.data_of(self._session.exchange("see the properties of", path, message)[0])
        finally:
            self._close(opened.handle)

    def _set_stream(self, path: str, name: str, value: bytes | None) -> None:
        why = _wrong_stream(name)
        if why:
            return
        operation = "set the properties of"
        target = self._name(path) + name
        if value is None:
            self._session.exchange(operation, path, smb.create(target, smb.DELETE), smb.dispose(), smb.close())
            return
        empty = smb.change(smb.OF_FILE, smb.END_OF_FILE, struct.pack("<q", 0))
        messages = [smb.create(target, smb.WRITE_DATA, disposition=smb.OPEN_IF), empty]
        if value:
            messages.append(smb.write(value, 0))
        self._session.exchange(operation, path, *messages, smb.close())


_RESUME_KEY, _COPY_CHUNK_CODE, _SNAPSHOTS, _GET_REPARSE = 0x00140078, 0x001440F2, 0x00144064, 0x000900A8
_COPY_CHUNK, _COPY_AT_ONCE = 1024 * 1024, 16 * 1024 * 1024  # what every server takes (MS-SMB2 3.3.3)
_REFUSED = (ErrorKind.UNSUPPORTED, ErrorKind.INVALID_NAME, ErrorKind.NO_SPACE, ErrorKind.NOT_FOUND)


def _sid(principal: Principal) -> str | None:
    try:
        ntfs_acl.sid_bytes(principal.id)
    except ValueError:
        return None
    return principal.id


def _wrong_stream(name: str) -> bool:
    inner = name[1:]
    return not inner or any(character in inner for character in ':\\/*?"<>|\0')


def _moment(token: str) -> int | None:
    """Read ``@GMT-2026.01.02-03.04.05`` as the time that a request names."""
    try:
        moment = datetime.strptime(token, "@GMT-%Y.%m.%d-%H.%M.%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 10_000_000 + smb.EPOCH


def _hashed(pieces: Iterable[bytes], running: ContentHash) -> Iterator[bytes]:
    for piece in pieces:
        running.update(piece)
        yield piece


def _changed(path: str) -> TallyportError:
    return refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed while it was read")
