"""Opening a connection: the connector inside its layers, in one visible order."""

from collections.abc import Mapping

from tallyport.connectors import probing, registry
from tallyport.connectors.layers.limited import Limited
from tallyport.connectors.layers.measured import Measured
from tallyport.connectors.layers.read_only import ReadOnly
from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.layers.throttled import Bucket, Throttled
from tallyport.connectors.local_identity import acting
from tallyport.connectors.pausing import Pausing
from tallyport.connectors.protocol import Connector
from tallyport.connectors.temporaries import Syncing, Tokened
from tallyport.connectors.width import Holding, places_of
from tallyport.domain.capabilities import UNMEASURED_SKEW, Durability


def open_connection(
    platform_id: str,
    settings_document: Mapping[str, object],
    path: str = "/",
    *,
    make: bool = False,
    read_only: bool = False,
    measured: bool = True,
    limit: int | None = None,
    throttle: Bucket | float | None = None,
    token: str | None = None,
    follow: bool = False,
    act_as: str = "",
    durability: Durability | None = None,
) -> Connector:
    """Open what a job calls an endpoint: a platform, a connection's settings and a path below its root.

    ``make`` makes the root when it is missing, except in a simulation (``read_only``), which then gets
    NOT_FOUND. ``limit`` is the number of calls at once. ``throttle`` is bytes per second; a Bucket can be
    shared and changed later. ``token`` is the execution's and marks what it leaves unfinished. ``follow`` has
    symlinks read as what they point to, where the platform can do that below its root alone. ``act_as`` names the
    account that everything below the connection's root is done as, where that can be had. With ``durability``
    NONE a server is not asked to bring each file to its disk. ``layers.layer.find`` finds a layer again. Errors
    of the settings or the path are CONFIG.
    """
    platform = registry.platform(platform_id)
    document = dict(settings_document)
    found = document.pop(probing.MEASURED, None)
    settings = platform.read_settings(document)
    identity = None
    if act_as:
        from tallyport.connectors.acting import identity_on

        identity = identity_on(platform.id, act_as)
    with acting(identity):
        connector = platform.open(settings, registry.below(path), make=make and not read_only)
        following = getattr(connector, "following", None) if follow else None
        if following is not None:
            connector = following() or connector
    if platform.is_remote:  # what nobody measured has another clock all the same
        found = {"clock_skew": UNMEASURED_SKEW, **(found if isinstance(found, Mapping) else {})}
    if isinstance(found, Mapping):
        connector.limits = probing.apply(connector.limits, found)
    if token is not None and isinstance(connector, Tokened):
        connector.token = token
    if durability is Durability.NONE and isinstance(connector, Syncing):
        connector.durability = durability
    places = places_of(platform.id, document) if platform.is_remote else None
    if places is not None and isinstance(connector, Pausing):
        connector.pause_with(places.pause)
    if identity is not None:
        from tallyport.connectors.acting import Acting

        connector = Acting(connector, identity)
    if measured:
        connector = Measured(connector)
    if limit is not None:
        connector = Limited(connector, limit)
    if throttle is not None:
        connector = Throttled(connector, throttle if isinstance(throttle, Bucket) else Bucket(throttle))
    if places is not None:
        connector = Holding(connector, places)
    connector = Retrying(connector)
    return ReadOnly(connector) if read_only else connector
