"""Statements as they are put together, without SQLAlchemy: it takes a quarter of a second to import.

Modules of this floor write their statements with ``sa`` and ``tables`` from here. What looks like SQLAlchemy there is
put down as it is said: a :class:`Phrase`. On SQLite most phrases of a run are found, by their shape, among those that
``tools.phrases`` had SQLAlchemy spell when the program was packaged. Every other phrase, and every phrase on
PostgreSQL, is said again to SQLAlchemy itself (:meth:`Phrase.real`), so that a missing one costs time and nothing else.
"""

import functools
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tallyport.store import tables

__all__ = ["Phrase", "Spelled", "Unspeakable", "key_of", "packaged", "sa", "spelled", "tables"]

_PLAIN = (int, str, bytes, float, type(None))
# What these are given are values, which change from time to time; what all else is given belongs to the shape.
_TAKES_VALUES = frozenset(
    {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__add__", "__sub__"}
    | {"in_", "not_in", "notin_", "limit", "offset", "values", "coalesce"}
)
_NONE_IS_VALUE = frozenset({"values"})  # elsewhere it makes another statement: IS NULL


class Spelled(NamedTuple):
    """A phrase as SQL for SQLite."""

    text: str  # with ? for a value, ?? for a list of them
    order: tuple[int | str | list[int], ...]  # of its values: place in the phrase, name of a parameter, [the value]
    names: tuple[str, ...]  # of the columns it gives
    truths: tuple[int, ...]  # places of columns that are true or false


class Unspeakable(Exception):
    """A phrase holds something that has no shape: it is said to SQLAlchemy."""


class Phrase:
    """Something said to ``sa`` or to a table: a statement, or what one is made of."""

    __slots__ = ("_arguments", "_named", "_of", "_real", "_said", "_shape")
    is_clause_element = False  # SQLAlchemy then asks for __clause_element__

    def __init__(
        self, of: "Phrase | None", said: str, arguments: tuple[Any, ...] | None, named: dict[str, Any]
    ) -> None:
        """``said`` is the name of what is asked for; with ``arguments`` it is called."""
        self._of = of
        self._said = said
        self._arguments = arguments
        self._named = named
        self._real: Any = None
        self._shape: tuple[str, tuple[Any, ...]] | None = None

    def __getattr__(self, name: str) -> "Phrase":
        if name.startswith("__"):
            raise AttributeError(name)
        return Phrase(self, name, None, {})

    def __call__(self, *arguments: Any, **named: Any) -> "Phrase":
        return Phrase(self, "", arguments, named)

    def __getitem__(self, key: Any) -> "Phrase":
        return Phrase(self, "__getitem__", (key,), {})

    def __bool__(self) -> bool:
        raise TypeError("a phrase is neither true nor false: say what it is compared with")

    def __iter__(self) -> Any:
        return iter(self.real())

    def __len__(self) -> int:
        return len(self.real())

    __hash__ = object.__hash__

    def real(self) -> Any:
        """Say it to SQLAlchemy; gives what that answers."""
        if self._real is None:
            if self._of is None:
                self._real = _root(self._said)
            else:
                of = self._of.real()
                if self._arguments is None:
                    self._real = getattr(of, self._said)
                else:
                    act = getattr(of, self._said) if self._said else of
                    arguments = [_really(one) for one in self._arguments]
                    self._real = act(*arguments, **{name: _really(one) for name, one in self._named.items()})
        return self._real

    def compile(self, *given: Any, **options: Any) -> Any:
        """Have SQLAlchemy spell it, for whoever keeps the text."""
        return self.real().compile(*given, **options)

    # what SQLAlchemy itself asks of a statement or an expression that is given to it

    def _execute_on_connection(self, connection: Any, parameters: Any, options: Any) -> Any:
        return self.real()._execute_on_connection(connection, parameters, options)

    def __clause_element__(self) -> Any:
        real = self.real()
        return real.__clause_element__() if hasattr(real, "__clause_element__") else real


def _operator(name: str) -> Any:
    def said(self: Phrase, *others: Any) -> Phrase:
        return Phrase(self, name, others, {})

    return said


for _name in (
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
    *("__add__", "__sub__", "__mul__", "__truediv__", "__floordiv__", "__mod__", "__neg__"),
    *("__radd__", "__rsub__", "__rmul__", "__rtruediv__", "__rfloordiv__", "__rmod__"),
    *("__and__", "__or__", "__invert__", "__ror__", "__lshift__", "__rshift__"),
):
    setattr(Phrase, _name, _operator(_name))


def _really(one: Any) -> Any:
    if isinstance(one, Phrase):
        return one.real()
    if type(one) in (list, tuple) and any(isinstance(part, Phrase) for part in one):
        return type(one)(map(_really, one))
    if type(one) is dict:
        return {key: _really(value) for key, value in one.items()}
    return one


def _root(name: str) -> Any:
    if name == "sa":
        import sqlalchemy

        return sqlalchemy
    from tallyport.store import tables

    return tables


# -- shapes --------------------------------------------------------------------------------------------------------


def shape(phrase: Phrase) -> tuple[str, tuple[Any, ...]]:
    """Give the shape of a phrase and the values in it, in their order. Raises :class:`Unspeakable`."""
    known = phrase._shape
    if known is None:
        text: list[str] = []
        values: list[Any] = []
        if phrase._of is not None:
            of, before = shape(phrase._of)
            text.append(of)
            values += before
            text.append(".")
        text.append(phrase._said)
        if phrase._arguments is not None:
            varies = variance(phrase)
            text.append("(")
            for one in phrase._arguments:
                _describe(one, varies, text, values)
            for name, one in phrase._named.items():
                text.append(f"{name}=")
                _describe(one, varies, text, values)
            text.append(")")
        known = phrase._shape = "".join(text), tuple(values)
    return known


def variance(phrase: Phrase) -> tuple[bool, bool]:
    """Tell of a call whether what it is given are values, and whether None is one."""
    what = phrase._said or (phrase._of._said if phrase._of is not None else "")
    return what in _TAKES_VALUES, what in _NONE_IS_VALUE


def is_value(one: Any, varies: tuple[bool, bool]) -> bool:
    """Tell whether something that a call is given is no part of the phrase's shape."""
    may_vary, none_varies = varies
    if isinstance(one, _PLAIN):
        return may_vary and (none_varies or (one is not None and not isinstance(one, bool)))
    is_list = type(one) in (list, tuple) and bool(one)
    return may_vary and is_list and all(isinstance(value, _PLAIN) for value in one)


def _describe(one: Any, varies: tuple[bool, bool], text: list[str], values: list[Any]) -> None:
    if isinstance(one, Phrase):
        inner, more = shape(one)
        text.append(inner)
        values += more
    elif is_value(one, varies):
        text.append("?" if isinstance(one, _PLAIN) else "??")
        values.append(one)
    elif isinstance(one, _PLAIN):
        text.append(repr(str(one)) if isinstance(one, str) else repr(one))
    elif type(one) is dict and all(type(key) is str for key in one):
        text.append("{")
        for key, value in one.items():
            text.append(f"{key}:")
            _describe(value, varies, text, values)
        text.append("}")
    elif type(one) in (list, tuple):
        text.append("[")
        for value in one:
            _describe(value, (False, False), text, values)
        text.append("]")
    else:
        raise Unspeakable(type(one).__name__)
    text.append(",")


@functools.cache
def packaged() -> dict[str, Spelled]:
    """Give the phrases that were spelled beforehand, by shape."""
    # differs from other package data because importlib.resources is slower to load than all of this to read
    with open(os.path.join(os.path.dirname(__file__), "phrases.json"), "rb") as stream:
        found = json.loads(stream.read())
    return {key: Spelled(text, tuple(order), tuple(names), tuple(truths)) for key, text, order, names, truths in found}


def key_of(phrase: Phrase, parameters: Any) -> tuple[str, tuple[Any, ...]]:
    """Give what a phrase is packaged under, with the names of its parameters, and the values in it."""
    text, values = shape(phrase)
    if parameters:
        first = parameters if isinstance(parameters, dict) else parameters[0]
        text = f"{text} {','.join(first)}"
    return text, values


def spelled(phrase: Phrase, parameters: Any) -> tuple[Spelled | None, tuple[Any, ...]]:
    """Give a phrase as SQL where it is packaged, and the values in it."""
    try:
        key, values = key_of(phrase, parameters)
    except Unspeakable:
        return None, ()
    return packaged().get(key), values


if not TYPE_CHECKING:

    class _Spoken(Phrase):
        """``sa`` itself. Errors are real at once: they are asked for when one was raised."""

        __slots__ = ()

        @property
        def exc(self) -> Any:
            return self.real().exc

    sa = _Spoken(None, "sa", None, {})
    tables = Phrase(None, "tables", None, {})
