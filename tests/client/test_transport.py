"""What is sent, what is tried again, and which error an answer becomes."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2
import pytest

from tallyport.client import (
    Client,
    ClientError,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    NotReached,
    NotSignedIn,
    ServerFailed,
    Stale,
    TooMany,
)
from tallyport.client.errors import from_answer
from tallyport.client.transport import TRIES, Transport

Handler = Callable[[httpx2.Request], httpx2.Response]


class Wire:
    """A server made of answers; keeps what it was asked."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def transport(self, token: str | None = "secret") -> Transport:
        return Transport(
            "http://tally.test/base/",
            token,
            timeout=1,
            transport=httpx2.MockTransport(self),
            sleep=self.slept.append,
        )


def ok(**document: object) -> httpx2.Response:
    return httpx2.Response(200, json=document)


def test_the_token_goes_in_its_header_below_the_base() -> None:
    wire = Wire(ok(a=1))
    assert wire.transport().get("/v1/jobs", {"x": True, "y": None, "z": [1, 2]}) == {"a": 1}
    (request,) = wire.requests
    assert request.headers["authorization"] == "Bearer secret"
    assert str(request.url) == "http://tally.test/base/v1/jobs?x=1&z=1%2C2"


def test_without_a_token_there_is_no_header() -> None:
    wire = Wire(ok())
    wire.transport(None).get("/healthz")
    assert "authorization" not in wire.requests[0].headers


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_get_is_tried_again(status: int) -> None:
    wire = Wire(httpx2.Response(status), httpx2.ConnectError("no"), ok(a=1))
    assert wire.transport().get("/x") == {"a": 1}
    assert len(wire.requests) == 3


def test_tries_end() -> None:
    wire = Wire(httpx2.Response(503))
    with pytest.raises(ServerFailed):
        wire.transport().get("/x")
    assert len(wire.requests) == TRIES
    assert wire.slept == sorted(wire.slept)


def test_no_answer_says_which_server() -> None:
    wire = Wire(httpx2.ConnectError("refused"))
    with pytest.raises(NotReached, match=r"tally\.test"):
        wire.transport().get("/x")


def test_a_post_is_tried_again_under_the_same_key() -> None:
    wire = Wire(httpx2.ReadTimeout("slow"), httpx2.Response(409, headers={"Retry-After": "1"}), ok(id=1))
    assert wire.transport().post("/v1/jobs", {"a": 1}) == {"id": 1}
    assert len({request.headers["idempotency-key"] for request in wire.requests}) == 1
    assert wire.slept[1] == 1.0


def test_two_posts_have_two_keys() -> None:
    wire = Wire(ok())
    transport = wire.transport()
    transport.post("/x")
    transport.post("/x")
    assert len({request.headers["idempotency-key"] for request in wire.requests}) == 2


@pytest.mark.parametrize("call", ["patch", "delete"])
def test_nothing_else_is_tried_again(call: str) -> None:
    wire = Wire(httpx2.Response(503))
    with pytest.raises(ServerFailed):
        getattr(wire.transport(), call)("/x")
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, NotSignedIn),
        (403, NotAllowed),
        (404, NotFound),
        (409, Conflict),
        (412, Stale),
        (418, ClientError),
        (422, Invalid),
        (500, ServerFailed),
    ],
)
def test_an_answer_becomes_an_error_by_status(status: int, kind: type[ClientError]) -> None:
    assert type(from_answer(status, None)) is kind


def test_a_problem_document_becomes_an_error_by_type() -> None:
    document = {
        "type": "urn:tallyport:problem:conflict",
        "code": "conflict",
        "detail": "it runs",
        "errors": [{"path": "/transfer", "code": "wrong", "message": "no", "allowed": ["a"]}],
    }
    error = from_answer(400, document, request_id="r1")
    assert isinstance(error, Conflict)
    assert (error.message, error.status, error.request_id) == ("it runs", 400, "r1")
    assert error.problems[0].allowed == ("a",)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"errors": [{"description": "old form"}]}, "old form"),
        ({"error": "invalid_grant", "error_description": "oauth"}, "oauth"),
        (["not", "an", "object"], "the server answered 400"),
    ],
)
def test_the_older_forms_are_read(document: object, message: str) -> None:
    assert from_answer(400, document).message == message


def test_a_redirect_is_not_followed_with_the_token() -> None:
    wire = Wire(httpx2.Response(307, headers={"location": "http://evil.test/"}))
    with pytest.raises(ClientError, match=r"evil\.test"):
        wire.transport().get("/x")
    assert len(wire.requests) == 1


def test_too_many_calls_is_an_error_of_its_own_in_the_end() -> None:
    wire = Wire(httpx2.Response(429, headers={"Retry-After": "3"}))
    with pytest.raises(TooMany):
        wire.transport().get("/x")
    assert wire.slept == [3.0] * (TRIES - 1)


def test_an_answer_that_is_not_the_json_it_says() -> None:
    wire = Wire(httpx2.Response(200, content=b"{", headers={"content-type": "application/json"}))
    with pytest.raises(ClientError):
        wire.transport().get("/x")


def test_pages_follow_the_servers_link_but_not_to_another_host() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        if "cursor" in str(request.url):
            return ok(item=[{"id": 2}], meta={"has_more": False})
        link = {"next": {"href": "http://evil.test/v1/transfers/items?cursor=7&job=j"}}
        return ok(item=[{"id": 1}], meta={"has_more": True, "links": link})

    seen: list[str] = []
    client = Client("http://tally.test", transport=httpx2.MockTransport(handle))
    assert [item.id for item in client.items.iterate("j", status=["retry", "remediation"])] == ["1", "2"]
    assert seen[1] == "http://tally.test/v1/transfers/items?cursor=7&job=j"


def test_pages_without_links_go_on_by_offset() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        offset = int(request.url.params["offset"])
        found = [{"id": f"c{n}", "name": "n", "platform": {"id": "fs"}} for n in range(offset, min(offset + 2, 5))]
        return ok(connections=found, meta={"has_more": offset + 2 < 5})

    client = Client("http://tally.test", transport=httpx2.MockTransport(handle))
    assert [c.id for c in client.connections.list()] == ["c0", "c1", "c2", "c3", "c4"]


def test_an_identifier_cannot_leave_its_segment() -> None:
    wire = Wire(ok(connection={"id": "x"}))
    client = Client("http://tally.test", transport=httpx2.MockTransport(wire))
    client.connections.get("../jobs?x#y")
    assert wire.requests[0].url.raw_path == b"/v1/connections/..%2Fjobs%3Fx%23y"


def test_the_body_of_a_job_is_put_together() -> None:
    wire = Wire(httpx2.Response(201, json={"job": {"id": "j", "name": "n", "status": "start"}}))
    client = Client("http://tally.test", transport=httpx2.MockTransport(wire))
    made = client.jobs.create(
        {"transfer": {"source": {"impersonate_as": {"email": "x"}}}},
        name="n",
        source="s1",
        destination="d1",
        destination_path="/new",
        transfer_type="copy",
        policies={"failure_policy": "halt"},
        start=True,
    )
    assert (made.id, made.state) == ("j", "ready")
    assert json.loads(wire.requests[0].content) == {
        "kind": "transfer",
        "schedule": {"mode": "manual"},
        "name": "n",
        "status": "start",
        "transfer": {
            "failure_policy": "halt",
            "transfer_type": "copy",
            "source": {"connection": {"id": "s1"}},
            "destination": {"connection": {"id": "d1"}, "target": {"path": "/new"}},
        },
    }


def test_an_empty_page_that_has_a_next_one_is_not_the_end() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if "cursor" in str(request.url):
            return ok(item=[{"id": 8}], meta={"has_more": False})
        link = {"next": {"href": "/v1/transfers/items?cursor=7&job=j"}}
        return ok(item=[], meta={"has_more": True, "links": link})

    client = Client("http://tally.test", transport=httpx2.MockTransport(handle))
    assert [item.id for item in client.items.iterate("j", status=["retry"])] == ["8"]
