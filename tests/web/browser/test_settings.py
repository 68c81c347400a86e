"""What can be set of a job, a connection and the server, set in a browser; and who set it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.product import Server

pytestmark = pytest.mark.needs("chromium")

IMPORT = {"source": {"text": {"target": {"path": "/lists/grants.csv"}}}}


@pytest.fixture
def ends(server: Server, tmp_path) -> tuple[str, str]:
    """Give connections to two folders, the first with a file in it."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "it's here.txt").write_text("x", "utf-8")
    source, destination = (server.connect(f"{name} {tmp_path.name}", str(tmp_path / name)) for name in ("in", "out"))
    return source, destination


def described(desk: Page, ends: tuple[str, str], name: str) -> None:
    """Choose both ends in the wizard, and a name."""
    desk.goto("/console/jobs/new#locations")
    for side, one in zip(("Source", "Destination"), ends, strict=True):
        desk.get_by_label(side, exact=True).select_option(one)
    desk.get_by_role("button", name="6 Summary").click()
    desk.get_by_label("Name", exact=True).fill(name)


def test_every_setting_of_a_job_is_set_in_the_wizard_and_shown_with_who_set_it(
    desk: Page, server: Server, ends: tuple[str, str]
) -> None:
    described(desk, ends, "everything set")
    desk.get_by_role("button", name="3 Policies").click()
    desk.locator('[data-key="symlinks"]').select_option("follow_inside")
    desk.locator('[data-key="permissions.policy"]').select_option("add")
    desk.get_by_role("button", name="4 Behaviours").click()
    desk.locator('[data-key="special_bits"]').select_option("restore")
    desk.locator('[data-key="quarantine"]').fill(".kept")
    desk.locator('[data-key="limits.quarantine_days"]').fill("30")
    for key in ("permissions.import", "metadata_import"):
        desk.locator(f'[data-path="transfer.{key}"]').fill(json.dumps(IMPORT))
    desk.get_by_role("button", name="6 Summary").click()
    expect(desk.locator("#checked")).to_contain_text("The server would take it.")
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("everything set")
    job = desk.url.split("/jobs/")[1].split("/")[0]
    kept = server.call("GET", f"/v1/jobs/{job}?include=all")["job"]["transfer"]
    assert kept["metadata_import"] == kept["permissions"]["import"] == IMPORT
    assert kept["limits"]["quarantine_days"] == 30
    assert (kept["symlinks"], kept["special_bits"]) == ("follow_inside", "restore")

    desk.get_by_role("navigation", name="Parts of the job").get_by_role("link", name="Policies").click()
    for key, value in (
        ("symlinks", "follow_inside"),
        ("special_bits", "restore"),
        ("quarantine", ".kept"),
        ("limits.quarantine_days", "30"),
        ("permissions.import", "lists/grants.csv"),
        ("metadata_import", "lists/grants.csv"),
    ):
        line = desk.locator("tr").filter(has=desk.locator("code", has_text=key).first).filter(has_text=value)
        expect(line.first).to_contain_text("job")
    desk.get_by_role("link", name="Who changed what").click()
    expect(desk.locator("table")).to_contain_text("ada")
    expect(desk.locator("table")).to_contain_text("job.created")


def test_a_setting_that_is_no_json_is_marked_and_saved_by_nobody(desk: Page, ends: tuple[str, str]) -> None:
    described(desk, ends, "half a document")
    desk.get_by_role("button", name="4 Behaviours").click()
    field = desk.locator('[data-path="transfer.metadata_import"]')
    field.fill('{"source": ')
    desk.get_by_role("button", name="6 Summary").click()
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value('{"source": ')
    field.fill("")
    desk.get_by_role("button", name="6 Summary").click()
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("half a document")


def test_labels_and_the_cap_of_a_connection_are_set_and_taken_away(
    desk: Page, server: Server, ends: tuple[str, str]
) -> None:
    desk.goto(f"/console/connections/{ends[0]}/edit")
    desk.get_by_label("Transfers at one time").fill("3")
    desk.get_by_role("button", name="Test and save").click()
    expect(desk.locator("main dl")).to_contain_text("Transfers at one time")
    desk.get_by_role("link", name="who set what").click()
    expect(desk.locator("table")).to_contain_text("max_transfers")
    expect(desk.locator("table")).to_contain_text("ada")
    desk.goto(f"/console/connections/{ends[0]}/edit")
    desk.get_by_label("Labels").fill("berlin\nvault")
    desk.get_by_label("Transfers at one time").fill("")
    desk.get_by_role("button", name="Test and save").click()
    expect(desk.locator("main dl")).to_contain_text("berlin, vault")
    expect(desk.locator("main dl")).not_to_contain_text("Transfers at one time")
    desk.goto("/console/about")
    expect(desk.get_by_text("Carries")).to_be_visible()


def test_a_secret_is_kept_listed_without_its_value_and_forgotten(desk: Page, server: Server) -> None:
    desk.goto("/console/secrets")
    desk.get_by_label("Name").fill("<b>crm</b>")
    desk.get_by_label("Value").fill("not to be seen")
    desk.get_by_role("button", name="Keep").click()
    line = desk.get_by_role("row").filter(has_text="<b>crm</b>")
    expect(line).to_be_visible()
    assert "not to be seen" not in desk.content()
    line.get_by_role("link", name="Who set it").click()
    expect(desk.locator("table")).to_contain_text("secret.created")
    expect(desk.locator("table")).to_contain_text("ada")
    desk.go_back()
    desk.once("dialog", lambda dialog: dialog.accept())
    line.get_by_role("button", name="Forget").click()
    expect(desk.get_by_role("row").filter(has_text="<b>crm</b>")).to_have_count(0)
    assert "<b>crm</b>" not in [one["name"] for one in server.call("GET", "/v1/secrets")["data"]]


def test_what_the_summary_gives_to_paste_works_in_a_shell(desk: Page, server: Server, ends: tuple[str, str]) -> None:
    described(desk, ends, 'Bob\'s $HOME `job` \\ "1"')
    desk.get_by_text("Copy as curl or command line").click()
    for shown, states in (("#as-curl", {"created", "idle"}), ("#as-cli", {"complete"})):
        expect(desk.locator(shown)).to_contain_text("Bob")
        words = desk.locator(shown).inner_text()
        path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        given = {**os.environ, "TALLYPORT_TOKEN": server.token, "PATH": path}
        ran = subprocess.run(["bash", "-c", words], env=given, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        made = [one for one in server.call("GET", "/v1/jobs")["jobs"] if one["name"] == 'Bob\'s $HOME `job` \\ "1"']
        assert made, ran.stdout
        if "complete" in states:
            server.wait(max(made, key=lambda one: one["id"])["id"])
        server.call("DELETE", f"/v1/jobs/{made[0]['id']}")
