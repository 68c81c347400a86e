"""Microseconds of ours as each dialect writes them."""

from collections.abc import Mapping
from datetime import UTC, datetime

from tallyport.control.refusals import invalid

MICRO = 1_000_000


def seconds(at: int | None) -> int | None:
    """Give epoch seconds."""
    return None if at is None else at // MICRO


def iso(at: int | None) -> str | None:
    """Give ISO 8601 UTC to the millisecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / MICRO, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def file_seconds(at: int | None) -> int | None:
    """Give epoch seconds of a file time, which is in nanoseconds."""
    return None if at is None else at // 1_000_000_000


def present(document: Mapping[str, object]) -> dict[str, object]:
    """Leave out what is not known."""
    return {key: value for key, value in document.items() if value is not None}


def moment(text: str, name: str) -> int:
    """Read a time of the query: ISO 8601, or seconds since 1970."""
    try:
        if text.isascii() and text.isdigit() and len(text) < 12:
            return int(text) * MICRO
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * MICRO)
    except (ValueError, OverflowError):
        raise invalid(name, f"{text[:80]!r} is neither an ISO 8601 time nor seconds since 1970") from None
