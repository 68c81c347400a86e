"""The client: one server, one token."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import httpx2

from tallyport.client import maps, shapes
from tallyport.client.connections import Connections
from tallyport.client.items import Items
from tallyport.client.jobs import Jobs
from tallyport.client.maps import Maps
from tallyport.client.record import Audit, Events
from tallyport.client.shapes import FailedItem, Job
from tallyport.client.transport import Transport
from tallyport.client.webhooks import Webhooks

PAGE = 1_000


class Client:
    """A connection to one Tallyport server.

    Safe to share between threads. Close it, or use it in a ``with``. Errors are those of ``tallyport.client.errors``.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._transport = Transport(url, token, timeout=timeout, transport=transport)
        self.connections = Connections(self._transport)
        self.account_maps = Maps(self._transport, "account_map")
        self.group_maps = Maps(self._transport, "group_map")
        self.jobs = Jobs(self._transport)
        self.items = Items(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.events = Events(self._transport)
        self.audit = Audit(self._transport)

    def failed_items(self, execution: Job | int) -> Iterator[FailedItem]:
        """Give the items that failed in a run; of a job, in its newest run."""
        number = execution.execution if isinstance(execution, Job) else execution
        if number is None:
            return
        offset = 0
        while True:
            page = {"isFailedItemsCSV": "false", "offset": offset, "limit": PAGE}
            found = self._transport.get(f"/Job/{int(number)}/FailedItems", page).get("failedItems") or []
            for document in found:
                yield shapes.failed_item(document)
            if len(found) < PAGE:
                return
            offset += len(found)

    def resolutions(self, job: Job | str) -> Iterator[Mapping[str, Any]]:
        """Give who was met on the items of a job, and became whom."""
        return maps.resolutions(self._transport, job.id if isinstance(job, Job) else job)

    def health(self) -> dict[str, Any]:
        """Say how the server is. Needs no token."""
        document = self._transport.get("/healthz")
        return dict(document) if isinstance(document, dict) else {"status": str(document or "ok")}

    def close(self) -> None:
        """Close the connections to the server."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
