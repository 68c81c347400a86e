"""What the pages show is what the program does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs import snippets
from tests.docs.test_docs import PAGES, named

SHOWN = [page for page in PAGES if snippets.steps(page.read_text("utf-8"))]


def test_the_pages_that_teach_are_run() -> None:
    assert {named(page) for page in SHOWN} >= {
        "README.md",
        "docs/tutorial/first-migration.md",
        "docs/how-to/handle-failed-items.md",
        "docs/how-to/run-the-server.md",
    }


@pytest.mark.acceptance
@pytest.mark.needs("bash", "curl")
@pytest.mark.parametrize("page", SHOWN, ids=named)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    wrong = snippets.run(page.read_text("utf-8"), tmp_path)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_in_a_page_is_python(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        ast.parse(block)


@pytest.mark.parametrize(
    ("expected", "printed", "is_same"),
    [
        ("took 0.3 s", "took 12 min 4 s", True),
        ("run 1, 5 B", "run 1, 3.4 kB", True),
        ("a ...\nb", "a x\ny\nb", True),
        ("a", "a\nb", False),
        ("run 1 complete", "run 1 failed", False),
    ],
)
def test_numbers_and_dots_stand_for_anything(expected: str, printed: str, is_same: bool) -> None:
    assert snippets.matches(expected, printed) is is_same
