"""Big files of any platform in parts, under an upload's handle that is in the ledger before the first part."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol, cast

from tallyport.connectors.hashing import PART, ContentHash, of_parts
from tallyport.connectors.protocol import Connector, Facts, Forgets, Precondition, Uploads
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Fingerprint, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import display, join, split
from tallyport.engine.lease import Guard
from tallyport.engine.passage import expected_at
from tallyport.engine.work import FinishWork, PartWork
from tallyport.store.frontier import TaskRow

HANDLE = "upload:"  # what the temporary of a task begins with when it is an upload's handle
_DIGEST = 16  # bytes; the rest of what is kept of a part is the platform's receipt
_ABSENT = Precondition(absent=True)


class Way(Protocol):
    """What of a passage an upload needs."""

    source: Connector
    destination: Connector
    guard: Guard
    token: str

    def facts_of(self, entry: Entry, to: Connector, *, content: bytes | None = None) -> Facts: ...

    def checked(
        self, giving: Connector, path: str, entry: Entry, offset: int = 0, length: int | None = None
    ) -> Iterator[bytes]: ...

    def hash_there(self, path: str) -> bytes: ...


def takes_parts(connector: Connector) -> bool:
    """Tell whether a connection takes parts of the size that we carry."""
    limits: Limits = connector.limits
    fits = limits.part_min <= PART and (limits.part_max is None or limits.part_max >= PART)
    return isinstance(connector, Uploads) and fits


def begin(way: Way, d_path: str, entry: Entry, *, again: bool = False) -> str:
    """Open an upload; gives what tasks keep of it. ``again``: one may have been opened before and not recorded."""
    if again and isinstance(way.destination, Forgets):
        with suppress(TallyportError):  # what has no part takes no room: no reason to fail
            way.destination.forget_uploads(d_path)
    taking = cast(Uploads, way.destination)
    handle = taking.begin_upload(d_path, way.facts_of(entry, way.destination), token=way.token)
    return HANDLE + handle


def abandon(connector: Connector, d_path: str, temporary: str) -> None:
    """Free what an upload holds."""
    cast(Uploads, connector).abandon_upload(d_path, _handle(temporary))


def part(way: Way, work: PartWork) -> bytes:
    """Carry one part; gives its hash and the platform's receipt."""
    entry = Entry(split(work.path)[1], Kind.FILE, *work.source)
    running = ContentHash()

    def content() -> Iterator[bytes]:
        for chunk in way.checked(way.source, work.path, entry, work.offset, work.length):
            running.update(chunk)
            yield chunk

    number = work.offset // PART
    taking = cast(Uploads, way.destination)
    receipt = taking.put_part(work.d_path, _handle(work.temporary), number, work.offset, content(), work.length)
    return running.digest() + receipt


def finish(way: Way, work: FinishWork) -> tuple[Entry, bytes]:
    """Make the whole visible; gives it with the hash of its content."""
    content = of_parts([one[:_DIGEST] for one in work.hashes])
    receipts = [one[_DIGEST:] for one in work.hashes]
    source = way.source.stat(work.path)
    if source is None or source.kind is not Kind.FILE or fingerprint(source) != Fingerprint(*work.source):
        raise _error(ErrorKind.CHANGED_DURING_COPY, work.path, "it changed since it was listed")
    replaces = expected_at(split(work.d_path)[1], work.item) if work.replaces else None
    when = _ABSENT if replaces is None else Precondition(entry=replaces)
    facts = way.facts_of(source, way.destination, content=content)
    way.guard()
    try:
        taking = cast(Uploads, way.destination)
        return taking.finish_upload(work.d_path, _handle(work.temporary), receipts, facts, when=when), content
    except TallyportError as error:
        if error.kind not in (ErrorKind.NOT_FOUND, ErrorKind.ALREADY_EXISTS):
            raise
        there = _finished_before(way, work, content)
        if there is None:
            if error.kind is ErrorKind.ALREADY_EXISTS:
                abandon(way.destination, work.d_path, work.temporary)
            raise
        return there, content


def _finished_before(way: Way, work: FinishWork, content: bytes) -> Entry | None:
    """Give what stands there when it is what was sent: it was finished before, and that was not recorded."""
    there = way.destination.stat(work.d_path)
    if there is None or there.kind is not Kind.FILE or there.size != work.size:
        return None
    return there if there.hash == content or way.hash_there(work.d_path) == content else None


def _handle(temporary: str) -> str:
    return temporary.removeprefix(HANDLE)


def is_handle(temporary: str | None) -> bool:
    """Tell whether what a task keeps is an upload's handle, and not the name of a temporary."""
    return temporary is not None and temporary.startswith(HANDLE)


def place_of(task: TaskRow) -> str:
    """Give the path of a temporary, or of the file whose upload is to be abandoned."""
    if is_handle(task.temporary):
        return task.d_path
    return join(split(task.d_path)[0], task.temporary or "")


def _error(kind: ErrorKind, path: str, why: str) -> TallyportError:
    return TallyportError(kind, f"cannot write {display(path)}: {why}", path=path, operation="write")
