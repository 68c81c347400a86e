"""One folder of a share: names, opening, and looking at what stands there."""

from collections.abc import Generator, Iterable, Sequence
from typing import TypeVar

from tallyport.connectors import smb_messages as smb
from tallyport.connectors.answers import Answer
from tallyport.connectors.journeys import Journey, Together, alone
from tallyport.connectors.protocol import Facts
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.smb_entries import entry_of, limits_of, link_text
from tallyport.connectors.smb_session import (
    IS_DIRECTORY,
    Session,
    Settings,
    SmbError,
    status_of,
)
from tallyport.connectors.smb_wire import Broken, Wire
from tallyport.connectors.temporaries import Temporaries
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display, join, segments, split

_LOOK = smb.READ_ATTRIBUTES
_GET_REPARSE = 0x000900A8

M = TypeVar("M")
R = TypeVar("R")
Asked = tuple[Wire, Sequence[smb.Message]]
Steps = Journey[Asked, R]
Body = bytes | TallyportError


class Folder:
    """A folder below which everything is reached by name."""

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

    # -- looking and making

    def stat(self, path: str) -> Entry | None:
        check_path("look at", path)
        try:
            return self._stat(path)
        except TallyportError as error:
            if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.INVALID_NAME):
                return None
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
                raise self._refused_open(error, operation, path) from error
            raise

    def _refused_open(self, error: TallyportError, operation: str, path: str) -> TallyportError:
        if status_of(error) == IS_DIRECTORY:
            return refusal(ErrorKind.UNSUPPORTED, operation, path, "it is a container, not a file")
        return error

    # -- several things at once

    def _asking(self, wire: Wire, operation: str, path: str, *messages: smb.Message) -> Steps[list[Body]]:
        """Ask for several things about what the first of them opens; gives what was answered, or refused, to each."""
        try:
            answers = yield wire, messages
        except (Broken, OSError) as error:
            raise self._session.broken(error, operation, path, wire) from error
        return [
            body if not status else self._session.error_of(status, operation, path, wire) for status, body in answers
        ]

    def _alone(self, steps: Steps[R]) -> R:
        seconds = self._session.settings.timeout

        def ask(asked: Asked) -> Sequence[Answer]:
            wire, messages = asked
            call = wire.send(messages, seconds, related=True)
            wire.wait(call, seconds)
            return call.answers

        return alone(steps, ask)

    def _together(
        self, journeys: Iterable[tuple[M, Steps[R]] | None]
    ) -> Generator[tuple[M, R | TallyportError] | None, None, None]:
        seconds = self._session.settings.timeout
        made: Together[Asked, M, R] = Together(
            lambda asked, inbox: asked[0].send(asked[1], seconds, related=True, inbox=inbox),
            lambda asked, call: asked[0].late(call, seconds),
            seconds,
        )
        return made.make(journeys)

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

    def _entry_of_open(self, path: str, opened: smb.Opened) -> Entry:
        name = split(path)[1]
        if opened.standing.attributes & smb.REPARSE:
            return self._linked(path, name, opened)
        return entry_of(name, opened.standing, opened.number)


def changed(path: str) -> TallyportError:
    return refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed while it was read")
