"""Which named values of an item become which at the other side."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tallyport.domain.documents import Reader, pointer

TAGS = ("xdg.tags", "tags")  # properties that hold an item's tags: of local files, of object stores


class PropertyMapping(NamedTuple):
    """One property of the source and what it is called at the destination."""

    source: str
    destination: str
    required: bool = False  # an item without it is not carried


class Chosen(NamedTuple):
    """The properties to be set at the other side."""

    values: dict[str, bytes]
    missing: tuple[str, ...] = ()  # required, and not there


def choose(values: Mapping[str, bytes], mappings: Sequence[PropertyMapping], *, others: bool) -> Chosen:
    """Give mapped properties their names at the other side; ``others`` says whether the rest travels too."""
    mapped = {mapping.source for mapping in mappings}
    chosen = {name: value for name, value in values.items() if others and name not in mapped}
    for mapping in mappings:
        if mapping.source in values:
            chosen[mapping.destination] = values[mapping.source]
    missing = [mapping.source for mapping in mappings if mapping.required and mapping.source not in values]
    return Chosen(chosen, tuple(missing))


def read_metadata_map(reader: Reader, value: object, path: str) -> tuple[PropertyMapping, ...]:
    """Read ``metadata_map``: schemas, each with mappings from property to property."""
    found: list[PropertyMapping] = []
    members = reader.members(value, path, ("schemas",))
    for here, schema in reader.items(members.get("schemas", []), pointer(path, "schemas")):
        parts = reader.members(schema, here, ("source", "destination", "default", "mappings"))
        if "default" in parts:
            reader.flag(parts["default"], pointer(here, "default"))
        for place, mapping in reader.items(parts.get("mappings", []), pointer(here, "mappings")):
            read = _read_mapping(reader, mapping, place)
            if read is not None:
                found.append(read)
    taken: dict[str, PropertyMapping] = {}
    for one in found:
        if taken.setdefault(one.destination, one).source != one.source:
            message = f"{one.destination!r} would be made of {taken[one.destination].source!r} and of {one.source!r}"
            reader.wrong(path, "not_together", message)
    return tuple(dict.fromkeys(found))


def _read_mapping(reader: Reader, value: object, path: str) -> PropertyMapping | None:
    sides = reader.members(value, path, ("source", "destination", "required"))
    names: list[str] = []
    for side in ("source", "destination"):
        here = pointer(pointer(path, side), "property")
        end = reader.members(sides.get(side, {}), pointer(path, side), ("property",))
        given = reader.members(end.get("property", {}), here, ("type", "name", "id"))
        if "name" not in given:
            reader.wrong(pointer(here, "name"), "missing", "is needed: the name of a property")
            continue
        name = reader.text(given["name"], pointer(here, "name"))
        if name is not None:
            names.append(name)
    required = reader.flag(sides["required"], pointer(path, "required")) if "required" in sides else False
    return PropertyMapping(names[0], names[1], bool(required)) if len(names) == 2 else None


def tag_mappings() -> tuple[PropertyMapping, ...]:
    """Give the mappings by which tags travel under their own names."""
    return tuple(PropertyMapping(name, name) for name in TAGS)
