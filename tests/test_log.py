"""The log of a server is one JSON object a line, and no secret is in it, whoever writes."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tallyport import log

TOKEN = "0123456789abcdef" * 4
CANARY = "canary-42-word"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root, own = logging.getLogger(), logging.getLogger("tallyport")
    before = (list(root.handlers), root.level, own.level)
    stream = io.StringIO()
    log.set_up("info", stream)
    yield stream
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    own.setLevel(own_level)


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}-long-enough",
        f"authtoken: QSDK {TOKEN}",
        f"Authtoken={CANARY}",
        f"sent {{'Authorization': 'Bearer {TOKEN}'}}",
        f'{{"password": "{CANARY}"}}',
        f"password={CANARY}&x=1",
        f"https://user:{CANARY}@example.com/x",
        f"pat_{TOKEN}",
        f"whsec_{TOKEN}",
        f"the session {TOKEN} ended",
        f"api_key={CANARY}",
        f"/setup#token={CANARY}",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    shown = log.hidden(text)
    assert CANARY not in shown
    assert TOKEN not in shown
    assert "***" in shown


@pytest.mark.parametrize("text", ["tokens were counted: 3", "job 3f2a is ready", "https://example.com/a?b=c", "a=1"])
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert log.hidden(text) == text


def test_a_line_is_one_object_with_its_facts_and_no_secret(written: io.StringIO) -> None:
    facts = {"request": "r1", "user": "ann", "password": CANARY, "headers": {"authorization": CANARY, "accept": "x"}}
    logging.getLogger("tallyport.requests").info("request.served", extra=facts)
    line = json.loads(written.getvalue())
    assert (line["event"], line["level"], line["logger"]) == ("request.served", "info", "tallyport.requests")
    assert (line["request"], line["user"], line["headers"]["accept"]) == ("r1", "ann", "x")
    assert line["timestamp"].endswith("Z")
    assert CANARY not in written.getvalue()


def test_libraries_and_tracebacks_are_redacted_too(written: io.StringIO) -> None:
    try:
        raise RuntimeError(f"login failed with password={CANARY}")
    except RuntimeError:
        logging.getLogger("some.library").exception("got Authorization: Bearer %s", TOKEN)
    assert CANARY not in written.getvalue()
    assert TOKEN not in written.getvalue()
    assert "RuntimeError" in written.getvalue()


def test_libraries_log_from_warning_on_only(written: io.StringIO) -> None:
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("tallyport.x").debug("detail")
    assert written.getvalue() == ""
