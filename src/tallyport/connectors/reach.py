"""What connections may reach and use in the name of this process, as whoever runs it allows.

On a server somebody else makes the connections: what only the server's own machine can reach, and what its account
may sign in with, is not theirs. A command that one person runs for themselves reaches and uses what they can anyway.
"""

import os

from tallyport.domain.errors import ErrorKind, TallyportError

PRIVATE_NETWORKS = "TALLYPORT_ALLOW_PRIVATE_NETWORKS"
OWN_CREDENTIALS = "TALLYPORT_ALLOW_OWN_CREDENTIALS"

_is_by_hand = False


def by_hand() -> None:
    """Say that this process works for the person who started it, and for nobody else."""
    global _is_by_hand
    _is_by_hand = True


def reaches_private_networks() -> bool:
    """Tell whether connections may lead into private networks and to this machine. An explicit setting wins."""
    return _allowed(PRIVATE_NETWORKS)


def check_own_credentials(what: str, instead: str) -> None:
    """Refuse to sign in with what the account of this process has, unless it is allowed."""
    if not _allowed(OWN_CREDENTIALS):
        message = f"{what}, which this server does not allow: {instead}, or see the setting {OWN_CREDENTIALS}"
        raise TallyportError(ErrorKind.CONFIG, message, operation="open")


def _allowed(name: str) -> bool:
    return os.environ.get(name, "1" if _is_by_hand else "0") == "1"
