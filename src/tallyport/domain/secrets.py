"""Secrets of a connection: a text that does not show itself, and references that stand for one."""

import json
from collections.abc import Mapping
from typing import NamedTuple

SHOWN = "***"


class Secret(str):
    """A text whose representation does not tell what it is. To a platform's library it is a text like any other."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{SHOWN}'"


class Reference(NamedTuple):
    """Where a secret is read each time it is needed, in place of being stored."""

    kind: str  # env or file
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def reference(value: object) -> Reference | None:
    """Read ``env:NAME`` or ``file:/path``; None when the value is a secret itself."""
    if not isinstance(value, str):
        return None
    kind, colon, name = value.partition(":")
    if colon and name and (kind == "env" or (kind == "file" and name.startswith("/"))):
        return Reference(kind, name)
    return None


def secrets_set(sealed: str | None) -> dict[str, str]:
    """Say which secrets a sealed text holds: ``set``, or the reference that stands in a secret's place."""
    if sealed is None:
        return {}
    document = json.loads(sealed)
    return {**dict.fromkeys(document["set"], "set"), **document["references"]}


def split(settings: Mapping[str, object], secret_names: frozenset[str]) -> tuple[dict[str, object], dict[str, object]]:
    """Part settings into those that may be shown and those that may not."""
    shown = {name: value for name, value in settings.items() if name not in secret_names}
    hidden = {name: value for name, value in settings.items() if name in secret_names and value is not None}
    return shown, hidden


def scrub(text: str, values: Mapping[str, object]) -> str:
    """Give a text without the secrets that stand in it."""
    for value in sorted((v for v in values.values() if isinstance(v, str) and len(v) > 3), key=len, reverse=True):
        text = text.replace(value, SHOWN)
    return text
