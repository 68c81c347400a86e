"""One message to one webhook: signed, sent to the checked address, and what came back."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import urllib3
from standardwebhooks import Webhook as Signer
from urllib3.util import Timeout

from tallyport import __version__
from tallyport.connectors import hosts
from tallyport.domain.errors import TallyportError
from tallyport.store.webhooks import Webhook

CONNECT, READ = 5.0, 10.0  # seconds
SHOWN = 500  # bytes of an answer that are kept


class Outcome(NamedTuple):
    """What came of a message."""

    status: int | None  # absent when no answer came
    answer: str  # how it began, or why there was none
    milliseconds: int
    retry_after: float | None = None


class Post(Protocol):
    """Sends a message."""

    def __call__(self, webhook: Webhook, message_id: str, body: str, secrets: Sequence[str]) -> Outcome: ...


def posting(*, allow_private: bool) -> Post:
    """Give what sends messages."""

    def post(webhook: Webhook, message_id: str, body: str, secrets: Sequence[str]) -> Outcome:
        begun = time.monotonic()
        try:
            place = hosts.locate(webhook.url, allow_private=allow_private)
            headers = {**signed(message_id, body, secrets), "Host": hosts.host_header(place)}
            with hosts.pool(place, Timeout(connect=CONNECT, read=READ)) as pool:
                answer = pool.urlopen(
                    "POST",
                    place.target,
                    body=body.encode(),
                    headers=headers,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    assert_same_host=False,
                )
                try:
                    content = answer.read(SHOWN, decode_content=False)
                finally:
                    answer.close()
        except TallyportError as error:
            return Outcome(None, error.message, _since(begun))
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return Outcome(None, f"{type(error).__name__}: {error}"[:SHOWN], _since(begun))
        text = content.decode("utf-8", "replace")
        if 300 <= answer.status < 400:
            text = f"redirects are not followed; it answered with one to {answer.headers.get('location', '')[:200]}"
        return Outcome(answer.status, text, _since(begun), _seconds(answer.headers.get("retry-after", "")))

    return post


def signed(message_id: str, body: str, secrets: Sequence[str]) -> dict[str, str]:
    """Give the headers of a message: one signature for each secret."""
    at = datetime.now(UTC)
    signatures = [Signer(secret).sign(message_id, at, body) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": f"tallyport/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1_000)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
