"""Every page answers, for every role that may see it, with nothing there and with much there."""

from __future__ import annotations

import html
import json
import os
import re
import time
from collections import deque

import pytest

from tallyport.connectors.width import places_of
from tallyport.control import dashboard
from tallyport.control.desk import ROLES, Right
from tallyport.control.reasons import Reasons
from tallyport.domain.folder_mapping import Folder
from tallyport.domain.items import Status
from tallyport.store import executions, folder_mapping, widths, workers
from tallyport.store.workers import WorkerRow
from tallyport.web.doorway import PREFIX
from tallyport.web.pages import ROUTES
from tests.web.conftest import Console

TABS = ("overview", "items", "failed", "audit", "policies", "schedule", "runs", "validation", "report")


def furnish(console: Console) -> dict[str, str]:
    """Give every part of an address something to name."""
    world = console.world
    connection = world.connection("kept")
    job = world.job(category={"name": "Wave 1"})
    world.run(job, "executing", files=3, bytes=900, transferred=1, transferred_bytes=300)
    world.item(job, "a/good.txt")
    bad = world.item(job, "a/bad.txt", Status.FLAGGED, reason="permission_denied", message="cannot read a/bad.txt")
    world.run(job, "complete", result="errors", failed=1)
    pair = {"source": {"name": "<b>ann</b>"}, "destination": {"email": "ann@example.com"}}
    made = world.post("/v1/account_maps", json={"name": "people", "map_by": {"name": True}, "exceptions": [pair]})
    hook = world.post("/v1/webhooks", json={"name": "hook", "url": "https://1.1.1.1/hook"})
    found = {"job": job, "connection": connection, "item": str(bad), "tab": "nowhere", "user": "viewer"}
    return {**found, "kind": "accounts", "map": made.json()["account_map"]["id"], "webhook": hook.json()["data"]["id"]}


def addresses(parts: dict[str, str]) -> list[tuple[str, Right | None]]:
    """Give every page with its parts filled in, and the right it asks for."""
    found = []
    for route in ROUTES:
        if route.method == "GET" and not route.path.endswith("{tab}"):
            names = re.findall(r"{(\w+)}", route.path)
            if all(name in parts for name in names):
                found.append((route.path.format(**parts), route.right))
    return found


def test_every_page_answers_with_nothing_there(console: Console) -> None:
    console.sign_in()
    for path, _ in addresses({}):
        if path != f"{PREFIX}/sign-in":
            assert console.client.get(path).status_code in (200, 303), path


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_page_answers_each_role_as_its_rights_say(console: Console, role: str) -> None:
    parts = furnish(console)
    console.sign_in(role)
    for path, right in addresses(parts):
        allowed = right is None or right in ROLES[role]
        expected = (200, 303) if allowed else (403,)
        assert console.client.get(path).status_code in expected, path


def test_every_page_but_the_sign_in_asks_who_is_there(console: Console) -> None:
    for path, right in addresses(furnish(console)):
        answer = console.client.get(path)
        assert answer.status_code == (303 if right is not None else 200), path
        assert "sign-in" in (answer.headers.get("location") or path) or path == "/setup"


@pytest.mark.parametrize("tab", TABS)
def test_a_job_that_never_ran_has_every_tab(console: Console, tab: str) -> None:
    job = console.world.job()
    console.sign_in()
    console.page(f"/jobs/{job}/{tab}")


def test_every_page_forbids_scripts_that_are_not_ours(console: Console) -> None:
    console.sign_in()
    for path, _ in addresses(furnish(console)):
        policy = console.client.get(path).headers.get("content-security-policy", "")
        assert "script-src 'self';" in policy, path
        assert "frame-ancestors 'none'" in policy, path


def test_what_does_not_exist_is_a_page_that_says_so(console: Console) -> None:
    console.sign_in()
    assert "there is no job" in console.page("/jobs/0123456789abcdef0123456789abcdef/overview", status=404)
    assert "there is no item" in console.page("/items/99", status=404)
    assert "There is no such page" in console.page("/nothing/here", status=404)
    console.page(f"/jobs/{console.world.job()}/nowhere", status=404)


def test_every_number_of_a_run_leads_to_the_items_behind_it(console: Console) -> None:
    parts = furnish(console)
    console.sign_in()
    page = console.page(f"/jobs/{parts['job']}/overview")
    links = re.findall(r'<a class="value" href="([^"]+)"', page)
    assert len(links) >= 6
    for link in links:
        assert console.client.get(link.replace("&amp;", "&")).status_code == 200, link


def test_a_map_tells_whom_a_principal_becomes_and_what_is_wrong_with_a_file(console: Console) -> None:
    parts = furnish(console)
    console.sign_in()
    api = f"/v1/account_maps/{parts['map']}"
    tried = console.client.post(f"{api}/try", json={"source": {"name": "<b>ann</b>"}}).json()["data"]
    assert (tried["resolution"], tried["destination"]["email"]) == ("exception", "ann@example.com")
    assert console.client.post(f"{api}/try", json={"source": {}}).status_code == 400
    sent = {"headers": {"Content-Type": "text/csv"}}
    good = 'source_name,destination_email\n"bob","bob@example.com"\n'
    looked = console.client.post(f"{api}/exceptions?check=1", content=good, **sent).json()
    assert looked["meta"]["total_count"] == 1
    bad = console.client.post(
        f"{api}/exceptions?check=1", content="source_name,destination_email\n,ann@x\nbob,\n", **sent
    )
    assert bad.status_code == 400
    assert len(bad.json()["errors"]) == 2
    page = console.page(f"/maps/accounts/{parts['map']}")
    assert "&lt;b&gt;ann&lt;/b&gt;" in page
    assert "bob@example.com" not in page
    assert console.client.post(f"{api}/exceptions?append=1", content=good, **sent).status_code == 200
    assert "bob@example.com" in console.page(f"/maps/accounts/{parts['map']}")


def test_an_export_holds_what_the_page_shows(console: Console) -> None:
    job = furnish(console)["job"]
    console.world.job(name="idle one")
    console.sign_in()
    page = console.page("/jobs?status=done&offset=0")
    link = re.search(r'href="(/v1/jobs\.csv[^"]*)"', page)
    assert link is not None
    lines = console.client.get(link.group(1).replace("&amp;", "&")).text.splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [job]
    page = console.page(f"/jobs/{job}/items?status=remediation&cursor=1")
    link = re.search(r'href="(/v1/transfers/[^"]*\.csv[^"]*)"', page)
    assert link is not None
    assert "cursor" not in link.group(1)
    text = console.client.get(link.group(1).replace("&amp;", "&")).text
    assert "bad.txt" in text
    assert "good.txt" not in text


def test_many_who_watch_the_dashboard_ask_the_ledger_once(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(console)
    console.sign_in()
    asked: list[int] = []
    moment = time.monotonic() + 1_000
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    whole = dashboard.overview
    monkeypatch.setattr(dashboard, "overview", lambda desk, **more: asked.append(1) or whole(desk, **more))
    pages = {console.page("/summary") for _ in range(50)}
    assert len(asked) == 1
    assert len(pages) == 1
    assert "carried in 24 h" in pages.pop()
    monkeypatch.setattr(time, "monotonic", lambda: moment + dashboard.FRESH + 0.1)
    console.page("/summary")
    assert len(asked) == 2


def test_what_is_kept_for_all_who_watch_is_shown_to_nobody_who_signed_out(console: Console) -> None:
    console.sign_in()
    console.page("/summary")
    cookies = dict(console.client.cookies)
    console.client.post(f"{PREFIX}/sign-out", headers={"sec-fetch-site": "same-origin"})
    console.client.cookies.update(cookies)
    answer = console.client.get(f"{PREFIX}/summary", headers={"hx-request": "true"})
    assert answer.status_code == 401
    assert "carried" not in answer.text


def test_a_summary_carries_the_samples_of_an_open_chart(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    console.sign_in()
    meter = console.world.client.app.state.meter
    monkeypatch.setattr(meter, "_last", 1)  # one was taken before: the next has a length
    monkeypatch.setattr(meter, "_samples", deque())
    moment = time.monotonic() + 1_000
    monkeypatch.setattr(time, "monotonic", lambda: moment)  # nothing is kept
    (written,) = re.findall(r'data-samples="([^"]*)"', console.page("/summary"))
    assert [at for at, _, _ in json.loads(html.unescape(written))] == [one.at for one in meter.samples()]
    assert len(meter.samples()) == 1


def test_the_part_that_is_asked_for_again_is_the_part_of_the_page(console: Console) -> None:
    parts = furnish(console)
    console.sign_in()
    for whole, part, name in (("/", "/summary", "summary"), (f"/jobs/{parts['job']}/overview", "", "live")):
        page = console.page(whole)
        again = console.page(part or f"/jobs/{parts['job']}/live")
        assert f'id="{name}"' in page
        assert again.lstrip().startswith(f'<div id="{name}"')


def test_a_job_held_before_its_first_run_is_listed_as_held(console: Console) -> None:
    job = console.world.job(schedule={"mode": "auto", "run_at": {"hr": 2}}, status="paused", name="the held one")
    assert console.world.stored(job).next_run_at is None
    console.sign_in()
    assert "the held one" in console.page("/schedules")
    assert "when somebody releases it" in console.page("/schedules")
    assert "held until somebody starts it" in console.page("/")
    text = console.page(f"/jobs/{job}/overview")
    assert 'tag-yellow">held</span>' in text
    assert f'data-call="PATCH /v1/jobs/{job}?pause=1"' not in text


def test_a_job_that_never_ran_can_be_simulated_from_its_page(console: Console) -> None:
    job = console.world.job(name="not yet")
    console.sign_in()
    assert f"/console/jobs/new?from={job}&amp;simulate=1" in console.page(f"/jobs/{job}/overview")
    assert "not yet (copy)" not in console.page(f"/jobs/new?from={job}&simulate=1")


def test_a_connection_says_how_many_calls_are_under_way_and_how_long_to_wait(
    console: Console,
) -> None:
    connection = console.world.connection("busy")
    console.sign_in("viewer")
    assert "at once suit" not in console.page(f"/connections/{connection}")
    shown = console.world.get(f"/v1/connections/{connection}").json()["connection"]
    places = places_of("fs", {"path": shown["auth"]["path"]})
    assert places.enter(bool, most=8)
    assert f"1 under way; {places.count} at once suit the platform<" in console.page(f"/connections/{connection}")
    places.hold(60.0)
    assert re.search(
        r"suit the platform, which asks to wait for \d+ s more<", console.page(f"/connections/{connection}")
    )


def test_a_connection_says_what_each_worker_found_and_what_the_next_one_begins_with(console: Console) -> None:
    world = console.world
    connection = world.connection("shared")
    console.sign_in("viewer")
    assert "Begins with" not in console.page(f"/connections/{connection}")
    with world.database.begin() as tx:
        for name in ("<ann>", "bob"):
            workers.beat(tx, world.database, WorkerRow(name, "host", 1, "1", "", 2, 0, 0, False, None))
        widths.note(tx, world.database, connection, "<ann>", 12, 0.0)
        widths.note(tx, world.database, connection, "bob", 6, 60.0)
    text = console.page(f"/connections/{connection}")
    assert "<bdi>&lt;ann&gt;</bdi>: 12 at once suit the platform <" in text
    assert re.search(r"<bdi>bob</bdi>: 6 at once suit the platform, which asks to wait for \d+ s more <", text)
    assert "6 at once, as was found" in text


def test_who_may_use_a_connection_is_said_to_everybody_and_changed_by_administrators(console: Console) -> None:
    world = console.world
    connection = world.connection("payroll")
    world.call("PUT", f"/v1/connections/{connection}/access", json={"restricted": True, "users": ["manager"]})
    console.sign_in("admin")
    text = console.page(f"/connections/{connection}")
    assert f'data-call="PUT /v1/connections/{connection}/access"' in text
    assert re.search(r'value="manager" data-type="choice" checked', text)
    assert not re.search(r'value="viewer" data-type="choice" checked', text)
    console.sign_in("viewer")
    text = console.page(f"/connections/{connection}")
    assert "Only manager, and administrators." in text
    assert "/access" not in text


@pytest.mark.parametrize(("platform", "field"), [("sftp", "private_key"), ("gcs", "credentials")])
def test_a_secret_of_several_lines_is_given_with_its_lines(console: Console, platform: str, field: str) -> None:
    console.sign_in()
    text = console.page(f"/connections/new?platform={platform}")
    assert re.search(rf'<textarea class="form-control path hidden-text" id="f-{field}"', text)
    assert re.search(r'<input class="form-control" type="password"', text)


def test_what_is_failed_in_a_large_job_is_counted_aside(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    world = console.world
    job = world.job()
    world.run(job, "executing", files=3)
    for number in range(3):
        world.item(job, f"{number}.txt", Status.FLAGGED, reason="permission_denied", message="no")
    world.run(job, "complete", result="errors")
    counted = Reasons(at_once=2)
    monkeypatch.setitem(world.client.app.state._state, "reasons", counted)
    console.sign_in()
    with monkeypatch.context() as patch:
        patch.setattr(counted, "of_job", lambda desk, job_id: None)
        for tab, place in (("overview", "#reasons"), ("failed", "#groups"), ("report", "#why")):
            text = console.page(f"/jobs/{job}/{tab}")
            assert f'hx-get="/console/jobs/{job}/{tab}" hx-select="{place}"' in text
            assert f'id="{place[1:]}"' in text
    found = None
    while found is None:
        found = counted.of_job(world.client.app.state.desk, job)
    assert [(one.reason, one.number) for one in found] == [("permission_denied", 3)]
    assert "permission denied" in console.page(f"/jobs/{job}/failed")


def test_categories_are_listed_with_their_jobs(console: Console) -> None:
    console.world.job(category={"name": "Wave <1>"})
    console.world.job()
    console.sign_in("manager")
    text = console.page("/categories")
    assert "<bdi>Wave &lt;1&gt;</bdi>" in text
    found = dict(re.findall(r'href="/console/jobs\?category=(-?\d+)">(\d+)<', text))
    assert sorted(found.values()) == ["1", "1"]
    for category, count in found.items():
        assert f"1–{count} of {count}" in console.page(f"/jobs?category={category}")
    assert "DELETE /v1/jobs/categories/-1" not in text
    console.sign_in("viewer")
    assert "DELETE /v1/jobs/categories" not in console.page("/categories")


def test_only_a_job_that_has_not_begun_can_be_split(console: Console) -> None:
    world = console.world
    job = world.job()
    console.sign_in("manager")
    assert f"POST /v1/jobs/{job}/split" in console.page(f"/jobs/{job}/overview")
    console.sign_in("operator")
    assert f"POST /v1/jobs/{job}/split" not in console.page(f"/jobs/{job}/overview")
    console.sign_in("manager")
    world.run(job, "executing")
    assert f"POST /v1/jobs/{job}/split" not in console.page(f"/jobs/{job}/overview")


def test_a_split_job_shows_its_parts_and_leads_to_their_items(console: Console) -> None:
    world = console.world
    job = world.job()
    source = world.stored(job).source_connection
    place = world.get(f"/v1/connections/{source}").json()["connection"]["auth"]["path"]
    for name in ("a/one", "a/two"):
        os.makedirs(os.path.join(place, name))
    answer = world.post(f"/v1/jobs/{job}/split", json={"parts": 2, "runInParallel": True})
    assert answer.status_code == 200, answer.text
    console.sign_in()
    text = console.page(f"/jobs/{job}/overview")
    parts = re.findall(r'<tr><td><a href="(/console/jobs/\w+)/overview">(\d)</a>', text)
    assert [number for _, number in parts] == ["1", "2"]
    assert set(re.findall(r'title="(/[^"]+)">/', text)) >= {"/one", "/two"}
    assert f"/console/jobs/{job}/items?outcome=carried" not in text.split("h-parts")[0]
    assert "part 1</a>" in console.page(f"/jobs/{job}/failed")
    assert "a part of a job</a>" in console.page(f"{parts[0][0].removeprefix('/console')}/overview")


def test_a_folder_mapping_shows_its_children_and_each_leads_back_to_it(console: Console) -> None:
    world = console.world
    body = world.body(kind="folder_mapping", name="home drives")
    parent = str(world.post("/v1/jobs", json=body).json()["job"]["id"])
    console.sign_in()
    assert "No folder has a child yet" in console.page(f"/jobs/{parent}/overview")
    with world.database.begin() as tx:
        folders = [Folder("Ann", "Ann"), Folder("<b>", "<b>")]
        ann, odd = folder_mapping.make(tx, world.stored(parent), folders)
    world.run(ann.id, "executing")
    world.item(ann.id, "one.txt", Status.FLAGGED, reason="permission_denied")
    world.run(ann.id, "complete", result="errors", failed=1)
    world.patch(f"/v1/jobs/{odd.id}", json={"disabled": True})
    text = console.page(f"/jobs/{parent}/overview").split('id="h-children"')[1]
    assert f'href="/console/jobs/{ann.id}/overview"><bdi>home drives / Ann</bdi>' in text
    assert f'<a class="tag tag-red" href="/console/jobs/{ann.id}/failed">1</a>' in text
    assert "done, some failed" in text
    assert "home drives / &lt;b&gt;</bdi>" in text
    assert ">disabled</span>" in text
    assert f"/console/jobs?parent={parent}" in text
    assert "1 items of theirs are failed now" in console.page(f"/jobs/{parent}/failed")
    back = f'<a href="/console/jobs/{parent}/overview">a child of a folder mapping</a>'
    assert back in console.page(f"/jobs/{ann.id}/overview")
    assert back not in console.page(f"/jobs/{parent}/overview")
    row = console.page(f"/reports?job={parent}")
    assert f'<a href="/console/jobs/{parent}/failed">1</a>' in row


def test_a_run_with_a_quarantine_can_be_undone_from_the_list_of_runs(console: Console) -> None:
    world = console.world
    job = world.job()
    run = world.run(job, "complete")
    console.sign_in("manager")
    assert "/undo" not in console.page(f"/jobs/{job}/runs")
    kept = json.loads(world.latest(job).policies) | {"quarantine": ".kept"}
    with world.database.begin() as tx:
        executions.change(tx, run, policies=json.dumps(kept))
    text = console.page(f"/jobs/{job}/runs")
    assert f"POST /v1/transfers/executions/{run}/undo" in text
    assert f"POST /v1/transfers/executions/{run}/purge" in text
    console.sign_in("operator")
    assert "/undo" not in console.page(f"/jobs/{job}/runs")


def test_sample_data_is_offered_until_there_is_a_job(console: Console) -> None:
    console.sign_in("manager")
    assert 'data-call="POST /v1/sample"' in console.page("/")
    console.sign_in("viewer")
    assert "/v1/sample" not in console.page("/")
    console.world.job()
    console.sign_in("manager")
    assert "/v1/sample" not in console.page("/")
