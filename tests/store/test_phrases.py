"""What a run says to its store is spelled beforehand, means the same either way, and loads no SQLAlchemy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallyport import app
from tallyport.domain.connections import Connection
from tallyport.store import connections, executions, jobs, names, phrases, plain, rows, tables
from tallyport.store.database import Database, open_database
from tallyport.store.phrases import Phrase
from tools import phrases as tool

RUN = """
import sys
from tallyport.cli.main import tallyport
try:
    tallyport(sys.argv[1:])
except SystemExit as ended:
    status = ended.code
loaded = sorted({"sqlalchemy", "alembic", "pydantic", "asyncio"} & set(sys.modules))
sys.exit(f"status {status}, loaded {loaded}" if status or loaded else 0)
"""


@pytest.fixture
def store(tmp_path: Path) -> Database:
    return open_database(f"sqlite:///{tmp_path / 'ledger.db'}")


def one_shot(*words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUN, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("command", ["copy", "publish", "sync"])
def test_a_one_shot_does_without_sqlalchemy(command: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a/b").mkdir(parents=True)
    (source / "a/b/f").write_bytes(b"1")
    (source / "gone").write_bytes(b"2")
    for number in range(30):  # so many that one deletion stops no run
        (source / f"a/{number}").write_bytes(b"x")
    words = (command, str(source), str(tmp_path / "destination"), "--data", str(tmp_path / "data"), "-q")
    one_shot(*words)
    one_shot(*words)
    (source / "a/b/f").write_bytes(b"changed")
    (source / "gone").unlink()
    (source / "new").write_bytes(b"3")
    one_shot(*words)
    assert (tmp_path / "destination/a/b/f").read_bytes() == b"changed"
    assert (tmp_path / "destination/gone").exists() is (command == "copy")


def test_a_one_shot_to_a_saved_connection_does_without_sqlalchemy(tmp_path: Path) -> None:
    for name in ("source", "share"):
        (tmp_path / name).mkdir()
    (tmp_path / "source/f").write_bytes(b"1")
    at = rows.now()
    saved = Connection(
        id=connections.new_id(),
        name="saved",
        platform="fs",
        settings={"path": str(tmp_path / "share")},
        created_at=at,
        created_by="test",
        modified_at=at,
    )
    with app.open_store(tmp_path / "data") as database, database.begin() as tx:
        connections.add(tx, saved)
    one_shot("copy", str(tmp_path / "source"), "saved:/there", "--data", str(tmp_path / "data"), "-q")
    assert (tmp_path / "share/there/f").read_bytes() == b"1"


def test_what_runs_say_is_packaged_as_sqlalchemy_spells_it() -> None:
    packaged = phrases.packaged()
    said = tool.said_by_runs()
    stale = {key for key, known in said.items() if packaged.get(key) != known}
    assert not stale, "statements changed: run python -m tools.phrases"
    assert len(said) > 40


def test_a_phrase_means_the_same_packaged_and_not(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.begin() as tx:
        tx.exec_driver_sql(
            "INSERT INTO jobs (id, number, kind, name, managed, state, source_path, destination_path, transfer_type,"
            " created_at, modified_at) VALUES ('j', 1, 'transfer', 'n', 1, 'created', X'61', X'62', 'copy', 1, 1)"
        )
        made = executions.add(tx, job_id="j", trigger="cli", policies="{}", simulation=True)
    assert made.simulation is True
    known = []
    for missing in (False, True):
        if missing:
            monkeypatch.setattr(plain, "spelled", lambda *_: (None, ()))
        with store.begin() as tx:
            executions.count(tx, made.id, {"files": 2, "bytes": 5})
        with store.read() as tx:
            known.append((executions.find(tx, made.id), executions.states_of_open(tx), jobs.find(tx, "j")))
    first, second = known
    assert first[0] is not None
    assert second[0] is not None
    assert first[1:] == second[1:]
    assert (first[0].files, second[0].files) == (2, 4)
    assert first[0].simulation is second[0].simulation is True
    store.close()


def test_shapes_differ_where_statements_do() -> None:
    items = names.items
    base = phrases.sa.select(items.c.id)

    def key(phrase: Phrase) -> str:
        return phrases.key_of(phrase, None)[0]

    assert key(base.where(items.c.id == 1)) == key(base.where(items.c.id == 2))
    assert key(base.where(items.c.d_name == "x")) != key(base.where(items.c.d_name == None))  # noqa: E711
    assert key(base.where(items.c.id.in_([1, 2]))) == key(base.where(items.c.id.in_([3])))
    assert key(base.where(items.c.id.in_([1]))) != key(base.where(items.c.id.in_([])))
    assert key(base.where(items.c.id.is_(True))) != key(base.where(items.c.id.is_(False)))
    assert key(base.order_by(items.c.id)) != key(base.order_by(items.c.id.desc()))
    assert phrases.key_of(base.where(items.c.id > 7, items.c.name == b"n").limit(3), None)[1] == (7, b"n", 3)


def test_what_has_no_shape_is_said_to_sqlalchemy(store: Database) -> None:
    with store.read() as tx:
        odd = phrases.sa.select(names.items.c.id).where(sa.literal_column("1") == sa.literal_column("2"))
        assert tx.execute(odd).all() == []
        mixed = sa.select(tables.items.c.id).where(names.items.c.id > 0)  # type: ignore[arg-type]
        assert tx.execute(mixed).all() == []
    store.close()


def test_a_phrase_can_be_spelled_at_once_by_whoever_keeps_the_text() -> None:
    compiled = phrases.sa.select(names.items.c.id).where(names.items.c.id > 3).compile()
    assert str(compiled).split() == ["SELECT", "items.id", "FROM", "items", "WHERE", "items.id", ">", ":id_1"]
    assert dict(compiled.params) == {"id_1": 3}


def test_a_phrase_is_neither_true_nor_false() -> None:
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(names.items.c.id == 1)


def test_an_error_is_the_one_that_callers_know(store: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), store.begin() as tx:
        tx.execute(phrases.sa.insert(names.categories).values(name=None))
    with pytest.raises(sa.exc.OperationalError), store.read() as tx:
        tx.exec_driver_sql("SELECT * FROM nowhere")
    store.close()


def test_what_sqlalchemy_is_asked_shares_the_transaction(store: Database) -> None:
    count = sa.select(sa.func.count()).select_from(tables.categories)
    with pytest.raises(ZeroDivisionError), store.begin() as tx:
        tx.execute(sa.insert(tables.categories).values(name="x"))
        tx.exec_driver_sql("INSERT INTO categories (name) VALUES ('y')")
        assert tx.execute(count).scalar_one() == 2
        raise ZeroDivisionError
    with store.begin() as tx:
        assert tx.execute(count).scalar_one() == 0
        tx.execute(sa.insert(tables.categories).values(name="z"))
    with store.read() as tx:
        assert tx.execute(count).scalar_one() == 1
    store.close()


def test_rows_are_found_by_name_and_by_place(store: Database) -> None:
    with store.read() as tx:
        found = tx.exec_driver_sql("SELECT 1 AS one, 'b' AS two")
        (row,) = found
        assert (row.one, row[1], row._mapping["two"], tuple(row)) == (1, "b", "b", (1, "b"))
        with pytest.raises(AttributeError):
            _ = row.three
        with pytest.raises(sa.exc.NoResultFound):
            tx.exec_driver_sql("SELECT 1 WHERE 1 = 2").scalar_one()
        with pytest.raises(sa.exc.MultipleResultsFound):
            tx.exec_driver_sql("SELECT 1 UNION SELECT 2").one()
    store.close()
