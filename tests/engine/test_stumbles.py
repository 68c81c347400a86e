"""What the engine cannot get over with one execution ends that one, is said, and keeps no other from its turn."""

from __future__ import annotations

import sqlite3

import pytest

from tallyport.domain.errors import TallyportError
from tallyport.engine.engine import Engine
from tallyport.store import executions
from tests.engine.conftest import Port, copy
from tests.engine.pairs import until


def spoil(port: Port, *words: str) -> None:
    """Have the ledger's own schema know some words of states no more, as after flipped bits."""
    with sqlite3.connect(port.database.path or "") as raw:
        raw.execute("PRAGMA writable_schema = ON")
        for word in words:
            spoilt = (f"'{word}'", f"'{word[:-1]}\x7f'")
            raw.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'jobs'", spoilt)
        (version,) = raw.execute("PRAGMA schema_version").fetchone()
        raw.execute(f"PRAGMA schema_version = {version + 1}")  # others read it anew


def test_a_run_that_the_ledger_lets_not_begin_ends_and_says_why(port: Port) -> None:
    spoil(port, "executing")
    port.start()
    run = port.begin(copy())
    ended = port.wait(run)
    assert ended.state == "failed_to_start"
    assert "CHECK constraint failed" in (ended.info or "")


def test_where_not_even_that_can_be_written_the_ledger_is_said_to_be_damaged(port: Port) -> None:
    spoil(port, "executing", "failed", "failed_to_start")
    port.start()
    port.begin(copy())
    until(lambda: port.database.damage is not None)
    with pytest.raises(TallyportError, match="is damaged"):
        port.database.check()


def test_one_execution_that_cannot_go_on_keeps_no_other_from_its_turn(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = port.begin(copy())
    good = port.begin(copy())
    step = Engine._step

    def stumbling(engine: Engine, execution_id: int) -> None:
        if execution_id == bad:
            raise ValueError("a row that nobody can read")
        step(engine, execution_id)

    monkeypatch.setattr(Engine, "_step", stumbling)
    port.start()
    assert port.wait(good).state == "complete"
    assert "a row that nobody can read" in (port.wait(bad).info or "")


def test_an_outage_is_no_reason_to_end_a_run(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    step, left = Engine._step, [8]

    def stumbling(engine: Engine, execution_id: int) -> None:
        if left[0] > 0:
            left[0] -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            from tallyport.store.phrases import sa

            raise sa.exc.OperationalError("UPDATE", None, error)
        step(engine, execution_id)

    monkeypatch.setattr(Engine, "_step", stumbling)
    port.start()
    assert port.wait(port.begin(copy())).state == "complete"
    with port.database.read() as tx:
        assert executions.states_of_open(tx) == []
