"""Awkward names: whatever a platform refuses, nothing is lost, nothing is merged, nothing is renamed twice."""

from __future__ import annotations

import itertools
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallyport.domain.capabilities import Limits
from tallyport.domain.naming import conflict_name, distinct, fit, key, length, refusal, split_extension, truncate
from tallyport.domain.paths import from_bytes
from tallyport.domain.policies import DuplicateNames, Policies, RestrictedContent, TransferType

DEVICES = ("con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10)))
POSIX = Limits()
WINDOWS = Limits(
    forbidden_characters='<>:"/\\|?*' + "".join(map(chr, range(32))),
    reserved_names=frozenset(DEVICES),
    forbidden_endings=" .",
    case_sensitive=False,
    unicode_only=True,
)
APPLE = Limits(normalises_names=True, case_sensitive=False, unicode_only=True, forbidden_characters="/\0:")
SHORT = Limits(max_name=12, forbidden_endings=" .", unicode_only=True)
PLATFORMS = {"posix": POSIX, "windows": WINDOWS, "apple": APPLE, "short": SHORT}

_WORDS = [
    "a",
    "report",
    "Straße",
    "naïve",
    "ЖЖ",
    "日本語",
    "😀",
    "e\u0301",
    "\u00e9",
    "\u202egpj",
    "ﬁ",
    "İ",
    "ß",
    "SS",
    "ς",
    "\u200b",
]
_SHAPES = [
    "{}", "{}.txt", "{}.", "{} ", " {}", "{}..", ".{}", "{}.tar.gz", "{}\n{}", "{}:{}", "{}?", "<{}>", '"{}"', "{}|",
    "{}*", "{}\\{}", "{}\t", "~{}", "{}~1", "{}(1)", "{}(1).txt", "{} (conflict).txt", "_{}", "{}_", "{}%20",
    "{}.TXT", "{}.lnk",
]  # fmt: skip
AWKWARD = [
    *(shape.replace("{}", word) for shape in _SHAPES for word in _WORDS),
    *(word.upper() for word in _WORDS),
    *DEVICES,
    *(f"{device.upper()}.txt" for device in DEVICES),
    *("x" * n for n in (11, 12, 13, 254, 255)),
    "x" * 251 + ".txt",
    "é" * 127,
    "😀" * 63,
    *(from_bytes(raw) for raw in (b"\xff", b"caf\xe9.txt", b"\xc3\x28", b"a\x80b\xfe", b"\xed\xa0\x80")),
    ".-", "...", " ", "-", "--help", "$(x)", "`x`", "'", "&", ";", "#", "\x7f", "\x01",
]  # fmt: skip
NAMES = list(dict.fromkeys(AWKWARD))
POLICIES = [
    Policies(segment_transform=transform, encode_invalid_characters=encode, segment_truncate=cut)
    for transform, encode, cut in itertools.product((True, False), repeat=3)
]


def place(names, policies, limits, known=None):
    """Give every source name its name at the destination, as a visit does: {source: destination or None}."""
    placed: dict[str, str | None] = dict(known or {})
    taken = {key(name, limits) for name in placed.values() if name is not None}
    for name in names:
        if name in placed:
            continue
        fitting = fit(name, policies, limits).name
        found = None if fitting is None else distinct(fitting, taken, policies, limits).name
        if found is not None:
            taken.add(key(found, limits))
        placed[name] = found
    return placed


def test_the_corpus_is_large():
    assert len(NAMES) >= 500
    assert any(normalize("NFC", name) != name for name in NAMES)


@pytest.mark.parametrize("policies", POLICIES)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_name_is_carried_or_reported_and_no_two_become_one(platform, policies):
    limits = PLATFORMS[platform]
    placed = place(NAMES, policies, limits)
    carried = [name for name in placed.values() if name is not None]
    assert len(placed) == len(NAMES)
    assert len({key(name, limits) for name in carried}) == len(carried)
    for name in carried:
        assert refusal(name, limits) is None
        assert 0 < length(name) <= limits.max_name
    if policies.segment_transform and policies.segment_truncate:
        assert len(carried) == len(NAMES)


@pytest.mark.parametrize("policies", POLICIES)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_second_run_renames_nothing_again(platform, policies):
    limits = PLATFORMS[platform]
    placed = place(NAMES, policies, limits)
    assert place(NAMES, policies, limits, known=placed) == placed
    for name in placed.values():
        if name is not None:
            assert fit(name, policies, limits).name == name


def test_a_plain_platform_takes_every_name_as_it_is():
    assert all(fit(name, Policies(), POSIX) == (name, (), "") for name in NAMES)


@pytest.mark.parametrize(
    ("name", "policies", "limits", "expected", "processing"),
    [
        ("Congrats!.txt", Policies(), Limits(forbidden_characters="!"), "Congrats_.txt", ("renamed",)),
        (
            "123白雜.txt",
            Policies(encode_invalid_characters=True),
            Limits(forbidden_characters="白雜"),
            "123E799BDE99B9C.txt",
            ("encoded",),
        ),
        ("con.txt", Policies(), WINDOWS, "con_.txt", ("renamed",)),
        ("dot.", Policies(encode_invalid_characters=True), WINDOWS, "dot_", ("renamed",)),
        ("a very long name.txt", Policies(segment_truncate=True), SHORT, "a very l.txt", ("truncated",)),
        ("a b c d e f g h", Policies(segment_truncate=True), SHORT, "a b c d e f_", ("truncated",)),
    ],
)
def test_single_names(name, policies, limits, expected, processing):
    assert fit(name, policies, limits) == (expected, processing, "")


def test_what_may_not_be_changed_is_said():
    assert "takes no ':'" in fit("a:b", Policies(segment_transform=False), WINDOWS).problem
    assert "ends with '.'" in fit("a.", Policies(segment_transform=False), WINDOWS).problem
    assert "for itself" in fit("nul", Policies(segment_transform=False), WINDOWS).problem
    assert "13 bytes" in fit("x" * 13, Policies(), SHORT).problem
    assert fit("x.abcdefghijkl", Policies(segment_truncate=True), SHORT).name is None


def test_whole_paths_count_where_a_platform_limits_them():
    limits = Limits(max_path=10)
    assert fit("123456", Policies(), limits, container="abc").name == "123456"
    assert fit("1234567", Policies(), limits, container="abc").name is None
    assert fit("1234567", Policies(segment_truncate=True), limits, container="abc").name == "123456"


def test_duplicates_are_numbered_before_the_extension():
    taken = {"a.txt", "a(1).txt", "d"}
    assert distinct("a.txt", taken, Policies(), POSIX) == ("a(2).txt", ("deduplicated",), "")
    assert distinct("b.txt", taken, Policies(), POSIX) == ("b.txt", (), "")
    assert distinct("d", taken, Policies(), POSIX, is_container=True).name == "d(1)"
    assert distinct("v1.2", {"v1.2"}, Policies(), POSIX, is_container=True).name == "v1.2(1)"


def test_duplicates_are_left_out_when_asked_and_always_in_a_move():
    for policies in (Policies(duplicate_names=DuplicateNames.WARN), Policies(transfer_type=TransferType.MOVE)):
        found = distinct("a", {"a"}, policies, POSIX)
        assert found.name is None
        assert "already" in found.problem


def test_conflict_copies_are_named_after_their_own_time():
    time = 1_746_180_672_123_456_789
    assert conflict_name("report.docx", time, POSIX) == "report (conflict 2025-05-02T10-11-12Z).docx"
    assert conflict_name("README", time, POSIX) == "README (conflict 2025-05-02T10-11-12Z)"
    assert length(conflict_name("x" * 255, time, POSIX)) == 255
    assert conflict_name("a", 2**63, POSIX)
    assert conflict_name("a", -(2**63), POSIX)


def test_extensions_are_short_and_follow_a_stem():
    assert split_extension("a.txt") == ("a", ".txt")
    assert split_extension(".profile") == (".profile", "")
    assert split_extension("a.") == ("a.", "")
    assert split_extension("1. A title that only looks like one") == ("1. A title that only looks like one", "")


@settings(max_examples=200)
@given(st.binary(min_size=1, max_size=60).map(from_bytes), st.integers(8, 40))
def test_a_cut_name_is_short_enough_or_all_but_its_extension_is_gone(name, most):
    cut = truncate(name, most)
    assert cut
    assert length(cut) <= most or len(split_extension(name)[0]) >= 1 >= len(cut) - len(split_extension(name)[1])


def test_lengths_are_counted_in_the_unit_of_the_platform():
    from tallyport.domain.capabilities import LengthUnit

    name = "日😀.txt"
    assert [length(name, unit) for unit in LengthUnit] == [11, 7, 6]
    limits = Limits(max_name=6, name_unit=LengthUnit.CHARACTERS)
    assert fit(name, Policies(), limits).name == name
    narrow = Limits(max_name=6, name_unit=LengthUnit.UTF16)
    assert fit(name, Policies(segment_truncate=True), narrow) == ("日.txt", ("truncated",), "")
    assert "7 UTF-16 units" in fit(name, Policies(), narrow).problem


def test_a_refused_type_gets_the_name_of_its_archive():
    refusing = Limits(refused_extensions=frozenset({"cmd"}))
    assert fit("db123.CMD", Policies(), refusing, is_file=True) == ("db123.zip", ("converted",), "")
    assert fit("db123.cmd", Policies(), refusing) == ("db123.cmd", (), ""), "a container has no type"
    kept = Policies(restricted_content=RestrictedContent.SKIP)
    assert fit("db123.cmd", kept, refusing, is_file=True).name == "db123.cmd"
    no_archives = Limits(refused_extensions=frozenset({"cmd", "zip"}))
    assert fit("db123.cmd", Policies(), no_archives, is_file=True).name == "db123.cmd"
