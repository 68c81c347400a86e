"""All tables, in reading order, with the checks that make an impossible row impossible.

Times are integer microseconds since 1970 UTC; file times are nanoseconds. Names and paths are bytes as the platform
gave them (``domain.paths.to_bytes``). Identifiers of items, visits and tasks are made by us and grow with time
(``store.ids``); an execution's identifier is one global integer sequence.
"""

from tallyport.store.tables.access import (
    admin_audit,
    connection_users,
    connections,
    environments,
    invitations,
    named_secrets,
    probes,
    tokens,
    users,
    views,
)
from tallyport.store.tables.columns import metadata
from tallyport.store.tables.ledger import (
    audit,
    carried_parts,
    containers,
    failures,
    items,
    linked_names,
    locks,
    losses,
    security_map,
    unresolved,
)
from tallyport.store.tables.outbox import deliveries, delivery_attempts, events, replies, webhooks
from tallyport.store.tables.principals import map_exceptions, map_exclusions, maps
from tallyport.store.tables.runs import categories, error_categories, executions, jobs, plans, predecessors
from tallyport.store.tables.work import batches, identity, process_numbers, tasks, visits, widths, workers

__all__ = [
    "admin_audit",
    "audit",
    "batches",
    "carried_parts",
    "categories",
    "connection_users",
    "connections",
    "containers",
    "deliveries",
    "delivery_attempts",
    "environments",
    "error_categories",
    "events",
    "executions",
    "failures",
    "identity",
    "invitations",
    "items",
    "jobs",
    "linked_names",
    "locks",
    "losses",
    "map_exceptions",
    "map_exclusions",
    "maps",
    "metadata",
    "named_secrets",
    "plans",
    "predecessors",
    "probes",
    "process_numbers",
    "replies",
    "security_map",
    "tasks",
    "tokens",
    "unresolved",
    "users",
    "views",
    "visits",
    "webhooks",
    "widths",
    "workers",
]
