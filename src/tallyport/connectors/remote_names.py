"""Paths and names on their way to a server, checked before the call: a server may read more into a name than we do."""

from tallyport.connectors.remote_errors import refusal
from tallyport.domain import naming
from tallyport.domain.capabilities import Limits
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, check_segment, segments, split


def check_path(operation: str, path: str) -> None:
    """Refuse a path that would lead out of the connection, or that is none."""
    if path == ROOT:
        return
    for name in segments(path):
        why = check_segment(name)
        if why is not None:
            raise refusal(ErrorKind.INVALID_NAME, operation, path, why)


def check_new(operation: str, path: str, limits: Limits) -> None:
    """Refuse a path whose last name the platform does not take; INVALID_NAME. The root is ALREADY_EXISTS."""
    if path == ROOT:
        raise refusal(ErrorKind.ALREADY_EXISTS, operation, path, "it is the root of the connection")
    check_path(operation, path)
    name = split(path)[1]
    unit, words = limits.name_unit, naming.UNIT_WORDS[limits.name_unit]
    why = naming.refusal(name, limits)
    if why is None and naming.length(name, unit) > limits.max_name:
        why = f"the name has more than the {limits.max_name} {words} that the platform takes"
    if why is None and limits.max_path is not None and naming.length(path, unit) > limits.max_path:
        why = f"the path has more than the {limits.max_path} {words} that the platform takes"
    if why is not None:
        raise refusal(ErrorKind.INVALID_NAME, operation, path, why)
