"""What every answer carries, what Prometheus reads, and that a request leaves one line."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from tallyport.connectors.width import places_of
from tests.api.world import World


@pytest.mark.parametrize("path", ["/healthz", "/v1/jobs", "/v1/nothing", "/v1/jobs/unknown", "/Job", "/openapi.json"])
def test_every_answer_is_guarded_and_has_a_request_id(world: World, path: str) -> None:
    answer = world.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_over_tls_the_browser_is_told_to_stay_there(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.tokens['viewer']}"}
    answer = world.client.get("https://testserver/v1/jobs", headers=headers)
    assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_a_request_id_of_the_caller_is_kept_when_it_is_harmless(world: World) -> None:
    assert world.get("/v1/jobs", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for wrong in ("x" * 65, "a b", "a;b", "<x>"):
        assert world.get("/v1/jobs", headers={"X-Request-Id": wrong}).headers["x-request-id"] != wrong


def test_metrics_count_by_route_and_never_by_path(world: World) -> None:
    job_id = world.job()
    world.get(f"/v1/jobs/{job_id}")
    world.get("/v1/jobs/no-such-job")
    text = world.get("/metrics").text
    assert 'tallyport_requests_total{method="GET",route="/v1/jobs/{job}",status="200"}' in text
    assert 'route="/v1/jobs/{job}",status="404"' in text
    assert 'tallyport_jobs{state="created"} 1.0' in text
    assert "tallyport_watchers 0.0" in text
    assert "tallyport_disk_free_bytes" in text
    assert 'tallyport_deliveries{state="dead"} 0.0' in text
    assert job_id not in text
    assert "no-such-job" not in text


def test_metrics_say_how_each_connection_is_worked(world: World) -> None:
    watched = world.connection("watched")
    assert "tallyport_connection_places{" not in world.get("/metrics").text
    shown = world.get(f"/v1/connections/{watched}").json()["connection"]
    places = places_of("fs", {"path": shown["auth"]["path"]})
    places.hold(60.0)
    assert places.enter(bool, most=8)
    text = world.get("/metrics").text
    label = f'{{id="{watched}",name="watched"}}'
    assert f"tallyport_connection_places{label} {float(places.count)}" in text
    assert f"tallyport_connection_busy{label} 1.0" in text
    (waits,) = (line for line in text.splitlines() if line.startswith(f"tallyport_connection_wait_seconds{label} "))
    assert 0.0 < float(waits.rpartition(" ")[2]) <= 60.0


def test_readiness_says_what_is_missing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.get("/readyz").json() == {"status": "ok", "checks": {"database": True, "disk": True}}
    monkeypatch.setattr("tallyport.control.counts.LEAST_ROOM", 1 << 62)
    answer = world.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": True, "disk": False}


def test_a_request_leaves_one_line_without_its_token(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tallyport.requests")
    world.get("/v1/jobs?q=word", role="viewer")
    (line,) = [record for record in caplog.records if record.name == "tallyport.requests"]
    facts = vars(line)
    assert (facts["method"], facts["route"], facts["status"], facts["user"]) == ("GET", "/v1/jobs", 200, "viewer")
    assert world.tokens["viewer"] not in str(facts)


@pytest.mark.parametrize(
    ("make", "change"),
    [
        ("connection", ("DELETE", "/v1/connections/{}", None)),
        ("connection", ("PUT", "/v1/connections/{}/access", {"restricted": True, "users": []})),
        ("map", ("DELETE", "/v1/account_maps/{}", None)),
        ("job", ("PATCH", "/v1/jobs/{}/plan", {"unmappedSourceFields": []})),
        ("job", ("DELETE", "/v1/jobs/{}", None)),
    ],
)
def test_whatever_has_a_version_is_changed_only_as_the_one_that_was_seen(
    world: World, make: str, change: tuple[str, str, Any]
) -> None:
    made = {
        "connection": lambda: world.connection("one"),
        "map": lambda: world.post("/v1/account_maps", json={"name": "m", "map_by": {"default": True}}).json()[
            "account_map"
        ]["id"],
        "job": world.job,
    }[make]()
    method, path, body = change
    stale = world.call(method, path.format(made), json=body, headers={"If-Match": '"77"'})
    assert stale.status_code == 412, stale.text
    done = world.call(method, path.format(made), json=body, headers={"If-Match": "*"})
    assert done.status_code == 200, done.text
