"""Trees drawn as text, for tests that should read like a picture.

    a.txt 3b v1
    folder/b.txt 10kb v2 @1000
    empty/
    link -> a.txt
    other.txt = a.txt

A file has a size (b, kb, mb) and a version, which together say its content; ``@`` is its time in seconds. A
name ending with a slash is a container, an arrow makes a symlink, an equals sign a second name (hard link).
Containers on the way are made. A name with spaces or anything else that could be misread stands in double
quotes, with the escapes of JSON.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from typing import NamedTuple, TypeVar, cast, overload

from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Connector, Facts, Links, Precondition, Stamps
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.paths import ROOT, join, segments

C = TypeVar("C", bound=Connector)

_UNITS = {"b": 1, "kb": 1024, "mb": 1024 * 1024}
_NAME = r'"(?:[^"\\]|\\.)*"|[^\s"=>][^\s"]*'
_LINE = re.compile(
    rf"(?P<path>{_NAME})"
    rf"(?: (?P<size>\d+)(?P<unit>b|kb|mb) v(?P<version>\d+)| -> (?P<target>{_NAME})| = (?P<same>{_NAME}))?"
    r"(?: @(?P<time>-?\d+))?"
)
_PLAIN = re.compile(r"[^\s\"=>\\\x00-\x1f\x7f-\xa0\ud800-\udfff][^\s\"\\\x00-\x1f\x7f-\xa0\ud800-\udfff]*")


class Line(NamedTuple):
    """One line of a drawing."""

    path: str
    kind: Kind
    size: int = 0
    version: int = 0
    target: str | None = None  # text of a symlink
    same: str | None = None  # the first name of a hard link
    time: int | None = None  # seconds


def content(size: int, version: int) -> bytes:
    """Give the content of a file: first byte the version; a shorter one is a prefix of a longer one."""
    stream = hashlib.shake_128(b"tallyport %d" % version).digest(max(size - 1, 0))
    return (bytes([version]) + stream)[:size]


def lines(text: str) -> list[Line]:
    """Read a drawing. Blank lines and lines that begin with ``#`` say nothing."""
    stripped = (line.strip(" \t\r") for line in text.split("\n"))
    return [_line(line) for line in stripped if line and not line.startswith("#")]


@overload
def tree(text: str) -> Memory: ...
@overload
def tree(text: str, into: C) -> C: ...
def tree(text: str, into: Connector | None = None) -> Connector:
    """Make what is drawn, in a new memory connector or in the one that is given, and give that."""
    connector = Memory() if into is None else into
    made = {ROOT}
    drawn = lines(text)
    for line in drawn:
        _make_containers(connector, line.path if line.kind is Kind.CONTAINER else _container(line.path), made)
        modified = None if line.time is None else line.time * 1_000_000_000
        if line.same is not None:
            cast(Links, connector).make_hard_link(line.path, line.same)
        elif line.target is not None:
            cast(Links, connector).make_symlink(line.path, line.target, Facts(modified=modified))
        elif line.kind is Kind.FILE:
            facts = Facts(size=line.size, modified=modified)
            connector.write(line.path, [content(line.size, line.version)], facts)
    for line in reversed(drawn):  # a container's time last: whatever is made inside changes it
        if line.kind is Kind.CONTAINER and line.time is not None:
            cast(Stamps, connector).stamp(line.path, Facts(modified=line.time * 1_000_000_000))
    return connector


def picture(connector: Connector, path: str = ROOT, *, times: bool = False) -> str:
    """Draw what is there, sorted by path; ``tree`` of it makes the same again.

    A container that holds something is drawn through what it holds, unless times are asked for.
    """
    first_names: dict[tuple[int, int], str] = {}
    drawn = (
        _drawn(connector, inside, entry, first_names, times=times)
        for inside, entry, is_empty in walk(connector, path)
        if entry.kind is not Kind.CONTAINER or is_empty or times
    )
    return "\n".join(drawn)


def walk(connector: Connector, path: str = ROOT) -> Iterator[tuple[str, Entry, bool]]:
    """Give everything below a container with its path, sorted, and whether it is an empty container."""
    for entry in sorted(connector.children(path), key=lambda entry: entry.name):
        inside = join(path, entry.name)
        if entry.kind is Kind.CONTAINER:
            below = walk(connector, inside)
            first = next(below, None)
            yield inside, entry, first is None
            if first is not None:
                yield first
            yield from below
        else:
            yield inside, entry, False


def differences(one: Connector, other: Connector, *, times: bool = False) -> list[str]:
    """Compare two trees by content and names; give one line for each difference, none when they are equal."""
    left, right = (picture(side, times=times).split("\n") for side in (one, other))
    return [f"only in the first: {line}" for line in left if line and line not in set(right)] + [
        f"only in the second: {line}" for line in right if line and line not in set(left)
    ]


def made_place(connector: Connector) -> str:
    """Make a container for one test, and give its path."""
    path = f"contract-{uuid.uuid4().hex[:12]}"
    connector.make_container(path, Facts())
    return path


def put(connector: Connector, path: str, data: bytes = b"content", when: Precondition | None = None) -> Entry:
    """Write content in one piece."""
    return connector.write(path, [data], Facts(size=len(data)), when=when or Precondition())


def read_all(connector: Connector, path: str, *, offset: int = 0, length: int | None = None) -> bytes:
    """Read content in one piece."""
    with connector.read(path, offset=offset, length=length) as chunks:
        return b"".join(chunks)


def quoted(path: str) -> str:
    """Give a name as it stands in a drawing."""
    return path if _PLAIN.fullmatch(path) and not path.startswith("#") else json.dumps(path)


def _line(text: str) -> Line:
    found = _LINE.fullmatch(text)
    if found is None:
        raise ValueError(f"this line of a drawing cannot be read: {text!r}")
    path, seconds = _unquoted(found["path"]), found["time"]
    time = None if seconds is None else int(seconds)
    if found["target"] is not None:
        return Line(path, Kind.SYMLINK, target=_unquoted(found["target"]), time=time)
    if found["same"] is not None:
        return Line(path, Kind.FILE, same=_unquoted(found["same"]), time=time)
    if found["size"] is not None:
        size = int(found["size"]) * _UNITS[found["unit"]]
        return Line(path, Kind.FILE, size, int(found["version"]), time=time)
    if not path.endswith("/"):
        raise ValueError(f"this line of a drawing is neither name/ nor name 3b v1: {text!r}")
    return Line(path.removesuffix("/"), Kind.CONTAINER, time=time)


def _drawn(
    connector: Connector, path: str, entry: Entry, first_names: dict[tuple[int, int], str], *, times: bool
) -> str:
    at = f" @{entry.modified // 1_000_000_000}" if times else ""
    if entry.kind is Kind.CONTAINER:
        return quoted(f"{path}/") + at
    if entry.kind is Kind.SYMLINK:
        return f"{quoted(path)} -> {quoted(entry.target or '')}{at}"
    if entry.kind is Kind.SPECIAL:
        return f"{quoted(path)} (special)"
    if entry.link_id is not None:
        first = first_names.setdefault(entry.link_id, path)
        if first != path:
            return f"{quoted(path)} = {quoted(first)}"
    return f"{quoted(path)} {_size(entry.size)} {_version(read_all(connector, path))}{at}"


def _version(data: bytes) -> str:
    if not data:
        return "v0"
    return f"v{data[0]}" if data == content(len(data), data[0]) else f"? {hashlib.sha256(data).hexdigest()[:8]}"


def _size(size: int) -> str:
    for unit, factor in reversed(_UNITS.items()):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return "0b"


def _unquoted(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text


def _container(path: str) -> str:
    return path.rpartition("/")[0]


def _make_containers(connector: Connector, path: str, made: set[str]) -> None:
    here = ROOT
    for name in segments(path):
        here = join(here, name)
        if here not in made:
            connector.make_container(here, Facts())
            made.add(here)
