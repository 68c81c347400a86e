"""``tallyport failed RUN``: the items that failed, or their causes."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any
from xml.sax.saxutils import escape

import click

from tallyport.cli.options import again, data_option, ledger

COLUMNS = ("path", "type", "status", "reason", "message", "size", "modified", "attempts", "failed_at")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that begins so


@click.command()
@click.argument("run")
@click.option("--by-reason", is_flag=True, help="Group by cause, the largest group first.")
@click.option("--format", "form", type=click.Choice(["text", "json", "xml", "csv"]), default="text", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@data_option
def failed(run: str, by_reason: bool, form: str, as_json: bool, data: str | None) -> None:
    """List the items that failed in a RUN (a number, or `last`), or group them by cause."""
    from tallyport.cli.runs import find_run
    from tallyport.store import failures

    form = "json" if as_json else form
    with ledger(data) as database, database.read() as tx:
        found = find_run(tx, run)
        rows = failures.iterate(tx, found.id)
        if by_reason:
            _write(_groups(form, failures.groups(rows)))
        else:
            _write(FORMS[form](map(_facts, rows)))
        if form == "text":
            if not found.failed:
                click.echo(f"run {found.id}: no item failed")
            elif found.has_ended:
                click.echo(f"try them again, once the cause is gone: {again(f'runs retry {found.id}', data)}")


def _write(lines: Iterator[str]) -> None:
    for text in lines:
        sys.stdout.write(text + "\n")  # not echo, which flushes every line: there may be millions


def _facts(row: Any) -> dict[str, Any]:
    """Give one failed item in clean text: the same keys in every format."""
    from tallyport.domain import paths
    from tallyport.domain.entries import Kind
    from tallyport.domain.items import Status

    return {
        "path": paths.display(row.path),
        "type": Kind(row.kind).name.lower(),
        "status": Status(row.status).name.lower(),
        "reason": row.reason,
        "message": paths.display(row.message),
        "size": row.size,
        "modified": row.modified,
        "attempts": row.attempts,
        "failed_at": row.failed_at,
    }


def _text(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    from tallyport.cli.showing import line

    for row in rows:
        yield f"{line(row['path']) or '.'}\n    {row['reason']}: {line(row['message'])} (tries: {row['attempts']})"


def _json(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    # By hand around the items, so that memory does not grow with them.
    before = "["
    for row in rows:
        yield before + json.dumps(row)
        before = ","
    yield "[]" if before == "[" else "]"


def _csv(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield _cells(COLUMNS)
    for row in rows:
        yield _cells(["" if row[name] is None else row[name] for name in COLUMNS])


def _cells(values: Any) -> str:
    sheet = io.StringIO()
    guarded = [f"'{v}" if isinstance(v, str) and v.startswith(_FORMULA) else v for v in values]
    csv.writer(sheet, lineterminator="\r\n").writerow(guarded)
    return sheet.getvalue().removesuffix("\n")  # whoever writes the lines adds it


def _xml(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield "<failedItems>"
    for row in rows:
        cells = "".join(f"<{name}>{_xml_text(row[name])}</{name}>" for name in COLUMNS if row[name] is not None)
        yield f"  <item>{cells}</item>"
    yield "</failedItems>"


def _xml_text(value: object) -> str:
    # XML 1.0 has no way to write most control characters: show them instead.
    clean = "".join(c if c in "\t\n\r" or ord(c) >= 0x20 else f"\\u{ord(c):04x}" for c in str(value))
    return escape(clean.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff"))


def _groups(form: str, groups: Any) -> Iterator[str]:
    from tallyport.cli.showing import line, number, size
    from tallyport.domain import paths

    documents: list[dict[str, Any]] = [
        {
            "reason": group.reason,
            "message": paths.display(group.message),
            "count": group.count,
            "bytes": group.bytes,
            "sample": [paths.display(path) for path in group.sample],
        }
        for group in groups
    ]
    if form == "json":
        yield json.dumps(documents)
    elif form == "csv":
        yield _cells(("reason", "message", "count", "bytes", "sample"))
        for one in documents:
            yield _cells([one["reason"], one["message"], one["count"], one["bytes"], one["sample"][0]])
    elif form == "xml":
        yield '<?xml version="1.0" encoding="UTF-8"?>'
        yield "<failedItemGroups>"
        for one in documents:
            sample = "".join(f"<path>{_xml_text(path)}</path>" for path in one["sample"])
            plain = "".join(f"<{k}>{_xml_text(one[k])}</{k}>" for k in ("reason", "message", "count", "bytes"))
            yield f"  <group>{plain}<sample>{sample}</sample></group>"
        yield "</failedItemGroups>"
    else:
        for one in documents:
            yield f"{number(one['count'])} x {one['reason']}, {size(one['bytes'])}: {line(one['message'])}"
            for path in one["sample"][:5]:
                yield f"    {line(path) or '.'}"
            if one["count"] > 5:
                yield f"    and {one['count'] - 5:,} more"


FORMS: dict[str, Callable[[Iterator[dict[str, Any]]], Iterator[str]]] = {
    "text": _text,
    "json": _json,
    "csv": _csv,
    "xml": _xml,
}
