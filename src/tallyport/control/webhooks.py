"""Webhooks: made, changed, tested; their deliveries looked at and tried again."""

import base64
import binascii
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.connectors import hosts
from tallyport.control.desk import Caller, Desk
from tallyport.control.posting import Outcome, Post
from tallyport.control.refusals import Conflict, NotFound, Stale, invalid
from tallyport.domain.differences import difference
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store import admin_audit, events, rows, webhooks
from tallyport.store.vault import Vault
from tallyport.store.webhooks import Attempt, Delivery, Webhook

PREFIX = "whsec_"
LEAST, MOST = 24, 64  # bytes of a secret
OLD_FOR = 24 * 60 * 60 * 1_000_000  # microseconds: messages are signed by the old secret, too, for so long
MOST_WEBHOOKS = 200
BY_PERSON = "by a person"


class Made(NamedTuple):
    """A webhook with its secret, which is given once."""

    webhook: Webhook
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be changed; absent stays."""

    name: str | None = None
    url: str | None = None
    topics: tuple[str, ...] | None = None
    job_id: str | None = None
    clears_job: bool = False
    disabled: bool | None = None


def find(tx: sa.Connection, webhook_id: str) -> Webhook:
    """Give a webhook or refuse."""
    found = webhooks.find(tx, webhook_id)
    if found is None:
        raise NotFound(f"there is no webhook {webhook_id[:80]!r}")
    return found


def show(desk: Desk, webhook_id: str) -> tuple[Webhook, dict[str, int]]:
    """Give one webhook, and its deliveries counted by state."""
    with desk.database.read() as tx:
        return find(tx, webhook_id), webhooks.counts(tx, webhook_id)


def page(desk: Desk, *, offset: int, limit: int) -> tuple[list[Webhook], int]:
    """Give one page by name, and the number of all."""
    with desk.database.read() as tx:
        return webhooks.page(tx, offset=offset, limit=limit)


def create(
    desk: Desk,
    by: Caller,
    *,
    url: str,
    name: str | None,
    topics: Sequence[str],
    job_id: str | None,
    secret: str | None,
) -> Made:
    """Store a webhook. It is told what happens from now on."""
    check_url(desk, url)
    chosen = new_secret() if secret is None else check_secret(secret)
    at = rows.now()
    new_id = webhooks.new_id()
    with desk.database.begin() as tx:
        if webhooks.page(tx, limit=1)[1] >= MOST_WEBHOOKS:
            raise Conflict(f"there are {MOST_WEBHOOKS} webhooks already: delete one first")
        new = Webhook(
            id=new_id,
            name=name or url.split("?")[0][:200],
            url=url,
            topics=tuple(topics),
            job_id=job_id,
            sealed=desk.vault.seal(new_id, {"secret": chosen}) or "",
            disabled=None,
            cursor=events.last_id(tx),
            resting_until=0,
            version=1,
            created_at=at,
            created_by=by.name,
            modified_at=at,
        )
        webhooks.add(tx, new)
        admin_audit.write(tx, "webhook.created", f"webhook:{new.id}", new.name, difference({}, _facts(new)))
    return Made(new, chosen)


def change(desk: Desk, webhook_id: str, wanted: Change, *, version: int | None) -> Webhook:
    """Change a webhook. One that is switched on again is told what happens from then on.

    A new address gets no message that was meant for the old one: what is pending is given up.
    """
    if wanted.url is not None:
        check_url(desk, wanted.url)
    with desk.database.begin() as tx:
        old = find(tx, webhook_id)
        if version is not None and version != old.version:
            raise Stale(f"the webhook is at version {old.version}, not {version}")
        values: dict[str, object] = {
            key: value
            for key, value in (("name", wanted.name), ("url", wanted.url), ("topics", wanted.topics))
            if value is not None
        }
        if wanted.job_id is not None or wanted.clears_job:
            values["job_id"] = wanted.job_id
        if wanted.disabled is True and old.disabled is None:
            values["disabled"] = BY_PERSON
        if wanted.disabled is False and old.disabled is not None:
            values |= {"disabled": None, "cursor": events.last_id(tx), "resting_until": 0}
        webhooks.change(tx, webhook_id, **values)
        if wanted.url not in (None, old.url):
            webhooks.bury(tx, webhook_id)
        new = find(tx, webhook_id)
        admin_audit.write(tx, "webhook.changed", f"webhook:{old.id}", new.name, difference(_facts(old), _facts(new)))
        return new


def rotate(desk: Desk, webhook_id: str) -> Made:
    """Give a webhook a new secret. For a day messages carry the signature of the old one, too."""
    with desk.database.begin() as tx:
        old = find(tx, webhook_id)
        known = desk.vault.unseal(old.id, old.sealed)
        new = new_secret()
        values = {"secret": new, "old": known["secret"], "old_until": rows.now() + OLD_FOR}
        webhooks.change(tx, webhook_id, sealed=desk.vault.seal(old.id, values))
        admin_audit.write(tx, "webhook.secret_rotated", f"webhook:{old.id}", old.name)
        return Made(find(tx, webhook_id), new)


def delete(desk: Desk, webhook_id: str) -> None:
    """Hide a webhook; what is pending for it is given up."""
    with desk.database.begin() as tx:
        old = find(tx, webhook_id)
        webhooks.bury(tx, webhook_id)
        webhooks.change(tx, webhook_id, deleted_at=rows.now())
        admin_audit.write(tx, "webhook.deleted", f"webhook:{old.id}", old.name)


def test(desk: Desk, webhook_id: str, post: Post) -> Outcome:
    """Send a message that tells nothing, now, and say what came back. It is in no log of deliveries."""
    with desk.database.read() as tx:
        found = find(tx, webhook_id)
    at = rows.now()
    body = f'{{"id":"test","topic":"webhook:test","domain":"webhook","createdAt":{at // 1_000_000}}}'
    return post(found, f"test_{secrets.token_hex(8)}", body, signing_secrets(desk.vault, found, at))


def deliveries(
    desk: Desk, webhook_id: str, *, state: str | None, before: int | None, limit: int
) -> tuple[list[Delivery], bool]:
    """Give deliveries, the newest first, and whether there is more."""
    with desk.database.read() as tx:
        find(tx, webhook_id)
        found = webhooks.deliveries_page(tx, webhook_id, state=state, before=before, limit=limit + 1)
    return found[:limit], len(found) > limit


def delivery(desk: Desk, webhook_id: str, delivery_id: int) -> tuple[Delivery, list[Attempt]]:
    """Give one delivery with its log."""
    with desk.database.read() as tx:
        find(tx, webhook_id)
        found = webhooks.delivery(tx, webhook_id, delivery_id)
        if found is None:
            raise NotFound(f"there is no delivery {delivery_id} of this webhook, or not any more")
        return found, webhooks.attempts(tx, delivery_id)


def retry(desk: Desk, webhook_id: str, delivery_id: int | None) -> int:
    """Have one delivery, or all dead letters, tried again; gives how many."""
    with desk.database.begin() as tx:
        found = find(tx, webhook_id)
        if found.disabled is not None:
            raise Conflict(f"the webhook is disabled ({found.disabled}): enable it first")
        if delivery_id is not None and webhooks.delivery(tx, webhook_id, delivery_id) is None:
            raise NotFound(f"there is no delivery {delivery_id} of this webhook, or not any more")
        revived = webhooks.revive(tx, webhook_id, delivery_id=delivery_id)
        webhooks.rest(tx, webhook_id, 0)
        admin_audit.write(tx, "webhook.retried", f"webhook:{found.id}", found.name, {"deliveries": revived})
        return revived


def signing_secrets(vault: Vault, webhook: Webhook, now: int) -> list[str]:
    """Give the secrets a message is signed with now: the newest, and for a while the one before."""
    known = vault.unseal(webhook.id, webhook.sealed)
    found = [str(known["secret"])]
    if "old" in known and int(str(known["old_until"])) > now:
        found.append(str(known["old"]))
    return found


def new_secret() -> str:
    """Make a secret as the Standard Webhooks specification writes it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(text: str) -> str:
    """Give a secret that a person chose, or refuse it without showing it."""
    try:
        size = len(base64.b64decode(text.removeprefix(PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not text.startswith(PREFIX) or not LEAST <= size <= MOST:
        raise invalid("/secret", f"must be {PREFIX} and then {LEAST} to {MOST} bytes in base 64")
    return text


def check_url(desk: Desk, url: str) -> None:
    """Refuse an address that must not be sent to. One whose host cannot be resolved now may be there later."""
    try:
        hosts.locate(url, allow_private=desk.allow_private)
    except TallyportError as error:
        if error.kind is not ErrorKind.UNAVAILABLE:
            raise invalid("/url", error.message) from error


def _facts(value: Webhook) -> dict[str, object]:
    return {
        "name": value.name,
        "url": value.url,
        "topics": list(value.topics),
        "job": value.job_id,
        "disabled": value.disabled,
    }
