"""Every screen in both themes and at phone width: no serious finding of axe, nothing wider than the window, no request
that leaves the server, no complaint of a script or of the content security policy. Pictures are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.product import Server
from tests.web.browser.conftest import Seen, open_page, sign_in

pytestmark = pytest.mark.needs("chromium")

AXE = Path(__file__).parent.parent / "axe" / "axe.min.js"
PICTURES = Path(os.environ.get("TALLYPORT_TEST_PICTURES", "test-pictures"))
LOOKS = {"light": (False, False), "dark": (True, False), "phone": (False, True)}


class Screen(NamedTuple):
    """One screen to look at."""

    name: str
    path: str


SCREENS = (
    Screen("dashboard", "/console/"),
    Screen("jobs", "/console/jobs"),
    Screen("jobs-empty", "/console/jobs?q=nothing-has-this-name"),
    Screen("wizard-type", "/console/jobs/new"),
    Screen("wizard-locations", "/console/jobs/new?from={job}#locations"),
    Screen("wizard-policies", "/console/jobs/new#policies"),
    Screen("wizard-behaviours", "/console/jobs/new#behaviours"),
    Screen("wizard-advanced", "/console/jobs/new#advanced"),
    Screen("wizard-summary", "/console/jobs/new?from={job}#summary"),
    Screen("job-edit", "/console/jobs/{job}/edit"),
    *(
        Screen(f"job-{tab}", f"/console/jobs/{{job}}/{tab}")
        for tab in ("overview", "items", "failed", "audit", "policies", "schedule", "runs", "validation", "report")
    ),
    Screen("job-never-ran", "/console/jobs/{idle}/overview"),
    Screen("item", "/console/items/{item}"),
    Screen("failed", "/console/failed"),
    Screen("categories", "/console/categories"),
    Screen("approvals", "/console/approvals"),
    Screen("connections", "/console/connections"),
    Screen("connection", "/console/connections/{connection}"),
    Screen("connection-new", "/console/connections/new"),
    Screen("connection-edit", "/console/connections/{connection}/edit"),
    Screen("maps", "/console/maps"),
    Screen("map", "/console/maps/accounts/{map}"),
    Screen("schedules", "/console/schedules"),
    Screen("reports", "/console/reports"),
    Screen("users", "/console/users"),
    Screen("user", "/console/users/ada"),
    Screen("me", "/console/me"),
    Screen("audit", "/console/audit"),
    Screen("webhooks", "/console/webhooks"),
    Screen("webhook", "/console/webhooks/{webhook}"),
    Screen("secrets", "/console/secrets"),
    Screen("settings", "/console/settings"),
    Screen("about", "/console/about"),
    Screen("not-found", "/console/nowhere"),
)


@pytest.fixture(scope="module")
def parts(server: Server, tmp_path_factory) -> dict[str, str]:
    """Give a server with something on every screen."""
    folder = tmp_path_factory.mktemp("screens")
    for path in ("in/2025/plan.txt", "in/2025/photo.jpg", "in/notes.txt", "in/blocked.txt"):
        os.makedirs(os.path.dirname(folder / path), exist_ok=True)
        (folder / path).write_text("content", "utf-8")
    os.makedirs(folder / "out" / "blocked.txt")
    (folder / "mirror").mkdir()
    for number in range(40):
        (folder / "mirror" / f"extra {number}.txt").write_text("x", "utf-8")
    job = server.job(str(folder / "in"), str(folder / "out"))
    server.begin(job)
    (folder / "elsewhere").mkdir()
    idle = server.job(str(folder / "in"), str(folder / "elsewhere"))
    brake = server.job(str(folder / "in"), str(folder / "mirror"), transfer_type="publish", limits={"max_deletes": 5})
    server.begin(brake)
    server.wait(job)
    item = next(server.items(job))["id"]
    connection = server.call("GET", "/v1/connections")["connections"][0]["id"]
    server.call("PATCH", f"/v1/jobs/{idle}", {"schedule": {"mode": "auto", "run_at": {"hr": 2}}, "status": "paused"})
    hook = server.call("POST", "/v1/webhooks", {"url": "https://1.1.1.1/hook", "name": "hook"})["data"]["id"]
    server.call("POST", "/v1/secrets", {"name": "crm", "value": "kept"})
    people = [{"source": {"name": "ann"}, "destination": {"email": "ann@example.com"}}]
    made = server.call("POST", "/v1/account_maps", {"name": "people", "map_by": {"name": True}, "exceptions": people})
    return {
        "map": made["account_map"]["id"],
        "webhook": hook,
        "job": job,
        "idle": idle,
        "item": item,
        "connection": connection,
    }


@pytest.fixture(params=sorted(LOOKS))
def looked(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[tuple[str, Page, Seen]]:
    dark, phone = LOOKS[request.param]
    page, seen = open_page(browser, server, dark=dark, phone=phone)
    sign_in(page)
    yield request.param, page, seen
    page.context.close()


@pytest.mark.timeout(900)
def test_every_screen_is_for_everybody(looked: tuple[str, Page, Seen], parts: dict[str, str]) -> None:
    look, page, seen = looked
    PICTURES.mkdir(exist_ok=True)
    wrong: list[str] = []
    for screen in SCREENS:
        page.goto("about:blank")
        page.goto(screen.path.format(**parts))
        page.wait_for_selector("html[data-ready]")
        expect(page.locator("[hx-trigger^=load]")).to_have_count(0, timeout=20_000)
        if look != "phone":  # the same elements in fewer columns: what axe looks at is the same
            wrong += [f"{look} {screen.name}: {one}" for one in findings(page, dark=look == "dark")]
        width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if width > 1:
            wrong.append(f"{look} {screen.name}: {width} px wider than the window")
        page.screenshot(path=PICTURES / f"{screen.name}-{look}.png")
    assert wrong == [], "\n".join(wrong)
    seen.check()


def findings(page: Page, *, dark: bool) -> list[str]:
    """Give what axe finds that is serious or worse; in the dark only what depends on colours, the rest is the same."""
    chosen = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}} if dark else {}
    # By evaluate, not as an element: the page's own policy lets no foreign script in.
    page.evaluate(AXE.read_text("utf-8"))
    found: list[dict[str, Any]] = page.evaluate(
        "chosen => axe.run(document, {resultTypes: ['violations'], preload: false, iframes: false, ...chosen})"
        ".then(found => found.violations)",
        chosen,
    )
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]
