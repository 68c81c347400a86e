"""The real server, and Debian's Chromium before it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance import product

expect.set_options(timeout=20_000)  # a machine may be busy with other tests; what is there is seen at once

FLAGS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": shutil.which("chromium"), "args": FLAGS}


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[product.Server]:
    """Give a running server with an administrator, ada."""
    folder = str(tmp_path_factory.mktemp("served"))
    made = product.Server(os.path.join(folder, "data"), os.path.join(folder, "server.log"))
    made.sign_in()
    made.start()
    yield made
    made.stop()


class Seen:
    """What a page asked for and complained about."""

    def __init__(self, page: Page, home: str) -> None:
        self.abroad: list[str] = []
        self.complaints: list[str] = []
        self._home = home
        page.on("request", self._asked)
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((f"{self._home}/", "data:", "blob:")):
            self.abroad.append(request.url)

    def _said(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)

    def check(self) -> None:
        """Fail if a request left the server or a script or the policy complained."""
        assert self.abroad == [], "requests left the server"
        assert self.complaints == []


def open_page(
    browser: Browser, server: product.Server, *, dark: bool = False, phone: bool = False
) -> tuple[Page, Seen]:
    """Open a page of its own kind: theme, width."""
    size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}
    context = browser.new_context(
        base_url=server.url, color_scheme="dark" if dark else "light", viewport=size, accept_downloads=True
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    return page, Seen(page, server.url)


def sign_in(page: Page, name: str = "ada", password: str = product.PASSWORD) -> None:
    """Sign in as a person does."""
    page.goto("/console/sign-in")
    page.get_by_label("Name or e-mail").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/**")


@pytest.fixture
def desk(browser: Browser, server: product.Server) -> Iterator[Page]:
    """Give a page that is signed in; at the end no request has left and no script has failed."""
    page, seen = open_page(browser, server)
    sign_in(page)
    yield page
    page.context.close()
    seen.check()
