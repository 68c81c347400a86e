"""Connections: saved accounts on platforms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tallyport.client import shapes
from tallyport.client.paging import pages
from tallyport.client.shapes import Connection
from tallyport.client.transport import Transport


class Connections:
    """``client.connections``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        platform: str,
        auth: Mapping[str, Any],
        *,
        name: str | None = None,
        labels: Sequence[str] = (),
        max_transfers: int | None = None,
        make: bool = False,
    ) -> Connection:
        """Save a connection. ``make`` has its root made when it is missing.

        ``labels`` are what a worker must have to reach it, ``max_transfers`` how many items are carried from or to it
        at one time, over all jobs and workers.
        """
        body: dict[str, Any] = {"platform": {"id": platform}, "auth": dict(auth)}
        if name is not None:
            body["name"] = name
        if labels:
            body["labels"] = list(labels)
        if max_transfers is not None:
            body["max_transfers"] = max_transfers
        return shapes.connection(
            self._transport.post("/v1/connections", body, params={"create": True} if make else None)
        )

    def get(self, connection_id: str) -> Connection:
        """Give one connection."""
        return shapes.connection(self._transport.get(f"/v1/connections/{_segment(connection_id)}"))

    def change(self, connection_id: str, **fields: Any) -> Connection:
        """Change ``name``, ``auth``, ``labels`` or ``max_transfers``; None takes the cap on transfers away."""
        return shapes.connection(self._transport.patch(f"/v1/connections/{_segment(connection_id)}", fields))

    def list(self, *, platform: str | None = None, text: str | None = None) -> Iterator[Connection]:
        """Give every connection, by name."""
        params = {"platform": platform, "q": text}
        for document in pages(self._transport, "/v1/connections", "connections", params):
            yield shapes.connection(document)

    def probe(self, connection_id: str, *, path: str = "/") -> dict[str, Any]:
        """Have a connection measured on canaries below a path; gives what it really keeps."""
        answer = self._transport.post(f"/v1/connections/{_segment(connection_id)}/probe", {}, params={"path": path})
        found: dict[str, Any] = answer["connection"]["measured"]
        return found

    def traffic(self, connection_id: str) -> Mapping[str, Any]:
        """Say how many calls at once suit a connection, as each worker found, and what the next one begins with."""
        found: Mapping[str, Any] = self._transport.get(f"/v1/connections/{_segment(connection_id)}/traffic")["traffic"]
        return found

    def delete(self, connection_id: str) -> None:
        """Remove a connection that no job uses."""
        self._transport.delete(f"/v1/connections/{_segment(connection_id)}")


def _segment(text: object) -> str:
    """Give an identifier as one segment of an address, whatever is in it."""
    from urllib.parse import quote

    return quote(str(text), safe="")
