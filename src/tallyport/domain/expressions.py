"""The small language that a preview of changes is written in: assignments to ``name``, ``path`` and metadata.

    name = replace(lower(name), " ", "-");
    path = concat("archive/", year(modified), "/", name);
    metadata.department = if(starts_with(path, "hr/"), "HR", metadata.department)

There are no loops, no calls but those of ``FUNCTIONS``, nothing outside the record is read, and text, steps and
results are bounded. It is not JavaScript, and no code of a client is ever run.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tallyport.domain import naming, paths

MOST_TEXT = 4_096  # characters of an expression, and of a value it makes
MOST_STATEMENTS = 50
MOST_DEPTH = 32
MOST_STEPS = 2_000

Value = str | int | bool | None
ASSIGNABLE = ("name", "path")
READABLE = ("name", "path", "size", "modified", "type")


class Unusable(Exception):
    """The expression cannot be used; ``at`` is where, in characters."""

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


class Node(NamedTuple):
    """One node of an expression: a value, a field, or a call."""

    kind: str  # value field call
    value: Value
    arguments: tuple["Node", ...] = ()


class Statement(NamedTuple):
    """One assignment."""

    target: str
    node: Node


class Program(NamedTuple):
    """A whole expression, read."""

    statements: tuple[Statement, ...]


_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>\d{1,15})
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)
      | (?P<sign>==|!=|[=+(),;])""",
    re.VERBOSE,
)
_JAVASCRIPT = re.compile(r"=>|\bfunction\b|[{}]|\brecord\s*\.|\b(?:const|let|var|return|await|new)\b|`")
_ESCAPES = {"n": "\n", "t": "\t"}


def looks_like_javascript(text: str) -> bool:
    """Tell whether somebody sent a function of the language that this one is not."""
    return _JAVASCRIPT.search(re.sub(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", "", text)) is not None


def read(text: str) -> Program:
    """Read an expression, or raise Unusable."""
    if len(text) > MOST_TEXT:
        raise Unusable(f"an expression may have at most {MOST_TEXT} characters, not {len(text)}")
    statements = _Parser(_tokens(text)).statements()
    if not statements:
        raise Unusable("an expression needs an assignment, for instance: name = lower(name)")
    if len(statements) > MOST_STATEMENTS:
        raise Unusable(f"an expression may have at most {MOST_STATEMENTS} assignments, not {len(statements)}")
    return Program(tuple(statements))


def changes(program: Program, record: Mapping[str, Value]) -> dict[str, Value]:
    """Give a record as the assignments make it: later ones see the earlier ones. Raises Unusable.

    ``name`` is the last segment of ``path``, so changing one changes the other.
    """
    now = dict(record)
    steps = [0]
    for statement in program.statements:
        value = _value(statement.node, now, steps)
        if statement.target == "path":
            now["path"] = _text(value).strip("/")
            now["name"] = paths.split(str(now["path"]))[1]
        elif statement.target == "name":
            now["name"] = _text(value)
            now["path"] = paths.join(paths.split(_text(now.get("path")))[0], _text(value))
        else:
            now[statement.target] = value
    return now


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Unusable(f"cannot read {text[at : at + 20]!r} at character {at + 1}", at)
        if found.lastgroup != "space":
            tokens.append(_Token(str(found.lastgroup), found[0], at))
        at = found.end()
    return tokens


class _Parser:
    """Reads tokens by recursive descent; the depth is bounded."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def statements(self) -> list[Statement]:
        found: list[Statement] = []
        while self._at < len(self._tokens):
            if self._accept(";"):
                continue
            found.append(self._statement())
            if self._at < len(self._tokens):
                self._expect(";")
        return found

    def _statement(self) -> Statement:
        token = self._next("a field to assign to: name, path or metadata.KEY")
        if token.kind != "word" or not (token.text in ASSIGNABLE or token.text.startswith("metadata.")):
            raise Unusable(f"cannot assign to {token.text}: name, path and metadata.KEY can be changed", token.at)
        self._expect("=")
        return Statement(token.text, self._comparison(0))

    def _comparison(self, depth: int) -> Node:
        left = self._sum(depth)
        for sign, name in (("==", "equals"), ("!=", "differs")):
            if self._accept(sign):
                return Node("call", name, (left, self._sum(depth)))
        return left

    def _sum(self, depth: int) -> Node:
        left = self._one(depth)
        while self._accept("+"):
            left = Node("call", "concat", (left, self._one(depth)))
        return left

    def _one(self, depth: int) -> Node:
        if depth > MOST_DEPTH:
            raise Unusable(f"an expression may be nested at most {MOST_DEPTH} deep")
        token = self._next("a value")
        if token.kind == "text":
            return Node("value", re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), token.text[1:-1]))
        if token.kind == "number":
            return Node("value", int(token.text))
        if token.text == "(":
            inner = self._comparison(depth + 1)
            self._expect(")")
            return inner
        if token.kind != "word":
            raise Unusable(f"a value is missing before {token.text!r}", token.at)
        if self._accept("("):
            return self._call(token, depth)
        if token.text in ("true", "false"):
            return Node("value", token.text == "true")
        if token.text in READABLE or token.text.startswith("metadata."):
            return Node("field", token.text)
        raise Unusable(f"there is no field {token.text}: {', '.join(READABLE)} and metadata.KEY", token.at)

    def _call(self, name: _Token, depth: int) -> Node:
        function = FUNCTIONS.get(name.text)
        if function is None:
            raise Unusable(f"there is no function {name.text}: {', '.join(sorted(FUNCTIONS))}", name.at)
        arguments: list[Node] = []
        while not self._accept(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._comparison(depth + 1))
        least, most = function.takes
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise Unusable(f"{name.text} takes {wanted} arguments, not {len(arguments)}", name.at)
        return Node("call", name.text, tuple(arguments))

    def _next(self, wanted: str) -> _Token:
        if self._at >= len(self._tokens):
            raise Unusable(f"the expression ends where {wanted} is wanted")
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][:2] == ("sign", sign):
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            token = self._tokens[self._at] if self._at < len(self._tokens) else _Token("end", "the end", 0)
            raise Unusable(f"{sign!r} is missing before {token.text!r}", token.at)


def _value(node: Node, record: Mapping[str, Value], steps: list[int]) -> Value:
    steps[0] += 1
    if steps[0] > MOST_STEPS:
        raise Unusable(f"an expression may take at most {MOST_STEPS} steps for one record")
    if node.kind == "value":
        return node.value
    if node.kind == "field":
        return record.get(str(node.value))
    name = str(node.value)
    if name == "if":
        chosen = node.arguments[1 if _value(node.arguments[0], record, steps) else 2]
        return _value(chosen, record, steps)
    arguments = [_value(one, record, steps) for one in node.arguments]
    made = FUNCTIONS[name].of(arguments)
    if isinstance(made, str) and len(made) > MOST_TEXT:
        raise Unusable(f"{name} makes a text of more than {MOST_TEXT} characters")
    return made


def _text(value: Value) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _whole(value: Value, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unusable(f"{name} needs a whole number, not {_text(value)!r}")
    return value


def _part(a: Sequence[Value]) -> Value:
    begin = _whole(a[1], "slice")
    return _text(a[0])[begin : _whole(a[2], "slice") if len(a) > 2 else None]


def _pad(a: Sequence[Value]) -> Value:
    width = _whole(a[1], "pad")
    if width > MOST_TEXT:
        raise Unusable(f"pad makes a text of more than {MOST_TEXT} characters")
    return _text(a[0]).rjust(width, _text(a[2])[:1] if len(a) > 2 else " ")


def _replaced(a: Sequence[Value]) -> Value:
    whole, old, new = map(_text, a)
    if old and whole.count(old) * len(new) > MOST_TEXT:
        raise Unusable(f"replace makes a text of more than {MOST_TEXT} characters")
    return whole.replace(old, new) if old else whole


def _moment(value: Value, form: str) -> str:
    try:
        return datetime.fromtimestamp(_whole(value, "a date"), UTC).strftime(form)
    except (OverflowError, OSError, ValueError) as error:
        raise Unusable(f"{_text(value)} is no time that a calendar has") from error


class Function(NamedTuple):
    """One function: how many arguments it takes, and what it makes of them."""

    takes: tuple[int, int]
    of: Callable[[Sequence[Value]], Value]


FUNCTIONS: dict[str, Function] = {
    "lower": Function((1, 1), lambda a: _text(a[0]).lower()),
    "upper": Function((1, 1), lambda a: _text(a[0]).upper()),
    "trim": Function((1, 1), lambda a: _text(a[0]).strip()),
    "replace": Function((3, 3), _replaced),
    "slice": Function((2, 3), _part),
    "pad": Function((2, 3), _pad),
    "concat": Function((1, 20), lambda a: "".join(map(_text, a))),
    "stem": Function((1, 1), lambda a: naming.split_extension(_text(a[0]))[0]),
    "extension": Function((1, 1), lambda a: naming.split_extension(_text(a[0]))[1].removeprefix(".")),
    "folder": Function((1, 1), lambda a: _text(a[0]).rpartition("/")[0]),
    "length": Function((1, 1), lambda a: len(_text(a[0]))),
    "contains": Function((2, 2), lambda a: _text(a[1]) in _text(a[0])),
    "starts_with": Function((2, 2), lambda a: _text(a[0]).startswith(_text(a[1]))),
    "ends_with": Function((2, 2), lambda a: _text(a[0]).endswith(_text(a[1]))),
    "equals": Function((2, 2), lambda a: _text(a[0]) == _text(a[1])),
    "differs": Function((2, 2), lambda a: _text(a[0]) != _text(a[1])),
    "not": Function((1, 1), lambda a: not a[0]),
    "and": Function((2, 20), lambda a: all(a)),
    "or": Function((2, 20), lambda a: any(a)),
    "if": Function((3, 3), lambda a: a[1] if a[0] else a[2]),  # only the chosen side is worked out
    "year": Function((1, 1), lambda a: _moment(a[0], "%Y")),
    "date": Function((1, 1), lambda a: _moment(a[0], "%Y-%m-%d")),
}
