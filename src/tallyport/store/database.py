"""The one place that knows how SQLite and PostgreSQL differ.

SQLite: one file, one writing connection for the whole process (a lock; the WAL-reset race of SQLite before 3.51.3
needs two writers), readers on connections of their own that cannot write. WAL with ``synchronous=NORMAL`` survives
``kill -9``; :meth:`Database.begin` with ``durable=True`` makes one commit survive a power cut too.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store.ids import Ids
from tallyport.store.phrases import sa
from tallyport.store.plain import Line, Transaction, told
from tallyport.store.room import Sign, is_signed
from tallyport.store.turns import Turns

T = TypeVar("T")

HEAD = "0001"  # revision of the packaged schema snapshot; a test compares it with the migrations

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA busy_timeout=10000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-32768",
    "PRAGMA temp_store=MEMORY",
)


REMEMBERED = 30.0  # seconds for which a write that found no room is told, unless a later one finds some
ROOM = 16 << 20  # bytes that there must be for it to be forgotten before
_SQLITE_FULL = 13
# busy, locked, no memory, interrupted, input or output, full, cannot open, locks of the file: what may be well later. A
# statement that the file's own schema does not fit any more never will.
_PASSING = frozenset({5, 6, 7, 9, 10, _SQLITE_FULL, 14, 15})
_TROUBLE = "trouble"
_UNSEEN = ""  # nobody looked for the trouble of other processes yet


class Database:
    """An open store. ``begin()`` writes, ``read()`` reads; both give a SQLAlchemy connection in a transaction."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.damage: str | None = None  # why nothing is written any more: the file is not what it was (SQLite)
        self._full_at = -REMEMBERED  # when a write found no room last
        self._turns = Turns()
        self._is_closed = False
        if self.is_sqlite:
            self.path: str | None = url.removeprefix("sqlite:///") if url != "sqlite://" else ":memory:"
            self._line: Line | None = None  # that writes
            self._idle: list[Line] = []  # that read, and are not in use
            self._own = threading.local()  # each thread's plain reader
            self._raw: list[sqlite3.Connection] = []
        else:
            import sqlalchemy

            url = with_driver(url)
            self._writer = sqlalchemy.create_engine(
                url,
                pool_size=8,
                max_overflow=24,
                pool_pre_ping=True,
                connect_args={"options": _WRITER_OPTIONS, **_noticing(url)},
            )
            # differs because a PostgreSQL reader sees one picture and cannot write only when it is told so
            readers = sqlalchemy.create_engine(
                url, pool_size=8, max_overflow=24, pool_pre_ping=True, connect_args=_noticing(url)
            )
            for engine in (self._writer, readers):
                sqlalchemy.event.listen(engine, "checkin", self._given_back)
            self._sign = Sign(self._writer)
            self._readers = readers.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self.path = None

    def _given_back(self, raw: Any, _record: object) -> None:
        """Close what a thread had in hand when the store was closed: its pool is gone, and would only drop it."""
        if self._is_closed and raw is not None:
            raw.close()

    @contextlib.contextmanager
    def begin(self, *, durable: bool = False) -> Iterator["sa.Connection"]:
        """Open a writing transaction: commits at the end, rolls back on an error.

        ``durable`` asks that the commit be on the disk when this returns (SQLite; PostgreSQL always does). On SQLite
        what is done for a person goes before what the engine does (``store/turns.py``).
        """
        if not self.is_sqlite:
            self._check_open()
            with self._seeing_room(), self._writer.begin() as tx:
                yield tx
            return
        with self._turns.turn(), self._seeing_room():
            self.check()
            line = self._open_writer()
            if durable:
                line.raw.execute("PRAGMA synchronous=FULL")
            try:
                with _between(line, "BEGIN IMMEDIATE", "COMMIT"):
                    yield cast("sa.Connection", Transaction(line))
            except sa.exc.DatabaseError as error:
                if not is_damage(error):
                    raise
                self.damage = DAMAGED.format(self.path)
                raise TallyportError(ErrorKind.CONFIG, self.damage) from error
            finally:
                if durable:
                    line.raw.execute("PRAGMA synchronous=NORMAL")

    @contextlib.contextmanager
    def _seeing_room(self) -> Iterator[None]:
        """Remember whether the last write found no room: that cannot be written down where people would read it."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            if is_full(error):
                self._full_at = time.monotonic()
                if not self.is_sqlite:
                    self._sign.hang()
            raise
        if self._full_at > 0 and self._has_room():
            self._full_at = -REMEMBERED
            if not self.is_sqlite:
                self._sign.take_down()

    def _has_room(self) -> bool:
        """Tell whether the file can grow again; one small write that found a place says little."""
        if self.path is None:
            return True
        found = os.statvfs(os.path.dirname(os.path.abspath(self.path)))
        return found.f_bavail * found.f_frsize >= ROOM

    @property
    def trouble(self) -> str | None:
        """Say what keeps work from going on although the store answers, for people; None when all is well."""
        if time.monotonic() - self._full_at >= REMEMBERED:
            return None
        return _FULL.format("the database" if self.path is None else f"the ledger {self.path}")

    @property
    def is_awaited(self) -> bool:
        """Tell whether a person waits for the transaction that is open now: it had better end soon (SQLite)."""
        return self._turns.is_awaited

    @property
    def is_shared(self) -> bool:
        """Tell whether people write beside the engine, so that a transaction had better be brief (SQLite)."""
        return self._turns.is_shared

    def _open_writer(self) -> Line:
        self._check_open()
        if self._line is None:
            self._line = _open(self.path or "", reads=False)
        return self._line

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("the store is closed")

    def distrust(self) -> None:
        """Have nothing written any more: the file refuses what it took before (SQLite)."""
        if self.is_sqlite:
            self.damage = DAMAGED.format(self.path)

    def check(self) -> None:
        """Raise CONFIG when the file was found damaged: what is written into it makes it worse."""
        if self.damage is not None:
            raise TallyportError(ErrorKind.CONFIG, self.damage)

    @contextlib.contextmanager
    def read(self) -> Iterator["sa.Connection"]:
        """Open a reading transaction: one consistent picture, never waits for the writer."""
        self._check_open()
        if not self.is_sqlite:
            with self._readers.connect() as connection, connection.begin():
                connection.info[_TROUBLE] = self.trouble or _UNSEEN
                yield connection
            return
        try:
            line = self._idle.pop()
        except IndexError:
            line = _open(self.path or "", reads=True)
        line.info[_TROUBLE] = self.trouble
        try:
            with _between(line, "BEGIN", "ROLLBACK"):
                yield cast("sa.Connection", Transaction(line))
        finally:
            if self._is_closed or len(self._idle) >= _MOST_IDLE:
                line.close()
            else:
                self._idle.append(line)

    def rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Give the rows of one SELECT written with ``?``, in a picture of its own: asked once a container.

        Differs because a transaction through SQLAlchemy costs SQLite ten times what the statement does.
        """
        if not self.is_sqlite:
            with self.read() as tx:
                return [tuple(row) for row in tx.exec_driver_sql(self.sql(statement), values)]
        raw = getattr(self._own, "reader", None)
        if raw is None:
            raw = self._own.reader = _open(self.path or "", reads=True).raw
            with self._turns.turn():
                self._raw.append(raw)
        return raw.execute(statement, values).fetchall()

    def sql(self, statement: str) -> str:
        """Give driver SQL for a statement written with ``?`` (differs because psycopg takes ``%s``)."""
        return statement if self.is_sqlite else statement.replace("?", "%s")

    def ids(self) -> Ids:
        """Give a source of identifiers that no other process on this store shares."""
        if self.is_sqlite:
            return Ids()
        with self.begin() as tx:
            return Ids(int(tx.exec_driver_sql("SELECT nextval('process_numbers')").scalar_one()))

    def locking(self, *, skip: bool = False) -> str:
        """Give what ends a SELECT whose rows this transaction will change (SQLite has one writer: nothing).

        ``skip`` leaves out rows that another transaction holds.
        """
        if self.is_sqlite:
            return ""
        return " FOR UPDATE SKIP LOCKED" if skip else " FOR UPDATE"

    def alone(self, tx: sa.Connection, what: int) -> None:
        """Let one transaction at a time past this line for the same ``what`` (SQLite: always so)."""
        if not self.is_sqlite:
            tx.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (what,))

    def outlast(self, act: Callable[[], T], *, stopped: Callable[[], bool] = lambda: False) -> T:
        """Do something with the store, again and again while the store cannot be reached.

        ``act`` must be harmless to repeat. Gives up, with the error, once ``stopped`` says so. A SQLite file is
        never out of reach.
        """
        pause = 0.1
        while True:
            try:
                return act()
            except sa.exc.DBAPIError as error:
                if self.is_sqlite or not is_outage(error) or stopped():
                    raise
            time.sleep(pause)
            pause = min(2.0, pause * 2)

    def prepare(self) -> None:
        """Make a fresh database from the packaged schema, or bring an older one up to date.

        Raises ``CONFIG`` when the database is newer than this program.
        """
        with self.begin() as tx:
            if self.is_sqlite:  # differs because reflection is SQLAlchemy's, which a one-shot does without
                found = "SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'"
                has = bool(tx.exec_driver_sql(found).scalar())
            else:
                has = _has_tables(tx)
            revision = tx.exec_driver_sql("SELECT version_num FROM schema_version").scalar() if has else None
        if revision is None:
            self._create()
        elif revision != HEAD:
            from tallyport.store import migrations  # only when needed: Alembic is slow to import

            if not migrations.known(revision):
                raise TallyportError(
                    ErrorKind.CONFIG,
                    f"the database has schema {revision}, newer than this program's {HEAD}: install the newer release",
                )
            migrations.upgrade(self)

    def _create(self) -> None:
        if self.is_sqlite:
            from importlib.resources import files  # once in the life of a store

            script = files("tallyport.store").joinpath("schema.sql").read_text("utf-8")
            with self._turns.turn():
                self._open_writer().raw.executescript(script)
        else:
            from tallyport.store.tables import metadata

            with self.begin() as tx:
                self.alone(tx, _MAKING)  # several processes may start at once on an empty database
                if _has_tables(tx):
                    return
                metadata.create_all(tx)
                tx.exec_driver_sql("CREATE TABLE schema_version (version_num VARCHAR(32) NOT NULL)")
                tx.exec_driver_sql(f"INSERT INTO schema_version VALUES ('{HEAD}')")

    def close(self) -> None:
        """Close every connection; the last writer leaves the file without a WAL. Whoever comes later is refused."""
        if not self.is_sqlite:
            self._is_closed = True  # what is in use is closed when it is given back
            self._sign.take_down()
            self._readers.dispose()
            with self._turns.turn():
                self._writer.dispose()
            return
        with (
            self._turns.turn()
        ):  # whoever writes now ends first; a connection closed under its user takes the process with it
            self._is_closed = True
            with contextlib.suppress(sqlite3.Error):
                for raw in self._raw:
                    raw.close()
            while self._idle:
                self._idle.pop().close()
            if self._line is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._line.raw.execute("PRAGMA optimize")
                self._line.close()
                self._line = None


def open_database(url: str) -> Database:
    """Open and prepare. ``sqlite:///FILE`` or ``postgresql://...``; a wrong one is ``CONFIG``."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    elif not url.startswith(("postgresql://", "postgresql+psycopg://", "postgres://")):
        shown = url.split("://")[0]
        raise TallyportError(
            ErrorKind.CONFIG, f"a database is sqlite:///FILE or postgresql://USER@HOST/NAME, and not {shown}://..."
        )
    try:
        database = Database(url)
        database.prepare()
    except ModuleNotFoundError as error:
        message = f"PostgreSQL needs {error.name}: pip install 'tallyport[postgres]'"
        raise TallyportError(ErrorKind.CONFIG, message) from error
    except sa.exc.OperationalError as error:
        if url.startswith("sqlite"):
            raise
        # the driver's own words name host, port and database, and no password
        raise TallyportError(ErrorKind.UNAVAILABLE, f"cannot reach the database: {error.orig}") from error
    return database


def trouble(tx: "sa.Connection") -> str | None:
    """Say what keeps work from going on, to whoever reads in this transaction."""
    found: str | None = tx.info.get(_TROUBLE)
    if found == _UNSEEN:
        found = tx.info[_TROUBLE] = _FULL.format("the database") if is_signed(tx, REMEMBERED) else None
    return found


def is_full(error: "sa.exc.DBAPIError") -> bool:
    """Tell whether a write found no room."""
    is_ours = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == _SQLITE_FULL
    return is_ours or getattr(error.orig, "sqlstate", None) == "53100"


def is_outage(error: BaseException) -> bool:
    """Tell whether an error says that the store could not be reached, or took no part in what was asked."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _PASSING
    state = getattr(error.orig, "sqlstate", None)
    is_cut = error.connection_invalidated or (isinstance(error, sa.exc.OperationalError) and state is None)
    # 57P0x: it shuts down or starts; 53xxx: it has no room for us; 40xxx: it undid this in favour of another
    return is_cut or (state or "").startswith(("57P0", "53", "40", "08"))


_FULL = "the disk of {} is full: transfers wait until there is room, and then go on by themselves"
DAMAGED = (
    "the ledger {} is damaged, so nothing is written into it any more: put a backup in its place, or move it away; "
    "without it the next run looks at both sides again and deletes nothing"
)


def is_damage(error: BaseException) -> bool:
    """Tell whether SQLite found its file to be something else than it wrote."""
    return isinstance(error, sa.exc.DatabaseError) and getattr(error.orig, "sqlite_errorcode", 0) in (11, 26)


def away(error: BaseException | None) -> str | None:
    """Say that the store is away for a while where that is what an error comes from, or None.

    A store that answers and refuses, as over a wrong password, is not away.
    """
    while error is not None:
        if is_outage(error):
            text = str(getattr(error, "orig", error))
            if "FATAL" not in text or "the database system is" in text:
                return f"cannot reach the database: {text}"
        error = error.__cause__ or error.__context__
    return None


def _has_tables(tx: "sa.Connection") -> bool:
    import sqlalchemy

    return sqlalchemy.inspect(tx).has_table("schema_version")


# How a connection finds out that nobody is at its other end any more, in seconds; the last in milliseconds. A URL that
# says otherwise wins.
NOTICING = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def _noticing(url: str) -> dict[str, Any]:
    from sqlalchemy import make_url

    given = make_url(url).query
    return {name: value for name, value in NOTICING.items() if name not in given}


def noticing(url: str) -> str:
    """Give a PostgreSQL URL whose connections notice a network that is gone, for others that open it."""
    from sqlalchemy import make_url

    parsed = make_url(url)
    added = {name: str(value) for name, value in _noticing(url).items()}
    return parsed.update_query_dict(added).render_as_string(hide_password=False)


def with_driver(url: str) -> str:
    """Name our driver in a URL as people write it."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme in ("postgresql", "postgres") else url


# What a frozen process locked in the middle of a transaction is let go; it finds its connection cut.
_WRITER_OPTIONS = "-c idle_in_transaction_session_timeout=15000 -c lock_timeout=60000"
_MAKING = 0x7A11  # of the advisory lock around making the tables


_MOST_IDLE = 8  # readers that are kept


def _open(path: str, *, reads: bool) -> Line:
    raw: sqlite3.Connection | None = None
    with told():
        try:
            raw = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            for pragma in (*_PRAGMAS, "PRAGMA query_only=ON") if reads else _PRAGMAS:
                raw.execute(pragma)
        except sqlite3.Error:
            if raw is not None:
                raw.close()
            raise
    return Line(raw)


@contextlib.contextmanager
def _between(line: Line, begin: str, end: str) -> Iterator[None]:
    raw = line.raw
    with told(begin):
        raw.execute(begin)
    try:
        yield
        with told(end):
            raw.execute(end)
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
