"""Items: what became of each path of a job."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tallyport.client import shapes
from tallyport.client.paging import pages
from tallyport.client.shapes import Item, Job
from tallyport.client.transport import Transport


class Items:
    """``client.items``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def iterate(self, job: Job | str, *, status: str | Iterable[str] | None = None) -> Iterator[Item]:
        """Give every item of a job, or those in some states. Memory stays flat, however many there are."""
        chosen = status if status is None or isinstance(status, str) else ",".join(status)
        params = {"job": job.id if isinstance(job, Job) else job, "status": chosen}
        for document in pages(self._transport, "/v1/transfers/items", "item", params):
            yield shapes.item(document)

    def parts(self, item: Item | str) -> Iterator[Mapping[str, Any]]:
        """Give the parts of a huge file by their ranges, each with its worker; none of a file that goes whole."""
        place = f"/v1/transfers/items/{item.id if isinstance(item, Item) else item}/parts"
        return pages(self._transport, place, "parts", {}, offset=False)
