"""Many calls under way on one thread: what is late, cut or refused is one object's trouble."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, cast

import pytest

from tallyport.connectors.pausing import Pause
from tallyport.connectors.protocol import Facts, SmallWrite
from tallyport.connectors.registry import platform
from tallyport.connectors.s3 import Settings, open_s3
from tallyport.connectors.s3_door import Door, Keys
from tallyport.connectors.s3_errors import translate
from tallyport.connectors.s3_flights import Journey, together
from tallyport.connectors.s3_lean import Begun, Lean, _Line
from tallyport.connectors.s3_sdk import client_of
from tallyport.connectors.width import Holding, Places
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.bunch_contract import small, written
from tallyport.testing.object_servers import S3Server
from tallyport.testing.proxy import Trouble, proxied
from tallyport.testing.worlds import content, read_all

STORED = b'HTTP/1.1 200 OK\r\nETag: "stored"\r\nContent-Length: 0\r\n\r\n'
CUT_HEAD = b"HTTP/1.1 200 OK\r\nETag"
CUT_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 40\r\n\r\n<Error><Code>AccessDenied</Code></Error>"
ELSEWHERE = b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"
SILENT = b""


def client() -> Any:
    settings = platform("s3").read_settings(
        {"bucket": "b", "access_key": "a", "secret_key": "s", "endpoint": "http://127.0.0.1:9", "region": "us-east-1"}
    )
    return client_of(settings)


class Scripted(Lean):
    """The lean way to a server that answers each object as a test says, before anybody waits for it."""

    def __init__(self, answers: Mapping[str, bytes], *, timeout: float = 60.0) -> None:
        super().__init__(Door("http://s3.us-east-1.amazonaws.com", "/b/", "us-east-1", lambda: Keys("a", "s")), timeout)
        self.answers = answers
        self.peers: dict[int, socket.socket] = {}  # the server's ends, by the descriptor of ours
        self._all: list[socket.socket] = []
        self.begun: list[str] = []

    def _line(self) -> _Line:
        if self._idle:
            return super()._line()
        ours, theirs = socket.socketpair()
        ours.settimeout(self.timeout)
        self.peers[ours.fileno()] = theirs
        self._all.append(theirs)
        return _Line(ours, cast(Any, ours.makefile("rb")))

    def begin(self, operation: str, arguments: Mapping[str, Any]) -> Begun:
        begun = super().begin(operation, arguments)
        self.begun.append(arguments["Key"])
        peer = self.peers[begun.line.socket.fileno()]
        answer = self.answers.get(arguments["Key"], STORED)
        peer.sendall(answer)
        if answer in (CUT_HEAD, CUT_BODY):
            peer.shutdown(socket.SHUT_WR)
        return begun

    def end_all(self) -> None:
        self.close()
        for peer in self._all:
            peer.close()


class Sdk:
    """The way of the SDK, which counts."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.heard: list[Exception] = []
        self.pause = Pause()

    def hear(self, error: Exception) -> None:
        self.heard.append(error)

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        self.calls.append(arguments["Key"])
        return {"ETag": '"by the sdk"'}


def put(key: str, body: bytes = b"x") -> Journey[str]:
    with translate("write", key):
        answer = yield "put_object", {"Key": key, "Body": body}
    return cast(str, answer["ETag"])


def get(key: str) -> Journey[bytes]:
    with translate("read", key):
        answer = yield "get_object", {"Key": key}
        with closing(answer["Body"]) as body:
            data: bytes = body.read(100)
            if len(data) < answer["ContentLength"]:
                raise ConnectionResetError("the content ended early")
            return data


@pytest.fixture
def sdk() -> Sdk:
    return Sdk()


def made(lean: Scripted, sdk: Sdk, journeys: Mapping[str, Journey[Any]], **more: int) -> dict[str, Any]:
    """Make journeys; gives what came of each, an error as its kind."""
    found: dict[str, Any] = {}
    try:
        for one in together(sdk, lean, journeys.items(), **more):
            assert one is not None
            key, outcome = one
            assert key not in found
            found[key] = outcome.kind if isinstance(outcome, TallyportError) else outcome
    finally:
        lean.end_all()
    return found


KEYS = [f"k{number}" for number in range(8)]
TROUBLES = {
    "closed without a word": (CUT_HEAD, ErrorKind.UNAVAILABLE),
    "cut in its content": (CUT_BODY, ErrorKind.UNAVAILABLE),
    "refused": (REFUSED, ErrorKind.PERMISSION_DENIED),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("key", ["k0", "k3", "k7"])
def test_a_line_in_trouble_is_the_trouble_of_one_object(sdk: Sdk, trouble: str, key: str) -> None:
    answer, kind = TROUBLES[trouble]
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
    lean = Scripted({one: answer if one == key else good for one in KEYS})
    found = made(lean, sdk, {one: get(one) for one in KEYS})
    assert found == {one: kind if one == key else b"good" for one in KEYS}


def test_an_answer_that_does_not_come_in_time_is_late_for_one_object(sdk: Sdk) -> None:
    lean = Scripted({"k3": SILENT}, timeout=0.0)
    found = made(lean, sdk, {key: put(key) for key in KEYS})
    assert found == {key: ErrorKind.TIMEOUT if key == "k3" else '"stored"' for key in KEYS}


def test_a_line_whose_answer_was_late_is_never_used_again(sdk: Sdk) -> None:
    """The late answer would be taken for that of the next call."""
    lean = Scripted({"k0": SILENT}, timeout=0.0)
    found: dict[str, Any] = {}
    for one in together(sdk, lean, [("k0", put("k0"))]):
        assert one is not None
        found[one[0]] = one[1]
    (peer,) = lean.peers.values()
    peer.settimeout(10)
    while peer.recv(65_536):
        pass  # what was sent, and then the end
    assert not lean._idle
    assert made(lean, sdk, {"k1": put("k1")}) == {"k1": '"stored"'}


def test_an_answer_before_all_was_heard_is_taken_and_its_line_let_go(sdk: Sdk) -> None:
    lean = Scripted({"k3": REFUSED})
    found = made(lean, sdk, {key: put(key, bytes(16 * 1024 * 1024) if key == "k3" else b"x") for key in KEYS})
    assert found == {key: ErrorKind.PERMISSION_DENIED if key == "k3" else '"stored"' for key in KEYS}


def test_a_mistake_in_one_journey_ends_no_other(sdk: Sdk) -> None:
    def wrong() -> Journey[str]:
        yield from put("k3")
        raise LookupError("a mistake of ours")

    def wrong_at_once() -> Journey[str]:
        raise LookupError("a mistake of ours")
        yield from put("k4")

    journeys: dict[str, Journey[Any]] = {key: put(key) for key in KEYS} | {"k3": wrong(), "k4": wrong_at_once()}
    found = made(Scripted({}), sdk, journeys)
    assert found == {key: ErrorKind.UNEXPECTED if key in ("k3", "k4") else '"stored"' for key in KEYS}


def test_a_journey_may_go_on_from_an_error(sdk: Sdk) -> None:
    def stubborn() -> Journey[str]:
        try:
            yield from put("k3")
        except TallyportError:
            return (yield from put("again"))
        return "not refused"

    found = made(Scripted({"k3": REFUSED}), sdk, {"k3": stubborn(), "k1": put("k1")})
    assert found == {"k3": '"stored"', "k1": '"stored"'}


def test_once_the_bucket_is_elsewhere_the_sdk_makes_every_call(sdk: Sdk) -> None:
    lean = Scripted({"k0": ELSEWHERE})
    found = made(lean, sdk, {key: put(key) for key in KEYS}, most=1)
    assert set(found.values()) == {'"by the sdk"'}
    assert sdk.calls == KEYS
    assert lean.begun == ["k0"]
    assert lean.is_off


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_are_under_way_than_is_allowed(sdk: Sdk, most: int) -> None:
    lean = Scripted({})
    ended = 0
    for _ in together(sdk, lean, [(key, put(key)) for key in KEYS], most=most):
        assert len(lean.begun) - ended <= most
        ended += 1
    lean.end_all()
    assert ended == len(KEYS)


def test_whoever_leaves_in_the_middle_ends_what_is_under_way(sdk: Sdk) -> None:
    ended = []

    def watched(key: str) -> Journey[str]:
        try:
            return (yield from put(key))
        finally:
            ended.append(key)

    lean = Scripted(dict.fromkeys(KEYS[1:], SILENT))
    flights = together(sdk, lean, [(key, watched(key)) for key in KEYS])
    assert next(flights) == ("k0", '"stored"')
    flights.close()
    assert sorted(ended) == KEYS
    assert len(lean._idle) == 1
    lean.end_all()


# -- a real server


def opened(server: S3Server, path: str) -> Any:
    settings = platform("s3").read_settings(server.settings())
    assert isinstance(settings, Settings)
    return open_s3(settings, path, make=True)


def test_content_larger_than_a_line_holds_is_sent_as_it_is_heard(moto: S3Server) -> None:
    with closing(opened(moto, "flights-large")) as connector:
        data = [content(6 * 1024 * 1024, number) for number in range(3)]
        found = written(connector, [small(f"n{number}", one) for number, one in enumerate(data)])
        assert all(isinstance(outcome, Entry) for outcome in found.values())
        assert [read_all(connector, f"n{number}") for number in range(3)] == data


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(method="PUT", nth=4, is_reset=True),
        Trouble(method="PUT", nth=4, is_lost=True),
        Trouble(method="PUT", nth=4, cut_up=0.5),
        Trouble(method="PUT", nth=4, flip_up=0.5),
        Trouble(method="PUT", nth=4, status=500),
    ],
    ids=["reset", "lost", "cut", "flipped", "error"],
)
def test_a_bad_network_hurts_one_object_and_stores_nothing_wrong(seaweed: S3Server, trouble: Trouble) -> None:
    with proxied(int(seaweed.endpoint.rpartition(":")[2]), trouble) as proxy:
        place = f"flights-{proxy.port}"
        with closing(opened(S3Server(proxy.endpoint), place)) as connector:
            found = written(connector, [small(key, content(5_000, 7)) for key in KEYS])
            assert len(proxy.fired) == 1
            failed = [key for key, outcome in found.items() if isinstance(outcome, TallyportError)]
            assert len(failed) == 1
            assert cast(TallyportError, found[failed[0]]).kind is not ErrorKind.UNEXPECTED
            stored = {entry.name for entry in connector.children("")}
            assert set(KEYS) - set(failed) <= stored
            assert {read_all(connector, key) for key in stored} == {content(5_000, 7)}


def test_nothing_more_is_sent_before_the_time_that_the_platform_gave_in_the_middle(moto: S3Server) -> None:
    refusing = Trouble(method="PUT", nth=5, status=503, headers=(("Retry-After", "17"),))
    with proxied(int(moto.endpoint.rpartition(":")[2]), refusing) as proxy:
        now = 1000.0
        slept: list[tuple[float, int]] = []  # how long, and what had been sent by then

        def sleep(seconds: float) -> None:
            nonlocal now
            slept.append((seconds, len(proxy.matching("PUT"))))
            now += seconds

        places = Places(clock=lambda: now, sleep=sleep)
        bare = opened(S3Server(proxy.endpoint), f"flights-{proxy.port}")
        bare.pause_with(places.pause)  # as opening a connection does
        connector = Holding(bare, places)
        outcomes: dict[str, Any] = {}

        def one_at_a_time() -> Iterator[SmallWrite | None]:
            for number, key in enumerate(KEYS):
                while len(outcomes) < number:
                    yield None
                yield small(key, b"new", facts=Facts(3, 0))

        with closing(connector):
            for one in cast(Any, connector).write_many(one_at_a_time()):
                if one is not None:
                    outcomes[one[0].mark] = one[1]
    refused = [key for key, outcome in outcomes.items() if isinstance(outcome, TallyportError)]
    assert refused == ["k4"]
    assert (outcomes["k4"].kind, outcomes["k4"].retry_after) == (ErrorKind.UNAVAILABLE, 17.0)
    assert [seconds for seconds, _ in slept] == [17.0]
    assert slept[0][1] <= 5  # the proxy notes a request once it has answered it


def test_the_calls_of_a_journey_wait_too(moto: S3Server) -> None:
    """A platform that answers the look after a put with 503 is asked for nothing else before its time."""
    refusing = Trouble(method="HEAD", path="*/k0", nth=1, status=503, headers=(("Retry-After", "9"),))
    with proxied(int(moto.endpoint.rpartition(":")[2]), refusing) as proxy:
        now = 1000.0
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            nonlocal now
            slept.append(seconds)
            now += seconds

        with closing(opened(S3Server(proxy.endpoint), f"flights-{proxy.port}")) as connector:
            connector.pause_with(Pause(clock=lambda: now, sleep=sleep))
            without_time = Facts(1)  # its time is looked up after it is put
            first = written(connector, [small("k0", b"x", facts=without_time)])
            assert isinstance(first["k0"], TallyportError)
            assert slept == []
            assert isinstance(written(connector, [small("k1", b"x", facts=without_time)])["k1"], Entry)
            assert slept == [9.0]
