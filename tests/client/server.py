"""The real API on a loopback port, over a store in a folder of the test, with an engine that does as a test says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from tallyport.api.app import ApiSettings, create_api
from tallyport.control.users import add_user, create_token
from tallyport.store import executions
from tallyport.store.database import Database, open_database
from tallyport.store.keys import new_key
from tallyport.store.vault import Vault


class Served:
    """A server that runs."""

    def __init__(self, url: str, token: str, database: Database) -> None:
        self.url = url
        self.token = token
        self.database = database
        self.play: Callable[[Database, int], None] = finish
        self.close_streams: Callable[[], None] = lambda: None

    def nudge(self) -> None:
        with self.database.begin() as tx:
            for run in executions.opened(tx):
                executions.move(tx, run.id, ("created",), "ready")  # a retry is answered before it is ready
            opened = [run for run in executions.opened(tx) if run.state in ("ready", "pausing", "canceling")]
        for run in opened:
            self.play(self.database, run.id)


def finish(database: Database, run: int) -> None:
    """End a run at once, well."""
    with database.begin() as tx:
        executions.move(tx, run, ("ready",), "executing")
        executions.move(tx, run, ("executing",), "complete", result="clean", transferred=1)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve until the test has ended."""
    database = open_database(f"sqlite:///{folder / 'ledger.db'}")
    add_user(database, "ann", "admin", None)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    served = Served(url, create_token(database, "ann"), database)
    keys = [new_key()]
    api = create_api(database, nudge=served.nudge, vault=Vault(keys.copy), settings=ApiSettings(allow_private=True))
    served.close_streams = api.state.hub.close
    config = uvicorn.Config(api, http="h11", log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        until = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < until, "the server did not begin"
            time.sleep(0.01)
        yield served
    finally:
        served.close_streams()
        server.should_exit = True
        thread.join(10)
        listener.close()
        database.close()
