"""What changed between two states of something, for the record: field by field, secrets hidden."""

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
