"""Takes events to webhooks: at least once, in order as long as the receiver keeps up, each receiver for itself.

Of several servers on one database one serves a webhook at a time, and whoever dies is followed after a minute.
"""

import json
import logging
import random
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tallyport.control.posting import Post
from tallyport.control.webhooks import signing_secrets
from tallyport.domain.deliveries import Fate, judge
from tallyport.domain.errors import TallyportError
from tallyport.store import events, rows, webhooks
from tallyport.store.database import Database
from tallyport.store.events import Event
from tallyport.store.vault import Vault
from tallyport.store.webhooks import Attempt, Delivery, Webhook

log = logging.getLogger("tallyport.webhooks")

EVERY = 1.0  # seconds between two rounds
WIDTH = 4  # receivers served at once
AT_ONCE = 100  # deliveries of one receiver in one round
PAGE = 500  # events made into deliveries in one transaction
LEASE = 60 * 1_000_000  # microseconds: an attempt that takes longer died with its process
SECOND = 1_000_000


class Postman:
    """One per process; several processes on one database share the work by compare-and-set.

    ``clock`` is the same for all of them: the database's own, where there are several.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        post: Post,
        shape: Callable[[Event], Mapping[str, Any]],
        *,
        hidden: Collection[str] = (),
        chance: Callable[[], float] = random.random,
        clock: Callable[[], int] = rows.now,
    ) -> None:
        self._database = database
        self._vault = vault
        self._post = post
        self._shape = shape
        self._hidden = frozenset(hidden)
        self._chance = chance
        self._clock = clock
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def run(self, ending: threading.Event) -> None:
        """Make rounds until ``ending`` is set."""
        with ThreadPoolExecutor(WIDTH, thread_name_prefix="postman") as pool:
            while not ending.wait(EVERY):
                try:
                    for webhook in self.collect():
                        self._hand_out(pool, webhook, ending)
                except Exception:  # the top of a thread: an outage of the store passes, the next round goes on
                    log.exception("webhooks.round_failed")

    def collect(self) -> list[Webhook]:
        """Make deliveries of new events; gives the webhooks that something may be due for."""
        with self._database.read() as tx:
            active = webhooks.active(tx)
            newest = events.last_id(tx) if active else 0
        for webhook in active:
            if webhook.cursor < newest:
                self._queue(webhook)
        now = self._clock()
        return [webhook for webhook in active if webhook.resting_until <= now]

    def serve(self, webhook: Webhook, ending: threading.Event | None = None) -> int:
        """Deliver what is due for one webhook, until it is in trouble; gives how many attempts were made."""
        made, now = 0, self._clock()
        with self._database.read() as tx:
            if not webhooks.due(tx, webhook.id, now, 1):
                return 0
        with self._database.begin() as tx:
            if not webhooks.take(tx, webhook.id, now, now + LEASE):
                return 0
            waiting = webhooks.due(tx, webhook.id, now, AT_ONCE)
        try:
            for delivery in waiting:
                if ending is not None and ending.is_set():
                    break
                made += 1
                if not self._attempt(webhook, delivery):
                    break
        finally:
            with self._database.begin() as tx:
                webhooks.keep(tx, webhook.id, 0)
        return made

    def _hand_out(self, pool: ThreadPoolExecutor, webhook: Webhook, ending: threading.Event) -> None:
        with self._lock:
            if webhook.id in self._busy:
                return
            self._busy.add(webhook.id)

        def work() -> None:
            try:
                self.serve(webhook, ending)
            except Exception:  # the top of a thread: the lease lapses and the delivery is tried again
                log.exception("webhooks.serve_failed")
            finally:
                with self._lock:
                    self._busy.discard(webhook.id)

        pool.submit(work)

    def _queue(self, webhook: Webhook) -> None:
        with self._database.begin() as tx:
            fresh = webhooks.find(tx, webhook.id)
            if fresh is None or fresh.disabled is not None:
                return
            found = events.page(tx, after=fresh.cursor, hidden=self._hidden, limit=PAGE)
            reached = found[-1].id if found else events.last_id(tx)
            if not webhooks.advance(tx, fresh.id, fresh.cursor, reached):
                return
            webhooks.queue(tx, fresh.id, [self._letter(one) for one in found if _wants(fresh, one)], self._clock())

    def _letter(self, event: Event) -> tuple[int, str, str]:
        return event.id, event.topic, json.dumps(self._shape(event), separators=(",", ":"), ensure_ascii=False)

    def _attempt(self, webhook: Webhook, delivery: Delivery) -> bool:
        """Make one attempt; False when the webhook is to be left alone for now."""
        now = self._clock()
        with self._database.begin() as tx:
            fresh = webhooks.find(tx, webhook.id)
            if fresh is None or fresh.disabled is not None or fresh.url != webhook.url:
                return False
            if not webhooks.claim(tx, delivery, now + LEASE):
                return True
            webhooks.keep(tx, webhook.id, now + LEASE)
        try:
            secrets = signing_secrets(self._vault, fresh, now)
        except TallyportError as error:
            log.error("webhooks.no_secret", extra={"webhook": webhook.id, "why": error.message})
            return False
        outcome = self._post(fresh, f"evt_{delivery.event_id}", delivery.body, secrets)
        attempts = delivery.attempts + 1
        verdict = judge(outcome.status, attempts, retry_after=outcome.retry_after, chance=self._chance())
        later = now + int(verdict.wait * SECOND)
        with self._database.begin() as tx:
            number = len(webhooks.attempts(tx, delivery.id)) + 1
            webhooks.log(tx, Attempt(delivery.id, number, now, outcome.milliseconds, outcome.status, outcome.answer))
            match verdict.fate:
                case Fate.DELIVERED:
                    webhooks.settle(tx, delivery.id, "delivered", None)
                case Fate.AGAIN:
                    webhooks.settle(tx, delivery.id, "pending", later)
                case Fate.DEAD:
                    webhooks.settle(tx, delivery.id, "dead", None)
                case Fate.GONE:
                    webhooks.change(tx, webhook.id, disabled="the receiver answered 410: it wants no more")
                    webhooks.bury(tx, webhook.id)
            if verdict.rests:
                webhooks.rest(tx, webhook.id, later)
        return verdict.fate is not Fate.GONE and not verdict.rests


def _wants(webhook: Webhook, event: Event) -> bool:
    return (not webhook.topics or event.topic in webhook.topics) and webhook.job_id in (None, event.job_id)
