"""Composition: the one file that knows every floor.

A data folder holds everything one installation remembers: ``ledger.db`` (ours), ``dispatch.db`` (the dispatcher's,
disposable), ``lock``, and ``secret.key`` unless the key that seals secrets stands elsewhere. One process at a time
writes in it.
"""

import contextlib
import fcntl
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tallyport.domain.errors import ErrorKind, TallyportError

if TYPE_CHECKING:
    from types import FrameType

    import uvicorn

    from tallyport.control.throughput import Meter
    from tallyport.engine.engine import Engine
    from tallyport.engine.mover_pool import MoverPool
    from tallyport.store.database import Database
    from tallyport.store.keys import Keys
    from tallyport.store.vault import Vault

# Seconds after which a thread that computes lets another one go on. A request takes dozens of turns (one for each
# statement), beside threads of the engine that compute: at the usual 5 ms it would wait a tenth of a second for them.
SWITCH = 0.0005


class Embedded(NamedTuple):
    """An open store with an engine in this process."""

    database: "Database"
    nudge: Callable[[], None]
    stop: Callable[[], None]


def data_folder(option: str | None = None) -> Path:
    """Say where this installation remembers: the option, ``TALLYPORT_DATA``, or the user's data folder."""
    if given := option or os.environ.get("TALLYPORT_DATA"):
        return Path(given).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("tallyport", appauthor=False))


def movers_wanted(option: int | None = None) -> int:
    """Say how many mover processes: one for each core this process may use, at most eight."""
    return option or max(1, min(8, len(os.sched_getaffinity(0))))


@contextlib.contextmanager
def owned(data: Path) -> Iterator[None]:
    """Hold the data folder for this process. Raises ``CONFIG`` naming the process that holds it."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = data / "lock"
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TallyportError(ErrorKind.CONFIG, _held(data, path)) from None
        file.seek(0)
        file.truncate()
        command = " ".join(["tallyport", *sys.argv[1:]])
        json.dump({"pid": os.getpid(), "command": command, "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}, file)
        file.flush()
        yield


def _held(data: Path, path: Path) -> str:
    try:
        holder = json.loads(path.read_text("utf-8"))
        who = f"process {holder['pid']} ({holder['command']}), since {holder['since']}"
    except (OSError, ValueError, KeyError):
        who = "another process"
    return f"the data folder {data} is in use by {who}: wait for it, stop it, or choose another with --data"


@contextlib.contextmanager
def open_store(data: Path) -> Iterator["Database"]:
    """Open the store beside whatever else uses it: for reading, and for small changes like adding a user."""
    from tallyport.store.database import open_database

    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(f"sqlite:///{data / 'ledger.db'}")
    try:
        yield database
    finally:
        database.close()


def keys(data: Path) -> "Keys":
    """Give the keys that seal the secrets of a data folder."""
    from tallyport.store.keys import Keys

    return Keys(os.environ, data)


def own_vault(data: Path) -> "Vault":
    """Give the vault of a command: what it refers to is read with the rights of whoever runs it."""
    from tallyport.store.vault import Allowed, Vault

    return Vault(keys(data).texts, Allowed(anything=True, environment=os.environ))


def database_url(option: str | None = None) -> str | None:
    """Say which shared database this installation is on: the option, ``TALLYPORT_DATABASE``, or none."""
    return option or os.environ.get("TALLYPORT_DATABASE") or None


@contextlib.contextmanager
def open_ledger(data: Path) -> Iterator["Database"]:
    """Open what a server remembers in: the shared database where there is one, else the store of the data folder."""
    from tallyport.store import bundled_postgres

    url = database_url()
    if url is None and bundled_postgres.is_made(data):
        if (why := bundled_postgres.not_running(data)) is not None:
            raise TallyportError(ErrorKind.UNAVAILABLE, why)
        url = bundled_postgres.url(data)
    if url is None:
        with open_store(data) as database:
            yield database
        return
    with _shared(url) as database:
        yield database


@contextlib.contextmanager
def _shared(url: str) -> Iterator["Database"]:
    from tallyport.store.database import open_database

    database = open_database(url)
    try:
        yield database
    finally:
        database.close()


_warm: "list[MoverPool]" = []


def warm(movers: int | None = None) -> None:
    """Start the movers of a one-shot command now, so that they start while the rest is imported."""
    import tallyport.engine.passage_local  # noqa: F401  # a mover needs it, and is a copy of this process
    from tallyport.engine.mover_pool import MoverPool

    pool = MoverPool(movers_wanted(movers), forks=True)
    pool.start()
    _warm.append(pool)


@contextlib.contextmanager
def embedded(data: Path, *, movers: int | None = None) -> Iterator[Embedded]:
    """Run the engine inside this process, for a command that ends: no server, the same ledger."""
    from tallyport.connectors import reach

    reach.by_hand()
    with owned(data):
        if not _warm:
            warm(movers)
        local = _warm.pop()
        from tallyport.engine.dispatch import InlineDispatcher
        from tallyport.engine.engine import Crews, Engine
        from tallyport.engine.thread_crew import ThreadCrew

        gc.freeze()  # what was imported stays
        gc.enable()
        gc.set_threshold(20_000, 20, 50)  # a run makes rows by the thousand, and hardly a cycle
        with open_store(data) as database:
            engine = Engine(database, InlineDispatcher(), Crews(local, ThreadCrew(8)), vault=own_vault(data))
            engine.start()
            try:
                yield Embedded(database, engine.nudge, engine.stop)
            finally:
                engine.stop()


def serve(
    host: str = "127.0.0.1",
    port: int = 9090,
    data: Path | None = None,
    database_url: str | None = None,
    workers: int | None = None,
    no_worker: bool = False,
    labels: Sequence[str] = (),
    bundled_postgres: bool = False,
) -> int:
    """Serve the API with the engine in the same process, until a signal.

    With ``database_url`` the store is shared: other servers and workers may be on it, and the data folder holds
    no more than this machine's key. ``labels`` say which places this machine reaches. ``bundled_postgres`` runs a
    PostgreSQL of its own in the data folder, which other processes of this machine may share.
    """
    import uvicorn

    from tallyport import log
    from tallyport.api.app import ApiSettings, create_api
    from tallyport.api.events import shapes
    from tallyport.connectors import reach
    from tallyport.control import housekeeping
    from tallyport.control.postman import Postman
    from tallyport.store import bundled_postgres as own_postgres
    from tallyport.web.app import create_console
    from tallyport.web.doorway import Doorway

    level = os.environ.get("TALLYPORT_LOG", "warning")
    if level not in log.LEVELS:
        raise TallyportError(ErrorKind.CONFIG, f"TALLYPORT_LOG is one of {', '.join(log.LEVELS)}, not {level!r}")
    log.set_up(level)
    folder = data or data_folder()
    with contextlib.ExitStack() as stack:
        if bundled_postgres:
            stack.enter_context(owned(folder))
            database_url = stack.enter_context(own_postgres.running(folder))
        elif database_url is None and own_postgres.is_made(folder):
            message = f"the ledger of {folder} is in a PostgreSQL of its own: serve it with --bundled-postgres"
            raise TallyportError(ErrorKind.CONFIG, message)
        if database_url is None:
            stack.enter_context(owned(folder))
            database = stack.enter_context(open_store(folder))
        else:
            database = stack.enter_context(_shared(database_url))
        vault = _server_vault(folder)
        if no_worker:
            engine = None
        elif database_url is None:
            engine = _server_engine(database, folder, workers, vault)
        else:
            engine = _worker_engine(database, workers, vault, labels)
        settings = ApiSettings(
            allow_private=reach.reaches_private_networks(),
            strict_topics=os.environ.get("TALLYPORT_STRICT_TOPICS") == "1",
        )
        nudge = (lambda: None) if engine is None else engine.nudge
        reached = None if database_url is None else frozenset(labels)
        api = create_api(database, nudge=nudge, settings=settings, vault=vault, labels=reached)
        meter: Meter = api.state.meter
        proxies = os.environ.get("TALLYPORT_PROXIES", "")
        config = uvicorn.Config(
            Doorway(api, create_console(api.state)),
            host=host,
            port=port,
            http="h11",
            timeout_graceful_shutdown=3,
            timeout_keep_alive=15,  # an open page asks every five seconds, on the connection that it has
            log_config=None,  # uvicorn's own would bypass what hides secrets
            access_log=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies or None,
            server_header=False,
        )
        server = _server(config, api.state.hub.close)
        sys.setswitchinterval(SWITCH)
        ending = threading.Event()
        beside = [threading.Thread(target=meter.run, args=(ending,), name="meter", daemon=True)]
        postman = Postman(
            database, vault, api.state.post, shapes.event, hidden=api.state.hidden_topics, clock=_clock_of(database)
        )
        post = threading.Thread(target=postman.run, args=(ending,), name="postman")
        post.start()
        sweeping = (database, housekeeping.Kept(events=_days("TALLYPORT_EVENTS_KEPT")), ending)
        beside.append(threading.Thread(target=housekeeping.run, args=sweeping, name="housekeeping", daemon=True))
        for thread in beside:
            thread.start()
        if engine is not None:
            engine.start()
        _invite(database, host, port)
        print(f"tallyport serves on http://{host}:{port} with data in {folder}", file=sys.stderr, flush=True)
        if bundled_postgres:
            print(f"PostgreSQL runs for it: TALLYPORT_DATABASE={database_url}", file=sys.stderr, flush=True)
        # When it has ended, uvicorn raises the signal again for whoever was there before it: by default that would end
        # the process here, before the work in hand is brought to a safe point.
        signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            server.run()
        finally:
            ending.set()
            for thread in (post, *beside):  # they may be in the store, which is closed next
                thread.join(30)
            if engine is not None:
                engine.stop()
    return 0


def _clock_of(database: "Database") -> Callable[[], int]:
    """Give a clock that all servers on a database share: its own."""
    from tallyport.store import workers

    def now() -> int:
        with database.read() as tx:
            return workers.now(tx, database)

    return now


def _days(name: str) -> float:
    text = os.environ.get(name, "30")
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days < 100_000:
        raise TallyportError(ErrorKind.CONFIG, f"{name} is a number of days, not {text!r}")
    return days


def _invite(database: "Database", host: str, port: int) -> None:
    """Print the way in for the first administrator, while there is none. The token is in no log: it is a fragment."""
    from tallyport.control.accounts import invite

    if (token := invite(database)) is not None:
        place = f"http://{f'[{host}]' if ':' in host else host}:{port}/setup#token={token}"
        print(
            f"nobody can administer yet. Set it up within a day, once: {place}\n"
            "or: tallyport users add NAME --role admin --password-stdin",
            file=sys.stderr,
            flush=True,
        )


def _server(config: "uvicorn.Config", close: Callable[[], None]) -> "uvicorn.Server":
    """Make a server that ends its streams at a signal: it waits for answers under way, and a stream has no end."""
    import uvicorn

    class Ending(uvicorn.Server):
        def handle_exit(self, sig: int, frame: "FrameType | None") -> None:
            close()
            super().handle_exit(sig, frame)

    return Ending(config)


def _server_vault(folder: Path) -> "Vault":
    from tallyport.store.vault import Vault, allowed_from

    found = keys(folder)
    found.texts()  # a key that cannot be used is said now, and a missing one made
    return Vault(found.texts, allowed_from(os.environ))


def _server_engine(database: "Database", folder: Path, workers: int | None, vault: "Vault") -> "Engine":
    from tallyport.engine.dbos_dispatcher import DbosDispatcher
    from tallyport.engine.engine import Crews, Engine
    from tallyport.engine.mover_pool import MoverPool
    from tallyport.engine.thread_crew import ThreadCrew

    dispatcher = DbosDispatcher(f"sqlite:///{folder / 'dispatch.db'}", width=16)
    return Engine(database, dispatcher, Crews(MoverPool(movers_wanted(workers)), ThreadCrew(8)), vault=vault)


def _worker_engine(database: "Database", workers: int | None, vault: "Vault", labels: Sequence[str] = ()) -> "Engine":
    from tallyport.engine.dbos_dispatcher import DbosDispatcher
    from tallyport.engine.engine import Crews, Engine
    from tallyport.engine.mover_pool import MoverPool
    from tallyport.engine.roster import PATIENCE, Roster
    from tallyport.engine.thread_crew import ThreadCrew
    from tallyport.store.database import noticing

    movers = movers_wanted(workers)
    patience = float(os.environ.get("TALLYPORT_WORKER_PATIENCE", PATIENCE))
    roster = Roster(database, labels=labels, patience=patience, beat=patience / 6)
    # As many batches of each queue at once as there are movers: what is more is left to the other workers.
    dispatcher = DbosDispatcher(noticing(database.url), executor=roster.owner, width=movers)
    crews = Crews(MoverPool(movers, leased=True), ThreadCrew(8, leased=True))
    return Engine(database, dispatcher, crews, roster=roster, vault=vault)


AWAY_SECONDS = 1.0  # between two tries of a worker that begins while its database is away


def work(database_url: str, data: Path | None = None, workers: int | None = None, labels: Sequence[str] = ()) -> int:
    """Work batches on a shared database, without an API, until a signal. Waits for a database that is away."""
    from tallyport.store.database import away

    ended = threading.Event()
    folder = data or data_folder()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        vault = _server_vault(folder)
        told = ""
        while not ended.is_set():
            try:
                _work(database_url, ended, lambda database: _worker_engine(database, workers, vault, labels))
            except Exception as error:
                if (why := away(error)) is None:
                    raise
                if why != told:
                    print(f"{why}; tallyport worker goes on trying", file=sys.stderr, flush=True)
                told = why
                ended.wait(AWAY_SECONDS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _work(database_url: str, ended: threading.Event, make: "Callable[[Database], Engine]") -> None:
    """Work until ``ended``; an outage while everything begins is raised, later ones pass."""
    with _shared(database_url) as database:
        engine = make(database)
        try:
            engine.start()
            print(f"tallyport worker {engine.owner} is at work", file=sys.stderr, flush=True)
            ended.wait()
        finally:
            engine.stop(grace=30.0)
