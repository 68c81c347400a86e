"""Account maps and group maps: who an account or group of one side is on the other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tallyport.client.paging import pages
from tallyport.client.transport import Transport

CSV = "text/csv"


class Maps:
    """``client.account_maps`` and ``client.group_maps``. Maps, pairs and principals are the documents of the API."""

    def __init__(self, transport: Transport, kind: str) -> None:
        self._transport = transport
        self._kind = kind  # account_map or group_map
        self._base = f"/v1/{kind}s"

    def create(self, document: Mapping[str, Any] | None = None, *, name: str | None = None) -> dict[str, Any]:
        """Save a map: rules in ``map_by``, defaults, exclusions, pairs in ``exceptions``."""
        body = {"type": self._kind, **(document or {}), **({} if name is None else {"name": name})}
        return self._one(self._transport.post(self._base, body))

    def get(self, map_id: str) -> dict[str, Any]:
        """Give one map."""
        return self._one(self._transport.get(self._path(map_id)))

    def list(self, *, text: str | None = None) -> Iterator[Mapping[str, Any]]:
        """Give every map, by name."""
        return pages(self._transport, self._base, f"{self._kind}s", {"q": text})

    def update(self, map_id: str, patch: Mapping[str, Any], *, version: int | None = None) -> dict[str, Any]:
        """Change a map. What was carried stays as it is."""
        return self._one(self._transport.patch(self._path(map_id), dict(patch), version=version))

    def delete(self, map_id: str) -> None:
        """Remove a map that no job uses."""
        self._transport.delete(self._path(map_id))

    def exceptions(self, map_id: str) -> Iterator[Mapping[str, Any]]:
        """Give every explicit pair."""
        return pages(self._transport, f"{self._path(map_id)}/exceptions", "item", {})

    def add(self, map_id: str, pairs: Sequence[Mapping[str, Any]], *, append: bool = True) -> int:
        """Add explicit pairs, or with ``append`` false put them in the place of all; gives how many."""
        body = {"append": append, "items": [dict(pair) for pair in pairs]}
        return _count(self._transport.post(f"{self._path(map_id)}/exceptions", body))

    def import_csv(self, map_id: str, content: bytes, *, append: bool = True) -> int:
        """Add the explicit pairs of a CSV file, all of them or none."""
        flag = "" if append else "?append=0"
        return _count(self._transport.post_raw(f"{self._path(map_id)}/exceptions{flag}", content, CSV))

    def export_csv(self, map_id: str) -> str:
        """Give every explicit pair as CSV."""
        return str(self._transport.get(f"{self._path(map_id)}/exceptions.csv") or "")

    def exclude(self, map_id: str, side: str, principals: Sequence[Mapping[str, Any]], *, append: bool = True) -> int:
        """Leave accounts or groups out at one side; gives how many."""
        body = {"append": append, "items": [dict(one) for one in principals]}
        return _count(self._transport.post(f"{self._path(map_id)}/exclusions/{quote(side, safe='')}", body))

    def _path(self, map_id: str) -> str:
        return f"{self._base}/{quote(str(map_id), safe='')}"

    def _one(self, document: Any) -> dict[str, Any]:
        return dict(document[self._kind])


def resolutions(transport: Transport, job: str) -> Iterator[Mapping[str, Any]]:
    """Give who was met on the items of a job, and became whom."""
    return pages(transport, f"/v1/transfers/{quote(str(job), safe='')}/security_map", "item", {})


def _count(document: Any) -> int:
    return int((document.get("meta") or {}).get("total_count", 0))
