"""How values are written for people."""

from __future__ import annotations

import pytest

from tallyport.web import shown


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("plain", "plain"),
        ("`default` means `sync`.", "<code>default</code> means <code>sync</code>."),
        ("one ` alone", "one  alone"),
        ("<b> `<i>` & more", "&lt;b&gt; <code>&lt;i&gt;</code> &amp; more"),
        ("", ""),
    ],
)
def test_names_in_backticks_are_drawn_as_code_and_everything_is_escaped(text: str, drawn: str) -> None:
    assert str(shown.code(text)) == drawn


def test_a_count_and_its_noun_agree() -> None:
    assert [shown.many(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert shown.many(2, "entry", "entries") == "2 entries"
