"""Two servers on one PostgreSQL: each event is posted once, in order, whoever posts it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tallyport.testing import faults
from tallyport.testing.postgres import postgres_server
from tests.acceptance.product import Server

pytestmark = [pytest.mark.needs("pg_ctlcluster"), pytest.mark.timeout(240)]

EVENTS = 60


class Receiver:
    """Takes its time over each message, and keeps what it got in the order of arrival."""

    def __init__(self) -> None:
        self.got: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.got.append(int(body["id"]))
                time.sleep(0.02)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def servers(place: str) -> Iterator[list[Server]]:
    with postgres_server() as postgres:
        database = postgres.create()
        made: list[Server] = []
        try:
            for number in range(2):
                data = os.path.join(place, "data")  # one key for both, as on two machines
                one = Server(
                    data,
                    os.path.join(place, f"server-{number}.log"),
                    database=database,
                    options=("--no-worker",),
                    env={"TALLYPORT_ALLOW_PRIVATE_NETWORKS": "1"},
                )
                os.makedirs(data, exist_ok=True)
                one.start()
                made.append(one)
            made[0].sign_in()
            made[1].token = made[0].token
            yield made
        finally:
            for one in made:
                one.kill()


def test_each_event_is_posted_once_and_in_order_by_two_servers(
    servers: list[Server], receiver: Receiver, place: str
) -> None:
    servers[0].call("POST", "/v1/webhooks", {"url": receiver.url, "topics": ["job:created"]})
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    for folder in (source, destination):
        os.mkdir(folder)
    first = servers[0].job(source, destination)
    body = servers[0].call("GET", f"/v1/jobs/{first}")["job"]
    ends = {side: body["transfer"][side]["connection"]["id"] for side in ("source", "destination")}
    for number in range(1, EVENTS):
        transfer = {side: {"connection": {"id": end}, "target": {"path": "/"}} for side, end in ends.items()}
        document = {"name": str(number), "kind": "transfer", "transfer": {"transfer_type": "copy", **transfer}}
        servers[number % 2].call("POST", "/v1/jobs", {**document, "schedule": {"mode": "manual"}})
        if number == EVENTS // 2:  # whoever serves the receiver now may be gone: the other goes on
            victim = servers[0]
            victim.stop()
            victim.start()
    assert faults.wait_until(lambda: len(receiver.got) >= EVENTS, 120)
    hook = servers[0].call("GET", "/v1/webhooks")["webhooks"][0]["id"]

    def are_settled() -> bool:
        page = servers[1].call("GET", f"/v1/webhooks/{hook}/deliveries?limit=100")
        states = [one["state"] for one in page["data"]]
        return states == ["delivered"] * EVENTS

    assert faults.wait_until(are_settled, 60)
    assert sorted(set(receiver.got)) == receiver.got
    assert len(receiver.got) == EVENTS
