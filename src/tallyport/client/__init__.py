"""The Python client of the Tallyport API. It needs httpx2 and imports nothing else of ours.

from tallyport.client import Client

with Client("http://127.0.0.1:9090", token) as tallyport:
    source = tallyport.connections.create("fs", {"path": "/data/projects"})
    ...
"""

from tallyport.client.client import Client
from tallyport.client.errors import (
    ClientError,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    NotImplementedByServer,
    NotReached,
    NotSignedIn,
    Problem,
    ServerFailed,
    Stale,
    TimedOut,
    TooMany,
)
from tallyport.client.record import AuditLine, Event
from tallyport.client.shapes import Connection, FailedItem, Group, Item, Job
from tallyport.client.webhooks import Delivery, Webhook

__all__ = [
    "AuditLine",
    "Client",
    "ClientError",
    "Conflict",
    "Connection",
    "Delivery",
    "Event",
    "FailedItem",
    "Group",
    "Invalid",
    "Item",
    "Job",
    "NotAllowed",
    "NotFound",
    "NotImplementedByServer",
    "NotReached",
    "NotSignedIn",
    "Problem",
    "ServerFailed",
    "Stale",
    "TimedOut",
    "TooMany",
    "Webhook",
]
