"""Names of files are attacks: whatever a name holds, a page shows it as text and a spreadsheet runs nothing."""

from __future__ import annotations

import csv
import html
import io
import re
from html.parser import HTMLParser

import pytest

from tallyport.domain import paths
from tallyport.domain.items import Status
from tests.web.conftest import Console

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "{% include 'layout.html' %}",
    "${7*7}",
    "<a href='javascript:alert(1)'>x<",
    "</textarea><script>alert(1)<",
    "</title><script>alert(1)<",
    "--><script>alert(1)<",
    "<iframe srcdoc='<script>alert(1)<'>",
    "<math><mtext><script>alert(1)<",
    '" onmouseover="alert(1)',
    "' hx-on:click='alert(1)",
    '" data-call="DELETE .v1.jobs" x="',
    '" hx-get="https:..example.com" hx-trigger="load',
    "<template><script>alert(1)<",
    "<style>*{background:url(x)}<",
    "<meta http-equiv=refresh content=0>",
    "<base href=..x>",
    "<form action=x><input name=a>",
    "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "&lt;script&gt;alert(1)&lt;",
    "&#x3c;script&#x3e;",
    "\u202eexe.txt",
    "\u2066a\u2069",
    "\u200b\ufeff",
    "=1+1",
    "=cmd|'  calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    '=HYPERLINK("http:..example.com")',
    "a\nb",
    "a\x1b[31mred",
)


def names() -> list[str]:
    """Give two hundred hostile names, none with a slash or a NUL, each once."""
    ends = ("", ".txt", " \x7f", "\udcff", "\N{COMBINING GRAVE ACCENT}")
    made = [f"{payload.replace('/', chr(0x2215))}{end}" for payload in PAYLOADS for end in ends]
    assert len(set(made)) == len(made) == 200
    return made


class Elements(HTMLParser):
    """Collects the elements of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def hostile(console: Console) -> tuple[Console, str, list[int]]:
    """Give a job full of hostile names, failed, with hostile messages, under a hostile name itself."""
    job = console.world.job(name=PAYLOADS[0], description=PAYLOADS[1], category={"name": PAYLOADS[2]})
    console.world.run(job, "executing")
    ids = [
        console.world.item(
            job, name, Status.FLAGGED, reason="permission_denied", message=f"cannot read {paths.display(name)}"
        )
        for name in names()
    ]
    console.world.run(job, "complete", result="errors", failed=200)
    console.sign_in()
    return console, job, ids


def pages(job: str, ids: list[int]) -> list[str]:
    tabs = ("overview", "items", "audit", "policies", "schedule", "runs", "validation", "report", "failed")
    found = [f"/jobs/{job}/{tab}" for tab in tabs]
    found += [f"/jobs/{job}/failed/group?reason=permission_denied", f"/jobs/new?from={job}", f"/jobs/{job}/edit"]
    found += ["/failed", "/", "/jobs", "/reports", f"/jobs/{job}/breakdown?for=report"]
    return found + [f"/items/{one}" for one in ids]


def test_no_name_becomes_an_element_or_an_attribute(hostile: tuple[Console, str, list[int]]) -> None:
    console, job, ids = hostile
    for path in pages(job, ids):
        text = console.page(path)
        reader = Elements()
        reader.feed(text)
        for tag, attributes in reader.found:
            where = f"{path}: <{tag} {attributes}>"
            assert tag not in ("iframe", "math", "style", "base", "object", "embed"), where
            assert tag != "script" or (attributes.get("src") or "").startswith("/console/static/"), where
            assert not any(name.startswith(("on", "hx-on")) for name in attributes), where
            for name in ("href", "src", "action", "hx-get"):
                given = attributes.get(name) or ""
                assert not re.match(r"\s*(javascript|data|https?|//)", given, re.IGNORECASE), where
            assert not (attributes.get("data-call") or "").startswith("DELETE .v1"), where


def test_every_name_is_shown_as_it_is(hostile: tuple[Console, str, list[int]]) -> None:
    console, _, ids = hostile
    for name, one in zip(names(), ids, strict=True):
        text = html.unescape(console.page(f"/items/{one}"))
        assert f"/{paths.display(name)}" in text.replace("\r\n", "\n") or "\r" in name, repr(name)


@pytest.mark.parametrize("path", ["/v1/transfers/{job}/items.csv", "/v1/transfers/items/flagged.csv", "/v1/jobs.csv"])
def test_no_cell_of_a_csv_is_a_formula(hostile: tuple[Console, str, list[int]], path: str) -> None:
    console, job, _ = hostile
    text = console.client.get(path.format(job=job)).text
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) >= (200 if "items" in path else 2)
    for row in rows[1:]:
        for cell in row:
            is_number = re.fullmatch(r"-?\d+(\.\d+)?", cell)
            assert is_number or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), repr(cell)


def test_a_name_in_the_address_of_a_page_is_only_text(hostile: tuple[Console, str, list[int]]) -> None:
    console, job, _ = hostile
    for payload in PAYLOADS:
        for path in (f"/jobs/{job}/items", "/jobs", "/failed", "/connections", "/users"):
            answer = console.client.get(f"/console{path}", params={"q": payload, "reason": payload, "status": payload})
            assert answer.status_code == 200, (path, payload)
            assert payload not in answer.text or "<" not in payload, (path, payload)
