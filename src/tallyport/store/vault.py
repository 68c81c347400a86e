"""Sealing: what is secret is stored encrypted (Fernet: AES-128-CBC and HMAC-SHA-256), each text bound to its owner."""

import fnmatch
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tallyport.domain.connections import Connection
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.secrets import Reference, Secret, reference

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

LARGEST = 64 * 1024  # bytes of a file that holds one secret


class Allowed(NamedTuple):
    """What references may name. On a server whoever makes a connection must not read what the server can read."""

    variables: tuple[str, ...] = ()  # patterns of names
    folders: tuple[str, ...] = ()
    anything: bool = False  # the command line: whoever runs it can read all of it anyway
    environment: Mapping[str, str] = os.environ


def _no_key() -> Sequence[str]:
    raise TallyportError(ErrorKind.CONFIG, "there is no key to seal secrets with here", operation="open")


NOTHING = Allowed()


class Vault:
    """Seals and opens. ``keys`` gives the keys, newest first; it is asked each time, so that a change is seen."""

    def __init__(self, keys: Callable[[], Sequence[str]] = _no_key, allowed: Allowed = NOTHING) -> None:
        self._keys = keys
        self._allowed = allowed
        self._made: tuple[tuple[str, ...], MultiFernet] | None = None

    def seal(self, owner: str, values: Mapping[str, object]) -> str | None:
        """Seal the secrets of one owner; None when there are none. domain.secrets.secrets_set tells what is in it.

        Inside the transaction that stores it: then no change of the key comes between.
        """
        if not values:
            return None
        references = {name: str(found) for name, value in values.items() if (found := reference(value)) is not None}
        content = json.dumps({"owner": owner, "values": dict(values)}).encode()
        sealed = self._fernet().encrypt(content).decode()
        names = sorted(name for name in values if name not in references)
        return json.dumps({"set": names, "references": references, "sealed": sealed})

    def unseal(self, owner: str, sealed: str | None) -> dict[str, object]:
        """Give the secrets as they were stored: references stay references."""
        if sealed is None:
            return {}
        from cryptography.fernet import InvalidToken

        try:
            content = json.loads(self._fernet().decrypt(json.loads(sealed)["sealed"].encode()))
        except InvalidToken:
            content = {}
        if content.get("owner") != owner:
            message = "these secrets cannot be opened with the key that is set: give them again"
            raise TallyportError(ErrorKind.CONFIG, f"{message}, or bring the old key back", operation="open")
        return {name: Secret(v) if isinstance(v, str) else v for name, v in content["values"].items()}

    def reseal(self, owner: str, sealed: str) -> str | None:
        """Seal again, with the newest key."""
        return self.seal(owner, self.unseal(owner, sealed))

    def settings(self, connection: Connection) -> dict[str, object]:
        """Give everything a connector needs: what is shown, and the secrets, references read now."""
        return {**connection.settings, **self.resolve(self.unseal(connection.id, connection.sealed))}

    def resolve(self, values: Mapping[str, object]) -> dict[str, object]:
        """Put in the place of each reference what it names."""
        found: dict[str, object] = {}
        for name, value in values.items():
            named = reference(value)
            if named is not None:
                found[name] = Secret(self._read(named))
            else:
                found[name] = Secret(value) if isinstance(value, str) else value
        return found

    def _read(self, named: Reference) -> str:
        if named.kind == "env":
            self._check(any(fnmatch.fnmatchcase(named.name, one) for one in self._allowed.variables), named)
            if (value := self._allowed.environment.get(named.name)) is None:
                raise _config(f"the secret is {named}, and no such variable is set")
            return value
        path = os.path.realpath(named.name)
        self._check(any(path.startswith(os.path.realpath(one) + os.sep) for one in self._allowed.folders), named)
        try:
            with open(path, "rb") as stream:
                content = stream.read(LARGEST + 1)
        except OSError as error:
            raise _config(f"the secret is {named}, which cannot be read: {error.strerror}") from error
        if len(content) > LARGEST:
            raise _config(f"the secret is {named}, which is larger than {LARGEST} bytes")
        return content.decode("utf-8", "surrogateescape").rstrip("\r\n")

    def _check(self, is_allowed: bool, named: Reference) -> None:
        # Never the key itself, whatever is allowed.
        if named.name.startswith("TALLYPORT_SECRET_KEY") or not (is_allowed or self._allowed.anything):
            setting = "TALLYPORT_SECRET_VARIABLES" if named.kind == "env" else "TALLYPORT_SECRET_FOLDERS"
            raise _config(f"the server does not let a connection read {named}: see the setting {setting}")

    def _fernet(self) -> "MultiFernet":
        keys = tuple(self._keys())
        if self._made is None or self._made[0] != keys:
            from cryptography.fernet import Fernet, MultiFernet

            self._made = keys, MultiFernet([Fernet(key) for key in keys])
        return self._made[1]


def allowed_from(environment: Mapping[str, str]) -> Allowed:
    """Read what references may name on a server."""
    folders = ["/run/secrets", *_list(environment, "TALLYPORT_SECRET_FOLDERS", ":")]
    if credentials := environment.get("CREDENTIALS_DIRECTORY"):
        folders.append(credentials)
    variables = ("TALLYPORT_CONNECTION_*", *_list(environment, "TALLYPORT_SECRET_VARIABLES", ","))
    return Allowed(variables, tuple(folders), environment=environment)


def _list(environment: Mapping[str, str], name: str, by: str) -> Iterable[str]:
    return [one.strip() for one in environment.get(name, "").split(by) if one.strip()]


def _config(message: str) -> TallyportError:
    return TallyportError(ErrorKind.CONFIG, message, operation="open")
