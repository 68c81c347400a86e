"""Writing over SMB: a temporary is written, stamped and flushed, and takes its name on the same handle."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from tallyport.connectors import smb_messages as smb
from tallyport.connectors.protocol import Connector, Facts, Precondition, SmallWrite, Written
from tallyport.connectors.remote_content import Announced
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new
from tallyport.connectors.smb_entries import entry_of
from tallyport.connectors.smb_folder import Folder, Steps
from tallyport.connectors.smb_session import (
    ACCESS_DENIED,
    status_of,
)
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, join, split

AHEAD = 4  # chunks under way at once

_LOOK = smb.READ_ATTRIBUTES


class Writing(Folder):
    """A folder that can be written to."""

    # -- writing

    def _create_message(self, temporary: str, more: int = 0) -> smb.Message:
        access = smb.WRITE_DATA | smb.DELETE | smb.READ_ATTRIBUTES | smb.WRITE_ATTRIBUTES | more
        return smb.create(
            self._name(temporary), access, disposition=smb.CREATE, options=smb.NO_FOLDER, attributes=smb.NORMAL
        )

    def _begin(self, path: str, temporary: str, messages: list[smb.Message], first: bytes = b"") -> smb.Opened:
        """Make a temporary, with its first content and more steps along; one that fails halfway is removed."""
        steps = [*messages[:1], smb.write(first, 0), *messages[1:]] if first else messages
        requests = self._session.send("write", path, *steps)
        bodies: list[bytes] = []
        try:
            for request in requests:
                bodies += self._session.answers("write", path, [request])
            if first and smb.written(bodies[1]) != len(first):
                raise refusal(ErrorKind.IO_ERROR, "write", path, "the server took less than it was given")
        except BaseException:
            for request in requests[len(bodies) + 1 :]:  # answered all the same
                try:
                    self._session.answers("write", path, [request])
                except TallyportError:
                    pass
            if bodies:
                self._discard(smb.created(bodies[0]).handle, temporary)
            raise
        return smb.created(bodies[0])

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return self._together(None if one is None else (one, self._putting(one)) for one in writes)

    def _putting(self, one: SmallWrite) -> Steps[Entry]:
        """Write a file whose whole content is in memory: all of it along with the opening, then its name."""
        path = one.path
        check_new("write", path, self.limits)
        wire = self._session.connected()  # which says how much may be written
        data = b"".join(Announced((one.content,), one.facts, path))
        if len(data) >= self._session.chunk:
            one.guard()
            return cast(Connector, self).write(path, (data,), one.facts, when=one.when)  # the others wait meanwhile
        temporary = join(split(path)[0], self._temporaries.name(self.token))
        steps = [self._create_message(temporary), *([smb.write(data, 0)] if data else [])]
        steps += self._last_steps(one.facts, smb.THE_SAME)
        begun, *others = yield from self._asking(wire, "write", path, *steps)
        if isinstance(begun, TallyportError):
            raise begun
        made = smb.created(begun)
        try:
            for body in others:
                if isinstance(body, TallyportError):
                    raise body
            if data and smb.written(cast(bytes, others[0])) != len(data):
                raise refusal(ErrorKind.IO_ERROR, "write", path, "the server took less than it was given")
            one.guard()
            if not one.when.absent:
                return self._publish(path, made, one.when)
            naming = smb.rename(self._name(path), replaces=False, handle=made.handle)
            named, ended = yield from self._asking(wire, "write", path, naming, smb.close(tell=True))
            if isinstance(named, TallyportError):
                raise self._refused_rename(path, named, one.when) from named
            if isinstance(ended, TallyportError):
                raise ended
            return entry_of(split(path)[1], smb.closed(ended), made.number)
        except BaseException:
            self._discard(made.handle, temporary)
            raise

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
        naming = smb.rename(self._name(path), replaces=not when.absent, handle=made.handle)
        named, ended = self._session.send("write", path, naming, smb.close(tell=True))
        try:
            self._session.answers("write", path, [named])
        except TallyportError as error:
            raise self._refused_rename(path, error, when) from error
        standing = smb.closed(self._session.answers("write", path, [ended])[0])
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

    def _discard(self, handle: bytes, temporary: str) -> None:
        """Remove an unfinished temporary, which is open still unless it was closed as its name was refused."""
        try:
            self._session.exchange("delete", ROOT, smb.dispose(handle), smb.close())
        except TallyportError:
            self._remove_quietly(temporary)

    def _remove_quietly(self, temporary: str) -> None:
        opening = smb.create(self._name(temporary), _LOOK | smb.DELETE, options=smb.AS_LINK)
        try:
            self._session.exchange("delete", ROOT, opening, smb.dispose(), smb.close())
        except TallyportError:  # it is gone, or the session is: a sweep finds it
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
