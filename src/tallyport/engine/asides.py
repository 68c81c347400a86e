"""What an engine does beside carrying, each made where it is first needed: most runs need none of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tallyport.store.vault import Vault

if TYPE_CHECKING:
    from tallyport.engine.folder_mapping import Mapper
    from tallyport.engine.planning import Planner
    from tallyport.engine.splitting import Splitter


class Asides:
    """Plans, splits and folder mappings of one engine."""

    def __init__(self, database: Database, ids: Ids, vault: Vault, wake: Callable[[], None]) -> None:
        self._database = database
        self._ids = ids
        self._vault = vault
        self._wake = wake
        self._planner: Planner | None = None
        self._splitter: Splitter | None = None
        self._mapper: Mapper | None = None

    @property
    def planner(self) -> "Planner":
        from tallyport.engine.planning import Planner

        if self._planner is None:
            self._planner = Planner(self._database, self._vault, self._wake)
        return self._planner

    @property
    def splitter(self) -> "Splitter":
        from tallyport.engine.splitting import Splitter

        if self._splitter is None:
            self._splitter = Splitter(self._database, self._vault, self._wake)
        return self._splitter

    @property
    def mapper(self) -> "Mapper":
        from tallyport.engine.folder_mapping import Mapper

        if self._mapper is None:
            self._mapper = Mapper(self._database, self._ids, self._vault, self._wake)
        return self._mapper

    def stop(self) -> None:
        """Give up what is under way."""
        for one in (self._planner, self._splitter, self._mapper):
            if one is not None:
                one.stop()
