"""Plans of executions that a person wants to see before they run: a look at the source, on one thread of its own."""

import time
from collections.abc import Callable
from functools import partial

from tallyport.connectors import probing
from tallyport.connectors.opening import open_connection
from tallyport.connectors.surveying import side_of, survey
from tallyport.domain.connections import Connection, place_of
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.executions import Execution
from tallyport.domain.policies_json import policies_from_json
from tallyport.engine.background import Background
from tallyport.store import connections, executions, jobs, plans
from tallyport.store.database import Database
from tallyport.store.original_names import names_of
from tallyport.store.vault import Vault

LOOK_SECONDS = 1.0  # between two looks at whether the plan is still wanted


class Planner:
    """Makes one plan after the other."""

    def __init__(self, database: Database, vault: Vault, wake: Callable[[], None]) -> None:
        self._database = database
        self._vault = vault
        self._background = Background("planner", 1, wake)
        self.stop = self._background.stop

    def look(self, execution_id: int) -> None:
        """Have a plan made, or let an approved one become a run. Returns at once."""
        with self._database.begin() as tx:
            execution = executions.find(tx, execution_id)
            if execution is None or execution.state != "planning":
                return
            plan = plans.find(tx, execution.job_id)
            if plan.manifest is not None:
                if plan.approved:
                    executions.move(tx, execution_id, ("planning",), "ready", phase="pending", info=None)
                    self._background.wake()
                return
        self._background.begin(execution_id, partial(self._plan, execution), partial(self._fail, execution))

    def _fail(self, execution: Execution, error: Exception) -> None:
        info = f"the plan could not be made: {type(error).__name__}: {error}"
        if isinstance(error, TallyportError):
            info = error.message
        with self._database.begin() as tx:
            executions.move(tx, execution.id, ("planning",), "failed_to_start", phase="complete", info=info)

    def _plan(self, execution: Execution) -> None:
        with self._database.read() as tx:
            job = jobs.find(tx, execution.job_id, deleted=True)
            source = None if job is None else connections.find(tx, job.source_connection or "")
            destination = None if job is None else connections.find(tx, job.destination_connection or "")
        if job is None or source is None or destination is None:
            raise TallyportError(ErrorKind.CONFIG, "a connection of this job was deleted")
        there = open_connection(destination.platform, self._as_measured(destination), "/", read_only=True)
        try:
            side = side_of(there)
        finally:
            there.close()
        policies = policies_from_json(execution.policies)
        here = open_connection(
            *(source.platform, self._as_measured(source), job.source_path),
            read_only=True,
            act_as=policies.source_account,
        )
        try:
            wanted = self._still_wanted(execution.id)
            names = names_of(self._database, policies, place_of(source.platform, source.settings, job.source_path))
            manifest = survey(
                here, side.limits, policies, now=time.time_ns(), goes_on=wanted, there=side, originals=names
            )
        finally:
            here.close()
        if not manifest.is_complete:
            return
        with self._database.begin() as tx:
            sides = ("source", source), ("destination", destination)
            found = manifest.document() | {"measured": probing.measured_on(*sides)}
            plans.keep(tx, job.id, manifest=found)
            told = f"{found['items']} items, {found['bytes']} bytes: execute approves the plan"
            executions.change(tx, execution.id, phase="finalize", info=told)

    def _as_measured(self, connection: Connection) -> dict[str, object]:
        return {**self._vault.settings(connection), probing.MEASURED: probing.read(connection.measured)}

    def _still_wanted(self, execution_id: int) -> Callable[[], bool]:
        looked = [time.monotonic()]

        def goes_on() -> bool:
            if self._background.is_stopping:
                return False
            if time.monotonic() - looked[0] < LOOK_SECONDS:
                return True
            looked[0] = time.monotonic()
            with self._database.read() as tx:
                now = executions.find(tx, execution_id)
            return now is not None and now.state == "planning"

        return goes_on
