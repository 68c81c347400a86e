"""A prefix of a store of objects as a tree: what is the same on every such platform.

A store has names and no folders: a container is there while an object lies below its prefix. A platform adds how it
looks at one object (``_look``), at what lies below a prefix (``_holds``, ``_listed``), and how it takes one away. What
it says of an object is of its own kind (``F``); ``_entry`` and ``_metadata`` read it.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Generic, TypeVar

from tallyport.connectors import object_metadata
from tallyport.connectors.object_keys import is_twin, key_of
from tallyport.connectors.object_listing import Found, Line, Listed
from tallyport.connectors.object_versions import with_contents
from tallyport.connectors.protocol import Facts, Page, Precondition
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, split

F = TypeVar("F")
CHANGED = {ErrorKind.ALREADY_EXISTS: ErrorKind.CHANGED_DURING_COPY}


def base_of(prefix: str, path: str) -> str:
    """Give what every name begins with: the prefix of the connection, then the path of the job below it."""
    return "".join(f"{part}/" for part in (prefix.strip("/"), key_of(path)) if part)


@cache
def without(cls: type[Any], methods: frozenset[str]) -> type[Any]:
    """Give the subclass whose instances lack some methods: None in a class means "not here" to isinstance."""
    return type(cls.__name__, (cls,), dict.fromkeys(methods)) if methods else cls


def folder(name: str) -> Entry:
    return Entry(name, Kind.CONTAINER)


class ObjectStore(ABC, Generic[F]):
    """One prefix, seen as a tree."""

    limits: Limits
    location: str
    page_size: int  # what the platform gives at most
    noun = "object"  # what the platform calls one
    properties_name: str  # of the metadata that holds named values which are no metadata of the platform
    metadata_max = 8_000  # bytes of names and values that are kept with an object
    our_names: frozenset[str]  # of metadata that is ours, and no named value of somebody's
    fact_names: frozenset[str]  # of those, what says a fact of the content
    _base: str

    # -- what a platform adds

    @abstractmethod
    def _look(self, key: str, path: str) -> F | None:
        """Look at one object."""

    @abstractmethod
    def _entry(self, name: str, found: F) -> Entry:
        """Give the entry of what was found; a marker may be a container."""

    @abstractmethod
    def _metadata(self, found: F) -> Mapping[str, str]:
        """Give all metadata of what was found."""

    @abstractmethod
    def _holds(self, prefix: str, path: str, *, beside: str | None = None) -> bool:
        """Tell whether anything lies below a prefix, other than the empty marker ``beside``."""

    @abstractmethod
    def _listed(self, prefix: str, path: str, token: str) -> tuple[Sequence[Found], str]:
        """Give some lines of a listing in the order of keys, and where it goes on."""

    @abstractmethod
    def _numbers(self, prefix: str, path: str) -> Iterator[tuple[str, int]]:
        """Count the contents of each object below a prefix, in the order of keys, where the platform keeps several."""

    @abstractmethod
    def _describe(self, key: str, path: str, found: F, values: Mapping[str, str | None]) -> Entry:
        """Change some metadata of an object, if it still is what was looked at; None takes a value away."""

    @abstractmethod
    def _times(self, modified: int) -> Mapping[str, str]:
        """Say a time as metadata."""

    @abstractmethod
    def _is_plain(self, name: str, value: bytes) -> bool:
        """Tell whether a named value can be metadata of the platform as it is."""

    @abstractmethod
    def _remove(self, key: str, path: str, tag: bytes) -> None:
        """Take an object away, with a tag only that very one; gone already is success."""

    @abstractmethod
    def _translated(
        self, operation: str, path: str, instead: Mapping[ErrorKind, ErrorKind] | None = None
    ) -> AbstractContextManager[None]:
        """Raise what the platform refuses as our errors."""

    def _is_folder(self, key: str, path: str) -> bool:
        """Tell whether the name itself is marked as an empty container, which no listing below it shows."""
        return False

    def _found_gone(self, key: str) -> None:
        """Hear that nothing stands where something was to be deleted."""

    def _markers(self, key: str, path: str) -> Mapping[str, bytes]:
        """Name what stands for an empty container, each with the tag that it must still have."""
        return {f"{key}/": b""}

    # -- looking

    def stat(self, path: str) -> Entry | None:
        key = self._key(path, "look at")
        if path == ROOT:
            return folder("")
        name = split(path)[1]
        if not is_twin(name):
            found = self._look(key, path)
            if found is not None:
                return self._entry(name, found)
        return folder(name) if self._holds(f"{key}/", path) else None

    def children(self, path: str) -> Iterator[Entry]:
        return self._children(path, self._listed)

    def page(self, path: str, cursor: str | None = None) -> Page:
        return self._page(path, cursor, self._listed)

    def counted(self, path: str, *, glimpsed: bool = False) -> Iterator[Entry]:
        numbers = self._numbers(self._prefix(self._key(path, "list"), path), path)
        yield from self._children(path, with_contents(self._way(glimpsed=glimpsed), numbers))

    def _way(self, *, glimpsed: bool) -> Listed:
        """Give the listing that shows all of an entry, or the cheaper one where there is any."""
        return self._listed

    def _prefix(self, key: str, path: str) -> str:
        """Give what all that lies in a container begins with."""
        return f"{key}/" if path else self._base

    def _children(self, path: str, listed: Listed) -> Iterator[Entry]:
        cursor: str | None = None
        while True:
            page = self._page(path, cursor, listed)
            yield from page.entries
            cursor = page.cursor
            if cursor is None:
                return

    def _page(self, path: str, cursor: str | None, listed: Listed) -> Page:
        key = self._key(path, "list")
        prefix = self._prefix(key, path)
        token, held = json.loads(cursor) if cursor else ("", None)
        line = Line(prefix, held)
        entries: list[Entry] = []
        is_there = cursor is not None
        while True:
            instead = {ErrorKind.UNEXPECTED: ErrorKind.CHANGED_DURING_COPY} if token else None
            with self._translated("list", path, instead):
                lines, token = listed(prefix, path, token)
            is_there = is_there or bool(lines)
            entries += line.entries(lines)
            if entries or not token:  # the platform may give empty pages before the last
                break
        if not is_there and path != ROOT and not self._is_folder(key, path):
            raise refusal(ErrorKind.NOT_FOUND, "list", path, "there is no such container")
        return Page(tuple(entries), json.dumps([token, line.held]) if token else None)

    def _existing(self, key: str, path: str, operation: str) -> F:
        """Give what the platform says of an object that must be there and be no container."""
        found = None if path == ROOT or is_twin(split(path)[1]) else self._look(key, path)
        if found is not None and self._entry("", found).kind is not Kind.CONTAINER:
            return found
        if path == ROOT or found is not None or self._holds(f"{key}/", path):
            raise refusal(ErrorKind.UNSUPPORTED, operation, path, f"a container is no {self.noun} of the platform")
        raise refusal(ErrorKind.NOT_FOUND, operation, path, f"there is no such {self.noun}")

    def _seen(self, key: str, path: str) -> Entry:
        """Give the entry of what was made just now."""
        found = self._look(key, path)
        if found is None:
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "it vanished at once")
        return self._entry(split(path)[1], found)

    # -- names

    def _key(self, path: str, operation: str) -> str:
        check_path(operation, path)
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise refusal(ErrorKind.INVALID_NAME, operation, path, "a name is text in UTF-8") from error
        return self._base + key_of(path)

    def _new_key(self, path: str, operation: str) -> str:
        """Give the key of something that is to be made; INVALID_NAME where the platform takes no such key."""
        check_new(operation, path, self.limits)
        return self._key(path, operation)

    # -- conditions

    def _check(self, key: str, path: str, when: Precondition) -> None:
        """Look at the name once more where the platform was seen not to keep the condition itself."""
        keeps = self.limits.creates_only if when.absent else self.limits.replaces_checked
        if not keeps and (when.absent or when.entry is not None):
            self._compare(self._look(key, path), path, when)

    def _compare(self, found: F | None, path: str, when: Precondition) -> None:
        if when.absent and found is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")
        if when.entry is not None and (found is None or self._entry("", found).tag != when.entry.tag):
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")

    # -- changing

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        key = self._key(path, "delete")
        if path == ROOT:
            raise refusal(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
        entry = self.stat(path)
        if entry is None:
            self._found_gone(key)
            return
        if expect is not None and (entry.kind is not expect.kind or fingerprint(entry) != fingerprint(expect)):
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "delete", path, "it changed since it was seen")
        if entry.kind is Kind.CONTAINER:
            if self._holds(f"{key}/", path, beside=f"{key}/"):
                raise refusal(ErrorKind.ALREADY_EXISTS, "delete", path, "the container is not empty")
            names = self._markers(key, path)
        else:
            names = {key: entry.tag if expect is not None else b""}
        for each, tag in names.items():
            with self._translated("delete", path, CHANGED):
                self._remove(each, path, tag)

    def stamp(self, path: str, facts: Facts) -> Entry:
        key = self._key(path, "stamp")
        found = self._existing(key, path, "stamp")
        if facts.modified is None:
            return self._entry(split(path)[1], found)
        return self._describe(key, path, found, self._times(facts.modified))

    def properties(self, path: str) -> Mapping[str, bytes]:
        found = self._existing(self._key(path, "look at"), path, "look at")
        return object_metadata.properties_in(self._metadata(found), self.our_names, self.properties_name)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        operation = "set the properties of"
        key = self._key(path, operation)
        found = self._existing(key, path, operation)
        metadata = self._metadata(found)
        wanted = {**object_metadata.properties_in(metadata, self.our_names, self.properties_name), **values}
        given = {name: value for name, value in wanted.items() if value is not None}
        told = object_metadata.properties_out(given, path, self.properties_name, self._is_plain, self.metadata_max)
        gone = {name: None for name in metadata if name not in told and name not in self.fact_names}
        self._describe(key, path, found, {**gone, **told})
        return self.properties(path)
