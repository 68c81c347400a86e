"""Both ends of an execution, looked at before it begins."""

import dataclasses
import json

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Connector
from tallyport.domain import stops
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.executions import Execution
from tallyport.domain.policies_json import policies_from_json


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
