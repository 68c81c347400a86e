"""The text files that grants and properties come from, looked up item by item.

A file is read once when the way between two connections is opened. Its rows are kept in a database that is nothing but
a temporary file, so that a file of millions of rows takes no memory. A file that is wrong as a whole fails the run
before anything is written; a row that cannot be used is told with its item.
"""

import codecs
import csv
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tallyport.connectors.protocol import Connector
from tallyport.domain.access import Grant
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.imports import ImportSource, grant_of, missing_columns
from tallyport.domain.losses import Loss, Lost, loss
from tallyport.domain.paths import display, to_bytes

_BLOCK = 1_000


class FoundGrants(NamedTuple):
    """The grants that a file has for one item."""

    grants: tuple[Grant, ...]
    losses: tuple[Loss, ...]
    is_named: bool  # the file says something of the item


class Imported:
    """One file, by the paths of the items it speaks of."""

    def __init__(self, connector: Connector, source: ImportSource, *, grants: bool) -> None:
        self._name = display(source.path)
        self._lock = threading.Lock()  # items are carried by several threads
        self._rows = sqlite3.connect("", check_same_thread=False)  # a temporary file of its own, gone when it is closed
        self._rows.execute("CREATE TABLE found (path BLOB, line INTEGER, cells TEXT)")
        try:
            with connector.read(source.path) as chunks:
                reader = csv.reader(_lines(chunks), delimiter=source.delimiter, strict=True)
                self.columns = self._read(reader, grants=grants)
        except (csv.Error, UnicodeError) as error:
            self._rows.close()
            raise self._wrong(str(error)) from error
        except BaseException:
            self._rows.close()
            raise
        self._rows.execute("CREATE INDEX by_path ON found (path, line)")

    def grants(self, path: str, *, is_container: bool) -> FoundGrants:
        """Give the grants of an item."""
        rows = self._of(path)
        found: list[Grant] = []
        losses: list[Loss] = []
        for line, cells in rows:
            read = grant_of(dict(zip(self.columns, cells, strict=True)), is_container=is_container)
            if isinstance(read, str):
                losses.append(loss(Lost.ACCESS_IMPORT, f"line {line} of {self._name} cannot be used: {read}"))
            else:
                found.append(read)
        return FoundGrants(tuple(found), tuple(losses), bool(rows))

    def properties(self, path: str) -> dict[str, bytes]:
        """Give the properties of an item; of two rows the later counts. An empty cell says nothing."""
        found: dict[str, bytes] = {}
        for _, cells in self._of(path):
            for name, cell in zip(self.columns, cells, strict=True):
                if name != "path" and cell:
                    found[name] = to_bytes(cell)
        return found

    def close(self) -> None:
        self._rows.close()

    def _of(self, path: str) -> list[tuple[int, list[str]]]:
        query = "SELECT line, cells FROM found WHERE path = ? ORDER BY line"
        with self._lock:
            return [(line, json.loads(cells)) for line, cells in self._rows.execute(query, (to_bytes(path),))]

    def _read(self, reader: "csv._reader", *, grants: bool) -> tuple[str, ...]:  # type: ignore[name-defined]
        columns = tuple(name.strip().casefold() if grants else name.strip() for name in next(reader, []))
        lacks = missing_columns(columns, grants=grants)
        if lacks or len(set(columns)) != len(columns):
            raise self._wrong(f"its header lacks {', '.join(lacks)}" if lacks else "two columns have one name")
        place = columns.index("path")
        block: list[tuple[bytes, int, str]] = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(columns):
                raise self._wrong(f"line {reader.line_num} has {len(cells)} fields, and the header {len(columns)}")
            if not cells[place].strip("/") and cells[place] != "/":
                raise self._wrong(f"line {reader.line_num} names no path")
            block.append((to_bytes(cells[place].strip("/")), reader.line_num, json.dumps(cells)))
            if len(block) >= _BLOCK:
                self._keep(block)
        self._keep(block)
        return columns

    def _keep(self, block: list[tuple[bytes, int, str]]) -> None:
        self._rows.executemany("INSERT INTO found VALUES (?, ?, ?)", block)
        block.clear()

    def _wrong(self, what: str) -> TallyportError:
        message = f"the file {self._name} cannot be imported: {what}"
        return TallyportError(ErrorKind.CONFIG, message, operation="import")


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Give the lines of a text as it comes, with their ends."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (f"{line}\n" for line in whole)
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest
