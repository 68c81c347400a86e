"""What is recorded is the same, in one transaction or in many."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.engine import recorder
from tallyport.store import items
from tallyport.store.database import Database
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import names, write


@pytest.mark.parametrize(("is_shared", "is_awaited"), [(True, False), (True, True), (False, True)])
def test_a_run_that_gives_way_to_people_records_everything(
    port: Port, monkeypatch: Any, *, is_shared: bool, is_awaited: bool
) -> None:
    monkeypatch.setattr(Database, "is_shared", property(lambda _self: is_shared))
    monkeypatch.setattr(Database, "is_awaited", property(lambda _self: is_awaited))
    monkeypatch.setattr(recorder, "PIECE", 1)
    wanted = {f"folder-{n}/{m}.txt" for n in range(12) for m in range(12)}
    for name in sorted(wanted):
        write(port.source, name, b"x")
    port.start()
    run = port.run()
    assert (run.state, run.result, run.transferred, run.files) == ("complete", "clean", 144, 144), run.info
    assert {name for name in names(port.destination) if not name.endswith("/")} == wanted
    with port.database.read() as tx:
        known = items.page(tx, port.job.number, limit=1_000)
    assert {row.path for row in known if row.kind == 1} == wanted
    assert port.run().result == "no_changes"
