"""The first minutes with a server nobody has used yet."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.product import PASSWORD, Server
from tests.web.browser.conftest import open_page

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
def untouched(tmp_path) -> Iterator[Server]:
    """Give a server without any user."""
    made = Server(os.fspath(tmp_path / "data"), os.fspath(tmp_path / "log"))
    made.start()
    yield made
    made.stop()


def test_the_link_that_the_server_prints_makes_the_first_administrator_once(
    browser: Browser, untouched: Server
) -> None:
    found = re.search(r"http://\S+/setup#token=\S+", untouched.words())
    assert found is not None, untouched.words()
    page, seen = open_page(browser, untouched)
    page.goto(found.group())
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    expect(page.get_by_label("Token of the link")).to_be_hidden()
    assert "token" not in page.url
    page.get_by_label("Name", exact=True).fill("grace")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the administrator").click()
    expect(page.get_by_role("heading", level=1, name="Dashboard")).to_be_visible()
    expect(page.get_by_text("Three steps to the first migration")).to_be_visible()
    page.get_by_role("link", name="Add a connection").click()
    expect(page.get_by_role("heading", level=1, name="New connection")).to_be_visible()
    page.goto("/console/")
    page.get_by_role("button", name="Make sample data").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Sample job")
    page.get_by_role("main").get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("done, some failed", timeout=60_000)
    page.goto(found.group())
    expect(page.get_by_role("heading", name="Set up already")).to_be_visible()
    page.context.close()
    seen.check()


def test_keys_and_theme_work_without_a_mouse(browser: Browser, server: Server) -> None:
    from tests.web.browser.conftest import sign_in

    page, seen = open_page(browser, server)
    sign_in(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.locator("body").press("g")
    page.locator("body").press("j")
    expect(page.get_by_role("heading", level=1, name="Jobs")).to_be_visible()
    page.locator("body").press("/")
    expect(page.get_by_label("Search names")).to_be_focused()
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.context.close()
    seen.check()
