"""What a connection really keeps, measured on canaries under a name of ours: what a server says of itself is not asked.

A server that speaks S3 may ignore ``If-None-Match``, one that speaks SFTP may ignore ``O_EXCL``, and both answer that
all is well. So each promise that a copy rests on is broken once on purpose. Nothing outside the canaries is touched,
and they are removed.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, cast

from tallyport.connectors import registry
from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.protocol import Connector, Facts, Precondition, Stamps, Uploads
from tallyport.connectors.registry import below
from tallyport.connectors.temporaries import TEMPORARY
from tallyport.connectors.width import Holding, places_of
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join

MEASURED = "$measured"  # what a settings document holds beside the settings: the answer of a probe
FACTS = (
    *("creates_only", "replaces_checked", "atomic_replace", "sets_times", "time_precision"),
    *("case_sensitive", "normalises_names", "lists_at_once"),
)
_UNLESS_SEEN = ("creates_only", "replaces_checked")
_ABSENT = Precondition(absent=True)
_MOMENT = 1_234_567_891_123_456_789  # an odd second, and a fraction
_STEPS = (1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)


def probe(platform_id: str, settings_document: Mapping[str, object], path: str = "/") -> dict[str, object]:
    """Measure a connection at a place where it may write; gives the facts that could be measured."""
    platform = registry.platform(platform_id)
    document = {name: value for name, value in settings_document.items() if name != MEASURED}
    connector = platform.open(platform.read_settings(document), below(path), make=True)
    _believe(connector)
    # What the platform asks to wait is waited for here too, and told to all who use the connection.
    held = Holding(connector, places_of(platform.id, json.dumps(document, sort_keys=True)))
    try:
        return measure(Retrying(held))
    finally:
        connector.close()


def measure(connector: Connector, *, name: str | None = None) -> dict[str, object]:
    """Measure an open connector, without layers; what it declares is taken as kept until it is seen not to be."""
    place = name or f"{TEMPORARY}probe-{os.urandom(4).hex()}"  # no item of any job that lists it meanwhile
    _believe(connector)
    _make(connector, place)
    try:
        found = {fact: _quietly(partial(ask, connector, place)) for fact, ask in _QUESTIONS.items()}
    finally:
        _remove(connector, place)
    facts = {fact: value for fact, value in found.items() if value is not None}
    facts = {**dict.fromkeys(_UNLESS_SEEN, False), **facts}  # a promise that could not be tried is not relied on
    if isinstance(facts.get("time_precision"), int):
        facts["sets_times"] = facts["time_precision"] != 0
        if not facts["sets_times"]:
            del facts["time_precision"]
    return facts


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
    "case_sensitive": _case_sensitive,
    "normalises_names": _normalises_names,
    "lists_at_once": _lists_at_once,
}


def _quietly(act: Callable[[], object]) -> object:
    """Give the answer, or None where a trouble kept it from us."""
    try:
        return act()
    except TallyportError:
        return None


def _remove(connector: Connector, path: str) -> None:
    """Remove the canaries; one that cannot be removed is left, under a name that says whose it is."""
    with contextlib.suppress(TallyportError):
        for entry in list(connector.children(path)):
            below_it = join(path, entry.name)
            if entry.kind is Kind.CONTAINER:
                _remove(connector, below_it)
            else:
                with contextlib.suppress(TallyportError):
                    connector.delete(below_it)
    with contextlib.suppress(TallyportError):
        connector.delete(path)
