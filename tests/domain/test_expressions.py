"""The small language of previews: what it says, what it refuses, and that it always ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallyport.domain.expressions import FUNCTIONS, MOST_TEXT, Unusable, Value, changes, looks_like_javascript, read

RECORD: dict[str, Value] = {
    "name": "Report Final.DOCX",
    "path": "HR/2024/Report Final.DOCX",
    "size": 12,
    "modified": 1_700_000_000,
    "type": "file",
}


def made(text: str, **fields: Value) -> dict[str, Value]:
    return changes(read(text), RECORD | fields)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name = lower(name)", "report final.docx"),
        ("name = replace(lower(name), ' ', '-')", "report-final.docx"),
        ('name = stem(name) + "." + lower(extension(name))', "Report Final.docx"),
        ("name = concat(date(modified), ' ', name)", "2023-11-14 Report Final.DOCX"),
        ("name = if(starts_with(path, 'HR/'), 'hr ' + name, name)", "hr Report Final.DOCX"),
        ("name = slice(name, 0, 6)", "Report"),
        ("name = pad(size, 5, '0')", "00012"),
        ("name = if(size == 12, 'yes', 'no')", "yes"),
        ("name = if(not(contains(name, 'Final')), 'a', 'b')", "b"),
        ("name = 'it\\'s'", "it's"),
        ("# a remark\nname = trim('  x  ');", "x"),
        ("name = true", "true"),
        ("name = metadata.none", ""),
        ("name = if(true, 'x', year('never looked at'))", "x"),
    ],
)
def test_what_an_expression_makes(text: str, name: str) -> None:
    assert made(text)["name"] == name


def test_a_name_is_the_end_of_its_path_and_both_stay_so() -> None:
    assert made("name = 'x'")["path"] == "HR/2024/x"
    moved = made("path = '/archive/' + name; name = upper(name); metadata.from = 'HR'")
    assert (moved["path"], moved["name"]) == ("archive/REPORT FINAL.DOCX", "REPORT FINAL.DOCX")
    assert moved["metadata.from"] == "HR"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "needs an assignment"),
        ("name", "'=' is missing"),
        ("size = 3", "cannot assign to size"),
        ("name = nothing", "there is no field nothing"),
        ("name = shout(name)", "there is no function shout"),
        ("name = lower()", "lower takes 1 arguments, not 0"),
        ("name = lower(name", "',' is missing"),
        ("name = lower(name) name = 1", "';' is missing"),
        ("name = @", "cannot read '@' at character 8"),
        ("name = 'open", "cannot read"),
        ("name = " + "(" * 40 + "1" + ")" * 40, "nested at most 32 deep"),
        ("name = 1;" * 51, "at most 50 assignments"),
        ("name = '" + "x" * MOST_TEXT + "'", "at most 4096 characters"),
    ],
)
def test_what_cannot_be_read_says_what_and_where(text: str, told: str) -> None:
    with pytest.raises(Unusable) as caught:
        read(text)
    assert told in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "name = year('x')",
        "name = pad(name, 5000)",
        "name = replace('" + "a" * 80 + "', 'a', '" + "b" * 90 + "')",
        "name = year(999999999999999)",
        "name = 'x' + name;" + "name = name + name;" * 12,
    ],
)
def test_what_grows_too_large_or_makes_no_sense_is_refused_for_the_record(text: str) -> None:
    with pytest.raises(Unusable):
        made(text)


@pytest.mark.parametrize(
    "text",
    [
        "function (record) { return record }",
        "(record) => { record.set('name', 'x'); return record }",
        "const a = 1",
        "record.set('name', 1)",
        "`x`",
    ],
)
def test_javascript_is_recognised(text: str) -> None:
    assert looks_like_javascript(text)


def test_what_stands_in_quotes_is_no_javascript() -> None:
    assert not looks_like_javascript("name = 'function {x} => record.y'")


atoms = st.sampled_from(["name", "path", "size", "'x'", "3", "metadata.k", "type"])
calls = st.recursive(
    atoms,
    lambda inner: st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.lists(inner, min_size=1, max_size=3)).map(
        lambda pair: f"{pair[0]}({', '.join(pair[1])})"
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(calls)
def test_every_expression_ends_in_a_bounded_value_or_in_a_refusal(text: str) -> None:
    try:
        found = made(f"name = {text}")
    except Unusable:
        return
    assert isinstance(found["name"], str)
    assert len(found["name"]) <= MOST_TEXT
