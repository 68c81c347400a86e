"""Jobs and their items, in a browser."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.product import Server
from tests.web.browser.conftest import open_page, sign_in

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


def test_filters_are_kept_under_a_name_and_what_is_chosen_is_started_at_once(
    desk: Page, server: Server, tmp_path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x", "utf-8")
    jobs = []
    for number in range(2):
        (tmp_path / f"out {number}").mkdir()
        jobs.append(server.job(str(tmp_path / "in"), str(tmp_path / f"out {number}")))
    for number, job in enumerate(jobs):
        server.call("PATCH", f"/v1/jobs/{job}", {"name": f"chosen {tmp_path.name} {number}"})
    desk.goto(f"/console/jobs?q=chosen+{tmp_path.name}")
    desk.get_by_label("Status").select_option("idle")
    desk.wait_for_url("**status=idle**")
    desk.once("dialog", lambda dialog: dialog.accept("<i>mine</i>"))
    desk.get_by_role("button", name="Views").click()
    desk.get_by_role("button", name="Keep these filters").click()
    expect(desk.get_by_text("Kept.")).to_be_visible()
    desk.goto("/console/jobs")
    desk.get_by_role("button", name="Views").click()
    desk.get_by_role("link", name="<i>mine</i>").click()
    desk.wait_for_url("**status=idle**")
    desk.get_by_label("Choose all on this page").check()
    expect(desk.locator("[data-count]")).to_have_text("2")
    desk.get_by_role("button", name="Start", exact=True).click()
    expect(desk.get_by_text("Started.")).to_be_visible()
    for number, job in enumerate(jobs):
        server.wait(job)
        assert (tmp_path / f"out {number}" / "a.txt").read_text("utf-8") == "x"


def test_an_open_dashboard_shows_what_began_and_asks_for_nothing_else(
    browser: Browser, server: Server, tmp_path
) -> None:
    page, seen = open_page(browser, server)
    sign_in(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(server.url).partition("?")[0]))
    page.goto("/console/")
    jobs = page.locator('#summary a.value[href="/console/jobs"]')
    before = int(jobs.inner_text().replace(",", ""))
    del asked[:]
    jobs.focus()
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    server.job(str(tmp_path / "in"), str(tmp_path / "out"))
    expect(jobs).to_have_text(f"{before + 1:,}")
    expect(jobs).to_be_focused()
    assert set(asked) <= {"/console/summary", "/v1/throughput"}
    assert asked.count("/v1/throughput") <= 1  # the chart's beginning
    page.context.close()
    seen.check()


def test_a_time_is_in_the_zone_of_the_browser_and_utc_when_hovered(
    browser: Browser, server: Server, failed_job: str
) -> None:
    context = browser.new_context(base_url=server.url, timezone_id="Asia/Kolkata", locale="en-GB")
    page = context.new_page()
    sign_in(page)
    page.goto(f"/console/jobs/{failed_job}/overview")
    time = page.locator("main time[data-local]").first
    at = datetime.fromisoformat(time.get_attribute("datetime") or "")
    assert time.get_attribute("title") == at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    assert (at.astimezone(UTC) + timedelta(hours=5, minutes=30)).strftime("%H:%M:%S") in time.inner_text()
    context.close()
