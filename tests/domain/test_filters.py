"""Every rule type, include against exclude, and patterns against an oracle."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tallyport.domain.actions import Reason
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.filters import GROUPS, extension_of, judge_for
from tallyport.domain.patterns import matcher
from tallyport.domain.policies import FilterBlock, FilterRule

DAY = 86_400_000_000_000
NOW = int(datetime(2026, 3, 31, 12, tzinfo=UTC).timestamp()) * 10**9


def file(name, **facts):
    return Entry(name, Kind.FILE, **facts)


def folder(name, **facts):
    return Entry(name, Kind.CONTAINER, **facts)


def exclude(*rules):
    return FilterBlock(action="exclude", rules=rules)


def include(*rules):
    return FilterBlock(action="include", rules=rules)


def judged(entry, *blocks, path=None, own=True):
    judge = judge_for(blocks, started=NOW)
    assert judge is not None
    return judge(path or entry.name, entry, own)


def test_no_rules_no_judge():
    assert judge_for((), started=0) is None


@pytest.mark.parametrize(
    ("rule", "entry", "left_out"),
    [
        (FilterRule(type="extension", extensions=("tmp", ".BAK")), file("a.tmp"), True),
        (FilterRule(type="extension", extensions=("tmp", ".BAK")), file("a.bak"), True),
        (FilterRule(type="extension", extensions=("tmp",)), file("tmp"), False),
        (FilterRule(type="extension", extensions=("tmp",)), file(".tmp"), False),
        (FilterRule(type="extension", extensions=("d",)), folder("conf.d"), False),
        (FilterRule(type="pattern", text="~$*;*.LNK"), file("~$a.docx"), True),
        (FilterRule(type="pattern", text="~$*;*.LNK"), file("b.lnk"), True),
        (FilterRule(type="pattern", text="node_modules"), folder("node_modules"), True),
        (FilterRule(type="pattern", text="x*", targets=("item",)), folder("xy"), False),
        (FilterRule(type="pattern", text="x*", targets=("container",)), folder("xy"), True),
        (FilterRule(type="pattern", text="x*", targets=("container",)), file("xy"), False),
        (FilterRule(type="pattern", text="*", targets=("none",)), file("xy"), False),
        (FilterRule(type="size", max=1024), file("a", size=1025), True),
        (FilterRule(type="size", max=1024), file("a", size=1024), False),
        (FilterRule(type="size", min=10), file("a", size=9), True),
        (FilterRule(type="size", min=10), folder("a"), False),
        (FilterRule(type="date", range_type="day", value=2), file("a", modified=NOW - DAY), True),
        (FilterRule(type="date", range_type="day", value=2), file("a", modified=NOW - 3 * DAY), False),
        (FilterRule(type="date", range_type="week", value=1), file("a", modified=NOW - 6 * DAY), True),
        (FilterRule(type="date", range_type="month", value=1), file("a", modified=NOW - 31 * DAY), True),
        (FilterRule(type="date", range_type="month", value=1), file("a", modified=NOW - 32 * DAY), False),
        (FilterRule(type="date", range_type="year", value=1), file("a", modified=NOW - 365 * DAY), True),
        (FilterRule(type="date", range_type="year", value=1), file("a", modified=NOW - 366 * DAY), False),
        (FilterRule(type="date", range_type="range", since=5, until=9), file("a", modified=9), True),
        (FilterRule(type="date", range_type="range", since=5, until=9), file("a", modified=4), False),
        (
            FilterRule(type="date", range_type="range", since=5, targets=("created_on",)),
            file("a", modified=9),
            False,
        ),
        (
            FilterRule(type="date", range_type="range", since=5, targets=("last_touched",)),
            file("a", modified=1, accessed=9),
            True,
        ),
        (FilterRule(type="date", range_type="range", since=0, targets=("none",)), file("a", modified=9), False),
        (FilterRule(type="shared"), file("a", shared=True), True),
        (FilterRule(type="shared"), file("a"), False),
        (FilterRule(type="hidden"), folder("marked", hidden=True), True),
        (FilterRule(type="hidden"), folder(".git"), True),
        (FilterRule(type="hidden"), file(".profile"), True),
        (FilterRule(type="hidden"), file("a.profile"), False),
        (FilterRule(type="group", groups=("Images", "Audio")), file("a.JPG"), True),
        (FilterRule(type="group", groups=("Temporary",)), file("~$report.docx"), True),
        (FilterRule(type="group", groups=("Documents",)), file("~$report.docx"), True),
        (FilterRule(type="group", groups=("Audio",)), file("a.jpg"), False),
        (FilterRule(type="path", paths=("a/b",)), file("b"), False),
    ],
)
def test_an_exclude_block_drops_what_matches(rule, entry, left_out):
    assert (judged(entry, exclude(rule)) is not None) == left_out
    if entry.kind is Kind.FILE and rule.targets not in (("container",), ("none",)):
        assert (judged(entry, include(rule)) is None) == left_out


def test_a_path_rule_covers_what_is_below_and_minds_case():
    rule = exclude(FilterRule(type="path", paths=("Docs/old",)))
    assert judged(file("a"), rule, path="Docs/old/a") is Reason.IGNORED_PATH
    assert judged(folder("old"), rule, path="Docs/old") is Reason.IGNORED_PATH
    assert judged(file("older"), rule, path="Docs/older") is None
    assert judged(file("a"), rule, path="docs/old/a") is None


def test_include_by_path_opens_the_way_and_nothing_else():
    rule = include(FilterRule(type="path", paths=("a/b",)))
    assert judged(folder("a"), rule, path="a") is None
    assert judged(folder("b"), rule, path="a/b") is None
    assert judged(folder("c"), rule, path="a/b/c") is None
    assert judged(folder("x"), rule, path="a/x") is Reason.IGNORED_MATCH_FAIL
    assert judged(file("f"), rule, path="a/f") is Reason.IGNORED_MATCH_FAIL
    assert judged(file("f"), rule, path="a/b/f") is None


def test_include_by_name_does_not_close_containers_unless_aimed_at_them():
    by_name = include(FilterRule(type="pattern", text="*.docx"))
    assert judged(folder("deep"), by_name) is None
    assert judged(file("a.txt"), by_name) is Reason.IGNORED_MATCH_FAIL
    aimed = include(FilterRule(type="pattern", text="keep*", targets=("container",)))
    assert judged(folder("deep"), aimed) is Reason.IGNORED_MATCH_FAIL
    assert judged(folder("keep me"), aimed) is None
    assert judged(file("a.txt"), aimed) is None


def test_exclude_beats_include():
    both = include(FilterRule(type="extension", extensions=("txt",))), exclude(FilterRule(type="pattern", text="a*"))
    assert judged(file("b.txt"), *both) is None
    assert judged(file("a.txt"), *both) is Reason.IGNORED_PATTERN
    assert judged(file("b.doc"), *both) is Reason.IGNORED_MATCH_FAIL


def test_whose_an_item_is_cannot_be_told_from_the_other_side():
    assert judged(file("a", shared=True), exclude(FilterRule(type="shared")), own=False) is None


RULES = st.sampled_from(
    [
        FilterRule(type="extension", extensions=("txt",)),
        FilterRule(type="size", max=3),
        FilterRule(type="pattern", text="a*", targets=("item",)),
        FilterRule(type="hidden"),
    ]
)
BLOCKS = st.lists(
    st.builds(
        lambda action, rules: FilterBlock(action=action, rules=tuple(rules)),
        st.sampled_from(["include", "exclude"]),
        st.lists(RULES, min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=100)
@given(BLOCKS, st.sampled_from(["a.txt", "b.txt", "a", "b.c"]), st.integers(0, 6), st.booleans())
def test_the_algebra_of_blocks_against_an_oracle(blocks, name, size, hidden):
    """An item takes part when each include block has a rule for it and no exclude block has."""

    def holds(rule):
        return {
            "extension": name.endswith(".txt"),
            "size": size > 3,
            "pattern": name.startswith("a"),
            "hidden": hidden,
        }[rule.type]

    takes_part = all(any(holds(rule) for rule in block.rules) == (block.action == "include") for block in blocks)
    assert (judged(file(name, size=size, hidden=hidden), *blocks) is None) == takes_part


@settings(max_examples=200)
@given(st.text("ab*", max_size=8), st.text("abAB", max_size=8))
@example("a*a", "a")
@example("*ab*ab*", "aab")
def test_patterns_against_regular_expressions(pattern, name):
    oracle = re.fullmatch(pattern.replace("*", ".*"), name, re.IGNORECASE | re.DOTALL) is not None
    assert matcher(pattern)(name) == (oracle and bool(pattern))


def test_a_hostile_pattern_is_matched_in_no_time():
    assert not matcher("*a" * 200 + "b")("a" * 20_000)


def test_a_question_mark_is_itself_and_blanks_around_patterns_are_not():
    assert matcher("a?c")("a?c")
    assert not matcher("a?c")("abc")
    assert matcher(" *.tmp ; *.bak ;; ")("x.bak")
    assert not matcher(" ; ")("")


def test_extensions():
    assert extension_of("A.TXT") == ".txt"
    assert extension_of(".profile") == ""
    assert extension_of("a.") == "."
    assert set(GROUPS) == {"Audio", "Windows", "Executables", "Movies", "Images", "Temporary", "Documents"}
