"""With a million items in a job every page answers quickly: pages go by key, counts come from kept totals."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.bench import console, ledgers

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]

MANY = int(os.environ.get("TALLYPORT_TEST_ITEMS", "1000000"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a folder whose ledger is made once."""
    made = str(tmp_path_factory.mktemp("large"))
    ledgers.make(os.path.join(made, "ledger"), MANY)
    return made


def test_every_page_answers_within_its_limit(folder: str) -> None:
    found = console.pages(folder, MANY, print)
    worst = {name: max(map(console.late, both)) for name, both in found.items()}
    assert {name: seconds for name, seconds in worst.items() if seconds > console.GOAL} == {}


def test_a_search_goes_on_until_it_has_seen_the_whole_job(folder: str, tmp_path: Path) -> None:
    ledger = ledgers.make(os.path.join(folder, "ledger"), MANY)
    wanted = f"file-{MANY - 1:07}.txt"
    with console.before(str(tmp_path), ledger, few_failed=True) as visitor:
        path = f"/console/jobs/{ledger.job}/items?q={MANY - 1:07}"
        asked = 0
        while True:
            _, text = visitor.get(path)
            asked += 1
            assert asked < 100
            if wanted in text:
                break
            following = re.findall(r'href="(/console/jobs/[^"]+cursor=\d+)">Search on', text)
            assert following, "the search ended without finding what is there"
            path = following[-1].replace("&amp;", "&")
    assert asked > 1 or MANY <= 20_000
