"""Pairs and exclusions of a map as CSV: read whole or not at all, each problem with its line.

Every field stands in double quotes when it is written; unquoted ones are welcome. A backslash may be doubled, as
older editions of the format ask for. A spreadsheet may not run a field: one that begins like a formula is written
behind an apostrophe, which is taken away when it is read.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.documents import Problem
from tallyport.domain.maps import Pair, key_of

TEXTS = ("id", "username", "name", "caption")
MORE = ("email",)  # ours; written where somebody has one
COLUMNS = tuple(f"{side}_{text}" for side in ("source", "destination") for text in TEXTS)
MOST_PROBLEMS = 100
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
_LONGEST = 1_000


class CsvErrors(Exception):
    """A file that cannot be used, with everything that is wrong with it. Nothing of it was taken."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def read_pairs(text: str, kind: PrincipalKind) -> tuple[Pair, ...]:
    """Read explicit pairs."""
    problems: list[Problem] = []
    columns = tuple(f"{side}_{name}" for side in ("source", "destination") for name in (*TEXTS, *MORE))
    pairs: list[Pair] = []
    first: dict[tuple[str, str] | None, tuple[int, Principal]] = {}
    for line, row in _rows(text, columns, problems):
        ends = [_principal(row, f"{side}_", kind) for side in ("source", "destination")]
        source, destination = ends
        if source is None or destination is None:
            missing = [side for side, end in zip(("source", "destination"), ends, strict=True) if end is None]
            _wrong(problems, line, f"names no {' and no '.join(missing)}")
            continue
        key = key_of(source)
        earlier = first.setdefault(key, (line, destination))
        if earlier[1] != destination:
            _wrong(problems, line, f"has the source of line {earlier[0]} with another destination")
        pairs.append(Pair(source, destination))
    _finish(problems)
    return tuple(pairs)


def read_exclusions(text: str, kind: PrincipalKind) -> tuple[Principal, ...]:
    """Read whom a map excludes at one side."""
    problems: list[Problem] = []
    found: list[Principal] = []
    for line, row in _rows(text, (*TEXTS, *MORE), problems):
        principal = _principal(row, "", kind)
        if principal is None:
            _wrong(problems, line, "names nobody")
        else:
            found.append(principal)
    _finish(problems)
    return tuple(found)


def write_pairs(pairs: Iterable[Pair]) -> Iterator[str]:
    """Write explicit pairs, line by line."""
    columns = (*COLUMNS, *(f"{side}_{text}" for side in ("source", "destination") for text in MORE))
    yield _line(columns)
    for pair in pairs:
        texts = [getattr(end, text) for end in pair for text in TEXTS]
        yield _line([*texts, *(getattr(end, text) for end in pair for text in MORE)])


def write_exclusions(principals: Iterable[Principal]) -> Iterator[str]:
    """Write whom a map excludes at one side, line by line."""
    yield _line((*TEXTS, *MORE))
    for principal in principals:
        yield _line([getattr(principal, text) for text in (*TEXTS, *MORE)])


def _rows(text: str, known: Sequence[str], problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """Give each row by its column names, with the line it ends on. Problems are noted and rows with them left out."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    columns: list[str] | None = None
    try:
        for fields in reader:
            if columns is None:
                columns = [field.strip().lower() for field in fields]
                if not _check_header(columns, known, problems):
                    return
            elif not any(field.strip() for field in fields):
                continue
            elif len(fields) != len(columns):
                _wrong(problems, reader.line_num, f"has {len(fields)} fields, and the header {len(columns)}")
            else:
                cleaned = [_clean(field) for field in fields]
                if any(len(field) > _LONGEST or "\0" in field for field in cleaned):
                    _wrong(problems, reader.line_num, f"has a field of more than {_LONGEST} characters, or with a NUL")
                else:
                    yield reader.line_num, dict(zip(columns, cleaned, strict=True))
    except csv.Error as error:
        _wrong(problems, reader.line_num, f"is not CSV: {error}")
        return
    if columns is None:
        _wrong(problems, 1, f"is empty: the file begins with the header {','.join(known)}")


_OTHER_SIGNS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # what spreadsheets write where a comma is a decimal sign


def _check_header(columns: list[str], known: Sequence[str], problems: list[Problem]) -> bool:
    unknown = [column for column in columns if column not in known]
    other = next((sign for sign in _OTHER_SIGNS if len(columns) == 1 and sign in columns[0]), None)
    if other is not None:
        what = f"separates its columns by {_OTHER_SIGNS[other]}: save it with commas between them (RFC 4180)"
        _wrong(problems, 1, what, known)
    elif unknown:
        _wrong(problems, 1, f"has the unknown columns {', '.join(unknown)[:200]}", known)
    elif len(set(columns)) < len(columns):
        _wrong(problems, 1, "names a column twice", known)
    return not problems


def _principal(row: dict[str, str], prefix: str, kind: PrincipalKind) -> Principal | None:
    texts = {text: row.get(f"{prefix}{text}", "") for text in (*TEXTS, *MORE)}
    return Principal(kind, **texts) if any(texts.values()) else None


def _clean(field: str) -> str:
    field = field.strip()
    if field.startswith("'") and field[1:].startswith(_DANGEROUS):
        field = field[1:]
    return field.replace("\\\\", "\\")


def _line(fields: Sequence[str]) -> str:
    safe = (f"'{field}" if field.startswith(_DANGEROUS) else field for field in fields)
    return ",".join('"{}"'.format(field.replace('"', '""')) for field in safe) + "\r\n"


def _wrong(problems: list[Problem], line: int, message: str, allowed: Sequence[str] = ()) -> None:
    problems.append(Problem(f"/line/{line}", "wrong_row", f"line {line} {message}", tuple(allowed)))
    if len(problems) >= MOST_PROBLEMS:
        raise CsvErrors(problems)


def _finish(problems: list[Problem]) -> None:
    if problems:
        raise CsvErrors(problems)
