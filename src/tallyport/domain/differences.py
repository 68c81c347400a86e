"""What changed between two states of something, for the record: field by field, secrets hidden."""

import json
from collections.abc import Collection, Mapping

from tallyport.domain.secrets import SHOWN

LONGEST = 500  # characters of one value


def difference(
    before: Mapping[str, object], after: Mapping[str, object], hidden: Collection[str] = ()
) -> dict[str, list[object]]:
    """Give each field that differs, with its value before and after; of a hidden one only that it was set."""
    found: dict[str, list[object]] = {}
    for name in [*before, *(one for one in after if one not in before)]:
        was, now = before.get(name), after.get(name)
        if was != now:
            found[name] = [_shown(was, name in hidden), _shown(now, name in hidden)]
    return found


def _shown(value: object, is_hidden: bool) -> object:
    if value is None:
        return None
    if is_hidden:
        return SHOWN
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{value[:LONGEST]}…"
    return value


_SECRET = ("password", "secret", "token", "passphrase", "private_key", "access_key")
_MOST_TOLD = 12  # fields of one sentence
_TOLD = 60  # characters of one value in a sentence


def flat(document: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Give a document as one level, the names of inner fields dotted; lists are values."""
    found: dict[str, object] = {}
    for name, value in document.items():
        place = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{place}.")
        else:
            found[place] = value
    return found


def of_documents(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, list[object]]:
    """Give each field that differs between two documents, by its dotted name; what may be a secret is not told."""
    was, now = flat(before), flat(after)
    hidden = {name for name in (*was, *now) if any(word in name.rpartition(".")[2].lower() for word in _SECRET)}
    return difference(was, now, hidden)


def told(changes: Mapping[str, list[object]]) -> str:
    """Say in a sentence what changed: the first fields, each with its value before and after."""
    fields = [f"{name}: {_word(was)} → {_word(now)}" for name, (was, now) in list(changes.items())[:_MOST_TOLD]]
    left = len(changes) - len(fields)
    return "; ".join([*fields, *([f"and {left} more"] if left else [])])


def _word(value: object) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _TOLD else f"{text[:_TOLD]}…"
