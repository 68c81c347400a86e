"""Every name of a planned namespace is looked at against the destination's rules, before the first byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain import naming, paths
from tallyport.domain.capabilities import LengthUnit, Limits
from tallyport.domain.name_proof import FIRST, NameProof
from tallyport.domain.policies import DuplicateNames, Policies, TransferType

WINDOWS = Limits(
    case_sensitive=False,
    forbidden_characters='"*:<>?\\|/\0',
    forbidden_endings=" .",
    reserved_names=frozenset({"con", "aux"}),
    max_name=20,
    name_unit=LengthUnit.UTF16,
    unicode_only=True,
)


USUAL = Policies(segment_truncate=True)


def proved(*given: str, policies: Policies = USUAL, limits: Limits = WINDOWS) -> tuple[NameProof, list[str | None]]:
    proof = NameProof(policies, limits)
    found = []
    for path in given:
        container, name = paths.split(path)
        fitting = naming.fit(name, policies, limits, container=container)
        found.append(proof.add(path, is_container=False, fitting=fitting).name)
    return proof, found


def counts(proof: NameProof) -> dict[str, int]:
    return {word: one["count"] for word, one in proof.document().items() if one["count"]}


def test_names_that_go_as_they_are_are_no_trouble() -> None:
    proof, found = proved("a", "b.txt", "c/a")
    assert found == ["a", "b.txt", "a"]
    assert counts(proof) == {}


@pytest.mark.parametrize(
    ("name", "trouble", "becomes"),
    [
        ("what?.txt", "characters", "what_.txt"),
        ("ends.", "characters", "ends_"),
        ("CON.txt", "reserved", "CON_.txt"),
        ("n" * 30 + ".txt", "length", "n" * 16 + ".txt"),
        ("\udce9.txt", "text", "_.txt"),
    ],
)
def test_each_trouble_is_told_with_what_the_name_becomes(name: str, trouble: str, becomes: str) -> None:
    proof, found = proved(name)
    assert found == [becomes]
    assert counts(proof) == {trouble: 1}
    assert proof.document()[trouble]["first"][0]["name"] == becomes


def test_names_that_differ_in_case_alone_collide_and_get_a_number() -> None:
    proof, found = proved("Report.txt", "report.TXT", "box/report.txt")
    assert found == ["Report.txt", "report(1).TXT", "report.txt"]
    assert counts(proof) == {"collision": 1}
    assert proof.document()["collision"]["first"][0]["path"] == "/report.TXT"


def test_normal_forms_collide_where_the_platform_keeps_one() -> None:
    _, found = proved("caf\u00e9", "cafe\u0301", limits=Limits(normalises_names=True))
    assert found[0] == "caf\u00e9"
    assert found[1] is not None
    assert found[1].endswith("(1)")
    assert counts(proved("caf\u00e9", "cafe\u0301", limits=Limits())[0]) == {}


def test_a_renamed_name_collides_with_one_that_stands_there_already() -> None:
    proof, found = proved("a_b", "a?b", "a*b")
    assert found == ["a_b", "a_b(1)", "a_b(2)"]
    assert counts(proof) == {"characters": 2, "collision": 2}


@pytest.mark.parametrize(
    "policies",
    [Policies(duplicate_names=DuplicateNames.WARN), Policies(transfer_type=TransferType.MOVE)],
)
def test_a_name_that_cannot_be_given_is_lost(policies: Policies) -> None:
    proof, found = proved("A", "a", policies=policies)
    assert found == ["A", None]
    assert proof.document()["collision"]["lost"] == 1


def test_a_name_that_may_not_be_changed_is_lost() -> None:
    proof, found = proved("what?", policies=Policies(segment_transform=False))
    assert found == [None]
    assert proof.document()["characters"]["lost"] == 1


def test_examples_are_few_however_many_there_are() -> None:
    proof, _ = proved(*(f"box/{number}?" for number in range(100)))
    assert proof.document()["characters"]["count"] == 100
    assert len(proof.document()["characters"]["first"]) == FIRST


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30),
        max_size=30,
        unique=True,
    )
)
def test_what_is_planned_is_distinct_and_taken_by_the_platform(names: list[str]) -> None:
    proof, found = proved(*(f"box/{name}" for name in names if name not in (".", "..")))
    given = [name for name in found if name is not None]
    assert len({naming.key(name, WINDOWS) for name in given}) == len(given)
    for name in given:
        assert naming.refusal(name, WINDOWS) is None
        assert naming.length(name, WINDOWS.name_unit) <= WINDOWS.max_name
    proof.document()
