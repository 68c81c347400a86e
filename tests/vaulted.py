"""A platform whose connections need a secret, for tests: a store in memory behind a password."""

from __future__ import annotations

from dataclasses import dataclass, field

from tallyport.connectors import registry
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Connector
from tallyport.domain.errors import ErrorKind, TallyportError

PLATFORM = registry.Platform("vaulted", "Vaulted", "tests.vaulted:open_vaulted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a connection needs."""

    host: str = field(metadata={"help": "Where it is."})
    password: str = field(metadata={"help": "Lets in.", "secret": True})
    pin: str | None = field(default=None, metadata={"help": "Lets in further.", "secret": True})


OPENED: list[Settings] = []


def open_vaulted(settings: Settings, path: str, *, make: bool = False) -> Connector:
    """Open it, or complain as a careless connector would: with the password in the message."""
    OPENED.append(settings)
    if settings.host == "refuses":
        raise TallyportError(ErrorKind.UNAUTHENTICATED, f"wrong password {settings.password!s} at {settings.host}")
    return Memory(path=path, make=True)
