"""What a WebDAV server says in XML, read as it comes; entities and document types are refused.

A listing of a million entries is one document: responses are given one by one, and forgotten.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

DAV = "{DAV:}"
PIECE = 64 * 1024  # bytes that are read at once
MOST_DEPTH = 64
MOST_TEXT = 1_000_000  # characters of one value


class Node:
    """An element with its text and children."""

    __slots__ = ("children", "parts", "tag")

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.parts: list[str] = []
        self.children: list[Node] = []

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def find(self, tag: str) -> "Node | None":
        """Give the first child of a tag."""
        return next((child for child in self.children if child.tag == tag), None)

    def all(self, tag: str) -> "Iterator[Node]":
        """Give every element of a tag below this one."""
        for child in self.children:
            if child.tag == tag:
                yield child
            yield from child.all(tag)


class Response(NamedTuple):
    """What is said of one resource."""

    href: str
    status: int  # of the whole; 0 where it is said by property
    found: Mapping[str, Node]  # properties that the resource has
    refused: Mapping[str, int]  # properties that it has not, or that were not set, with the status


class _Target:
    """Collects one ``response`` at a time."""

    def __init__(self) -> None:
        self.ready: list[Response] = []
        self.depth = 0
        self._open: list[Node] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise ParseError("nested too deeply")
        if self._open or tag == f"{DAV}response":
            node = Node(tag)
            if self._open:
                self._open[-1].children.append(node)
            self._open.append(node)

    def data(self, text: str) -> None:
        if self._open:
            node = self._open[-1]
            node.parts.append(text)
            if sum(map(len, node.parts[-2:])) > MOST_TEXT:
                raise ParseError("a value is too long")

    def end(self, tag: str) -> None:
        self.depth -= 1
        if self._open:
            node = self._open.pop()
            if not self._open:
                self.ready.append(_response(node))

    def close(self) -> None:
        pass


def responses(chunks: Iterable[bytes]) -> Iterator[Response]:
    """Give each response of a multistatus document; ValueError when it is none, or does not end."""
    target = _Target()
    parser = DefusedXMLParser(target=target, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        for chunk in chunks:
            for at in range(0, len(chunk), PIECE):  # read, a response takes many times its text
                parser.feed(chunk[at : at + PIECE])
                ready, target.ready = target.ready, []
                yield from ready
        parser.close()
    except (ParseError, DefusedXmlException) as error:
        raise ValueError(f"the server's XML cannot be used: {error}") from error


def document(raw: bytes, tag: str) -> list[Node]:
    """Give all elements of a tag of a small document."""

    class Whole:
        def __init__(self) -> None:
            self.top = Node("")
            self.open = [self.top]

        def start(self, tag: str, attributes: Mapping[str, str]) -> None:
            node = Node(tag)
            if len(self.open) > MOST_DEPTH:
                raise ParseError("nested too deeply")
            self.open[-1].children.append(node)
            self.open.append(node)

        def data(self, text: str) -> None:
            self.open[-1].parts.append(text)

        def end(self, tag: str) -> None:
            self.open.pop()

        def close(self) -> None:
            pass

    whole = Whole()
    parser = DefusedXMLParser(target=whole, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(raw)
        parser.close()
    except (ParseError, DefusedXmlException) as error:
        raise ValueError(f"the server's XML cannot be used: {error}") from error
    return list(whole.top.all(tag))


def _response(node: Node) -> Response:
    href = node.find(f"{DAV}href")
    status = node.find(f"{DAV}status")
    found: dict[str, Node] = {}
    refused: dict[str, int] = {}
    for propstat in node.children:
        if propstat.tag != f"{DAV}propstat":
            continue
        said, prop = propstat.find(f"{DAV}status"), propstat.find(f"{DAV}prop")
        number = _status(said.text) if said is not None else 200
        for one in prop.children if prop is not None else ():
            if 200 <= number < 300:
                found[one.tag] = one
            else:
                refused[one.tag] = number
    return Response(
        "" if href is None else href.text.strip(), 0 if status is None else _status(status.text), found, refused
    )


def _status(line: str) -> int:
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 500


def propfind(names: Iterable[str]) -> bytes:
    """Ask for properties by their names, in Clark's notation."""
    return _wrapped("propfind", "<d:prop>" + "".join(map(_empty, names)) + "</d:prop>")


def propname() -> bytes:
    """Ask for the names of all properties."""
    return _wrapped("propfind", "<d:propname/>")


def allprop() -> bytes:
    """Ask for all properties; servers differ in what that means."""
    return _wrapped("propfind", "<d:allprop/>")


def proppatch(values: Mapping[str, str | None]) -> bytes:
    """Set properties, in Clark's notation; None removes."""
    parts = []
    for name, value in values.items():
        if value is None:
            parts.append(f"<d:remove><d:prop>{_empty(name)}</d:prop></d:remove>")
        else:
            parts.append(f"<d:set><d:prop>{_element(name, escape(value))}</d:prop></d:set>")
    return _wrapped("propertyupdate", "".join(parts))


def lockinfo(owner: str) -> bytes:
    """Ask for an exclusive lock."""
    inner = "<d:lockscope><d:exclusive/></d:lockscope><d:locktype><d:write/></d:locktype>"
    return _wrapped("lockinfo", f"{inner}<d:owner>{escape(owner)}</d:owner>")


def _wrapped(tag: str, inner: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8"?><d:{tag} xmlns:d="DAV:">{inner}</d:{tag}>'.encode()


def _empty(name: str) -> str:
    return _element(name, "")


def _element(name: str, inner: str) -> str:
    space, _, local = name[1:].rpartition("}") if name.startswith("{") else ("", "", name)
    if space == "DAV:":
        return f"<d:{local}>{inner}</d:{local}>"
    return f"<x:{local} xmlns:x={quoteattr(space)}>{inner}</x:{local}>"
