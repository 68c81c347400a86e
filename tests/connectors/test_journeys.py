"""Many exchanges on one thread: what is late, refused or left in the middle is that journey's alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tallyport.connectors.answers import Call
from tallyport.connectors.journeys import Inbox, Journey, Together, alone
from tallyport.domain.errors import ErrorKind, TallyportError


class Server:
    """Answers what was asked when it is told to: the newest first, or at once, or never."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, Call]] = []
        self.at_once = True
        self.asked: list[str] = []
        self.given_up: list[str] = []

    def begin(self, asked: str, inbox: Inbox) -> Call:
        self.asked.append(asked)
        if asked.startswith("refused"):
            raise ConnectionResetError("nobody is there")
        call = Call([len(self.asked)], inbox)
        self.waiting.append((asked, call))
        if self.at_once:
            self.answer()
        return call

    def answer(self) -> None:
        while self.waiting:
            asked, call = self.waiting.pop()
            if asked.startswith("broken"):
                call.fail(ConnectionResetError("the way broke"))
            elif not asked.startswith("silent"):
                call.answer(0, 0, asked.upper().encode())

    def late(self, asked: str, call: Call) -> Exception:
        self.given_up.append(asked)
        return TimeoutError(asked)


def journey(*asked: str, ended: Callable[[], None] | None = None) -> Journey[str, str]:
    found = []
    try:
        for one in asked:
            try:
                ((_, body),) = yield one
            except OSError as error:
                raise TallyportError(ErrorKind.UNAVAILABLE, f"{type(error).__name__}", path=one) from error
            found.append(body.decode())
        return " ".join(found)
    finally:
        if ended is not None:
            ended()


def made(server: Server, journeys: Iterator[Any] | list[Any], *, seconds: float = 30.0, most: int = 4) -> list[Any]:
    together: Together[str, str, str] = Together(server.begin, server.late, seconds, most)
    return list(together.make(journeys))


def test_each_journey_gets_its_own_answers() -> None:
    server = Server()
    found = made(server, [(f"j{number}", journey(f"a{number}", f"b{number}")) for number in range(20)])
    assert dict(found) == {f"j{number}": f"A{number} B{number}" for number in range(20)}


def test_no_more_are_under_way_than_there_may_be() -> None:
    server = Server()
    server.at_once = False
    most = []

    def journeys() -> Iterator[Any]:
        for number in range(8):
            most.append(len(server.waiting))
            if len(server.waiting) == 3:
                server.answer()
            yield f"j{number}", journey(f"a{number}")
        server.answer()

    assert len(made(server, journeys(), most=4)) == 8
    assert max(most) == 3


@pytest.mark.parametrize(
    ("asked", "why"), [("refused", "ConnectionResetError"), ("broken", "ConnectionResetError"), ("silent", "Timeout")]
)
def test_what_goes_wrong_with_one_is_its_own(asked: str, why: str) -> None:
    server = Server()
    outcomes = dict(made(server, [("a", journey("a")), ("b", journey("b", asked)), ("c", journey("c"))], seconds=0.0))
    assert (outcomes["a"], outcomes["c"]) == ("A", "C")
    assert isinstance(outcomes["b"], TallyportError)
    assert (outcomes["b"].kind, outcomes["b"].path) == (ErrorKind.UNAVAILABLE, asked)
    assert outcomes["b"].message.startswith(why)
    assert server.given_up == ([asked] if asked == "silent" else [])


def test_an_answer_that_comes_after_it_was_given_up_is_nobodys() -> None:
    server = Server()
    late: list[Call] = []

    def journeys() -> Iterator[Any]:
        server.at_once = False
        yield "a", journey("a")
        yield None
        late.append(server.waiting.pop()[1])
        late[0].answer(0, 0, b"late")
        server.at_once = True
        yield "b", journey("b")

    found = [one for one in made(server, journeys(), seconds=0.0) if one is not None]
    assert [mark for mark, _ in found] == ["a", "b"]
    assert isinstance(found[0][1], TallyportError)
    assert found[1][1] == "B"


def test_a_mistake_of_ours_is_that_journeys_alone() -> None:
    def mistaken() -> Journey[str, str]:
        yield "a"
        raise ZeroDivisionError("a mistake of ours")

    outcomes = dict(made(Server(), [("a", mistaken()), ("b", journey("b"))]))
    assert isinstance(outcomes["a"], TallyportError)
    assert outcomes["a"].kind is ErrorKind.UNEXPECTED
    assert outcomes["b"] == "B"


def test_who_leaves_in_the_middle_lets_what_began_come_to_its_end() -> None:
    """What is open at a server would stay open, and what is unfinished there would stay."""
    server, ended = Server(), []
    server.at_once = False

    def journeys() -> Iterator[Any]:
        for number in range(3):
            yield f"j{number}", journey(f"a{number}", f"b{number}", ended=lambda: ended.append(1))
        server.at_once = True
        server.answer()
        yield "never", journey("never", ended=lambda: ended.append(1))

    together: Together[str, str, str] = Together(server.begin, server.late, 30.0, 4)
    outcomes = together.make(journeys())
    next(outcomes)
    outcomes.close()
    assert len(ended) == 4
    assert {"b0", "b1", "b2"} <= set(server.asked)


def test_a_caller_who_must_wait_is_told_when_nothing_is_under_way() -> None:
    assert made(Server(), [None, ("a", journey("a")), None, None]) == [None, ("a", "A"), None]


def test_a_journey_alone_goes_step_by_step_and_hears_its_errors() -> None:
    def ask(asked: str) -> list[tuple[int, bytes]]:
        if asked == "broken":
            raise ConnectionResetError
        return [(0, asked.upper().encode())]

    assert alone(journey("a", "b"), ask) == "A B"
    with pytest.raises(TallyportError, match="ConnectionResetError"):
        alone(journey("a", "broken"), ask)
