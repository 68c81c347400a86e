"""A list of failed items that a person edited, read back as what to try again: all of it, or nothing."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.control import executions, failed
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture, find_job
from tallyport.control.refusals import Invalid, Problem
from tallyport.domain import paths
from tallyport.domain.items import FAILED
from tallyport.domain.jobs import Job
from tallyport.store import connections, items

MOST_PROBLEMS = 100  # told of one list
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Listed(NamedTuple):
    """What came of a list."""

    picture: Picture | None  # absent when nothing in it is failed any more
    items: int
    resolved: int  # in the list, and not failed any more


def retry(desk: Desk, job_id: str, content: bytes, by: Caller) -> Listed:
    """Try the items of a list again. Raises Invalid naming each row that cannot be used; nothing is done then."""
    rows = list(_rows(content))
    with desk.database.read() as tx:
        job = find_job(tx, job_id)
        finder = _Finder(tx, job)
        found = [(row, finder.find(cells)) for row, cells in rows]
    problems = [Problem(f"/rows/{row}", "not_found", one) for row, one in found if isinstance(one, str)]
    if problems:
        more = len(problems) - MOST_PROBLEMS
        told = [*problems[:MOST_PROBLEMS]]
        if more > 0:
            told.append(Problem("/rows", "not_found", f"and {more} more rows"))
        raise Invalid(told)
    ids = list(dict.fromkeys(one for _, one in found if isinstance(one, int)))
    open_ = [one for one in ids if finder.is_failed(one)]
    picture = executions.retry(desk, job_id, by, item_ids=open_) if open_ else None
    return Listed(picture, len(open_), len(ids) - len(open_))


def _rows(content: bytes) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Give each row with its number in the file; the header is row 1."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(
            [Problem("", "not_csv", f"the list is not UTF-8: {error.reason} at byte {error.start}")]
        ) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = reader.fieldnames or ()
        if "id" not in columns and "Path" not in columns:
            raise Invalid([Problem("/rows/1", "missing", "the header names neither id nor Path", ("id", "Path"))])
        for row in reader:
            if None in row or None in row.values():
                raise Invalid([Problem(f"/rows/{reader.line_num}", "not_csv", "has another number of cells")])
            yield reader.line_num, {key: _plain(value) for key, value in row.items()}
    except csv.Error as error:
        raise Invalid([Problem(f"/rows/{reader.line_num + 1}", "not_csv", str(error))]) from error


def _plain(cell: str) -> str:
    """Take off the mark that keeps a spreadsheet from running a cell."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


class _Finder:
    """Finds the items that rows name."""

    def __init__(self, tx: sa.Connection, job: Job) -> None:
        self._tx = tx
        self._job = job
        source = connections.find(tx, job.source_connection) if job.source_connection else None
        parts = [failed.location(source).rstrip("/"), paths.display(job.source_path)]
        self._root = "/".join(part for part in parts if part)
        self._failed: dict[int, bool] = {}

    def find(self, cells: Mapping[str, str]) -> int | str:
        """Give the id of the item a row names, or what is wrong with the row."""
        if cells.get("id"):
            text = cells["id"]
            row = items.find(self._tx, int(text)) if text.isascii() and text.isdigit() and len(text) < 19 else None
            if row is None or items.job_of(self._tx, row.id) != self._job.number:
                return f"there is no item {text[:80]!r} in this job"
        else:
            shown = cells.get("Path", "")
            if not f"{shown}/".startswith(f"{self._root}/"):
                return f"{shown[:200]!r} does not lie below the source of this job"
            path = shown[len(self._root) :].strip("/")
            row = items.at_path(self._tx, self._job.number, path)
            if row is None and (raw := _bytes_of(path)) is not None:
                row = items.at_path(self._tx, self._job.number, raw)
            if row is None:
                return f"there is no item {shown[:200]!r} in this job"
        self._failed[row.id] = row.status in FAILED
        return row.id

    def is_failed(self, item_id: int) -> bool:
        """Tell whether an item that was found is still failed."""
        return self._failed[item_id]


def _bytes_of(path: str) -> str | None:
    r"""Give a path whose bytes that are no text were shown as ``\xNN``."""
    if _ESCAPED.search(path) is None:
        return None
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), path.encode("utf-8"))
    return paths.from_bytes(raw)
