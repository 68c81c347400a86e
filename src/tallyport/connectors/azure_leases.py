"""Leases of blobs as locks. The platform keeps no name with one; our mark is proposed as its id."""

from tallyport.connectors.azure_prefix import Prefix
from tallyport.connectors.object_http import Refused
from tallyport.domain.locks import Lock


class Leases(Prefix):
    """A prefix whose blobs can be locked."""

    def lock_of(self, path: str) -> Lock | None:
        found = self._existing(self._key(path, "look at"), path, "look at")
        return Lock() if found.is_leased else None

    def lock(self, path: str, lock: Lock) -> Lock:
        """Take a lease that has no end: those that have one last a minute at most. The platform keeps no name."""
        key = self._key(path, "lock")
        self._existing(key, path, "lock")
        headers = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"}
        if lock.mark:  # a lease that has this name already is granted again
            headers["x-ms-proposed-lease-id"] = lock.mark
        with self._container.translated("lock", path):
            answer = self._container.call("PUT", key, query={"comp": "lease"}, headers=headers)
        token = answer.headers.get("x-ms-lease-id", "")
        if lock.mark:
            self._container.leases[key] = token
        return Lock(token=token, mark=lock.mark)

    def hold(self, path: str, mark: str) -> None:
        """Present a mark as the name of the lease, where there is one; that of somebody else stays LOCKED."""
        key = self._key(path, "look at")
        found = self._look(key, path)
        if found is not None and found.is_leased:
            self._container.leases[key] = mark
        else:
            self._container.leases.pop(key, None)  # the platform refuses what names a lease that there is not

    def unlock(self, path: str, lock: Lock) -> None:
        key = self._key(path, "unlock")
        self._container.leases.pop(key, None)
        headers = {"x-ms-lease-action": "release", "x-ms-lease-id": lock.token}
        with self._container.translated("unlock", path):
            try:
                self._container.call("PUT", key, query={"comp": "lease"}, headers=headers)
            except Refused as error:
                if error.status not in (404, 409, 412):
                    raise
