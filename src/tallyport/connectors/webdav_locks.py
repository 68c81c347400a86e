"""Locks over WebDAV. A lock of ours is known again by its mark, which stands in its owner."""

import re
import time

from tallyport.connectors import webdav_xml as xml
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_path
from tallyport.connectors.webdav_folder import SECOND, Folder
from tallyport.connectors.webdav_xml import DAV
from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock

_MARKED = re.compile(r"(.*) \(tallyport ([0-9a-f-]{36})\)", re.DOTALL)  # the owner of a lock of ours, and its mark


class Locking(Folder):
    """A folder whose files can be locked."""

    def lock_of(self, path: str) -> Lock | None:
        check_path("look at", path)
        return next(iter(self._locks_on(path)), None)

    def lock(self, path: str, lock: Lock) -> Lock:
        check_path("lock", path)
        self._standing(path)  # a lock of nothing would make an empty file
        owner = lock.owner.name or lock.owner.id or lock.owner.email if lock.owner is not None else "Tallyport"
        headers = {"Content-Type": "application/xml; charset=utf-8", "Depth": "0", "Timeout": _timeout(lock.until)}
        body = xml.lockinfo(f"{owner} (tallyport {lock.mark})" if lock.mark else owner)
        try:
            with self._call("LOCK", path, "lock", headers=headers, body=body) as reply:
                token = reply.headers.get("Lock-Token", "").strip("<> ")
                active = xml.document(reply.content(), f"{DAV}activelock")
        except TallyportError as error:
            ours = self._marked(path, lock.mark) if error.kind is ErrorKind.LOCKED and lock.mark else None
            if ours is None:
                raise
            self._locks[path] = ours.token
            return ours
        if not token:
            raise refusal(ErrorKind.UNSUPPORTED, "lock", path, "the server gave no lock")
        self._locks[path] = token
        held = _lock(active[0]) if active else Lock(lock.owner, lock.until)
        return held._replace(token=token, mark=lock.mark)

    def hold(self, path: str, mark: str) -> None:
        check_path("look at", path)
        ours = self._marked(path, mark)
        if ours is None:
            self._locks.pop(path, None)  # it ended: a server refuses what names a lock that there is not
        else:
            self._locks[path] = ours.token

    def _marked(self, path: str, mark: str) -> Lock | None:
        """Give the lock with a mark of ours, if the server tells its token."""
        ours = (lock for lock in self._locks_on(path, allowed=(404,)) if lock.mark == mark and lock.token)
        return next(ours, None)

    def _locks_on(self, path: str, allowed: tuple[int, ...] = ()) -> list[Lock]:
        asked = xml.propfind([f"{DAV}lockdiscovery"])
        with self._propfind(path, "look at", 0, asked, allowed=allowed) as found:
            told = [response.found.get(f"{DAV}lockdiscovery") for response in found]
        return [_lock(active) for one in told if one is not None for active in one.all(f"{DAV}activelock")]

    def unlock(self, path: str, lock: Lock) -> None:
        check_path("unlock", path)
        headers = {"Lock-Token": f"<{lock.token}>"}
        with self._call("UNLOCK", path, "unlock", headers=headers, allowed=(400, 404, 409, 412)):
            self._locks.pop(path, None)


def _timeout(until: int | None) -> str:
    if until is None:
        return "Infinite, Second-4100000000"
    return f"Second-{max(1, until // SECOND - int(time.time()))}"


def _lock(active: xml.Node) -> Lock:
    owner, token, limit = (next(active.all(DAV + name), None) for name in ("owner", "locktoken", "timeout"))
    named = "" if owner is None else (owner.text.strip() or "".join(child.text for child in owner.children).strip())
    ours = _MARKED.fullmatch(named)
    if ours is not None:
        named = ours[1]
    href = None if token is None else next(token.all(f"{DAV}href"), None)
    seconds = re.fullmatch(r"second-(\d+)", "" if limit is None else limit.text.strip().lower())
    until = None
    if seconds is not None and int(seconds[1]) < 4_000_000_000:
        until = (int(time.time()) + int(seconds[1])) * SECOND
    return Lock(
        Principal(PrincipalKind.ACCOUNT, name=named) if named else None,
        until,
        "" if href is None else href.text.strip(),
        "" if ours is None else ours[2],
    )
