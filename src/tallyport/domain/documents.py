"""Reading JSON values from outside: every problem with its path and the words that would have done.

A :class:`Reader` collects problems instead of stopping at the first, so that a person mends a document once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeVar

E = TypeVar("E", bound=Enum)


class Problem(NamedTuple):
    """One thing that is wrong with a document."""

    path: str  # JSON pointer: /transfer/audit_level
    code: str  # unknown_key unknown_value wrong_type missing out_of_range not_together
    message: str
    allowed: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Say where and what; of the whole document, just what."""
        return f"{self.path}: {self.message}" if self.path else self.message


class BlockErrors(Exception):
    """All that is wrong with a document, at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = problems


def pointer(path: str, key: object) -> str:
    """Give the JSON pointer of a member."""
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"


def nearest(word: str, words: Iterable[str]) -> str:
    """Say which word may have been meant: `` Did you mean "copy"?``, or nothing."""
    from difflib import get_close_matches  # slow to import, and only people need it

    close = get_close_matches(word.lower(), list(words), n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""


_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


def name_of_type(value: object) -> str:
    """Name a JSON value's type for people."""
    return "null" if value is None else _TYPES.get(type(value), type(value).__name__)


LARGEST = 2**63 - 1  # of any number: what a ledger and a shared account can hold


@dataclass(slots=True)
class Reader:
    """Checks values and collects problems. ``spoken``: values come as text from a command line."""

    spoken: bool = False
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, path: str, code: str, message: str, allowed: Iterable[str] = ()) -> None:
        """Note a problem."""
        self.problems.append(Problem(path, code, message, tuple(allowed)))

    def finish(self) -> None:
        """Raise if anything was wrong."""
        if self.problems:
            raise BlockErrors(self.problems)

    def members(self, value: object, path: str, known: Iterable[str]) -> Mapping[str, object]:
        """Give the members of an object that are known and not null; the others are problems, null is absence."""
        if not isinstance(value, dict):
            self.wrong_type(value, path, "an object")
            return {}
        words = list(known)
        for key in value:
            if key not in words:
                self.unknown(pointer(path, key), str(key), words)
        return {key: value[key] for key in words if value.get(key) is not None}

    def unknown(self, path: str, key: str, known: Iterable[str]) -> None:
        """Note a key that nobody knows, and which one may have been meant."""
        words = list(known)
        self.wrong(path, "unknown_key", f'unknown key "{key}".{nearest(key, words)}', words)

    def wrong_type(self, value: object, path: str, wanted: str) -> None:
        """Note that a value is of the wrong type."""
        given = f'"{value[:40]}"' if self.spoken and isinstance(value, str) else name_of_type(value)
        self.wrong(path, "wrong_type", f"must be {wanted}, not {given}")

    def word(self, value: object, path: str, kind: type[E]) -> E | None:
        """Read a member of an enum by its value."""
        words = [str(member.value) for member in kind]
        text = self.choice(value, path, words)
        return None if text is None else kind(text)

    def choice(self, value: object, path: str, words: list[str]) -> str | None:
        """Read one of some words."""
        if not isinstance(value, str):
            self.wrong(path, "wrong_type", f"must be one of {', '.join(words)}, not {name_of_type(value)}", words)
            return None
        if value not in words:
            close = nearest(value, words)
            self.wrong(path, "unknown_value", f'"{value}" is not one of {", ".join(words)}.{close}', words)
            return None
        return value

    def flag(self, value: object, path: str, *, lenient: bool = False) -> bool | None:
        """Read true or false; as text too where a published sample sends it so, and from a command line."""
        if isinstance(value, bool):
            return value
        if (lenient or self.spoken) and isinstance(value, str):
            word = value.strip().lower()
            if word in ("true", "false"):
                return word == "true"
            if self.spoken and word in ("yes", "no", "on", "off"):
                return word in ("yes", "on")
        if isinstance(value, str):
            self.wrong(path, "unknown_value", f'"{value}" is not true or false', ["true", "false"])
        else:
            self.wrong(path, "wrong_type", f"must be true or false, not {name_of_type(value)}", ["true", "false"])
        return None

    def whole(self, value: object, path: str, *, least: int = 0, most: int | None = None) -> int | None:
        """Read a whole number within bounds."""
        if self.spoken and isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong_type(value, path, "a whole number")
            return None
        return value if self._within(value, path, least, most) else None

    def number(self, value: object, path: str, *, least: float, most: float | None = None) -> float | None:
        """Read a number within bounds."""
        if self.spoken and isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                pass  # stays text, which is the problem
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            self.wrong_type(value, path, "a number")
            return None
        return float(value) if self._within(value, path, least, most) else None

    def text(self, value: object, path: str) -> str | None:
        """Read text that is not empty."""
        if not isinstance(value, str):
            self.wrong_type(value, path, "text")
            return None
        if not value.strip():
            self.wrong(path, "out_of_range", "must not be empty")
            return None
        return value

    def texts(self, value: object, path: str) -> tuple[str, ...] | None:
        """Read a list of text; a single text is a list of one."""
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")] if self.spoken else [value]
        if not isinstance(value, list):
            self.wrong_type(value, path, "a list of text")
            return None
        read = [self.text(member, pointer(path, index)) for index, member in enumerate(value)]
        return tuple(member for member in read if member is not None)

    def items(self, value: object, path: str) -> list[tuple[str, object]]:
        """Give the members of a list with their paths."""
        if not isinstance(value, list):
            self.wrong_type(value, path, "a list")
            return []
        return [(pointer(path, index), member) for index, member in enumerate(value)]

    def _within(self, value: float, path: str, least: float, most: float | None) -> bool:
        if least <= value <= (LARGEST if most is None else most):
            return True
        bounds = f"at least {least}" if most is None and value < least else f"between {least} and {most or LARGEST}"
        given = value if abs(value) <= LARGEST else "more than anything can hold"
        self.wrong(path, "out_of_range", f"must be {bounds}, not {given}")
        return False
