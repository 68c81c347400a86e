"""Error categories: every failure belongs to one, rules mean what they say, bad ones are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain.categories import (
    AUDIT_TYPES,
    OPERATORS,
    Category,
    CategoryAction,
    Failure,
    Judge,
    Verdict,
    built_in,
    parse,
    read_category,
)
from tallyport.domain.documents import BlockErrors
from tallyport.domain.errors import ErrorKind
from tallyport.domain.items import Status
from tallyport.domain.settle import settled_by

LOCKED = Failure("locked", "the file report.docx is locked by Ann", "docs/report.docx")


def category(rule, **values):
    return Category(name=values.pop("name", "mine"), rules=(rule,), **values)


def context(text):
    return {"type": "filter_context", "text": text}


def matches(rule, failure=LOCKED):
    return Judge([category(rule)], max_attempts=3).judge(failure).is_custom


def test_every_kind_of_error_belongs_to_a_built_in_category():
    assert set(ErrorKind) <= set(AUDIT_TYPES)
    assert len(built_in()) == 11
    for kind in ErrorKind:
        verdict = Judge((), max_attempts=4).judge(Failure(kind))
        assert verdict == Verdict(AUDIT_TYPES[kind].name, CategoryAction.RETRY, 4, is_custom=False)


def test_a_built_in_category_shows_a_rule_that_matches_what_belongs_to_it():
    for one in built_in():
        judge = Judge([category(one.rules[0])], max_attempts=3)
        inside = {reason for reason in AUDIT_TYPES if judge.judge(Failure(reason)).is_custom}
        assert inside == {reason for reason, kind in AUDIT_TYPES.items() if kind.name == one.name}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("[audit_type] >= 5000", True),
        ("[audit_type] eq 5009", True),
        ("[audit_type] ne 5009", False),
        ("[audit_type] < 5009", False),
        ("[audit_type] <= 5009 and [audit_level] gt 4", True),
        ("[audit_type] in (5001, 5009)", True),
        ("[audit_type] not_in (5001, 5009)", False),
        ("[message] contains 'LOCKED'", True),
        ("[message] not_contains 'quota'", True),
        ('[message] starts_with "the file"', True),
        ("[message] not_starts_with 'the file'", False),
        ("[message] ends_with 'Ann'", True),
        ("[message] not_ends_with 'Ann'", False),
        ("[hresult] empty", True),
        ("[hresult] > 0", False),
        ("[event_type] not_empty", True),
        ("[exception] = 'locked'", True),
        ("[exception] = 'timeout' and [message] contains 'x' or [audit_type] = 5009", True),
        ("[audit_type] = 5009 or [exception] = 'timeout' and [message] contains 'x'", True),
        ("[exception] = 'timeout' or [message] contains 'x' and [audit_type] = 1", False),
    ],
)
def test_context_rules_compare_facts(text, holds):
    assert parse(text)[1] == ""
    assert matches(context(text)) is holds


def test_context_rules_may_be_written_as_objects():
    one = {"name": "audit_type", "op": "eq", "value": 1}
    other = {"name": "message", "op": "contains", "value": "locked", "select": "or"}
    assert matches({"type": "filter_context", "filter": [one, other]})
    assert not matches({"type": "filter_context", "filter": [one, {**other, "select": "and"}]})
    assert not matches({"type": "filter_context", "filter": one})


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [("*.docx", True), ("report*", True), ("/docs/*", True), ("*.tmp;*.DOCX", True), ("*.tmp", False), ("docs", False)],
)
def test_patterns_match_the_name_or_the_path(pattern, holds):
    assert matches({"type": "filter_pattern", "text": pattern}) is holds


def test_any_rule_of_a_category_is_enough():
    rules = (context("[audit_type] = 1"), context("[audit_type] = 5009"))
    assert Judge([Category(name="two", rules=rules)], max_attempts=3).judge(LOCKED).category == "two"


def test_the_highest_priority_counts_then_the_jobs_own():
    everything = context("[audit_type] >= 5000")
    low = category(everything, name="low", priority=1)
    high = category(everything, name="high", priority=20_000)
    assert Judge([low, high], max_attempts=3).judge(LOCKED).category == "high"
    for_all, own = (category(everything, name=name, job_id=job) for name, job in (("a", None), ("b", "job")))
    assert Judge([for_all, own], max_attempts=3).judge(LOCKED).category == "b"


@pytest.mark.parametrize(
    ("action", "attempts", "status"),
    [
        (CategoryAction.RETRY, 1, Status.RETRY),
        (CategoryAction.RETRY, 4, Status.RETRY),
        (CategoryAction.RETRY, 5, Status.FLAGGED),
        (CategoryAction.IGNORE, 1, Status.FLAGGED),
        (CategoryAction.HALT, 1, Status.FLAGGED),
    ],
)
def test_a_verdict_settles_a_failed_item(action, attempts, status):
    assert settled_by(Verdict("x", action, 5, is_custom=True), Status.RETRY, attempts) is status


def test_an_item_flagged_without_a_try_stays_flagged():
    assert settled_by(Verdict("x", CategoryAction.RETRY, 9, is_custom=True), Status.FLAGGED, 0) is Status.FLAGGED


GOOD = {"name": "locked", "filter": {"rules": [context("[audit_type] = 5009")]}, "action": "ignore", "max_retry": 7}


def test_a_document_is_read_with_its_defaults():
    read = read_category({"name": "x", "filter": {"rules": [context("[audit_type] = 1")]}})
    assert (read.action, read.max_retry, read.level, read.priority) == (CategoryAction.RETRY, 3, "error", 10_000)
    assert read_category(GOOD).action is CategoryAction.IGNORE


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"name": None}, "/name", "missing"),
        ({"filter": None}, "/filter", "missing"),
        ({"filter": {"rules": []}}, "/filter/rules", "out_of_range"),
        ({"acton": "halt"}, "/acton", "unknown_key"),
        ({"action": "stop"}, "/action", "unknown_value"),
        ({"max_retry": 0}, "/max_retry", "out_of_range"),
        ({"max_retry": "3"}, "/max_retry", "wrong_type"),
        ({"level": "fatal"}, "/level", "unknown_value"),
        ({"priority": -1}, "/priority", "out_of_range"),
        ({"filter": {"rules": [{"text": "x"}]}}, "/filter/rules/0/type", "missing"),
        ({"filter": {"rules": [{"type": "filter_size"}]}}, "/filter/rules/0/type", "unknown_value"),
        ({"filter": {"rules": [{"type": "filter_context"}]}}, "/filter/rules/0", "missing"),
        ({"filter": {"rules": [context("[audit] = 1")]}}, "/filter/rules/0/text", "unknown_value"),
        ({"filter": {"rules": [context("[audit_type] like 1")]}}, "/filter/rules/0/text", "unknown_value"),
        ({"filter": {"rules": [context("[audit_type] =")]}}, "/filter/rules/0/text", "unknown_value"),
        ({"filter": {"rules": [context("[message] > 'a'")]}}, "/filter/rules/0/text", "unknown_value"),
        (
            {"filter": {"rules": [context("[audit_type] = 1 xor [audit_type] = 2")]}},
            "/filter/rules/0/text",
            "unknown_value",
        ),
        ({"filter": {"rules": [context("[audit_type] in 5")]}}, "/filter/rules/0/text", "unknown_value"),
        (
            {
                "filter": {
                    "rules": [{"type": "filter_context", "filter": {"name": "audit_type", "op": "lt", "value": "a"}}]
                }
            },
            "/filter/rules/0/filter/value",
            "wrong_type",
        ),
        (
            {"filter": {"rules": [{"type": "filter_context", "filter": {"name": "x", "op": "eq", "value": 1}}]}},
            "/filter/rules/0/filter/name",
            "unknown_value",
        ),
    ],
)
def test_what_is_wrong_with_a_category_is_told_with_its_path(change, path, code):
    with pytest.raises(BlockErrors) as caught:
        read_category(GOOD | change)
    assert (path, code) in [(problem.path, problem.code) for problem in caught.value.problems]


@given(st.text(alphabet="[]audit_type message<>=!'\"()0123456789, andor", max_size=60))
def test_no_text_breaks_the_reader_of_rules(text):
    comparisons, wrong = parse(text)
    assert bool(comparisons) is (wrong == "")
    if comparisons:
        matches(context(text))


def test_every_operator_of_the_vocabulary_is_known():
    words = "eq ne lt le gt ge starts_with not_starts_with ends_with not_ends_with contains not_contains in not_in"
    assert set(OPERATORS) == {*words.split(), "empty", "not_empty"}
