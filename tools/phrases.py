"""Has SQLAlchemy spell what a one-shot says to its store, and packages that: ``python -m tools.phrases``.

One-shots of every kind are run in a temporary folder, each with what it commonly meets. What they said is
written to ``src/tallyport/store/phrases.json``. A phrase that is not in there is spelled when it is said, which costs
the import of SQLAlchemy; so a statement that was changed needs this to be run again, and a test says so.
"""

import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy
from sqlalchemy.dialects import sqlite

from tallyport import app
from tallyport.cli.main import tallyport
from tallyport.domain.connections import Connection
from tallyport.engine.dispatch import InlineDispatcher
from tallyport.store import connections, phrases, plain, rows
from tallyport.store.phrases import Phrase, Spelled, Unspeakable, key_of

FILE = Path(__file__).parent.parent / "src/tallyport/store/phrases.json"
_ONCE = (".subquery.(", ".alias.(", ".cte.(")  # made twice, two of one shape are not one
_LIST = re.compile(r"\(__\[POSTCOMPILE_(\w+)\]\)")


def spell(phrase: Phrase, parameters: Any) -> Spelled | None:
    """Have a phrase spelled for SQLite; None when it cannot be said with other values later."""
    values: list[str] = []
    try:
        real = _with_names(phrase, values)
        keys = None if not parameters else list(parameters if isinstance(parameters, dict) else parameters[0])
        compiled = real.compile(dialect=sqlite.dialect(paramstyle="qmark"), column_keys=keys)
    except (sqlalchemy.exc.SQLAlchemyError, TypeError, AttributeError):
        return None
    order: list[int | str | list[int]] = []
    for name in compiled.positiontup or ():
        if name in values:
            order.append(values.index(name))
        elif keys is not None and name in keys:
            order.append(name)
        elif type(own := compiled.params.get(name)) is int:
            order.append([own])  # SQLAlchemy's own: the OFFSET 0 of a LIMIT
        else:
            return None
    columns = list(compiled._result_columns)
    truths = [place for place, column in enumerate(columns) if isinstance(column.type, sqlalchemy.Boolean)]
    return Spelled(_LIST.sub("(??)", compiled.string), tuple(order), tuple(c.keyname for c in columns), tuple(truths))


def _with_names(phrase: Phrase, values: list[str]) -> Any:
    """Say a phrase to SQLAlchemy with a parameter in the place of each value, in the order of ``phrases.shape``."""
    said: dict[int, Any] = {}

    def name(value: Any) -> Any:
        values.append(f"v{len(values)}")
        return sqlalchemy.bindparam(values[-1], value, expanding=type(value) in (list, tuple))

    def say(one: Any) -> Any:
        if not isinstance(one, Phrase):
            return one
        if id(one) not in said or phrases.shape(one)[1]:  # what holds values is said anew at each place
            said[id(one)] = anew(one)
        return said[id(one)]

    def anew(one: Phrase) -> Any:
        if one._of is None:
            return phrases._root(one._said)
        of = say(one._of)
        if one._arguments is None:
            return getattr(of, one._said)
        varies = phrases.variance(one)

        def argument(given: Any) -> Any:
            if isinstance(given, Phrase):
                return say(given)
            if type(given) is dict:
                return {key: argument(value) for key, value in given.items()}
            if phrases.is_value(given, varies):
                return name(given)
            return type(given)(map(say, given)) if type(given) in (list, tuple) else given

        arguments = [argument(given) for given in one._arguments]
        named = {key: argument(given) for key, given in one._named.items()}
        return (getattr(of, one._said) if one._said else of)(*arguments, **named)

    return say(phrase)


def said_by_runs() -> dict[str, Spelled]:
    """Run one-shots; gives what they said, spelled."""
    found: dict[str, Spelled] = {}

    def listen(phrase: Phrase, parameters: Any) -> tuple[None, tuple[Any, ...]]:
        try:
            key, _ = key_of(phrase, parameters)
        except Unspeakable:
            return None, ()
        if key not in found and sum(map(key.count, _ONCE)) < 2 and (known := spell(phrase, parameters)) is not None:
            found[key] = known
        return None, ()

    often = mock.patch.object(InlineDispatcher.__init__, "__defaults__", (4, 0.01))  # what a longer run says every 5 s
    with mock.patch.object(plain, "spelled", listen), often, tempfile.TemporaryDirectory() as folder:
        for command in ("copy", "publish", "sync", "move", "migrate"):
            _runs(command, Path(folder) / command)
        _run_to_a_saved_connection(Path(folder) / "saved")
    return dict(sorted(found.items()))


def _runs(command: str, folder: Path) -> None:
    source = folder / "source"
    for name in ("a/b/c", "d"):
        (source / name).mkdir(parents=True)
        (source / name / "file").write_bytes(name.encode())
    (source / "large").write_bytes(b"x")
    os.truncate(source / "large", 200 << 20)
    (source / "link").symlink_to("large")
    (source / "second").hardlink_to(source / "d/file")
    (source / "closed").write_bytes(b"closed")
    _run(command, folder)
    _run(command, folder)
    if not (source / "d/file").exists():
        return
    (source / "d/file").write_bytes(b"changed")
    (source / "a/b/c/file").unlink()
    (source / "new").write_bytes(b"new")
    _run(command, folder)
    _run(command, folder, "--simulate")
    shutil.rmtree(source / "a")
    for path in (source / "d/file", source / "second", source / "large"):
        path.unlink()
    _run(command, folder)  # it is stopped where it would delete this much
    _run(command, folder)


def _run_to_a_saved_connection(folder: Path) -> None:
    """Run to a connection that has a name; what its platform was found to do is kept, as at the first run to it."""
    for name in ("source", "share"):
        (folder / name).mkdir(parents=True)
    (folder / "source/file").write_bytes(b"content")
    at = rows.now()
    connection = Connection(
        id=connections.new_id(),
        name="saved",
        platform="fs",
        settings={"path": str(folder / "share")},
        created_at=at,
        created_by="tools",
        modified_at=at,
    )
    with app.open_store(folder / "data") as database, database.begin() as tx:
        connections.add(tx, connection)
        connections.measured(tx, connection.id, {})
    _run("copy", folder, destination="saved:/destination")


def _run(command: str, folder: Path, *more: str, destination: str | None = None) -> None:
    ends = [str(folder / "source"), destination or str(folder / "destination")]
    try:
        tallyport([command, *ends, "--data", str(folder / "data"), "-q", *more])
    except SystemExit as ended:
        print(f"{command} {' '.join(more)}: {ended.code}", file=sys.stderr)


def text(found: dict[str, Spelled]) -> str:
    """Give the file, a phrase a line."""
    return "[\n" + ",\n".join(json.dumps([key, *known]) for key, known in found.items()) + "\n]\n"


def main() -> None:
    """Write the file."""
    FILE.write_text(text(said_by_runs()), "utf-8")


if __name__ == "__main__":
    main()
