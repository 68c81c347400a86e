"""What a connection really keeps, measured on canaries under a name of ours: what a server says of itself is not asked.

A server that speaks S3 may ignore ``If-None-Match``, one that speaks SFTP may ignore ``O_EXCL``, and both answer that
all is well. So each promise that a copy rests on is broken once on purpose. Nothing outside the canaries is touched,
and they are removed.
"""

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

from tallyport.connectors import registry
from tallyport.connectors.canaries import TOKEN, Book, NoBook, Noting, mark, remove
from tallyport.connectors.layers.layer import innermost
from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.protocol import Connector, Facts, Precondition, Stamps, Uploads
from tallyport.connectors.registry import below
from tallyport.connectors.temporaries import TEMPORARY
from tallyport.connectors.width import Holding, places_of
from tallyport.domain.capabilities import Limits
from tallyport.domain.connections import Canaries, Connection
from tallyport.domain.entries import Entry
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError
from tallyport.domain.paths import join

MEASURED = "$measured"  # what a settings document holds beside the settings: the answer of a probe
ON = "measured_on"  # beside the facts: when they were measured
FACTS = (
    *("creates_only", "replaces_checked", "atomic_replace", "sets_times", "time_precision", "clock_skew"),
    *("case_sensitive", "normalises_names", "lists_at_once", "forbidden_characters"),
)
_UNLESS_SEEN = ("creates_only", "replaces_checked")
_ABSENT = Precondition(absent=True)
_MOMENT = 1_234_567_891_123_456_789  # an odd second, and a fraction
_ODD = '\\:*?"<>|'  # characters that some platform or other does not take
_STEPS = (1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)


def probe(
    platform_id: str, settings_document: Mapping[str, object], path: str = "/", *, book: Book | None = None
) -> dict[str, object]:
    """Measure a connection at a place where it may write; gives the facts that could be measured."""
    book = book or NoBook()
    tidy(platform_id, settings_document, book)
    canaries = Canaries(below(path), new_place())
    with _opened(platform_id, settings_document, canaries.path, make=True) as connector:
        uploads: list[tuple[str, str]] = []

        def noted(upload_path: str, handle: str) -> None:
            uploads.append((upload_path, handle))
            book.note(canaries._replace(uploads=tuple(uploads)))

        is_gone = False
        book.begin(canaries)
        try:
            facts, is_gone = _measured(Noting(connector, noted), canaries.place)
        finally:
            book.end(canaries, is_gone=is_gone)
        return facts


def tidy(platform_id: str, settings_document: Mapping[str, object], book: Book) -> None:
    """Remove what probes left that were killed. What cannot be reached now is looked at again the next time."""
    for canaries in book.left():
        try:
            with _opened(platform_id, settings_document, canaries.path, make=False) as connector:
                is_gone = remove(connector, canaries)
        except TallyportError as error:
            is_gone = error.kind is ErrorKind.NOT_FOUND  # with all that was in it
        if is_gone:
            book.end(canaries, is_gone=True)


@contextlib.contextmanager
def _opened(platform_id: str, settings_document: Mapping[str, object], path: str, *, make: bool) -> Iterator[Connector]:
    platform = registry.platform(platform_id)
    document = {name: value for name, value in settings_document.items() if name != MEASURED}
    connector = platform.open(platform.read_settings(document), path, make=make)
    _believe(connector)
    mark(connector)
    # What the platform asks to wait is waited for here too, and told to all who use the connection.
    held = Holding(connector, places_of(platform.id, document))
    try:
        yield Retrying(held)
    finally:
        connector.close()


def new_place() -> str:
    """Name a folder for canaries: no item of any job that lists it meanwhile."""
    return f"{TEMPORARY}{TOKEN}-{os.urandom(4).hex()}"


def measure(connector: Connector, *, name: str | None = None) -> dict[str, object]:
    """Measure an open connector, without layers; what it declares is taken as kept until it is seen not to be."""
    mark(connector)
    return _measured(connector, name or new_place())[0]


def _measured(connector: Connector, place: str) -> tuple[dict[str, object], bool]:
    """Give the facts, and whether all canaries are gone."""
    _believe(connector)
    try:
        _make(connector, place)
        found = {fact: _quietly(partial(ask, connector, place)) for fact, ask in _QUESTIONS.items()}
    finally:
        is_gone = remove(connector, Canaries("", place))
    facts = {fact: value for fact, value in found.items() if value is not None}
    facts = {**dict.fromkeys(_UNLESS_SEEN, False), **facts}  # a promise that could not be tried is not relied on
    if isinstance(facts.get("time_precision"), int):
        facts["sets_times"] = facts["time_precision"] != 0
        if not facts["sets_times"]:
            del facts["time_precision"]
    return facts, is_gone


def _believe(connector: Connector) -> None:
    """Have a connector rely on the platform's conditions alone, so that they are what is measured."""
    with contextlib.suppress(AttributeError):  # one whose limits are fixed is measured as it is
        connector.limits = dataclasses.replace(connector.limits, creates_only=True, replaces_checked=True)


def apply(limits: Limits, measured: Mapping[str, object]) -> Limits:
    """Put what was measured in the place of what is declared."""
    kept = {name: measured[name] for name in FACTS if type(measured.get(name)) is type(getattr(limits, name))}
    return dataclasses.replace(limits, **cast(Any, kept))


def read(text: str | None) -> dict[str, object]:
    """Read a stored answer."""
    return {} if not text else dict(json.loads(text))


def measured_on(*sides: tuple[str, Connection]) -> dict[str, str | None]:
    """Say when each side was measured, None for never. A folder of this machine shows what it keeps when opened."""
    return {
        name: str(read(side.measured).get(ON) or "before") if side.measured else None
        for name, side in sides
        if registry.platform(side.platform).is_remote
    }


# -- the questions


def _make(connector: Connector, path: str) -> None:
    """Make a container, unless it is there as soon as something is in it: not every server takes an empty one."""
    if not connector.limits.containers_implied:
        connector.make_container(path, Facts())


def _put(connector: Connector, path: str, data: bytes, when: Precondition | None = None) -> Entry:
    return connector.write(path, [data], Facts(size=len(data)), when=when or Precondition())


def _is_refused(act: Callable[[], object]) -> bool:
    """Tell whether something is refused because of what stands there; another trouble is not an answer."""
    try:
        act()
    except TallyportError as error:
        if error.kind in (ErrorKind.ALREADY_EXISTS, ErrorKind.CHANGED_DURING_COPY):
            return True
        raise
    return False


def _creates_only(connector: Connector, place: str) -> bool:
    """A name that is taken while the content comes must not be overwritten."""
    path = join(place, "new")

    def slow() -> Iterator[bytes]:
        yield b"slow"
        _put(connector, path, b"quick")

    if not _is_refused(lambda: connector.write(path, slow(), Facts(size=4), when=_ABSENT)):
        return False
    return _joins_only(connector, join(place, "new-parts"), None)


def _replaces_checked(connector: Connector, place: str) -> bool:
    """An entry that changes while the content comes must not be overwritten."""
    path = join(place, "known")
    seen = _put(connector, path, b"old")

    def slow() -> Iterator[bytes]:
        yield b"slow"
        _put(connector, path, b"quicker")

    when = Precondition(entry=seen)
    if not _is_refused(lambda: connector.write(path, slow(), Facts(size=4), when=when)):
        return False
    parts = join(place, "known-parts")
    return _joins_only(connector, parts, _put(connector, parts, b"old"))


def _joins_only(connector: Connector, path: str, seen: Entry | None) -> bool:
    """The same for an upload in parts, which is made visible by another call."""
    if not isinstance(connector, Uploads):
        return True
    facts = Facts(size=4)
    handle = connector.begin_upload(path, facts, token="probe")
    when = _ABSENT if seen is None else Precondition(entry=seen)
    try:
        receipt = connector.put_part(path, handle, 0, 0, [b"slow"], 4)
        _put(connector, path, b"quickest")
        return _is_refused(lambda: connector.finish_upload(path, handle, [receipt], facts, when=when))
    finally:
        _quietly(lambda: connector.abandon_upload(path, handle))


def _atomic_replace(connector: Connector, place: str) -> bool:
    """The old content must be there until the new is complete."""
    path = join(place, "replaced")
    _put(connector, path, b"old")
    seen: list[bytes] = []

    def slow() -> Iterator[bytes]:
        yield b"new"
        with connector.read(path) as chunks:
            seen.append(b"".join(chunks))
        yield b"er"

    connector.write(path, slow(), Facts())
    return seen == [b"old"]


def _time_precision(connector: Connector, place: str) -> int:
    """Give the step that times are kept to; 0 when they are not kept."""
    path = join(place, "dated")
    facts = Facts(size=1, modified=_MOMENT)
    connector.write(path, [b"x"], facts)
    if isinstance(connector, Stamps):
        connector.stamp(path, Facts(modified=_MOMENT))
    entry = connector.stat(path)
    off = abs(entry.modified - _MOMENT) if entry is not None else _STEPS[-1]
    return next((step for step in _STEPS if off < step), 0)


def _clock_skew(connector: Connector, place: str) -> int:
    """Give by how much the clock that dates what is written may be off ours."""
    path = join(place, "undated")
    before, begun = time.time_ns(), time.perf_counter_ns()
    _put(connector, path, b"x")
    entry = connector.stat(path)
    took = time.perf_counter_ns() - begun
    if entry is None:
        raise TallyportError(ErrorKind.NOT_FOUND, f"{path} is not there though it was just written")
    return max(before - entry.modified, entry.modified - before - took, 0) + took


def _case_sensitive(connector: Connector, place: str) -> bool:
    _put(connector, join(place, "Case"), b"upper")
    _put(connector, join(place, "case"), b"lower")
    with connector.read(join(place, "Case")) as chunks:
        return b"".join(chunks) == b"upper"


def _normalises_names(connector: Connector, place: str) -> bool:
    names = {"caf\u00e9", "cafe\u0301"}
    for name in sorted(names):
        _put(connector, join(place, name), name.encode())
    return not names <= {entry.name for entry in connector.children(place)}


def _forbidden_characters(connector: Connector, place: str) -> str | None:
    """Give the characters of which no name comes back as it was written, where they are more than is declared.

    Some are not refused: a store of objects may make a slash of a backslash, and tell nobody.
    """
    known = connector.limits.forbidden_characters
    untaken = getattr(innermost(connector), "untaken", "")
    tried = [char for char in _ODD if char not in known]
    box = join(place, "named")
    _make(connector, box)
    whole = f"a{''.join(tried)}b"
    if tried and not _come_back(connector, box, [whole]):
        names = {char: f"{number}{char}b" for number, char in enumerate(tried)}
        back = _come_back(connector, box, ["plain", *names.values()])
        if "plain" not in back:
            return None  # it lists nothing yet: no answer
        untaken += "".join(char for char, name in names.items() if name not in back)
        known += "".join(char for char in untaken if char not in known)
    return known if untaken else None


def _come_back(connector: Connector, box: str, names: Sequence[str]) -> set[str]:
    """Give those names that a listing has as they were written."""
    for name in names:
        try:
            _put(connector, join(box, name), b"x")
        except TallyportError as error:
            if REMEDIES[error.kind][0] is Scope.CONNECTION:
                raise
    return {entry.name for entry in connector.children(box)}.intersection(names)


def _lists_at_once(connector: Connector, place: str) -> bool:
    box = join(place, "listed")
    _make(connector, box)
    for number in range(5):
        _put(connector, join(box, str(number)), b"x")
        if str(number) not in {entry.name for entry in connector.children(box)}:
            return False
    connector.delete(join(box, "0"))
    return "0" not in {entry.name for entry in connector.children(box)}


_QUESTIONS: dict[str, Callable[[Connector, str], object]] = {
    "creates_only": _creates_only,
    "replaces_checked": _replaces_checked,
    "atomic_replace": _atomic_replace,
    "time_precision": _time_precision,
    "clock_skew": _clock_skew,
    "case_sensitive": _case_sensitive,
    "normalises_names": _normalises_names,
    "lists_at_once": _lists_at_once,
    "forbidden_characters": _forbidden_characters,
}


def _quietly(act: Callable[[], object]) -> object:
    """Give the answer, or None where a trouble kept it from us."""
    try:
        return act()
    except TallyportError:
        return None
