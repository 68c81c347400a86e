"""Grants and properties that come from a text file at the source, and not from the source's items.

A file is CSV with a header. ``path`` names an item from the job's source path on; a file of grants has the columns of
a permission report, in a file of properties every other column is a property.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tallyport.domain.access import AccessRight, Grant, Principal, PrincipalKind
from tallyport.domain.documents import Reader, pointer
from tallyport.domain.endpoints import read_path

_TEXTS = ("id", "name", "email", "username", "caption")
GRANT_COLUMNS = ("path", "type", *_TEXTS, "rights", "access")

_READ = frozenset({AccessRight.LIST, AccessRight.READ})
_WRITE = frozenset({AccessRight.WRITE, AccessRight.CREATE})
_RULES = frozenset({AccessRight.READ_ACCESS, AccessRight.WRITE_ACCESS})
RIGHTS: Mapping[str, frozenset[AccessRight]] = {
    **{right.value: frozenset({right}) for right in AccessRight},
    "none": frozenset(),
    "read": _READ,
    "write": _WRITE,
    "append": frozenset({AccessRight.CREATE}),
    "read_permissions": frozenset({AccessRight.READ_ACCESS}),
    "write_permissions": frozenset({AccessRight.WRITE_ACCESS}),
    "read_write": _READ | _WRITE,
    "full_permissions": _RULES,
    "full": frozenset(AccessRight),
}
"""The words of a permission report, and those of our own rights."""


class ImportSource(NamedTuple):
    """A text file at the source's connection."""

    path: str  # from the connection's root
    delimiter: str = ","


def read_import(reader: Reader, value: object, path: str) -> ImportSource | None:
    """Read ``permissions.import`` or ``metadata_import``: ``{source: {text: {target: {path}}, delimiter}}``."""
    members = reader.members(value, path, ("source", "schema"))
    here = pointer(path, "source")
    if "source" not in members:
        reader.wrong(here, "missing", "is needed: the text file to read")
        return None
    source = reader.members(members["source"], here, ("text", "delimiter"))
    text = pointer(here, "text")
    target = reader.members(source.get("text", {}), text, ("target",))
    place = pointer(text, "target")
    end = reader.members(target.get("target", {}), place, ("path", "item"))
    if "item" in end:
        reader.wrong(pointer(place, "item"), "unknown_value", "only a path can be the target", ("path",))
    delimiter = reader.text(source.get("delimiter", ","), pointer(here, "delimiter"))
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        reader.wrong(pointer(here, "delimiter"), "out_of_range", "must be one character, and no quote or line end")
    if "path" not in end:
        reader.wrong(pointer(place, "path"), "missing", "is needed: where the file is, from the connection's root")
        return None
    found = read_path(reader, end["path"], pointer(place, "path"))
    if not found:
        reader.wrong(pointer(place, "path"), "out_of_range", "names the root, which is no text file")
    return ImportSource(found, delimiter or ",")


def missing_columns(columns: Sequence[str], *, grants: bool) -> tuple[str, ...]:
    """Name the columns that a file lacks."""
    wanted = ("path", "rights") if grants else ("path",)
    lacks = [name for name in wanted if name not in columns]
    if grants and not set(_TEXTS) & set(columns):
        lacks.append(f"one of {', '.join(_TEXTS)}")
    return tuple(lacks)


def grant_of(row: Mapping[str, str], *, is_container: bool) -> Grant | str:
    """Read one row of a file of grants; gives what is wrong with it where it cannot be used."""
    texts = {name: row.get(name, "") for name in _TEXTS}
    kind = row.get("type") or PrincipalKind.ACCOUNT.value
    if kind not in {known.value for known in PrincipalKind}:
        return f"its type {kind!r} is none of {', '.join(PrincipalKind)}"
    if kind in (PrincipalKind.ACCOUNT, PrincipalKind.GROUP) and not any(texts.values()):
        return "it names nobody"
    access = (row.get("access") or "allow").casefold()
    if access not in ("allow", "deny"):
        return f"its access {access!r} is neither allow nor deny"
    words = row.get("rights", "").casefold().replace(";", " ").replace("|", " ").split()
    unknown = [word for word in words if word not in RIGHTS]
    if unknown or not words:
        return f"its rights {' '.join(unknown) or 'are empty'} are none of {', '.join(RIGHTS)}"
    rights = frozenset().union(*(RIGHTS[word] for word in words))
    if is_container and AccessRight.READ in rights:
        rights |= {AccessRight.EXECUTE}  # who may read a container may go through it
    return Grant(Principal(PrincipalKind(kind), **texts), rights, deny=access == "deny")
