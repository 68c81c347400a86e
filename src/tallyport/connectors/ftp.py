"""Folders of an FTP server, over TLS unless the settings say otherwise.

The oldest of the protocols promises least: nothing is created only when it is new, nothing replaced only when it is
still the same, and no hash comes back; ``Limits`` says so and the engine looks before and after. A write goes to a
temporary beside its place and is renamed onto it.

Traps: a name with a line break would be a second command, so it is refused. Servers without MLSD (vsftpd) list in
lines whose times are vague: there each file's time is asked for by itself. ``550`` means missing and denied alike.
See RFC 959, 3659, 4217, draft-somers-ftp-mfxx.
"""

import ftplib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from socket import socket

from tallyport.connectors.ftp_listing import entry_of_facts, facts_entry, line_entry, moment_of, moment_text
from tallyport.connectors.ftp_session import Session, Settings, error_of
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import CHUNK, Announced, blocks, chained
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path, is_listed
from tallyport.connectors.temporaries import Temporaries, is_of, is_temporary
from tallyport.domain.capabilities import Limits, VerifyLevel
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display, from_bytes, join, segments, split

__all__ = ["Ftp", "Settings", "open_ftp"]

SECOND = 1_000_000_000
BLOCK = 64 * 1024


def open_ftp(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Ftp":
    """Open a folder of an FTP server, as the registry asks for it."""
    return Ftp(settings, path, make=make)


class Ftp:
    """One folder of one server. ``token`` marks what is unfinished, so that :meth:`sweep` finds it."""

    tells = frozenset({"created_on"})  # see control/honoured.py

    def __init__(self, settings: Settings, path: str = ROOT, *, make: bool = False, token: str = "ftp") -> None:
        self.token = token
        self._session = Session(settings)
        self._temporaries = Temporaries()
        self._root = ""
        self._sets_mode = False
        try:
            self._open_root(settings, path, make=make)
        except BaseException:
            self._session.close()
            raise
        features = self._session.features
        self._has_facts = "MLST" in features
        self._way = "MFMT" if "MFMT" in features else "MDTM"
        self.limits = Limits(
            time_precision=SECOND,
            forbidden_characters="/\0\r\n",
            unicode_only=True,
            permissions=self._sets_mode,
            best_verify=VerifyLevel.READBACK,
            checks_way=settings.tls == "required",
            atomic_replace=False,
            creates_only=False,
            replaces_checked=False,
            dates_containers=False,
        )
        self.location = f"ftp://{settings.username}@{self._session.where}{display(self._root) or '/'}"

    # -- what every platform can do

    def stat(self, path: str) -> Entry | None:
        check_path("look at", path)
        with self._session.control("look at", path) as ftp:
            return self._stat(ftp, path)

    def children(self, path: str) -> Iterator[Entry]:
        check_path("list", path)
        listing = self._listing(path)
        first = next(listing, None)
        return iter(()) if first is None else chained(first, listing)

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        check_path("read", path)
        return self._reading(path, offset, length)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_new("write", path, self.limits)
        temporary = join(split(path)[0], self._temporaries.name(self.token))
        announced = Announced(content, facts, path)
        pieces = blocks(announced)
        try:
            first = next(pieces, b"")
            with self._session.control("write", path) as ftp:
                self._check(ftp, path, when)
                failed: BaseException | None = None
                with self._storing(ftp, temporary, path) as data:
                    if first:
                        data.sendall(first)
                    while True:
                        try:
                            piece = next(pieces, None)
                        except BaseException as error:
                            failed = error
                            break
                        if piece is None:
                            break
                        data.sendall(piece)
                    end_transfer(data)
                ftp.voidresp()
                if failed is None:
                    return self._publish(ftp, temporary, path, facts, when, announced.size)
            raise failed
        except BaseException:
            self._remove_quietly(temporary)
            raise

    def make_container(self, path: str, facts: Facts) -> Entry:
        if path != ROOT:
            check_new("make", path, self.limits)
        with self._session.control("make", path) as ftp:
            if path == ROOT:
                return self._standing(ftp, path, "make")
            try:
                ftp.sendcmd(f"MKD {self._at(path)}")
            except ftplib.error_perm as error:
                entry = self._stat(ftp, path)
                if entry is None:
                    holder = self._stat(ftp, split(path)[0])
                    if holder is None or holder.kind is not Kind.CONTAINER:
                        raise refusal(ErrorKind.NOT_FOUND, "make", path, "its folder is not there") from error
                    raise
                if entry.kind is not Kind.CONTAINER:
                    raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "something else has that name") from error
                return entry
            if facts.mode is not None and self._sets_mode:
                ftp.sendcmd(f"SITE CHMOD {facts.mode & 0o777 | 0o700:o} {self._at(path)}")
            return self._standing(ftp, path, "make")

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        check_path("delete", path)
        if path == ROOT:
            raise refusal(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
        with self._session.control("delete", path) as ftp:
            entry = self._stat(ftp, path)
            if entry is None:
                return
            if expect is not None and (entry.kind is not expect.kind or fingerprint(entry) != fingerprint(expect)):
                raise refusal(ErrorKind.CHANGED_DURING_COPY, "delete", path, "it changed since it was seen")
            if entry.kind is not Kind.CONTAINER:
                ftp.sendcmd(f"DELE {self._at(path)}")
                return
            try:
                ftp.sendcmd(f"RMD {self._at(path)}")
            except ftplib.error_perm as error:
                if self._stat(ftp, path) is None:
                    return
                if next(self._lines(ftp, path, hides=False), None) is not None:
                    what = "the folder is not empty"
                    raise refusal(ErrorKind.ALREADY_EXISTS, "delete", path, what) from error
                raise

    def close(self) -> None:
        self._session.close()

    # -- abilities

    def stamp(self, path: str, facts: Facts) -> Entry:
        check_path("stamp", path)
        with self._session.control("stamp", path) as ftp:
            entry = self._standing(ftp, path, "stamp")
            if entry.kind is Kind.FILE:
                self._set(ftp, self._at(path), facts)
            elif facts.mode is not None and self._sets_mode:
                ftp.sendcmd(f"SITE CHMOD {facts.mode & 0o777:o} {self._at(path)}")
            return self._standing(ftp, path, "stamp")

    def rename(self, path: str, to: str) -> Entry:
        check_path("rename", path)
        check_new("rename", to, self.limits)
        if path == ROOT or to.startswith(f"{path}/"):
            raise refusal(ErrorKind.UNSUPPORTED, "rename", path, f"it cannot become {display(to)!r}")
        with self._session.control("rename", path) as ftp:
            self._standing(ftp, path, "rename")
            if self._stat(ftp, to) is not None:
                raise refusal(ErrorKind.ALREADY_EXISTS, "rename", path, f"the name {display(to)!r} is taken")
            ftp.rename(self._at(path), self._at(to))
            return self._standing(ftp, to, "rename")

    def sweep(self, path: str, token: str) -> int:
        check_path("sweep", path)
        with self._session.control("sweep", path) as ftp:
            left = [entry.name for entry in self._lines(ftp, path, hides=False) if is_of(entry.name, token)]
            for name in left:
                ftp.sendcmd(f"DELE {self._at(join(path, name))}")
            return len(left)

    # -- behind them

    def _at(self, path: str) -> str:
        """Give a path as the server wants it; a line break in it would begin another command."""
        if "\r" in path or "\n" in path:
            raise refusal(ErrorKind.INVALID_NAME, "use", path, "a name with a line break cannot be told to a server")
        return f"{self._root}/{path}" if path else self._root or "/"

    def _open_root(self, settings: Settings, path: str, *, make: bool) -> None:
        with self._session.control("open", path) as ftp:
            try:
                if settings.path:
                    ftp.cwd(settings.path)
                self._root = ftp.pwd().rstrip("/")
                for name in segments(path):
                    if make:
                        try:
                            ftp.sendcmd(f"MKD {self._root}/{name}")
                        except ftplib.error_perm:  # there already, or told by the next step
                            pass
                    self._root += f"/{name}"
                ftp.cwd(self._root or "/")
            except ftplib.error_perm as error:
                shown = display(self._root or settings.path)
                message = f"there is no folder {shown!r} on {self._session.where}: make it, or correct the path"
                raise TallyportError(ErrorKind.NOT_FOUND, message, path=path, operation="open") from error
            if "unix.mode" in self._session.features.get("MLST", "").lower():
                try:
                    self._sets_mode = "CHMOD" in ftp.sendcmd("SITE HELP").upper()
                except ftplib.Error:
                    self._sets_mode = False

    # -- looking

    def _stat(self, ftp: ftplib.FTP, path: str) -> Entry | None:
        name = split(path)[1] if path else ROOT
        at = self._at(path)
        if self._has_facts:
            try:
                lines = ftp.sendcmd(f"MLST {at}").splitlines()
            except ftplib.error_perm as error:
                _raise_unless_missing(error)
                return None
            facts = next((line for line in lines[1:] if "=" in line), "").strip().partition(" ")[0]
            said = {key.lower(): value for key, _, value in (fact.partition("=") for fact in facts.split(";")) if key}
            return entry_of_facts(name, said)
        try:
            size = ftp.size(at)
        except ftplib.error_perm:
            size = None
        if size is None:
            return Entry(name, Kind.CONTAINER) if self._is_folder(ftp, at) else None
        return Entry(name, Kind.FILE, size, self._time(ftp, at))

    def _is_folder(self, ftp: ftplib.FTP, at: str) -> bool:
        try:
            ftp.cwd(at)
            return True
        except ftplib.error_perm:
            return False

    def _time(self, ftp: ftplib.FTP, at: str) -> int:
        try:
            return moment_of(ftp.sendcmd(f"MDTM {at}")[4:])
        except ftplib.error_perm:
            return 0

    def _standing(self, ftp: ftplib.FTP, path: str, operation: str) -> Entry:
        entry = self._stat(ftp, path)
        if entry is None:
            raise refusal(ErrorKind.NOT_FOUND, operation, path, "it is not there")
        return entry

    # -- listing

    def _listing(self, path: str) -> Iterator[Entry]:
        """List over a connection of its own, so that others may be used meanwhile."""
        with self._session.control("list", path) as ftp:
            if self._has_facts:
                yield from self._lines(ftp, path)
                return
            for entry in self._lines(ftp, path):
                if entry.kind is Kind.FILE:
                    with self._session.control("list", path) as other:
                        moment = self._time(other, self._at(join(path, entry.name)))
                    entry = entry._replace(modified=moment)
                yield entry

    def _lines(self, ftp: ftplib.FTP, path: str, *, hides: bool = True) -> Iterator[Entry]:
        at = self._at(path)
        if not self._is_folder(ftp, at):
            raise refusal(ErrorKind.NOT_FOUND, "list", path, "it is not a folder")
        # Without a path: a name that begins with a dash would be read as an option.
        data = ftp.transfercmd("MLSD" if self._has_facts else "LIST -a")
        is_over = False
        try:
            with data, data.makefile("rb") as stream:
                for raw in stream:
                    line = from_bytes(raw.rstrip(b"\r\n"))
                    entry = facts_entry(line) if self._has_facts else line_entry(line)
                    if entry is None or not is_listed(path, entry.name) or (hides and is_temporary(entry.name)):
                        continue
                    yield entry
                is_over = True
        finally:
            if is_over:
                ftp.voidresp()
            else:
                _leave(ftp)

    # -- reading

    @contextmanager
    def _reading(self, path: str, offset: int, length: int | None) -> Iterator[Iterator[bytes]]:
        with self._session.control("read", path) as ftp:
            entry = self._standing(ftp, path, "read")
            if entry.kind is not Kind.FILE:
                raise refusal(ErrorKind.UNSUPPORTED, "read", path, "it is a container, not a file")
            end = entry.size if length is None else min(entry.size, offset + length)
            if offset >= end:
                chunks: Iterator[bytes] = iter(())
                yield chunks
                return
            data = ftp.transfercmd(f"RETR {self._at(path)}", rest=offset or None)
            is_whole = False

            def given() -> Iterator[bytes]:
                nonlocal is_whole
                left = end - offset
                while left:
                    try:
                        chunk = data.recv(min(CHUNK, left))
                    except OSError as error:
                        raise error_of(error, "read", path) from error
                    if not chunk:
                        raise _changed(path)
                    left -= len(chunk)
                    if not left:
                        with self._session.control("read", path) as other:
                            now = self._stat(other, path)
                        if now is None or fingerprint(now) != fingerprint(entry):
                            raise _changed(path)
                        is_whole = end == entry.size
                    yield chunk

            try:
                yield given()
            finally:
                if is_whole and not data.recv(1):
                    data.close()
                    ftp.voidresp()
                else:
                    data.close()
                    _leave(ftp)

    # -- writing

    def _storing(self, ftp: ftplib.FTP, temporary: str, path: str) -> socket:
        try:
            return ftp.transfercmd(f"STOR {self._at(temporary)}")
        except ftplib.error_perm as error:
            holder = self._stat(ftp, split(path)[0])
            if holder is None or holder.kind is not Kind.CONTAINER:
                raise refusal(ErrorKind.NOT_FOUND, "write", path, "its folder is not there") from error
            raise

    def _check(self, ftp: ftplib.FTP, path: str, when: Precondition) -> None:
        """Look whether the condition holds, and nothing stands there that a file cannot replace."""
        now = self._stat(ftp, path)
        if when.absent and now is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")
        if now is not None and now.kind is Kind.CONTAINER:
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "a folder has that name")
        wanted = when.entry
        if wanted is not None and (now is None or now.kind is not wanted.kind or _differs(now, wanted)):
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")

    def _publish(
        self, ftp: ftplib.FTP, temporary: str, path: str, facts: Facts, when: Precondition, size: int
    ) -> Entry:
        stands = self._standing(ftp, temporary, "write").size
        if stands != size:
            raise refusal(ErrorKind.CORRUPT, "write", path, f"the server holds {stands} of {size} bytes")
        self._set(ftp, self._at(temporary), facts)
        self._check(ftp, path, when)
        try:
            ftp.rename(self._at(temporary), self._at(path))
        except ftplib.error_perm:
            if self._stat(ftp, path) is None:
                raise
            ftp.sendcmd(f"DELE {self._at(path)}")  # a server whose rename replaces nothing
            ftp.rename(self._at(temporary), self._at(path))
        return self._standing(ftp, path, "write")

    def _set(self, ftp: ftplib.FTP, at: str, facts: Facts) -> None:
        if facts.modified is not None:
            ftp.sendcmd(f"{self._way} {moment_text(facts.modified)} {at}")
        if facts.mode is not None and self._sets_mode:
            ftp.sendcmd(f"SITE CHMOD {facts.mode & 0o777:o} {at}")

    def _remove_quietly(self, path: str) -> None:
        try:
            with self._session.control("delete", path) as ftp:
                ftp.sendcmd(f"DELE {self._at(path)}")
        except TallyportError:  # never made, or swept later
            pass


def end_transfer(data: object) -> None:
    """Say that the content ends here: with TLS by its own goodbye, so that a cut is told from an end."""
    unwrap = getattr(data, "unwrap", None)
    if unwrap is not None:
        try:
            unwrap()
        except OSError:  # the server hung up first
            pass


def _leave(ftp: ftplib.FTP) -> None:
    """Hear what the server says of a transfer that was left midway; a connection out of step is not used again."""
    try:
        ftp.voidresp()
    except (ftplib.error_temp, ftplib.error_perm):  # "transfer aborted", as it should be
        pass


def _raise_unless_missing(error: ftplib.error_perm) -> None:
    """Pass over what is missing."""
    if not str(error).startswith(("550", "501", "553")):
        raise error


def _differs(now: Entry, wanted: Entry) -> bool:
    return fingerprint(now) != fingerprint(wanted)


def _changed(path: str) -> TallyportError:
    return refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed while it was read")
