"""A secret does not show itself, and a reference is told from a secret."""

from __future__ import annotations

import pytest

from tallyport.domain.secrets import Reference, Secret, reference, scrub, split


def test_a_secret_is_a_text_that_does_not_represent_itself() -> None:
    secret = Secret("hunter2-hunter2")
    assert secret == "hunter2-hunter2"
    assert "hunter2" not in repr({"password": secret})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("env:S3_SECRET", Reference("env", "S3_SECRET")),
        ("file:/run/secrets/x", Reference("file", "/run/secrets/x")),
        ("file:relative", None),
        ("env:", None),
        ("keyring:a/b", None),
        ("a plain password", None),
        (7, None),
    ],
)
def test_a_reference_is_told_from_a_secret(value: object, expected: Reference | None) -> None:
    assert reference(value) == expected


def test_settings_are_parted_by_name_and_absent_secrets_left_out() -> None:
    assert split({"host": "h", "password": "p", "pin": None}, frozenset({"password", "pin"})) == (
        {"host": "h"},
        {"password": "p"},
    )


def test_scrubbing_takes_every_secret_out_of_a_text() -> None:
    assert scrub("no abcdef at abcdefgh", {"a": "abcdef", "b": "abcdefgh", "c": "no"}) == "no *** at ***"
