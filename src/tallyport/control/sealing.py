"""Changing the key that seals secrets."""

from typing import NamedTuple

from tallyport.store import admin_audit, connections, named_secrets, webhooks
from tallyport.store.database import Database
from tallyport.store.keys import Keys, new_key
from tallyport.store.vault import Vault

KEPT = 3  # keys of a key file, so that backups of the ledger can still be opened


class Rotated(NamedTuple):
    """What a change of the key did."""

    resealed: int
    keys: int  # that are set now
    where: str


def rotate(database: Database, keys: Keys, *, drop_old: bool = False) -> Rotated:
    """Seal everything with a new key; kept elsewhere than in the data folder, with the newest of those given.

    A server that runs sees the changed file by itself. Ends with everything sealed by the first key, or nothing
    changed: the old keys are dropped only after the commit.
    """
    if keys.is_own_file:
        keys.replace([new_key(), *keys.texts()][:KEPT])
    vault = Vault(keys.texts)
    with database.begin(durable=True) as tx:
        resealed = 0
        for owner, sealed in connections.sealed(tx):
            connections.reseal(tx, owner, vault.reseal(owner, sealed))
            resealed += 1
        for owner, sealed in webhooks.sealed(tx):
            webhooks.reseal(tx, owner, vault.reseal(owner, sealed))
            resealed += 1
        for owner, sealed in named_secrets.sealed(tx):
            named_secrets.reseal(tx, owner, vault.reseal(owner, sealed))
            resealed += 1
        admin_audit.write(tx, "secrets.rotated", "secrets:key", None, {"resealed": resealed})
        if drop_old and keys.is_own_file:
            # Inside the transaction: nobody can seal with an old key meanwhile.
            keys.replace(keys.texts()[:1])
    return Rotated(resealed, len(keys.texts()), keys.where)
