"""Opening both connections of an execution, and the way between them."""

import json
from typing import Any

from tallyport.connectors.layers.named import Named, naming
from tallyport.connectors.opening import open_connection
from tallyport.connectors.probing import MEASURED
from tallyport.connectors.protocol import (
    Connector,
    Copies,
)
from tallyport.connectors.registry import below
from tallyport.domain.connections import LOCAL_PLATFORMS
from tallyport.domain.entries import Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.policies import Policies, Symlinks, TransferType
from tallyport.engine.imports import Imported
from tallyport.engine.passage import (
    quarantine_of,
)
from tallyport.engine.transfer import Inside, StreamPassage
from tallyport.engine.work import (
    Terms,
)

_SOURCE_STAYS = (TransferType.COPY, TransferType.PUBLISH, TransferType.TAXONOMY)


def open_connections(terms: Terms, policies: Policies) -> StreamPassage:
    """Open both connections of an execution and the way between them."""
    names = terms.names
    with naming(Side.SOURCE, names[0]):
        source = open_connection(
            terms.source[0],
            json.loads(terms.source[1]),
            terms.source[2],
            read_only=policies.simulation or policies.transfer_type in _SOURCE_STAYS,
            token=terms.token,
            follow=policies.symlinks is Symlinks.FOLLOW_INSIDE,
            act_as=policies.source_account,
            durability=policies.durability,
        )
    try:
        with naming(Side.DESTINATION, names[1]):
            destination = open_connection(
                terms.destination[0],
                json.loads(terms.destination[1]),
                terms.destination[2],
                make=True,
                read_only=policies.simulation,
                token=terms.token,
                act_as=policies.destination_account,
                durability=policies.durability,
            )
    except BaseException:
        source.close()
        raise
    both_local = all(end[0] in LOCAL_PLATFORMS for end in (terms.source, terms.destination))
    passage = StreamPassage(
        Named(source, Side.SOURCE, names[0]),
        Named(destination, Side.DESTINATION, names[1]),
        policies=policies,
        token=terms.token,
        inside=_inside(terms, policies, destination),
        maps=terms.maps,
        is_same_book=both_local or terms.source[:2] == terms.destination[:2],
        quarantine=quarantine_of(terms.quarantine, terms.execution_id),
        job=terms.job,
    )
    try:
        _read_imports(passage, terms, policies)
    except BaseException:
        passage.close()
        raise
    return passage


def _read_imports(passage: StreamPassage, terms: Terms, policies: Policies) -> None:
    """Read the text files that grants and properties come from, out of the source's connection."""
    carrier = passage.carrier
    if carrier is None or (policies.permissions_import is None and policies.metadata_import is None):
        return
    platform, settings, _ = terms.source
    whole = open_connection(platform, json.loads(settings), read_only=True, act_as=policies.source_account)
    try:
        if policies.permissions_import is not None:
            carrier.grants_from = Imported(whole, policies.permissions_import, grants=True)
        if policies.metadata_import is not None:
            carrier.properties_from = Imported(whole, policies.metadata_import, grants=False)
    except TallyportError as error:
        raise TallyportError(ErrorKind.CONFIG, error.message, operation="import") from error
    finally:
        whole.close()


def is_one_server(terms: Terms) -> bool:
    """Tell whether both ends are places of one connection, or of two with the same settings."""
    return _account(terms.source) == _account(terms.destination)


def _account(end: tuple[str, str, str]) -> tuple[str, dict[str, Any]]:
    """Give what says whose account an end is; what was measured of it does not."""
    return end[0], {name: value for name, value in json.loads(end[1]).items() if name != MEASURED}


def _inside(terms: Terms, policies: Policies, destination: Connector) -> Inside | None:
    if not is_one_server(terms) or policies.simulation:
        return None
    if not isinstance(destination, Copies):
        return None
    platform, settings, _ = terms.source
    whole = open_connection(platform, json.loads(settings), token=terms.token)
    if not isinstance(whole, Copies):
        return None
    return Inside(whole, below(terms.source[2]), below(terms.destination[2]))
