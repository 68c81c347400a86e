"""A person's way through a whole project without the command line."""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.product import Server

pytestmark = pytest.mark.needs("chromium")


def connect(page: Page, name: str, path: str) -> None:
    """Add a connection to a folder, as a person does."""
    page.goto("/console/connections")
    page.get_by_role("link", name="New connection").first.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Path").fill(path)
    page.get_by_role("button", name="Test and save").click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()


def test_from_two_folders_to_a_report(desk: Page, server: Server, tmp_path) -> None:
    for path in ("in/2025/plan.txt", "in/2025/budget.txt", "in/old/notes.txt", "in/blocked.txt"):
        os.makedirs(os.path.dirname(tmp_path / path), exist_ok=True)
        (tmp_path / path).write_text(path, "utf-8")
    os.makedirs(tmp_path / "out" / "blocked.txt")
    connect(desk, "Journey in", str(tmp_path / "in"))
    desk.get_by_role("button", name="Test connection").click()
    expect(desk.locator("[data-probe]")).to_contain_text("the root holds 3 entries")
    connect(desk, "Journey out", str(tmp_path / "out"))
    desk.get_by_role("button", name="Test writing").click()
    expect(desk.locator("[data-probe]")).to_contain_text("removed it again")

    # The wizard: type, both sides with their folders, a policy, the raw document, the summary.
    desk.goto("/console/jobs/new")
    desk.locator("label").filter(has_text="Copy").first.click()
    desk.get_by_role("button", name="Next").click()
    desk.get_by_label("Source", exact=True).select_option(label=f"Journey in — {tmp_path / 'in'}")
    desk.locator('[data-browse="source"]').get_by_role("button", name="2025").click()
    expect(desk.get_by_label("Source folder")).to_have_value("/2025")
    desk.locator('[data-browse="source"]').get_by_role("button", name="root").click()
    desk.get_by_label("Destination", exact=True).select_option(label=f"Journey out — {tmp_path / 'out'}")
    desk.locator('[data-browse="destination"]').get_by_label("Name of a new folder").fill("archive")
    desk.locator('[data-browse="destination"]').get_by_role("button", name="Make").click()
    expect(desk.get_by_label("Destination folder")).to_have_value("/archive")
    desk.locator('[data-browse="destination"]').get_by_role("button", name="root").click()
    expect(desk.get_by_label("Destination folder")).to_have_value("/")
    desk.get_by_role("button", name="Next").click()
    desk.get_by_label("Conflict resolution").select_option("latest")
    desk.get_by_role("button", name="5 Advanced").click()
    raw = desk.get_by_label("The job as JSON")
    expect(raw).to_have_value(holding("latest"))
    raw.fill(raw.input_value().replace('"latest"', '"source"'))
    desk.get_by_role("button", name="3 Policies").click()
    expect(desk.get_by_label("Conflict resolution")).to_have_value("source")
    desk.get_by_role("button", name="6 Summary").click()
    desk.get_by_label("Name", exact=True).fill("The journey")
    expect(desk.locator("#checked")).to_contain_text("The server would take it.")
    desk.get_by_text("Copy as curl or command line").click()
    expect(desk.locator("#as-curl")).to_contain_text("/v1/jobs")

    # Simulate: nothing is written. Then for real.
    desk.get_by_role("button", name="Simulate").click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("The journey (simulation)")
    expect(desk.get_by_role("link", name="Do it for real")).to_be_visible(timeout=60_000)
    assert not (tmp_path / "out" / "2025").exists()
    desk.get_by_role("link", name="Do it for real").click()
    expect(desk.get_by_label("Name", exact=True)).to_have_value("The journey")
    desk.get_by_role("button", name="Save and start").click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("done, some failed", timeout=60_000)
    assert (tmp_path / "out" / "2025" / "plan.txt").read_text("utf-8") == "in/2025/plan.txt"

    # Every number leads to what is behind it; one failed item is settled.
    expect(desk.locator("#live")).to_contain_text("100 %")
    desk.locator("#live").get_by_role("link", name="1", exact=True).click()
    expect(desk.get_by_role("heading", level=2)).to_contain_text("kind conflict")
    os.rmdir(tmp_path / "out" / "blocked.txt")
    desk.get_by_label("Choose /blocked.txt").check()
    desk.get_by_role("button", name="Retry chosen").click()
    expect(desk.get_by_text("Trying the chosen items again.")).to_be_visible()
    job = desk.url.split("/jobs/")[1].split("/")[0]
    server.wait(job)
    assert (tmp_path / "out" / "blocked.txt").read_text("utf-8") == "in/blocked.txt"
    desk.goto(f"/console/jobs/{job}/failed")
    expect(desk.get_by_role("heading", name="Nothing is failed")).to_be_visible()

    # The report: drawn, and the same as a workbook.
    desk.get_by_role("navigation", name="Parts of the job").get_by_role("link", name="Report").click()
    expect(desk.get_by_role("heading", name="Items by status and reason")).to_be_visible(timeout=20_000)
    expect(desk.locator("canvas").first).to_be_visible()
    with desk.expect_download() as download:
        desk.get_by_role("link", name="XLSX", exact=True).click()
    assert download.value.suggested_filename == "job-report.xlsx"
    desk.emulate_media(media="print")
    expect(desk.get_by_role("navigation", name="Parts of the job")).to_be_hidden()
    expect(desk.get_by_role("button", name="Print")).to_be_hidden()
    expect(desk.get_by_role("heading", name="Items by status and reason")).to_be_visible()
    desk.emulate_media(media="screen")
    desk.get_by_role("navigation", name="Parts of the job").get_by_role("link", name="Validation").click()
    expect(desk.get_by_role("heading", name="Reconciliation")).to_be_visible(timeout=20_000)


def holding(text: str) -> re.Pattern[str]:
    """Make a pattern that a value holds a text."""
    return re.compile(f"[\\s\\S]*{re.escape(text)}[\\s\\S]*")
