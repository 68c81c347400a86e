"""How numbers, times and tables look on a terminal."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tallyport.domain import paths

_UNITS = ("kB", "MB", "GB", "TB", "PB")


def size(count: float) -> str:
    """Give bytes as people read them, in powers of 1000: ``12.3 MB``."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in _UNITS:
        count /= 1000
        if count < 999.95 or unit == _UNITS[-1]:
            return f"{count:.1f} {unit}"
    raise AssertionError("unreachable")


def number(count: int) -> str:
    """Give a count with its thousands apart."""
    return f"{count:,}"


def items(count: int) -> str:
    """Give ``1 item`` or ``2,000 items``."""
    return f"{count:,} item" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """Give a span: ``0.9 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def moment(microseconds: int | None) -> str:
    """Give a time as UTC to the second, or a dash."""
    if microseconds is None:
        return "-"
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def line(text: str) -> str:
    """Give text from a file name or a message as one harmless line: no control characters, no lone surrogates."""
    clean = paths.display(text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in clean)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[int] = ()) -> list[str]:
    """Lay out columns; those in ``right`` are numbers."""
    texts = [list(head), *([line(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    numeric = set(right)
    return [
        "  ".join(
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    ]
