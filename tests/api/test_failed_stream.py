"""Failed items by the hundred thousand: every form streams from a cursor, at the memory of a few."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from tallyport.api.commvault import failed_items
from tallyport.control import failed
from tallyport.control.desk import Desk
from tallyport.domain.connections import Connection
from tallyport.domain.entries import Kind
from tallyport.domain.jobs import Job
from tallyport.store import failures
from tallyport.store.failures import FailedItem
from tests.api.world import World

FEW = 3_000
FORMS = {
    "list": ("application/json", ""),
    "matrix": ("application/xml", "isFailedItemsCSV=true&columns=extended"),
    "csv": ("text/csv", ""),
}


def fill(world: World, count: int) -> int:
    run = world.run(world.job(), "executing")
    with world.database.begin() as tx:
        for start in range(0, count, 10_000):
            block = range(start, min(start + 10_000, count))
            told = "cannot read folder/file: permission denied"
            rows = [(run, n + 1, b"folder/%08d.txt" % (n * 7 % count), 1, 4, "locked", told, 1, 1, 1, 1) for n in block]
            failures.write(tx, world.database, rows)
    return run


async def consume(world: World, run: int, form: str) -> tuple[int, int]:
    """Give (bytes sent, highest memory above the start) of one answer."""
    accept, query = FORMS[form]
    scope = {"type": "http", "headers": [(b"accept", accept.encode())], "query_string": query.encode()}
    tracemalloc.start()
    try:
        answer: Any = failed_items.answer(Request(scope), failed.of_execution(Desk(database=world.database), run))
        sent = 0
        async for block in answer.body_iterator:
            sent += len(block)
        return sent, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.nightly)])
def test_memory_does_not_grow_with_the_failed_items(world: World, form: str, count: int) -> None:
    few, many = fill(world, FEW), fill(world, count)
    asyncio.run(consume(world, few, form))  # what is made once is made
    small_sent, small = asyncio.run(consume(world, few, form))
    sent, high = asyncio.run(consume(world, many, form))
    assert sent > small_sent * (count // FEW) * 0.9
    assert high < small * 1.25 + 1_000_000, (small, high)


@pytest.fixture(autouse=True)
def _close(world: World) -> Iterator[None]:
    yield
    with world.database.begin() as tx:
        tx.exec_driver_sql("DELETE FROM failures")


@pytest.mark.parametrize(
    ("root", "source", "shown"),
    [
        ("/", "", ["/", "/x/", "/x/a.txt"]),
        ("/", "etc", ["/etc/", "/etc/x/", "/etc/x/a.txt"]),
        ("/srv/old/", "", ["/srv/old/", "/srv/old/x/", "/srv/old/x/a.txt"]),
        ("/srv/old", "deep/er", ["/srv/old/deep/er/", "/srv/old/deep/er/x/", "/srv/old/deep/er/x/a.txt"]),
        (None, "", ["/", "x/", "x/a.txt"]),
    ],
)
def test_an_entity_is_the_whole_path_whatever_the_root(
    world: World, root: str | None, source: str, shown: list[str]
) -> None:
    known = None
    if root is not None:
        known = Connection(id="1", name="old", platform="fs", settings={"path": root}, created_at=1, modified_at=1)
    job = Job(id="a", name="a", source_path=source, created_at=1, modified_at=1)
    found = failed.FailedItems(job=job, execution=None, source=known, total=3, desk=Desk(database=world.database))
    told = ("denied", 1, 1, 1, 1, 1)
    each = [(1, "", Kind.CONTAINER), (2, "x", Kind.CONTAINER), (3, "x/a.txt", Kind.FILE)]
    assert [found.entity(FailedItem(*one, 4, "locked", *told)) for one in each] == shown
