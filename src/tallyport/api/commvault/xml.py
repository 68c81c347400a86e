"""JSON documents as this dialect's XML: scalars are attributes, objects and lists are child elements."""

import re
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from tallyport.control.refusals import invalid

MEDIA_TYPE = "application/xml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="no" ?>'

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_SPECIAL = re.compile('[&<>"\x00-\x1f\ufffe\uffff\ud800-\udfff]')
_BLOCK = 64 * 1024  # characters
_FRACTIONS = frozenset({"percentComplete", "percentageComplete"})  # whole numbers in JSON, six decimals in XML


def element(name: str, document: Mapping[str, object]) -> str:
    """Give a whole document."""
    return HEAD + "".join(_element(name, document))


def text(value: object) -> str:
    """Give a value as attribute text; characters that XML forbids show as ``\\u0001``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}"
    return _FORBIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))


def attribute(name: str, value: object) -> str:
    """Give ``name="value"``, escaped."""
    if isinstance(value, str) and _SPECIAL.search(value) is None:  # most texts, a million at a time
        return f' {name}="{value}"'
    quoted = quoteattr(text(value), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
    return f" {name}={quoted}"


def blocks(parts: Iterator[str]) -> Iterator[str]:
    """Gather small pieces into blocks worth sending."""
    gathered: list[str] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= _BLOCK:
            yield "".join(gathered)
            gathered, size = [], 0
    yield "".join(gathered)


def attributes(body: bytes) -> dict[str, str]:
    """Read the attributes of a request's root element. Declarations of types and entities are refused."""
    if b"<!" in body:
        raise invalid("", "an XML request may hold no declarations", code="not_xml")
    try:
        return dict(ElementTree.fromstring(body).attrib)
    except ElementTree.ParseError as error:
        raise invalid("", f"the body is not XML: {error}", code="not_xml") from error


def tree(body: bytes) -> dict[str, object]:
    """Read a request as the JSON it stands for: attributes are scalars, repeated children are lists."""
    if b"<!" in body:
        raise invalid("", "an XML request may hold no declarations", code="not_xml")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise invalid("", f"the body is not XML: {error}", code="not_xml") from error
    return {root.tag: _members(root)}


def _members(element: ElementTree.Element) -> dict[str, object]:
    found: dict[str, object] = dict(element.attrib)
    for child in element:
        inner = _members(child)
        before = found.get(child.tag)
        if child.tag == "jobs":
            found[child.tag] = [*before, inner] if isinstance(before, list) else [inner]
        else:
            found[child.tag] = inner
    return found


def _element(name: str, document: Mapping[str, object]) -> Iterator[str]:
    children = {key: value for key, value in document.items() if isinstance(value, Mapping | list)}
    yield f"<{name}"
    yield from (
        attribute(key, float(value) if key in _FRACTIONS else value)  # type: ignore[arg-type]
        for key, value in document.items()
        if key not in children and value is not None
    )
    yield ">" if children else "/>"
    for key, value in children.items():
        for one in value if isinstance(value, list) else [value]:
            yield from _element(key, one if isinstance(one, Mapping) else {"val": one})
    if children:
        yield f"</{name}>"
