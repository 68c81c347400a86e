"""The key that seals secrets: where it stands, and how it is changed. It is never in the database.

The first of these that is there: ``TALLYPORT_SECRET_KEY``, the file ``TALLYPORT_SECRET_KEY_FILE`` names, the systemd
credential ``tallyport-secret-key``, the file ``secret.key`` in the data folder, which is made when it is missing.
Each holds one or more keys, the newest first: that one seals, all of them open.
"""

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from tallyport.domain.errors import ErrorKind, TallyportError

FILE = "secret.key"
CREDENTIAL = "tallyport-secret-key"


class Keys:
    """The keys of one data folder. A key file that was changed is read again."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self.own = folder / FILE
        self._read: tuple[str, ...] = ()
        self._seen: tuple[int, int, int] | None = None

    @property
    def where(self) -> str:
        """Say where the keys stand, for people."""
        if self._environment.get("TALLYPORT_SECRET_KEY"):
            return "TALLYPORT_SECRET_KEY"
        return str(self._file())

    @property
    def is_own_file(self) -> bool:
        """Tell whether the keys stand in the data folder, where we may change them."""
        return not self._environment.get("TALLYPORT_SECRET_KEY") and self._file() == self.own

    def texts(self) -> tuple[str, ...]:
        """Give the keys, newest first. Makes the data folder's own when there is none at all."""
        if given := self._environment.get("TALLYPORT_SECRET_KEY"):
            return _parse(given, "TALLYPORT_SECRET_KEY")
        path = self._file()
        if path == self.own and not path.exists():
            _make(path, new_key())
        try:
            with open(path, encoding="ascii", errors="replace") as stream:
                status = os.fstat(stream.fileno())
                seen = (status.st_ino, status.st_mtime_ns, status.st_size)
                if seen != self._seen:
                    if path == self.own and stat.S_IMODE(status.st_mode) & 0o077:
                        raise _bad(f"the key file {path} can be read by others: chmod 600 {path}")
                    self._read, self._seen = _parse(stream.read(100_000), str(path)), seen
        except OSError as error:
            raise _bad(f"cannot read the key file {path}: {error.strerror}") from error
        return self._read

    def replace(self, texts: Sequence[str]) -> None:
        """Put keys in the place of the data folder's own, at once or not at all."""
        temporary = self.own.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        _make(temporary, *texts)
        os.replace(temporary, self.own)
        folder = os.open(self.own.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _file(self) -> Path:
        if named := self._environment.get("TALLYPORT_SECRET_KEY_FILE"):
            return Path(named)
        if (folder := self._environment.get("CREDENTIALS_DIRECTORY")) and (Path(folder) / CREDENTIAL).exists():
            return Path(folder) / CREDENTIAL
        return self.own


def new_key() -> str:
    """Make a key: 32 random bytes in base 64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _make(path: Path, *texts: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return  # another process was faster: its key is the key
    with open(number, "w", encoding="ascii") as stream:
        stream.write("".join(f"{text}\n" for text in texts))
        stream.flush()
        os.fsync(number)


def _parse(text: str, where: str) -> tuple[str, ...]:
    found = tuple(text.replace(",", " ").split())
    for one in found:
        try:
            fits = len(base64.urlsafe_b64decode(one)) == 32
        except (binascii.Error, ValueError):
            fits = False
        if not fits:
            raise _bad(f"{where} holds something that is no key: make one with `tallyport secrets key`")
    if not found:
        raise _bad(f"{where} holds no key: make one with `tallyport secrets key`")
    return found


def _bad(message: str) -> TallyportError:
    return TallyportError(ErrorKind.CONFIG, message, operation="open")
