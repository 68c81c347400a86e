"""Events reach a receiver at least once, signed, in order; and a receiver in trouble is left alone for a while."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from tallyport.api.events import shapes
from tallyport.control import housekeeping, webhooks
from tallyport.control.desk import OWNER, Desk
from tallyport.control.posting import Outcome, posting
from tallyport.control.postman import LEASE, Postman
from tallyport.control.refusals import Conflict, Invalid
from tallyport.domain.deliveries import WAITS
from tallyport.domain.events import EXTENSIONS
from tallyport.domain.jobs import Job
from tallyport.store import events, jobs, rows
from tallyport.store import webhooks as store
from tallyport.store.database import open_database
from tallyport.store.keys import new_key
from tallyport.store.tables import deliveries
from tallyport.store.tables import events as events_table
from tallyport.store.vault import Vault


class Receiver:
    """A server on loopback that answers as told and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?key=1"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def topics(self) -> list[str]:
        return [json.loads(body)["topic"] for _, _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


class World:
    """A store, a postman with a clock of our own, and a way to make things happen."""

    def __init__(self, folder: str) -> None:
        self.database = open_database(f"sqlite:///{folder}/a.db")
        keys = [new_key()]
        self.vault = Vault(keys.copy)
        self.desk = Desk(database=self.database, vault=self.vault, allow_private=True)
        self.later = 0
        self.post = posting(allow_private=True)
        self.postman = Postman(
            self.database,
            self.vault,
            self.post,
            shapes.event,
            hidden=EXTENSIONS,
            chance=lambda: 0.5,
            clock=lambda: rows.now() + self.later,
        )

    def webhook(self, url: str, **more: Any) -> webhooks.Made:
        given: dict[str, Any] = {"name": None, "topics": (), "job_id": None, "secret": None, **more}
        return webhooks.create(self.desk, OWNER, url=url, **given)

    def job(self, name: str = "a job") -> str:
        with self.database.begin() as tx:
            return jobs.add(tx, Job(id=jobs.new_id(), name=name, created_at=1, modified_at=1)).id

    def round(self) -> int:
        return sum(self.postman.serve(one) for one in self.postman.collect())

    def states(self, webhook_id: str) -> dict[str, int]:
        with self.database.read() as tx:
            return store.counts(tx, webhook_id)


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    made = World(str(tmp_path))
    yield made
    made.database.close()


def test_an_event_arrives_once_signed_so_that_the_receiver_can_check_it(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    job_id = world.job()
    assert world.round() == 1
    assert world.round() == 0
    path, headers, body = receiver.got[0]
    assert path == "/hook?key=1"
    told = Verifier(made.secret).verify(body, headers)
    assert (told["topic"], told["context"]["jobId"]) == ("job:created", job_id)
    assert headers["webhook-id"] == f"evt_{told['id']}"
    assert headers["content-type"] == "application/json"
    assert world.states(made.webhook.id) == {"delivered": 1}


def test_a_webhook_is_told_what_happens_after_it_was_made_of_the_topics_and_the_job_it_wants(
    world: World, receiver: Receiver
) -> None:
    first = world.job()
    world.webhook(receiver.url, topics=("job:updated",), job_id=first)
    world.job()
    with world.database.begin() as tx:
        jobs.change(tx, first, name="new name")
        jobs.change(tx, first, state="canceled")
    world.round()
    assert receiver.topics() == ["job:updated", "job:updated"]


def test_events_arrive_in_order_and_what_failed_holds_up_what_is_behind_it(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    for number in range(3):
        world.job(f"job {number}")
    receiver.answers = [(200, {}), (500, {})]
    assert world.round() == 2
    assert world.states(made.webhook.id) == {"delivered": 1, "pending": 2}
    assert world.round() == 0  # it rests
    world.later += int(WAITS[0] * 1_000_000)
    assert world.round() == 2
    names = [json.loads(body)["payload"]["name"] for _, _, body in receiver.got]
    assert names == ["job 0", "job 1", "job 1", "job 2"]
    same = [headers["webhook-id"] for _, headers, _ in receiver.got]
    assert same[1] == same[2] != same[0]
    _, log = webhooks.delivery(world.desk, made.webhook.id, 2)
    assert [(one.number, one.status) for one in log] == [(1, 500), (2, 200)]


def test_a_message_that_is_refused_does_not_hold_up_the_others(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    world.job()
    world.job()
    receiver.answers = [(404, {})]
    assert world.round() == 2
    assert world.states(made.webhook.id) == {"delivered": 1, "pending": 1}


def test_what_is_never_taken_is_a_dead_letter_and_can_be_tried_again(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    world.job()
    receiver.answers = [(500, {})] * (len(WAITS) + 1)
    attempts = 0
    for wait in (0.0, *WAITS):
        world.later += int(wait * 1_000_000)
        attempts += world.round()
    assert attempts == len(WAITS) + 1
    assert world.states(made.webhook.id) == {"dead": 1}
    assert webhooks.retry(world.desk, made.webhook.id, None) == 1
    assert world.round() == 1
    assert world.states(made.webhook.id) == {"delivered": 1}
    _, log = webhooks.delivery(world.desk, made.webhook.id, 1)
    assert [one.number for one in log] == list(range(1, len(WAITS) + 3))


def test_a_receiver_that_is_gone_is_sent_nothing_more_until_it_is_enabled(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    world.job()
    world.job()
    receiver.answers = [(410, {})]
    assert world.round() == 1
    found, counts = webhooks.show(world.desk, made.webhook.id)
    assert "410" in str(found.disabled)
    assert counts == {"dead": 2}
    world.job()
    assert world.round() == 0
    with pytest.raises(Conflict):
        webhooks.retry(world.desk, made.webhook.id, None)
    webhooks.change(world.desk, made.webhook.id, webhooks.Change(disabled=False), version=None)
    world.job("after")
    assert world.round() == 1
    assert json.loads(receiver.got[-1][2])["payload"]["name"] == "after"


def test_a_redirect_is_not_followed(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    world.job()
    receiver.answers = [(302, {"Location": "http://127.0.0.1:1/elsewhere"})]
    world.round()
    assert len(receiver.got) == 1
    _, log = webhooks.delivery(world.desk, made.webhook.id, 1)
    assert log[0].status == 302
    assert "not followed" in log[0].answer


def test_a_host_that_came_to_lead_into_a_private_network_gets_nothing(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    world.job()
    guarded = Postman(world.database, world.vault, posting(allow_private=False), shapes.event)
    for one in guarded.collect():
        guarded.serve(one)
    assert receiver.got == []
    _, log = webhooks.delivery(world.desk, made.webhook.id, 1)
    assert log[0].status is None


def test_a_death_in_the_middle_of_an_attempt_sends_it_again(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    world.job()

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> Outcome:
        raise Killed

    dying = Postman(world.database, world.vault, killed, shapes.event)
    with pytest.raises(Killed):
        for one in dying.collect():
            dying.serve(one)
    assert world.round() == 0  # the lease of who died still runs
    world.later += LEASE + 1_000_000
    assert world.round() == 1
    assert world.states(made.webhook.id) == {"delivered": 1}


def test_two_postmen_on_one_store_deliver_each_event_once(world: World, receiver: Receiver) -> None:
    world.webhook(receiver.url)
    for _ in range(20):
        world.job()
    others = [Postman(world.database, world.vault, world.post, shapes.event) for _ in range(2)]
    threads = [threading.Thread(target=lambda one=one: [one.serve(found) for found in one.collect()]) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [headers["webhook-id"] for _, headers, _ in receiver.got]
    assert len(ids) == len(set(ids)) == 20


def test_both_secrets_sign_after_a_rotation(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    new = webhooks.rotate(world.desk, made.webhook.id)
    assert new.secret != made.secret
    world.job()
    world.round()
    _, headers, body = receiver.got[0]
    for secret in (made.secret, new.secret):
        assert Verifier(secret).verify(body, headers)
    with world.database.read() as tx:
        stored = store.find(tx, made.webhook.id)
    assert stored is not None
    assert webhooks.signing_secrets(world.vault, stored, rows.now() + webhooks.OLD_FOR) == [new.secret]
    assert new.secret not in repr(stored)


def test_a_test_message_says_what_came_back(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    outcome = webhooks.test(world.desk, made.webhook.id, world.post)
    assert (outcome.status, outcome.answer) == (200, "ok")
    assert Verifier(made.secret).verify(receiver.got[0][2], receiver.got[0][1])["topic"] == "webhook:test"
    receiver.server.shutdown()
    receiver.server.server_close()
    assert webhooks.test(world.desk, made.webhook.id, world.post).status is None


def test_a_new_address_gets_nothing_that_was_meant_for_the_old_one(world: World, receiver: Receiver) -> None:
    made = world.webhook("http://127.0.0.1:1/")
    world.job()
    world.round()
    webhooks.change(world.desk, made.webhook.id, webhooks.Change(url=receiver.url), version=None)
    world.later += 10_000_000
    world.round()
    assert receiver.got == []


def test_a_secret_of_ones_own_is_checked_and_never_shown(world: World, receiver: Receiver) -> None:
    own = webhooks.new_secret()
    assert world.webhook(receiver.url, secret=own).secret == own
    for wrong in ("whsec_short", "nothing", "whsec_" + "A" * 200, own.removeprefix("whsec_")):
        with pytest.raises(Invalid) as caught:
            world.webhook(receiver.url, secret=wrong)
        assert wrong not in str(caught.value)


def test_housekeeping_keeps_what_a_webhook_has_not_got_yet(world: World, receiver: Receiver) -> None:
    made = world.webhook(receiver.url)
    world.job()
    long_ago = 86_400_000_000
    with world.database.begin() as tx:
        tx.execute(events_table.update().values(created_at=long_ago))
    assert housekeeping.sweep(world.database, housekeeping.Kept())["events"] == 0
    world.round()
    assert housekeeping.sweep(world.database, housekeeping.Kept())["events"] == 1
    with world.database.begin() as tx:
        assert events.last_id(tx) == 0
        tx.execute(deliveries.update().values(ended_at=long_ago))
    assert housekeeping.sweep(world.database, housekeeping.Kept())["delivered"] == 1
    assert world.states(made.webhook.id) == {}
