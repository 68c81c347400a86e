"""Failed items as a list or as a matrix, in JSON, XML or CSV, streamed."""

from collections.abc import Iterator
from itertools import islice

import msgspec
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from tallyport.api import csv_rows
from tallyport.api.commvault import xml
from tallyport.api.commvault.negotiation import CSV, JSON, XML, chosen
from tallyport.api.times import file_seconds, iso
from tallyport.api.wiring import flag, whole
from tallyport.control.failed import FailedItems
from tallyport.control.refusals import invalid
from tallyport.domain import paths
from tallyport.domain.entries import Kind
from tallyport.store.failures import FailedItem

COLUMNS = ("Item Type", "Item Name", "Team Name", "Path", "Status", "Reason", "GUID")
EXTENDED = ("Size", "Modified", "Error Code", "Attempts", "Last Attempt", "Execution")
ROOT = "JobFailedItem"

_encode = msgspec.json.encode


def answer(request: Request, found: FailedItems) -> Response:
    """Answer in the form the client asks for."""
    kind = chosen(request, (JSON, XML, CSV))
    query = request.query_params
    offset, limit = _window(request)
    rows = csv_rows.begin(found.rows(offset=offset, limit=limit))
    headers = {"X-Total-Count": str(found.total), "Vary": "Accept"}
    wide = query.get("columns")
    if wide not in (None, "extended"):
        raise invalid("columns", f"{wide!r} is not a set of columns", ("extended",))
    columns = (*COLUMNS, *EXTENDED) if wide else COLUMNS
    if kind == CSV:
        name = f"failed-items-{found.execution.id if found.execution else found.job.id}.csv"
        download = csv_rows.stream(columns, _cells(found, rows, bool(wide)), name, bom=flag(query, "bom"))
        download.headers["X-Total-Count"] = str(found.total)
        return download
    is_matrix = flag(query, "isFailedItemsCSV") if "isFailedItemsCSV" in query else found.is_collaborative
    if kind == XML:
        parts = _xml_matrix(found, rows, columns) if is_matrix else _xml_list(found, rows)
    else:
        parts = _json_matrix(found, rows, columns) if is_matrix else _json_list(found, rows)
    return StreamingResponse(xml.blocks(parts), headers=headers, media_type=kind)


def _window(request: Request) -> tuple[int, int | None]:
    """Read limit and offset, from headers or from the query; without them everything is given."""
    given = {name: request.headers.get(name, request.query_params.get(name)) for name in ("limit", "offset")}
    known = {name: value for name, value in given.items() if value is not None}
    offset = whole(known, "offset", 0, most=1 << 40)
    return offset, whole(known, "limit", 0, least=1, most=1 << 40) if "limit" in known else None


def _one_line(message: str) -> str:
    return " ".join(message.split()) if "\n" in message or "\r" in message or "\t" in message else message


def _json_list(found: FailedItems, rows: Iterator[FailedItem]) -> Iterator[str]:
    yield '{"isFailedItemsCSV":false,"failedItems":['
    comma = ""
    entity = found.entity
    while block := list(islice(rows, 500)):  # encoded together: this is asked for a million rows at a time
        documents = [{"failureReason": _one_line(row.message), "entity": entity(row)} for row in block]
        yield comma + _encode(documents)[1:-1].decode()
        comma = ","
    yield "]}"


def _json_matrix(found: FailedItems, rows: Iterator[FailedItem], columns: tuple[str, ...]) -> Iterator[str]:
    yield '{"isFailedItemsCSV":true,"failedItemsCSV":{"columns":' + _encode(columns).decode() + ',"rows":['
    comma = ""
    for cells in _cells(found, rows, len(columns) > len(COLUMNS)):
        yield comma + _encode({"row": [_shown(cell) for cell in cells]}).decode()
        comma = ","
    yield "]}}"


def _xml_list(found: FailedItems, rows: Iterator[FailedItem]) -> Iterator[str]:
    yield f'{xml.HEAD}<{ROOT} isFailedItemsCSV="false">'
    for row in rows:
        reason = xml.attribute("failureReason", _one_line(row.message))
        yield f"<failedItems{reason}{xml.attribute('entity', found.entity(row))}/>"
    yield f"</{ROOT}>"


def _xml_matrix(found: FailedItems, rows: Iterator[FailedItem], columns: tuple[str, ...]) -> Iterator[str]:
    yield f'{xml.HEAD}<{ROOT} isFailedItemsCSV="true"><failedItemsCSV>'
    yield from (f"<columns{xml.attribute('val', column)}/>" for column in columns)
    for cells in _cells(found, rows, len(columns) > len(COLUMNS)):
        yield "<rows>" + "".join(f"<row{xml.attribute('val', _shown(cell))}/>" for cell in cells) + "</rows>"
    yield f"</failedItemsCSV></{ROOT}>"


def _cells(found: FailedItems, rows: Iterator[FailedItem], wide: bool) -> Iterator[tuple[object, ...]]:
    for row in rows:
        name = paths.display(paths.split(row.path)[1]) if row.path else "/"
        cells: tuple[object, ...] = (
            "Folder" if row.kind == Kind.CONTAINER else "File",
            name,
            "",
            found.entity(row),
            "Failed",
            _one_line(row.message),
            "",
        )
        if wide:
            modified = file_seconds(row.modified)
            changed = None if modified is None else iso(modified * 1_000_000)
            cells += (row.size, changed, row.reason, row.attempts, iso(row.failed_at), row.execution_id)
        yield cells


def _shown(cell: object) -> str:
    return "" if cell is None else str(cell)
