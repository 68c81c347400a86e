"""Workbooks, written as a stream into a temporary file. Text is always text: nothing in a cell is a formula."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from starlette.responses import StreamingResponse

from tallyport.control.refusals import Conflict

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS = 1_048_575  # below the heading
_LONGEST = 32_000  # characters of a cell
_BLOCK = 256 * 1024
_SMALL = 4 * 1024 * 1024  # bytes kept in memory


class Sheet(NamedTuple):
    """One sheet: its name, its columns with their widths, its rows."""

    name: str
    columns: Sequence[tuple[str, int]]
    rows: Iterable[Sequence[object]]


def answer(sheets: Iterable[Sheet], name: str) -> StreamingResponse:
    """Answer with a workbook."""
    try:
        import xlsxwriter  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise Conflict("workbooks need, at the server: pip install 'tallyport[xlsx]'; CSV works without") from error
    file = tempfile.SpooledTemporaryFile(max_size=_SMALL)  # noqa: SIM115 - closed when it was sent
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    book = xlsxwriter.Workbook(file, options)
    heading = book.add_format({"bold": True, "bottom": 1})
    for sheet in sheets:
        _write(book.add_worksheet(sheet.name), sheet, heading)
    book.close()
    file.seek(0)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_blocks(file), headers=headers, media_type=MEDIA_TYPE)


def _write(page: Any, sheet: Sheet, heading: Any) -> None:
    for at, (title, width) in enumerate(sheet.columns):
        page.set_column(at, at, width)
        page.write_string(0, at, title, heading)
    page.freeze_panes(1, 0)
    line = 0
    for line, row in enumerate(sheet.rows, start=1):
        if line > MOST_ROWS:
            break
        for at, value in enumerate(row):
            if value is None:
                continue
            if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
                page.write_number(line, at, value)
            else:
                page.write_string(line, at, _text(value))
    if line:
        page.autofilter(0, 0, min(line, MOST_ROWS), len(sheet.columns) - 1)


def _text(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")[:_LONGEST]


def _blocks(file: Any) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
