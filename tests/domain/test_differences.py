"""What changed between two documents, and how it is told."""

from __future__ import annotations

from tallyport.domain.differences import difference, flat, of_documents, told


def test_inner_fields_are_named_with_dots_and_lists_are_values() -> None:
    assert flat({"a": {"b": {"c": 1}}, "d": [{"e": 2}], "f": {}}) == {"a.b.c": 1, "d": [{"e": 2}], "f": {}}


def test_only_what_differs_is_told_with_before_and_after() -> None:
    assert of_documents({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}, "d": True}) == {
        "b.c": [2, 3],
        "d": [None, True],
    }


def test_what_may_be_a_secret_is_not_told() -> None:
    changes = of_documents({"auth": {"password": "old"}}, {"auth": {"password": "new", "ApiToken": "x"}})
    assert changes == {"auth.password": ["***", "***"], "auth.ApiToken": [None, "***"]}


def test_a_hidden_field_that_stays_is_not_told() -> None:
    assert difference({"password": "x"}, {"password": "x"}, {"password"}) == {}


def test_a_sentence_tells_the_first_fields_and_counts_the_others() -> None:
    assert told({"name": ["a", "b"], "x": [None, 3]}) == 'name: "a" → "b"; x: nothing → 3'
    many = told({f"field{number}": [0, number] for number in range(1, 20)})
    assert many.endswith("; and 7 more")
    assert len(told({"text": ["a" * 500, "b" * 500]})) < 200
