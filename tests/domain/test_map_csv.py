"""A file of pairs is taken whole or not at all, and says in its own words what is wrong with it."""

import pytest

from tallyport.domain.access import PrincipalKind
from tallyport.domain.map_csv import CsvErrors, read_exclusions, read_pairs

HEADER = "source_name,destination_name"


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_file_with_another_sign_between_its_columns_is_told_to_use_commas(sign: str, word: str) -> None:
    text = f"{HEADER}\nalice,bob\n".replace(",", sign)
    with pytest.raises(CsvErrors) as found:
        read_pairs(text, PrincipalKind.ACCOUNT)
    (problem,) = found.value.problems
    assert f"separates its columns by {word}" in problem.message
    assert "commas" in problem.message
    with pytest.raises(CsvErrors) as found:
        read_exclusions(f"id{sign}name\n1{sign}a\n", PrincipalKind.ACCOUNT)
    assert word in found.value.problems[0].message


def test_a_column_that_is_unknown_is_named() -> None:
    with pytest.raises(CsvErrors) as found:
        read_pairs("source_name,to\nalice,bob\n", PrincipalKind.ACCOUNT)
    assert "unknown columns to" in found.value.problems[0].message
    assert len(read_pairs(f"{HEADER}\nalice,bob\n", PrincipalKind.ACCOUNT)) == 1
