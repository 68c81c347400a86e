"""Both ends of an execution: named for whoever carries, looked at before it begins, tidied after it has ended."""

import contextlib
import dataclasses
import json
import logging

from tallyport.connectors import probing, registry
from tallyport.connectors.layers.named import naming
from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Connector
from tallyport.domain import paths, stops
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.carrying import carriage_of
from tallyport.domain.connections import LOCAL_PLATFORMS, Connection
from tallyport.domain.entries import Kind, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.policies_json import policies_from_json
from tallyport.engine import original_names, uploads
from tallyport.engine.job_maps import maps_of
from tallyport.engine.widths import Widths
from tallyport.engine.work import Terms
from tallyport.store import connections, executions, frontier
from tallyport.store.database import Database
from tallyport.store.probes import ProbeBook
from tallyport.store.vault import Vault

log = logging.getLogger("tallyport.engine")

PART_SIZE = 64 << 20  # bytes; equals the part of the content hash


class Ends:
    """The ends of jobs whose connections are in one store."""

    def __init__(self, database: Database, vault: Vault, widths: Widths) -> None:
        self._database = database
        self._vault = vault
        self._widths = widths

    def terms(self, job: Job, execution: Execution) -> Terms:
        """Say all that whoever carries has to know of both ends."""
        with self._database.read() as tx:
            source = connections.find(tx, job.source_connection or "")
            destination = connections.find(tx, job.destination_connection or "")
            policies = policies_from_json(execution.policies)
            maps = maps_of(tx, job) if carriage_of(policies).names_people else ""
            first_run = executions.is_first(tx, job)
        if source is None or destination is None:
            raise TallyportError(ErrorKind.CONFIG, "a connection of this job was deleted")
        return Terms(
            execution_id=execution.id,
            token=execution.token,
            source=self._end(source, job.source_path),
            destination=nothing_there(self._end(destination, job.destination_path), execution, first_run=first_run),
            policies=execution.policies,
            started=(execution.started_at or execution.created_at) * 1_000,
            part_size=PART_SIZE,
            revision=execution.revision,
            quarantine=policies.quarantine,
            first_run=first_run,
            names=(_name(source), _name(destination)),
            places=f"{_place(source, job.source_path)} {_place(destination, job.destination_path)}",
            maps=maps,
            regrants=execution.reset == "permissions",
            job=job.id,
        )

    def check(self, job: Job, execution: Execution) -> None:
        """Look at both ends before anything is carried; raises what a person has to mend first."""
        self._measure(job, execution)
        terms = self.terms(job, execution)
        policies = policies_from_json(execution.policies)
        original_names.check(self._database, job, policies)
        for side, name, (platform, settings, path), act_as in (
            ("source", terms.names[0], terms.source, policies.source_account),
            ("destination", terms.names[1], terms.destination, policies.destination_account),
        ):
            make = side == "destination" and not execution.simulation
            with naming(Side(side), name):
                connector = open_connection(platform, json.loads(settings), path, make=make, act_as=act_as)
            try:
                with naming(Side(side), name):
                    root = connector.stat("")
                if root is None and not (side == "destination" and execution.simulation):
                    place = f"{connector.location}"
                    raise TallyportError(ErrorKind.NOT_FOUND, f"the {side} {place} does not exist")
                if side == "destination":
                    check_proof(policies.verify, connector)
                if root is not None and root.kind is not Kind.CONTAINER:
                    raise TallyportError(ErrorKind.CONFIG, f"the {side} {connector.location} is not a folder")
            finally:
                connector.close()

    def clean(self, execution: Execution, job: Job) -> None:
        """Remove the temporaries of big files that an ended execution will not finish."""
        with self._database.begin() as tx:
            left = frontier.temporaries(tx, execution.id)
            ended = executions.find(tx, execution.id)
        if left and ended is not None and ended.has_ended:
            platform, settings, path = self.terms(job, execution).destination
            act_as = policies_from_json(execution.policies).destination_account
            try:
                connector = open_connection(platform, json.loads(settings), path, act_as=act_as)
            except TallyportError as error:  # who ended the run may be why: it has ended all the same
                log.warning("temporaries.left: execution %d: %s", execution.id, error.message)
                return
            try:
                for d_path, temporary in left:
                    with contextlib.suppress(TallyportError):
                        if uploads.is_handle(temporary):
                            uploads.abandon(connector, d_path, temporary)
                        else:
                            connector.delete(paths.join(paths.split(d_path)[0], temporary))
            finally:
                connector.close()

    def is_remote(self, job: Job) -> bool:
        """Tell whether one batch of a job carries several items at once: where a network is waited for."""
        return any(name and registry.platform(name).is_remote for name in self._platforms(job))

    def is_local(self, job: Job) -> bool:
        """Tell whether both ends of a job are folders of this machine."""
        return LOCAL_PLATFORMS.issuperset(self._platforms(job))

    def _platforms(self, job: Job) -> list[str]:
        with self._database.read() as tx:
            ends = [connections.find(tx, side or "") for side in (job.source_connection, job.destination_connection)]
        return ["" if end is None else end.platform for end in ends]

    def _measure(self, job: Job, execution: Execution) -> None:
        """Measure a destination that nobody has measured: what it says it keeps is not believed.

        What an earlier measurement left there when it was killed is removed.
        """
        with self._database.read() as tx:
            found = connections.find(tx, job.destination_connection or "")
        if found is None or execution.simulation or not registry.platform(found.platform).is_remote:
            return
        book = ProbeBook(self._database, found.id)
        if found.measured is not None:
            probing.tidy(found.platform, self._vault.settings(found), book)
            return
        with naming(Side.DESTINATION, _name(found)):
            facts = probing.probe(found.platform, self._vault.settings(found), job.destination_path, book=book)
        with self._database.begin() as tx:
            connections.measured(tx, found.id, facts)

    def _end(self, connection: Connection, path: str) -> tuple[str, str, str]:
        settings = self._vault.settings(connection)
        self._widths.meet(connection, settings)
        if connection.measured:
            settings[probing.MEASURED] = probing.read(connection.measured)
        return connection.platform, json.dumps(settings), path


def check_proof(wanted: VerifyLevel, destination: Connector) -> None:
    """Refuse a job that asks for a proof which its destination cannot give, before anything is carried."""
    best = destination.limits.best_verify
    if wanted > best:
        message = (
            f"the destination {destination.location} cannot prove items at level {wanted.name.lower()}: "
            f"its best is {best.name.lower()} (verify)"
        )
        raise TallyportError(ErrorKind.CONFIG, message)


def nothing_there(end: tuple[str, str, str], execution: Execution, *, first_run: bool) -> tuple[str, str, str]:
    """In a simulation a destination that does not exist yet is an empty tree in memory."""
    if not execution.simulation:
        return end
    policies = policies_from_json(execution.policies)
    if stops.purges(dataclasses.replace(policies, simulation=False), first_run=first_run):
        return "memory", "{}", ""  # as it will be once it is emptied
    try:
        act_as = policies.destination_account
        connector = open_connection(end[0], json.loads(end[1]), end[2], read_only=True, act_as=act_as)
    except TallyportError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return "memory", "{}", ""
        raise
    connector.close()
    return end


def _name(connection: Connection) -> str:
    return f"{connection.name!r} ({connection.platform})"


def _place(connection: Connection, path: str) -> tuple[str, str, str]:
    return connection.platform, json.dumps(dict(connection.settings)), path
