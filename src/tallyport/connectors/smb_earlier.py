"""Earlier contents that a share keeps: previous versions of the whole share, each of one moment."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice

from tallyport.connectors import smb_messages as smb
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_path
from tallyport.connectors.smb_reading import Reading
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError
from tallyport.domain.paths import ROOT
from tallyport.domain.versions import Version

AT_ONCE = 10_000  # entries of a folder whose contents are counted together

_LOOK = smb.READ_ATTRIBUTES
_SNAPSHOTS = 0x00144064


class Earlier(Reading):
    """A folder of a share that may have previous versions."""

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

    def counted(self, path: str, *, glimpsed: bool = False) -> Iterator[Entry]:
        """List the folder, and as it was in each previous version, for so many entries at a time."""
        moments = self._moments()
        entries = self.children(path)
        if not moments:
            yield from (entry._replace(contents=1) if entry.kind is Kind.FILE else entry for entry in entries)
            return
        while some := list(islice(entries, AT_ONCE)):
            yield from self._counted(path, some, moments)

    def _counted(self, path: str, entries: Sequence[Entry], moments: Sequence[int]) -> Iterator[Entry]:
        """Count the contents of some entries of a folder as ``versions`` does."""
        names = {entry.name.casefold(): entry.name for entry in entries} | {entry.name: entry.name for entry in entries}
        seen: dict[str, tuple[int, tuple[int, int]]] = {}  # name → contents so far, and the last of them
        for moment in moments:
            for one in self._past(path, moment):
                name = names.get(one.name) or names.get(one.name.casefold())
                standing = one.standing
                if name is None or standing.attributes & smb.DIRECTORY:
                    continue
                number, last = seen.get(name, (0, None))
                if last != (standing.size, standing.modified):
                    seen[name] = number + 1, (standing.size, standing.modified)
        for entry in entries:
            if entry.kind is Kind.FILE:
                number, last = seen.get(entry.name, (0, None))
                yield entry._replace(contents=number if last == (entry.size, entry.modified) else number + 1)
            else:
                yield entry

    def _past(self, path: str, moment: int) -> Iterator[smb.Listed]:
        """List a folder as it was; nothing where it was not there yet."""
        try:
            opened = self._open(path, smb.LIST | _LOOK, operation="list", options=smb.A_FOLDER, snapshot=moment)
        except TallyportError as error:
            if REMEDIES[error.kind][0] is not Scope.ITEM:
                raise
            return
        try:
            for batch in self._batches(path, opened.handle, "*"):
                yield from batch
        finally:
            self._close(opened.handle)

    def _moments(self) -> Sequence[int]:
        """Give when previous versions were taken; of a server that does not answer that, there are none."""
        try:
            return [moment for _, moment in self._enumerate_snapshots()]
        except TallyportError as error:
            if REMEDIES[error.kind][0] is not Scope.ITEM:
                raise
            return ()

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


def _moment(token: str) -> int | None:
    """Read ``@GMT-2026.01.02-03.04.05`` as the time that a request names."""
    try:
        moment = datetime.strptime(token, "@GMT-%Y.%m.%d-%H.%M.%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 10_000_000 + smb.EPOCH
