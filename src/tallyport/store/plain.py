"""Transactions straight on sqlite3, as much like SQLAlchemy's as the statements of this floor need."""

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any, ClassVar, NoReturn

from tallyport.store import bulk
from tallyport.store.phrases import Phrase, Spelled, spelled


class Line:
    """One connection to the file, and SQLAlchemy's view of it once somebody needs that."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.info: dict[str, Any] = {}
        self._real: Any = None

    @property
    def real(self) -> Any:
        """SQLAlchemy on the same connection. It begins and ends nothing: the transaction is ours."""
        if self._real is None:
            import sqlalchemy as sa
            from sqlalchemy.pool import StaticPool

            engine = sa.create_engine("sqlite://", creator=lambda: _Guest(self.raw), poolclass=StaticPool)
            self._real = engine.connect()
        return self._real

    def close(self) -> None:
        """Close it; nobody is in a transaction on it any more."""
        if self._real is not None:
            self._real.close()
            self._real.engine.dispose()
        self.raw.close()


class _Guest:
    """A connection as SQLAlchemy gets it: it can begin, commit and roll back nothing."""

    isolation_level = None

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def _nothing(self) -> None:
        pass

    commit = rollback = close = _nothing


class Dialect:
    """What is asked of a dialect here."""

    name = "sqlite"


class Transaction:
    """What a statement is executed in: a phrase that is packaged goes to sqlite3, all else through SQLAlchemy."""

    dialect = Dialect

    def __init__(self, line: Line) -> None:
        self._line = line
        self._raw = line.raw
        self.info = line.info

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Execute a statement that was put together."""
        if isinstance(statement, Phrase):
            known, values = spelled(statement, parameters)
            if known is not None and (found := self._known(known, values, parameters)) is not None:
                return found
            statement = statement.real()
        return self.real.execute(statement, parameters)

    def scalar(self, statement: Any, parameters: Any = None) -> Any:
        """Execute a statement; gives the first value of its first row, or None."""
        return self.execute(statement, parameters).scalar()

    def scalars(self, statement: Any, parameters: Any = None) -> Any:
        """Execute a statement; gives the first value of each row."""
        return self.execute(statement, parameters).scalars()

    def exec_driver_sql(self, statement: str, parameters: Any = None) -> "Result":
        """Execute SQL as it stands; a list of parameters executes it for each."""
        if type(parameters) is list:
            return _run_many(self._raw, statement, parameters)
        return _run(self._raw.execute, statement, parameters or ())

    def _run_ddl_visitor(self, *given: Any, **options: Any) -> None:
        """Make or drop tables: what ``MetaData`` asks of a connection."""
        self.real._run_ddl_visitor(*given, **options)

    @property
    def real(self) -> Any:
        """The same transaction for SQLAlchemy."""
        return self._line.real

    def _known(self, known: Spelled, values: tuple[Any, ...], parameters: Any) -> "Result | None":
        if type(parameters) is list:
            rows = [tuple(_value(key, values, row) for key in known.order) for row in parameters]
            return _run_many(self._raw, known.text, rows)
        text, given = known.text, []
        for key in known.order:
            value = _value(key, values, parameters)
            if type(value) in (list, tuple):
                if not value:
                    return None  # SQLAlchemy knows what to say of an empty list
                text = text.replace("??", ", ".join("?" * len(value)), 1)
                given += value
            else:
                given.append(value)
        return _run(self._raw.execute, text, given, known)

    def execution_options(self, **options: Any) -> Any:
        """Give SQLAlchemy's view of the transaction with options of its own."""
        return self.real.execution_options(**options)


@contextlib.contextmanager
def told(text: str = "", values: Any = ()) -> Iterator[None]:
    """Raise what SQLAlchemy would where sqlite3 raises: callers know its errors."""
    try:
        yield
    except sqlite3.Error as error:
        _tell(error, text, values)


def _tell(error: sqlite3.Error, text: str, values: Any) -> NoReturn:
    import sqlalchemy as sa

    raise sa.exc.DBAPIError.instance(text, values, error, sqlite3.Error) from error


def _value(key: int | str | list[int], values: tuple[Any, ...], parameters: Any) -> Any:
    if type(key) is int:
        return values[key]
    return parameters[key] if type(key) is str else key[0]  # type: ignore[index]


def _run(act: Any, text: str, values: Any, known: Spelled | None = None) -> "Result":
    try:
        return Result(act(text, values), known)
    except sqlite3.Error as error:
        _tell(error, text, values)


def _run_many(raw: sqlite3.Connection, text: str, rows: list[Any]) -> "Result":
    try:
        return Result.of_changes(bulk.write(raw, text, rows))
    except sqlite3.Error as error:
        _tell(error, text, rows)


class Row(tuple[Any, ...]):
    """A row whose values have names."""

    __slots__ = ()
    _places: ClassVar[dict[str, int]] = {}

    def __getattr__(self, name: str) -> Any:
        try:
            return self[self._places[name]]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def _mapping(self) -> dict[str, Any]:
        return dict(zip(self._places, self, strict=True))


_kinds: dict[tuple[str, ...], type[Row]] = {}


def _kind(names: tuple[str, ...]) -> type[Row]:
    kind = _kinds.get(names)
    if kind is None:
        places = {name: place for place, name in enumerate(names)}
        kind = _kinds[names] = type("Row", (Row,), {"__slots__": (), "_places": places})
    return kind


class Result:
    """What a statement gave, read to its end at once: an unread statement would hold up the commit."""

    def __init__(self, cursor: sqlite3.Cursor, known: Spelled | None) -> None:
        if cursor.description is None:
            self._rows: list[Any] = []
            self._names: tuple[str, ...] = ()
        else:
            self._rows = cursor.fetchall()
            self._names = known.names if known is not None else tuple(column[0] for column in cursor.description)
            if known is not None and known.truths:
                self._rows = [_truly(row, known.truths) for row in self._rows]
        self.rowcount = cursor.rowcount

    @classmethod
    def of_changes(cls, count: int) -> "Result":
        """Give the result of statements that changed so many rows and gave none."""
        self = cls.__new__(cls)
        self._rows, self._names, self.rowcount = [], (), count
        return self

    def __iter__(self) -> Iterator[Any]:
        return map(_kind(self._names), self._rows)

    def all(self) -> list[Any]:
        return list(self)

    fetchall = all

    def first(self) -> Any:
        return _kind(self._names)(self._rows[0]) if self._rows else None

    def one(self) -> Any:
        self._only_one()
        return self.first()

    def one_or_none(self) -> Any:
        return self.one() if self._rows else None

    def scalar(self) -> Any:
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:
        self._only_one()
        return self._rows[0][0]

    def scalars(self) -> "Values":
        return Values([row[0] for row in self._rows])

    def mappings(self) -> "Values":
        names = self._names
        return Values([dict(zip(names, row, strict=True)) for row in self._rows])

    def _only_one(self) -> None:
        if len(self._rows) != 1:
            import sqlalchemy as sa

            none = sa.exc.NoResultFound("no row was found when one was required")
            raise none if not self._rows else sa.exc.MultipleResultsFound("more rows than one were found")


class Values:
    """One value or mapping of each row."""

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def all(self) -> list[Any]:
        return self._values

    fetchall = all

    def first(self) -> Any:
        return self._values[0] if self._values else None

    def one(self) -> Any:
        (value,) = self._values
        return value

    def one_or_none(self) -> Any:
        return self.one() if self._values else None


def _truly(row: tuple[Any, ...], truths: tuple[int, ...]) -> tuple[Any, ...]:
    values = list(row)
    for place in truths:
        if values[place] is not None:
            values[place] = bool(values[place])
    return tuple(values)
