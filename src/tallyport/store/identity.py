"""Which ledger this is: told apart from an older copy of itself that was put in its place.

A SQLite file made by ``tallyport db backup`` says that it is one. A file that was put in the place of another has
another inode, a database that was dumped and loaded another number, and its table too when it was loaded over what was
there. Nothing tells a recovery to a point in time from a failover that lost nothing: there a person says so
(:func:`distrust`).
"""

import os

from tallyport.store.database import Database
from tallyport.store.names import identity
from tallyport.store.phrases import sa

BACKUP = "backup"  # in place of an identity


def is_another(tx: sa.Connection, database: Database) -> bool:
    """Tell whether this ledger was put in the place of a newer one, and remember it as the one that counts now."""
    database.alone(tx, _LOOKING)
    now = _now(tx, database)
    known = tx.execute(sa.select(identity.c.text)).scalar()
    if known != now:
        confirm(tx, database)
    return known is not None and known != now


def confirm(tx: sa.Connection, database: Database) -> None:
    """Remember this ledger as the one that counts: nothing was written to another since."""
    tx.execute(sa.delete(identity))
    tx.execute(sa.insert(identity).values(id=1, text=_now(tx, database)))


def distrust(tx: sa.Connection) -> None:
    """Say that this ledger is an older one that was restored."""
    tx.execute(sa.delete(identity))
    tx.execute(sa.insert(identity).values(id=1, text=BACKUP))


_LOOKING = 0x7A12  # of the advisory lock: of several processes that start, one finds out


def _now(tx: sa.Connection, database: Database) -> str:
    if database.path is not None:
        return f"file {os.stat(database.path).st_ino}"
    numbers = "SELECT oid, 'identity'::regclass::oid FROM pg_database WHERE datname = current_database()"
    whole, table = tx.exec_driver_sql(numbers).one()
    return f"database {whole} table {table}"
