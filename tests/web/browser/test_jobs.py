"""Jobs and their items, in a browser."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.product import Server

pytestmark = pytest.mark.needs("chromium")


def test_a_form_that_is_older_than_what_it_changes_is_refused(desk: Page, server: Server, tmp_path) -> None:
    (tmp_path / "one").mkdir()
    connection = server.connect("as it was", str(tmp_path / "one"))
    desk.goto(f"/console/connections/{connection}/edit")
    server.call("PATCH", f"/v1/connections/{connection}", {"name": "changed meanwhile"})
    desk.get_by_label("Name", exact=True).fill("mine")
    desk.get_by_role("button", name="Test and save").click()
    expect(desk.get_by_role("alert")).to_contain_text("Somebody changed this meanwhile")
    assert server.call("GET", f"/v1/connections/{connection}")["connection"]["name"] == "changed meanwhile"
    desk.reload()
    desk.get_by_label("Name", exact=True).fill("mine")
    desk.get_by_role("button", name="Test and save").click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("mine")


@pytest.fixture
def failed_job(server: Server, tmp_path) -> str:
    """Give a job that ran and has one failed item among three."""
    for path in ("in/good.txt", "in/deep/other.txt", "in/blocked.txt"):
        os.makedirs(os.path.dirname(tmp_path / path), exist_ok=True)
        (tmp_path / path).write_text("x", "utf-8")
    os.makedirs(tmp_path / "out" / "blocked.txt")
    job = server.job(str(tmp_path / "in"), str(tmp_path / "out"))
    server.begin(job)
    server.wait(job)
    return job


def test_a_failed_item_is_found_understood_and_tried_again(
    desk: Page, server: Server, failed_job: str, tmp_path
) -> None:
    desk.goto("/console/jobs?failed=1")
    desk.get_by_role("row").filter(has=desk.locator(f'a[href$="{failed_job}"]')).get_by_role("link").first.click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("done, some failed")
    desk.get_by_role("navigation", name="Parts of the job").get_by_role("link", name="Failed").click()
    desk.get_by_role("link", name="/blocked.txt").click()
    drawer = desk.get_by_role("dialog", name="Item")
    expect(drawer).to_contain_text("one side has a container")
    expect(drawer).to_contain_text("Rename or remove one of the two")
    drawer.get_by_label("Close").click()
    os.rmdir(tmp_path / "out" / "blocked.txt")
    desk.get_by_label("Choose /blocked.txt").check()
    desk.get_by_role("button", name="Retry chosen").click()
    expect(desk.get_by_text("Trying the chosen items again.")).to_be_visible()
    server.wait(failed_job)
    desk.goto(f"/console/jobs/{failed_job}/overview")
    expect(desk.locator("#live")).to_contain_text("100 %")
    assert (tmp_path / "out" / "blocked.txt").read_text("utf-8") == "x"
