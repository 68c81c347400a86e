"""Names on their way to a server and back: it may read more into a name than we do, and may list what is no name."""

from tallyport.connectors.remote_errors import quoted, refusal
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


def is_listed(path: str, name: str) -> bool:
    """Tell whether a line of a listing is of an item in the container; that itself and the one above are none.

    A name that would lead elsewhere raises: what cannot be taken whole is no listing, and nothing is deleted by it.
    """
    if name in (".", ".."):
        return False
    if check_segment(name) is not None:
        what = f"the server lists {quoted(name)}, which is not in it"
        raise refusal(ErrorKind.UNEXPECTED, "list", path, what)
    return True


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
