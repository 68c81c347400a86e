"""CSV as a stream: RFC 4180, with cells that a spreadsheet would run as formulas made harmless."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

from starlette.responses import StreamingResponse

T = TypeVar("T")

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
_BLOCK = 64 * 1024  # characters


def stream(
    columns: Sequence[str], rows: Iterable[Sequence[object]], name: str, *, bom: bool = False
) -> StreamingResponse:
    """Answer with a download."""
    begun = begin(rows)  # a refusal must come before the status is sent
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
    return StreamingResponse(text(columns, begun, bom=bom), headers=headers, media_type="text/csv; charset=utf-8")


def begin(rows: Iterable[T]) -> Iterator[T]:
    """Take the first row now, so that what cannot be read is found out now."""
    found = iter(rows)
    for first in found:
        return chain([first], found)
    return iter(())


def text(columns: Sequence[str], rows: Iterable[Sequence[object]], *, bom: bool = False) -> Iterator[str]:
    """Give the lines in blocks."""
    buffer = io.StringIO()
    if bom:
        buffer.write("\ufeff")
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        if buffer.tell() >= _BLOCK:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    shown = str(value)
    return f"'{shown}" if shown.startswith(_DANGEROUS) else shown
