"""Webhooks: who is told of events by a request to an address of theirs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tallyport.client.paging import pages
from tallyport.client.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook. ``secret`` is there only in the answer that made it."""

    id: str
    name: str
    url: str
    topics: tuple[str, ...]
    disabled: bool
    disabled_reason: str | None = None
    secret: str | None = field(repr=False, default=None)
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one webhook."""

    id: str
    topic: str
    state: str  # pending delivered dead
    attempts: int
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


class Webhooks:
    """``client.webhooks``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self, url: str, *, name: str | None = None, topics: Iterable[str] = (), job: str | None = None
    ) -> Webhook:
        """Make a webhook; keep its secret, it is given this once."""
        body: dict[str, Any] = {"url": url, "topics": list(topics)}
        body |= {key: value for key, value in (("name", name), ("job", job)) if value is not None}
        return _webhook(self._transport.post("/v1/webhooks", body))

    def get(self, webhook_id: str) -> Webhook:
        """Give one webhook."""
        return _webhook(self._transport.get(_path(webhook_id)))

    def list(self) -> Iterator[Webhook]:
        """Give every webhook, by name."""
        for document in pages(self._transport, "/v1/webhooks", "webhooks", {}):  # both views are the same
            document = document.get("webhook", document)
            yield _webhook(document)

    def change(self, webhook_id: str, **changes: Any) -> Webhook:
        """Change ``name``, ``url``, ``topics``, ``job`` or ``disabled``."""
        return _webhook(self._transport.patch(_path(webhook_id), changes))

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook; what is pending for it is given up."""
        self._transport.delete(_path(webhook_id))

    def test(self, webhook_id: str) -> Mapping[str, Any]:
        """Send a message that tells nothing, and say what came back: ``success``, ``status``, ``answer``."""
        found: Mapping[str, Any] = self._transport.post(f"{_path(webhook_id)}/test")["data"]
        return found

    def rotate(self, webhook_id: str) -> Webhook:
        """Give it a new secret; for a day the old one signs, too."""
        return _webhook(self._transport.post(f"{_path(webhook_id)}/rotate"))

    def deliveries(self, webhook_id: str, *, state: str | None = None) -> Iterator[Delivery]:
        """Give deliveries, the newest first."""
        path = f"{_path(webhook_id)}/deliveries"
        for document in pages(self._transport, path, "data", {"state": state}, offset=False):
            yield Delivery(
                id=str(document["id"]),
                topic=str(document["topic"]),
                state=str(document["state"]),
                attempts=int(document["attempts"]),
                raw=document,
            )

    def retry(self, webhook_id: str, delivery_id: str | None = None) -> int:
        """Have one delivery, or every dead letter, tried again; gives how many."""
        which = "retry" if delivery_id is None else f"{quote(delivery_id, safe='')}/retry"
        return int(self._transport.post(f"{_path(webhook_id)}/deliveries/{which}")["data"]["retried"])


def _path(webhook_id: str) -> str:
    return f"/v1/webhooks/{quote(webhook_id, safe='')}"


def _webhook(document: Mapping[str, Any]) -> Webhook:
    body = document.get("webhook", document)
    return Webhook(
        id=str(body["id"]),
        name=str(body["name"]),
        url=str(body["url"]),
        topics=tuple(map(str, body.get("topics") or ())),
        disabled=bool(body.get("disabled")),
        disabled_reason=body.get("disabledReason"),
        secret=body.get("secret"),
        raw=document,
    )
