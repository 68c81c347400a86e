"""The committed documents that are made from the routes. ``python -m tests.api.documents`` writes them."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from tallyport.api.app import create_api
from tallyport.control.desk import ROLES
from tallyport.store.database import Database

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "reference", "api.md")
OPENAPI = os.path.join(ROOT, "docs", "reference", "openapi.json")
MATRIX = os.path.join(ROOT, "tests", "api", "rights.csv")
MADE = "<!-- Made by `python -m tests.api.documents` from the code. Do not edit below. -->\n"


def openapi() -> dict[str, Any]:
    """Give the document of an application without a store."""
    with tempfile.TemporaryDirectory() as folder:
        return create_api(Database(f"sqlite:///{folder}/none.db")).openapi()


def openapi_text() -> str:
    """Give the document as it is committed; the version changes with every release and is left out."""
    document = openapi()
    document["info"]["version"] = "0"
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def routes() -> str:
    """Give the table of routes."""
    lines = ["", "| call | what it does | right |", "| --- | --- | --- |"]
    for path, operations in openapi()["paths"].items():
        for method, operation in operations.items():
            right = operation.get("x-right", "none needed")
            lines.append(f"| `{method.upper()} {path}` | {operation['summary']} | {right} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Give the page with its table made anew."""
    with open(PAGE, encoding="utf-8") as stream:
        prose = stream.read().partition(MADE)[0]
    return prose + MADE + routes()


def matrix() -> str:
    """Give the table of who may call what: one line for each operation of the document, one column for each role."""
    lines = [",".join(("operation", *ROLES))]
    for path, operations in sorted(openapi()["paths"].items()):
        for method, operation in sorted(operations.items()):
            right = operation.get("x-right")
            public = operation["security"] == []
            cells = ["yes" if public or right in ROLES[role] else "no" for role in ROLES]
            lines.append(",".join((f"{method.upper()} {path}", *cells)))
    return "\n".join(lines) + "\n"


def main() -> None:
    for path, text in ((PAGE, page()), (OPENAPI, openapi_text()), (MATRIX, matrix())):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    main()
