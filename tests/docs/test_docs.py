"""The documents tell the truth: what is made from code is fresh, everything has words, links lead somewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.cli.exits import WORDS, Exit
from tallyport.cli.main import COMMANDS
from tallyport.domain.actions import Reason
from tallyport.domain.capabilities import Durability, VerifyLevel
from tallyport.domain.errors import ErrorKind, Remedy, Scope
from tallyport.domain.items import Status
from tallyport.domain.settings import SETTINGS
from tallyport.domain.words import REASONS, REMEDIES, SCOPES, STATUSES
from tallyport.store.tables import metadata
from tools import docs

ROOT = Path(docs.ROOT)
PAGES = sorted(
    path for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")] if path.is_file()
)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# Written beside these pages by others: a link to one of them may lead nowhere until it is there.
COMING = {
    "docs/reference/policies.md",
    "docs/reference/api.md",
    "docs/how-to/add-a-connector.md",
    "docs/explanation/how-an-item-is-decided.md",
}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("name", docs.PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert name not in docs.stale(), "run: python -m tools.docs"


def test_every_reason_has_words_and_stands_in_its_page() -> None:
    assert set(REASONS) == {reason.value for reason in Reason}
    page = text("docs/reference/reasons.md")
    assert all(f"`{reason}`" in page for reason in Reason)


def test_every_kind_of_error_is_a_reason_and_stands_in_its_page() -> None:
    assert {kind.value for kind in ErrorKind} <= {reason.value for reason in Reason}
    page = text("docs/reference/errors.md")
    assert all(f"`{kind}`" in page for kind in ErrorKind)
    assert set(SCOPES) == {scope.value for scope in Scope}
    assert set(REMEDIES) == {remedy.value for remedy in Remedy}


def test_every_state_of_an_item_has_words() -> None:
    assert set(STATUSES) == {status.name.lower() for status in Status}


def test_every_exit_code_has_words() -> None:
    assert set(WORDS) == set(Exit)


def test_every_command_stands_in_its_page() -> None:
    page = text("docs/reference/cli.md")
    assert all(f"\n## tallyport {name}\n" in page for name in COMMANDS)


def test_every_level_is_explained() -> None:
    page = text("docs/explanation/durability.md")
    assert all(f"| `{level.name.lower()}`" in page for level in VerifyLevel if level is not VerifyLevel.NONE)
    assert all(f"| `{level}`" in page for level in Durability)


def test_every_table_of_the_ledger_is_explained() -> None:
    page = text("docs/reference/ledger.md")
    assert [name for name in metadata.tables if f"`{name}`" not in page] == []


def variables() -> Iterator[str]:
    """Give every name of a setting in the source."""
    for path in (ROOT / "src").rglob("*.py"):
        yield from re.findall(r"\bTALLYPORT_[A-Z_]+\b", path.read_text("utf-8"))


def test_every_setting_has_words() -> None:
    assert set(variables()) == {setting.name for setting in SETTINGS}


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as the common renderers make them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = Path(os.path.normpath(page.parent / path)) if path else page
        if named(target) in COMING and not target.exists():
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_has_one_title(page: Path) -> None:
    lines = FENCE.sub("", page.read_text("utf-8")).splitlines()
    assert lines[0].startswith("# ")
    assert sum(line.startswith("# ") for line in lines) == 1


def test_every_page_is_linked_from_another() -> None:
    linked = set()
    for page in PAGES:
        for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
            linked.add(os.path.normpath(page.parent / link.partition("#")[0]))
    lost = [named(page) for page in PAGES if str(page) not in linked and page.name != "README.md"]
    assert lost == []
