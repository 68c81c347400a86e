"""The lists behind the numbers: each total of a run leads to the items it counts."""

from __future__ import annotations

import csv
import io
import itertools
import re

from tallyport.domain.actions import EQUAL, Reason
from tallyport.domain.entries import Kind
from tallyport.domain.items import DONE, Status
from tallyport.engine import tally
from tallyport.store import losses
from tallyport.web.pages.items import OUTCOMES
from tests.carried import carry_parts
from tests.web.conftest import Console

TOTALS = {"transferred": "carried", "unchanged": "equal", "deleted": "deleted"}


def test_an_outcome_lists_what_the_total_of_its_name_counts() -> None:
    scene = tally.Scene(1, "job", 1, "token", 1, 3, simulation=False)
    for kind, status, reason in itertools.product(Kind, DONE, Reason):
        counted = scene.category(kind, status, reason)
        listed = [
            name
            for name in ("carried", "equal", "deleted")
            if kind is not Kind.CONTAINER and status in OUTCOMES[name].statuses and reason in OUTCOMES[name].reasons
        ]
        if reason is Reason.MOVED:  # counted when it was carried, and again when its source went
            continue
        assert listed == ([TOTALS[counted]] if counted else []), (kind, status, reason)


def rows_of(console: Console, path: str) -> set[str]:
    return set(re.findall(r'aria-controls="drawer">(.*?)</a>', console.page(path)))


def test_the_numbers_of_a_run_lead_to_its_items(console: Console) -> None:
    world = console.world
    job = world.job()
    run = world.run(job, "executing", transferred=1, unchanged=1, deleted=1, files=3)
    world.item(job, "a/carried.txt")
    world.item(job, "a/equal.txt", reason="same_content")
    world.item(job, "a/gone.txt", reason="not_at_source")
    world.item(job, "a/left.txt", Status.SKIPPED, reason="ignored_hidden")
    world.run(job, "complete")
    console.sign_in()
    assert rows_of(console, f"/jobs/{job}/items?outcome=carried&execution={run}") == {"/a/carried.txt"}
    assert rows_of(console, f"/jobs/{job}/items?outcome=equal") == {"/a/equal.txt"}
    assert rows_of(console, f"/jobs/{job}/items?outcome=good") == {"/a/carried.txt", "/a/equal.txt"}
    assert rows_of(console, f"/jobs/{job}/items?outcome=deleted&execution={run}") == {"/a/gone.txt"}
    live = console.page(f"/jobs/{job}/live")
    for query in ("outcome=carried&amp;execution=", "outcome=good", "outcome=deleted&amp;execution="):
        assert f"/items?{query}" in live, query
    assert "settled and no later run has settled again" in console.page(f"/jobs/{job}/items?execution={run}")


def test_a_list_and_its_csv_hold_the_same(console: Console) -> None:
    world = console.world
    job = world.job()
    world.run(job, "executing")
    world.item(job, "carried.txt")
    for reason in sorted(EQUAL):
        world.item(job, f"{reason}.txt", reason=reason)
    console.sign_in()
    text = console.page(f"/jobs/{job}/items?outcome=equal")
    (address,) = re.findall(r'href="(/v1/transfers/[^"]+items\.csv[^"]*)"', text)
    lines = list(csv.DictReader(io.StringIO(console.client.get(address.replace("&amp;", "&")).text)))
    assert {line["reason"] for line in lines} == EQUAL
    assert {one["source_path"] for one in lines} == rows_of(console, f"/jobs/{job}/items?outcome=equal")


def test_what_an_item_lost_on_the_way_is_told(console: Console) -> None:
    world = console.world
    job = world.job()
    run = world.run(job, "executing")
    item = world.item(job, "shared.txt")
    with world.database.begin() as tx:
        losses.write(tx, world.database, world.ids, run, [(item, "owner", "<ann> is nobody there")])
    console.sign_in()
    text = console.page(f"/items/{item}")
    assert "What did not travel" in text
    assert "&lt;ann&gt; is nobody there" in text


def test_who_carried_which_part_of_a_huge_file_is_told(console: Console) -> None:
    world = console.world
    job = world.job()
    run = world.run(job, "executing")
    item, small = world.item(job, "big"), world.item(job, "small")
    carry_parts(world.database, run, item, ["<ann>", "bob"], ["bob"], 1)
    console.sign_in()
    text = console.page(f"/items/{item}")
    for words in ("&lt;ann&gt;", "carried", "under way", "waiting", "nobody yet", "Range by range"):
        assert words in text, words
    assert "Range by range" not in console.page(f"/items/{small}")


def test_what_was_deleted_is_not_called_carried(console: Console) -> None:
    world = console.world
    job = world.job()
    world.run(job, "executing")
    gone = world.item(job, "gone.txt", reason="not_at_source")
    equal = world.item(job, "equal.txt", reason="unchanged")
    console.sign_in()
    assert 'tag-orange">deleted</span>' in console.page(f"/items/{gone}")
    assert 'tag-teal">equal</span>' in console.page(f"/items/{equal}")
    assert "by <a" in console.page(f"/items/{gone}")
    assert ">run 1</a>" in console.page(f"/items/{gone}")
