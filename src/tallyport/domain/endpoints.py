"""The two ends of a job and the maps between their principals, as a transfer block names them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tallyport.domain import paths
from tallyport.domain.documents import Reader, pointer
from tallyport.domain.map_documents import read_map_document

ENDPOINT_TYPES = ("directory", "file", "control_file", "control_endpoint", "custom")
UNUSED = ("options", "authenticate", "authenicate", "event_position")
PRINCIPAL_KEYS = ("id", "name", "email", "username")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One end of a job: a connection, and what is meant below it."""

    connection: str | None = None  # id of a connection or a pool
    path: str = paths.ROOT  # as in domain/paths.py
    uri: str | None = None  # instead of a path
    item: object = None  # the platform's id of an item, instead of a path
    type: str | None = None
    impersonate_as: Mapping[str, str] | None = None
    size_estimate: Mapping[str, int] | None = None  # count, bytes: for progress only
    unused: tuple[str, ...] = ()  # keys that were given, and that nothing here acts on


class MapUse(NamedTuple):
    """A map by its id, or as a whole."""

    id: str | None
    inline: Mapping[str, object] | None


def read_endpoint(reader: Reader, value: object, path: str, *, required: bool) -> Endpoint:
    """Read ``source`` or ``destination``."""
    if value is None:
        if required:
            reader.wrong(path, "missing", "is needed: a connection and, if not its root, a target")
        return Endpoint()
    known = ("connection", "target", "type", "impersonate_as", "size_estimate")
    members = reader.members(value, path, (*known, *UNUSED))
    connection = _connection(reader, members.get("connection"), pointer(path, "connection"), required=required)
    here = pointer(path, "target")
    target = reader.members(members.get("target", {}), here, ("path", "uri", "item"))
    if len(target) > 1:
        reader.wrong(here, "not_together", f"{' and '.join(target)} exclude each other")
    text = reader.text(target["uri"], pointer(here, "uri")) if "uri" in target else None
    kind = members.get("type")
    size_estimate = members.get("size_estimate")
    return Endpoint(
        connection=connection,
        path=read_path(reader, target["path"], pointer(here, "path")) if "path" in target else paths.ROOT,
        uri=text,
        item=target.get("item"),
        type=None if kind is None else reader.choice(kind, pointer(path, "type"), list(ENDPOINT_TYPES)),
        impersonate_as=_principal(reader, members.get("impersonate_as"), pointer(path, "impersonate_as")),
        size_estimate=None
        if size_estimate is None
        else _size_estimate(reader, size_estimate, pointer(path, "size_estimate")),
        unused=tuple(key for key in UNUSED if members.get(key) is not None),
    )


MAIL = "mailto:"  # before an account that only its address names; no account's name has a colon


def account_of(end: Endpoint) -> str:
    """Name the account that a connection is to act as; one that only its e-mail address names begins with ``MAIL``."""
    given = end.impersonate_as or {}
    for name in ("username", "name"):
        if name in given:
            return given[name]
    return f"{MAIL}{given['email']}" if "email" in given else given.get("id", "")


def read_path(reader: Reader, value: object, path: str) -> str:
    """Read a path from the connection's root (``/a/b``) as a path of ours (``a/b``)."""
    if not isinstance(value, str):
        reader.wrong_type(value, path, "text: a path from the connection's root, such as /folder")
        return paths.ROOT
    segments = [segment for segment in value.split("/") if segment]
    try:
        paths.to_bytes(value)
    except UnicodeEncodeError:
        reader.wrong(path, "out_of_range", "holds half a surrogate pair, which is no character")
        return paths.ROOT
    for segment in segments:
        complaint = paths.check_segment(segment)
        if complaint:
            reader.wrong(path, "out_of_range", complaint)
    return "/".join(segments)


def read_map(reader: Reader, value: object, path: str, kind: str) -> MapUse | None:
    """Read ``account_map`` or ``group_map``: ``{id, type}``, or a whole map."""
    if not isinstance(value, dict):
        reader.wrong_type(value, path, "an object: a map, or the id of one")
        return None
    if value.get("type") is not None:
        reader.choice(value["type"], pointer(path, "type"), [kind])
    if value.get("id") is None:
        if not value.keys() - {"type"}:
            reader.wrong(path, "missing", "is empty: give the id of a map, or a map")
        else:
            read_map_document(reader, value, path, kind)
        return MapUse(None, value)
    reader.members(value, path, ("id", "type", "name"))
    name = reader.text(value["id"], pointer(path, "id"))
    return None if name is None else MapUse(name, None)


def _connection(reader: Reader, value: object, path: str, *, required: bool) -> str | None:
    if value is None:
        if required:
            reader.wrong(path, "missing", 'is needed, as {"id": "..."}')
        return None
    members = reader.members(value, path, ("id", "name", "platform", "type"))
    if "id" not in members:
        if isinstance(value, dict):
            reader.wrong(pointer(path, "id"), "missing", "is needed: the id of a connection")
        return None
    return reader.text(members["id"], pointer(path, "id"))


def _principal(reader: Reader, value: object, path: str) -> Mapping[str, str] | None:
    if value is None:
        return None
    members = reader.members(value, path, (*PRINCIPAL_KEYS, "type"))
    if isinstance(value, dict) and not members.keys() & set(PRINCIPAL_KEYS):
        reader.wrong(path, "missing", f"needs one of {', '.join(PRINCIPAL_KEYS)}", PRINCIPAL_KEYS)
    read = {name: reader.text(member, pointer(path, name)) for name, member in members.items()}
    return {name: text for name, text in read.items() if text is not None}


def _size_estimate(reader: Reader, value: object, path: str) -> Mapping[str, int]:
    members = reader.members(value, path, ("count", "bytes"))
    read = {name: reader.whole(member, pointer(path, name), least=0) for name, member in members.items()}
    return {name: number for name, number in read.items() if number is not None}
