"""Name patterns: ``*`` stands for any text, ``;`` stands between patterns, case does not matter.

Matching is linear in the name for each piece of a pattern and never goes back, whatever a user types.
"""

from collections.abc import Callable

Matcher = Callable[[str], bool]


def matcher(text: str) -> Matcher:
    """Build the test for a pattern text. Without any pattern in it nothing matches."""
    tests = tuple(_single(piece) for piece in (part.strip().casefold() for part in text.split(";")) if piece)

    def matches(name: str) -> bool:
        folded = name.casefold()
        for test in tests:  # noqa: SIM110  a loop costs half of any(): this is asked of every item
            if test(folded):
                return True
        return False

    return matches


def _single(pattern: str) -> Matcher:
    if "*" not in pattern:
        return lambda name: name == pattern
    first, *middle, last = pattern.split("*")
    pieces = [piece for piece in middle if piece]
    if not pieces and not first:
        return lambda name: name.endswith(last)
    if not pieces and not last:
        return lambda name: name.startswith(first)
    shortest = len(first) + len(last)

    def matches(name: str) -> bool:
        if len(name) < shortest or not name.startswith(first) or not name.endswith(last):
            return False
        at, end = len(first), len(name) - len(last)
        for piece in pieces:
            found = name.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    return matches
