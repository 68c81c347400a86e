"""A look at a source goes through it as a run does, so that what it foretells of names comes true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallyport.connectors import surveying
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Connector, Facts
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry
from tallyport.domain.policies import Policies


class Backwards:
    """Lists what another connector has from the last to the first."""

    def __init__(self, inner: Connector) -> None:
        self._inner = inner
        self.limits, self.location = inner.limits, inner.location
        self.stat = inner.stat

    def children(self, path: str) -> Iterator[Entry]:
        return iter(sorted(self._inner.children(path), key=lambda entry: entry.name, reverse=True))


@pytest.fixture
def backwards() -> Connector:
    memory = Memory()
    for name in ("b", "Case.txt", "case.txt", "a"):
        memory.write(name, [b"x"], Facts(size=1))
    return Backwards(memory)  # type: ignore[return-value]


def seen(source: Connector) -> list[str]:
    return [path for path, _ in surveying.walk(source, None, lambda path, why: None)]


def test_items_come_in_the_order_of_the_bytes_of_their_names(
    backwards: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(backwards) == ["Case.txt", "a", "b", "case.txt"]
    monkeypatch.setattr(surveying, "PAGE", 3)
    assert seen(backwards) == ["a", "b", "case.txt", "Case.txt"], "no more than a page is held"


def test_of_two_names_that_collide_the_plan_changes_the_one_that_the_run_changes(backwards: Connector) -> None:
    there = Limits(case_sensitive=False)
    manifest = surveying.survey(backwards, there, Policies(), now=0, goes_on=lambda: True)
    found = manifest.document()["names"]["collision"]["first"]
    assert [(one["path"], one["name"]) for one in found] == [("/case.txt", "case(1).txt")]
