"""Previews of changes as this dialect asks for them and shows them."""

from collections.abc import Mapping
from typing import Any

from tallyport.control.previews import Changed, Wanted
from tallyport.control.refusals import Invalid
from tallyport.domain import paths
from tallyport.domain.documents import Reader
from tallyport.domain.expressions import Value

KNOWN: tuple[str, ...] = ("sheetId", "mutateRecord", "mutationId", "snapshotLabel", "snapshotId", "filter")
KNOWN += ("filterField", "searchValue", "searchField", "q", "ids")
FILTERS = ("valid", "error", "all", "none")
FIELDS = ("name", "path", "size", "modified", "type")


def read(document: object) -> tuple[str, str, Wanted]:
    """Read (job, expression, which items)."""
    reader = Reader()
    given = reader.members(document, "", KNOWN)
    texts: dict[str, str | None] = {}
    for key in ("sheetId", "mutateRecord"):
        if key not in given:
            reader.wrong(f"/{key}", "missing", "is needed")
        else:
            texts[key] = reader.text(given[key], f"/{key}")
    for key in ("mutationId", "snapshotLabel", "snapshotId", "searchValue", "q"):
        texts[key] = reader.text(given[key], f"/{key}") if key in given else None
    outcome = reader.choice(given["filter"], "/filter", list(FILTERS)) if "filter" in given else None
    field: str | None = None
    for key in ("searchField", "filterField"):
        if key in given:
            field = reader.choice(given[key], f"/{key}", list(FIELDS))
    ids = reader.texts(given["ids"], "/ids") if "ids" in given else None
    if reader.problems:
        raise Invalid(reader.problems)
    wanted = Wanted(
        outcome=outcome if outcome in ("valid", "error") else None,
        field=field,
        value=texts["searchValue"],
        text=texts["q"],
        ids=None if ids is None else frozenset(ids),
    )
    return str(texts["sheetId"]), str(texts["mutateRecord"]), wanted


def record(change: Changed) -> dict[str, Any]:
    """Show one item before and after."""
    keys = [key for key in change.after if key not in ("type",)]
    return {
        "id": change.id,
        "valid": change.is_valid,
        "messages": [],
        "metadata": {},
        "values": {key: _cell(key, change) for key in keys if _shows(key, change)},
    }


def _shows(key: str, change: Changed) -> bool:
    return change.after.get(key) is not None or change.before.get(key) is not None


def _cell(key: str, change: Changed) -> dict[str, Any]:
    told = change.messages.get(key, ())
    return {
        "value": _shown(key, change.after.get(key)),
        "snapshotValue": _shown(key, change.before.get(key)),
        "valid": not told,
        "messages": [{"type": "error", "source": "custom-logic", "message": message} for message in told],
    }


def _shown(key: str, value: Value) -> Mapping[str, Any] | Value:
    if key == "path":
        return f"/{paths.display(str(value or ''))}"
    return paths.display(value) if isinstance(value, str) else value
