"""C7: starting, pausing, resuming, canceling, retrying and deleting at random, and engines that stop, while one works.

Attacks I4 and I6: no execution ever makes a move that there is not, and none leaves work that nobody ends. A trigger of
the ledger writes down every move, so that none is missed however quick it is. `TALLYPORT_SEED` replays the calls.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import suppress

import pytest

from tallyport.control import executions, jobs
from tallyport.control.desk import OWNER, Desk
from tallyport.control.refusals import Refusal
from tallyport.domain.states import FINAL, State, can_move
from tallyport.store import frontier
from tallyport.testing.worlds import differences, tree
from tests.engine.conftest import Port

SEED = int(os.environ.get("TALLYPORT_SEED") or random.randrange(1_000_000))
WORLD = "\n".join(f"d{folder}/{number}.txt {1 + number}b v1" for folder in range(8) for number in range(4))
WATCH = (
    "CREATE TABLE moves (was TEXT, became TEXT)",
    "CREATE TRIGGER moved AFTER UPDATE OF state ON executions WHEN old.state <> new.state"
    " BEGIN INSERT INTO moves VALUES (old.state, new.state); END",
)
CALLS = {"start": 5, "pause": 5, "resume": 5, "cancel": 2, "retry": 2, "delete": 1, "stop the engine": 1}


@pytest.mark.timeout(1_500)
@pytest.mark.parametrize("most", [120, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_whatever_is_asked_and_whenever_every_move_is_legal_and_no_work_is_left(port: Port, most: int) -> None:
    print(f"TALLYPORT_SEED={SEED}")
    chance = random.Random(SEED)
    with port.database.begin() as tx:
        for statement in WATCH:
            tx.exec_driver_sql(statement)
    tree(WORLD, port.source)
    port.slow(1, delay=0.001)
    port.start()
    desk = Desk(database=port.database, nudge=lambda: port.engine.nudge() if port.engine else None)
    job = make(desk, port)
    while count(port) < most:
        call = chance.choices(list(CALLS), list(CALLS.values()))[0]
        with suppress(Refusal):  # whatever the present state does not allow
            if call == "stop the engine":
                port.stop()
                port.start()
            elif call == "delete":
                jobs.delete(desk, job, OWNER)
                settle(port)
                job = make(desk, port)
            else:
                getattr(executions, call)(desk, job, OWNER)
        for _ in range(chance.randrange(20)):  # let the engine come as far as it may meanwhile
            last_state(port)
    with suppress(Refusal):
        executions.cancel(desk, job, OWNER)
    settle(port)
    executions.start(desk, job, OWNER)
    settle(port)
    assert last_state(port) == State.COMPLETE
    assert differences(port.source, port.destination) == []
    made = moves(port)
    print(dict(made))
    assert [move for move in made if not can_move(State(move[0]), State(move[1]))] == []
    with port.database.read() as tx:
        assert frontier.open_batches(tx) == []
        for table in ("visits", "tasks"):
            held = tx.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE state = 'claimed'").scalar()
            assert held == 0, f"{held} {table} belong to nobody"


def make(desk: Desk, port: Port) -> str:
    ends = {
        "source": {"connection": {"id": port.job.source_connection}},
        "destination": {"connection": {"id": port.job.destination_connection}},
    }
    document = {"name": "asked at random", "transfer": {"transfer_type": "copy", **ends}}
    return jobs.create(desk, document, OWNER).picture.job.id


def last_state(port: Port) -> str | None:
    with port.database.read() as tx:
        return tx.exec_driver_sql("SELECT state FROM executions ORDER BY id DESC LIMIT 1").scalar()


def count(port: Port) -> int:
    with port.database.read() as tx:
        return tx.exec_driver_sql("SELECT count(*) FROM moves").scalar() or 0


def moves(port: Port) -> Counter[tuple[str, str]]:
    with port.database.read() as tx:
        return Counter((was, became) for was, became in tx.exec_driver_sql("SELECT was, became FROM moves"))


def settle(port: Port) -> None:
    """Wait until every execution has ended."""
    with port.database.read() as tx:
        numbers = list(tx.exec_driver_sql("SELECT id, state FROM executions"))
    for number in [number for number, state in numbers if state not in FINAL]:
        port.wait(number, lambda found: found.state in FINAL)
