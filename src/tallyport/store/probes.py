"""Canaries of probes, so that those of a probe that was killed can be told from those of one that runs."""

import json
import os
import socket

from tallyport.domain import paths
from tallyport.domain.connections import Canaries
from tallyport.store.database import Database
from tallyport.store.workers import now

HOLDER = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"  # this process
LONGEST = 3600 * 1_000_000  # microseconds after which no probe of any process runs
_NEW = "INSERT INTO probes (place, connection_id, path, uploads, holder, begun_at) VALUES (?, ?, ?, ?, ?, ?)"
_OF_OTHERS = (
    "SELECT place, path, uploads, holder, begun_at FROM probes WHERE connection_id = ? AND holder <> ?"
    " ORDER BY begun_at, place"
)


class ProbeBook:
    """The probes of one connection, as the ledger has them."""

    def __init__(self, database: Database, connection_id: str, holder: str = HOLDER) -> None:
        self._database = database
        self._connection = connection_id
        self._holder = holder

    def begin(self, canaries: Canaries) -> None:
        """Write down what is about to be made."""
        with self._database.begin() as tx:
            values = (
                *(canaries.place, self._connection, paths.to_bytes(canaries.path), json.dumps(canaries.uploads)),
                *(self._holder, now(tx, self._database)),
            )
            tx.exec_driver_sql(self._database.sql(_NEW), values)

    def note(self, canaries: Canaries) -> None:
        """Write down an upload that was begun since."""
        self._do("UPDATE probes SET uploads = ? WHERE place = ?", json.dumps(canaries.uploads), canaries.place)

    def end(self, canaries: Canaries, *, is_gone: bool) -> None:
        """Write down that a probe is over; what is not gone is tried again the next time."""
        if is_gone:
            self._do("DELETE FROM probes WHERE place = ?", canaries.place)
        else:
            self._do("UPDATE probes SET holder = '' WHERE place = ?", canaries.place)

    def left(self) -> list[Canaries]:
        """Give what probes left that are over.

        A file has one process: what another one began there was killed with it. Where several share a database, the
        others' are taken for over after the longest time that a probe may take.
        """
        found = self._database.rows(_OF_OTHERS, (self._connection, self._holder))
        if not found:
            return []
        with self._database.read() as tx:
            since = now(tx, self._database) - LONGEST
        return [
            Canaries(
                paths.from_bytes(bytes(path)), place, tuple((upload, handle) for upload, handle in json.loads(uploads))
            )
            for place, path, uploads, holder, begun_at in found
            if not holder or self._database.is_sqlite or begun_at < since
        ]

    def _do(self, statement: str, *values: str) -> None:
        with self._database.begin() as tx:
            tx.exec_driver_sql(self._database.sql(statement), values)
