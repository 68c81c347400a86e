"""How the processes of one PostgreSQL tell each other that a write found no room.

A full disk takes no row that would say so. A lock by advice takes no room: whoever could not write holds one whose
number is the time, and whoever reads looks for one that is young. It goes with its process, too.
"""

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy

_MARK = 0x746C_7077  # what our locks of this kind begin with; the other half of the number is the second
_HANG = "SELECT pg_advisory_unlock_all(), pg_try_advisory_lock_shared(%s, extract(epoch FROM clock_timestamp())::int)"
_TAKE_DOWN = "SELECT pg_advisory_unlock_all()"
_LOOK = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND objid::bigint > extract(epoch FROM clock_timestamp()) - %s"
)


class Sign:
    """What a process shows the others while its writes find no room."""

    def __init__(self, engine: "sqlalchemy.Engine") -> None:
        self._engine = engine
        self._nail = threading.Lock()
        self._held: sqlalchemy.Connection | None = None

    def hang(self) -> None:
        """Show it from now on; a store that is away shows nothing."""
        import sqlalchemy

        with self._nail:
            held, self._held = self._held, None
            with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
                if held is None or held.invalidated:
                    held = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                held.exec_driver_sql(_HANG, (_MARK,))
                self._held = held

    def take_down(self) -> None:
        """Show it no more."""
        import sqlalchemy

        with self._nail:
            held, self._held = self._held, None
            if held is not None:
                with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
                    held.exec_driver_sql(_TAKE_DOWN)
                with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
                    held.close()


def is_signed(tx: "sqlalchemy.Connection", seconds: float) -> bool:
    """Tell whether any process of this store found no room within so many seconds."""
    return bool(tx.exec_driver_sql(_LOOK, (_MARK, seconds)).scalar())
