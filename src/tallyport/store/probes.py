"""Canaries of probes, so that those of a probe that was killed can be told from those of one that runs."""

import json
import os
import socket

from tallyport.domain import paths
from tallyport.domain.connections import Canaries
from tallyport.store.database import Database
from tallyport.store.names import probes
from tallyport.store.phrases import sa
from tallyport.store.workers import now

HOLDER = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"  # this process
LONGEST = 3600 * 1_000_000  # microseconds after which no probe of any process runs


class ProbeBook:
    """The probes of one connection, as the ledger has them."""

    def __init__(self, database: Database, connection_id: str, holder: str = HOLDER) -> None:
        self._database = database
        self._connection = connection_id
        self._holder = holder

    def begin(self, canaries: Canaries) -> None:
        """Write down what is about to be made."""
        with self._database.begin() as tx:
            values = {
                "place": canaries.place,
                "connection_id": self._connection,
                "path": paths.to_bytes(canaries.path),
                "uploads": json.dumps(canaries.uploads),
                "holder": self._holder,
                "begun_at": now(tx, self._database),
            }
            tx.execute(sa.insert(probes).values(**values))

    def note(self, canaries: Canaries) -> None:
        """Write down an upload that was begun since."""
        self._change(canaries, uploads=json.dumps(canaries.uploads))

    def end(self, canaries: Canaries, *, is_gone: bool) -> None:
        """Write down that a probe is over; what is not gone is tried again the next time."""
        if not is_gone:
            self._change(canaries, holder="")
            return
        with self._database.begin() as tx:
            tx.execute(sa.delete(probes).where(probes.c.place == canaries.place))

    def left(self) -> list[Canaries]:
        """Give what probes left that are over.

        A file has one process: what another one began there was killed with it. Where several share a database, the
        others' are taken for over after the longest time that a probe may take.
        """
        with self._database.read() as tx:
            query = sa.select(probes.c.place, probes.c.path, probes.c.uploads, probes.c.holder, probes.c.begun_at)
            query = query.where(probes.c.connection_id == self._connection, probes.c.holder != self._holder)
            found = tx.execute(query.order_by(probes.c.begun_at, probes.c.place)).all()
            since = now(tx, self._database) - LONGEST if found else 0
        return [
            Canaries(
                paths.from_bytes(bytes(row.path)),
                row.place,
                tuple((path, handle) for path, handle in json.loads(row.uploads)),
            )
            for row in found
            if not row.holder or self._database.is_sqlite or row.begun_at < since
        ]

    def _change(self, canaries: Canaries, **values: str) -> None:
        with self._database.begin() as tx:
            tx.execute(sa.update(probes).where(probes.c.place == canaries.place).values(**values))
