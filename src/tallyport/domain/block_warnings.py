"""What a person should hear about a transfer block that is valid: choices that cannot act, or not yet."""

from collections.abc import Collection, Iterator, Mapping

from tallyport.domain.endpoints import Endpoint
from tallyport.domain.policies import (
    BatchMode,
    ConflictResolution,
    DeletePropagation,
    DuplicateNames,
    LockPropagation,
    PermissionsPolicy,
    Policies,
    TransferType,
)

_PLAIN_ONE_WAY = {TransferType.PUBLISH, TransferType.MOVE, TransferType.MIGRATE, TransferType.TAXONOMY}


def warnings_of(
    policies: Policies,
    defaults: Policies,
    set_by: Mapping[str, str],
    found: Collection[str],
    ends: Mapping[str, Endpoint],
) -> Iterator[str]:
    """Give one sentence for each choice that cannot act as it reads. ``found``: the dotted keys that were given."""
    yield from _without_effect(policies, set_by, found, ends)


def _without_effect(
    policies: Policies, set_by: Mapping[str, str], found: Collection[str], ends: Mapping[str, Endpoint]
) -> Iterator[str]:
    kind = policies.transfer_type
    deletes = policies.delete_propagation
    by_job = {key for key, who in set_by.items() if who == "job"}
    if kind is TransferType.COPY and deletes in (
        DeletePropagation.IGNORE_BOTH,
        DeletePropagation.IGNORE_DESTINATION,
    ):
        yield f"delete_propagation: {deletes} acts as ignore_source in a copy job"
    if kind in _PLAIN_ONE_WAY and "delete_propagation" in by_job:
        yield f"delete_propagation: not used in a {kind} job"
    if kind in _PLAIN_ONE_WAY and "conflict_resolution" in by_job:
        winner = "the newer wins" if kind is TransferType.MOVE else "the source wins"
        yield f"conflict_resolution: not used in a {kind} job, {winner}"
    if kind is not TransferType.SYNC and policies.filter_destination:
        yield f"filter.destination: not used in a {kind} job"
    if kind is TransferType.MOVE and "duplicate_names" in by_job and policies.duplicate_names is DuplicateNames.RENAME:
        yield "duplicate_names: a move job always warns and skips the second item of one name"
    if "performance.retries" in found:
        yield "performance.retries: has no effect; limits.max_attempts and error categories say how often"
    if "rendition" in found:
        yield "rendition: no platform here makes renditions, the original is carried"
    if policies.parallel_writes_max is not None and policies.parallel_writes_max < policies.parallel_writes:
        most = policies.parallel_writes_max
        yield f"performance.parallel_writes.requested: above max, {most} at a time are made"
    for side, end in ends.items():
        if end.type is not None and end.type != "directory":
            yield f"{side}.type: {end.type} acts as directory, an endpoint is a folder here"
        for key in end.unused:
            yield f"{side}.{key}: has no effect"
    unbatched = [side for side, end in ends.items() if end.type in ("file", "custom")]
    if unbatched and "batch_mode" in by_job and policies.batch_mode is not BatchMode.NONE:
        yield f"batch_mode: not used where {' and '.join(unbatched)} is of type {ends[unbatched[0]].type}"
    if policies.quarantine_days is not None and policies.quarantine is None:
        yield "limits.quarantine_days: has no effect without a quarantine"
    if policies.permissions_import is not None and policies.permissions_policy is PermissionsPolicy.NONE:
        yield "permissions.import: carries no grants while permissions.policy is none"
    if policies.permissions_links and policies.permissions_policy is PermissionsPolicy.NONE:
        yield "permissions.links: carries no links while permissions.policy is none"
    if policies.lock_propagation is LockPropagation.MIRROR_OWNER and "account_map" not in found:
        yield "lock_propagation: mirror_owner cannot find lock owners without an account_map"
    if (
        kind is TransferType.SYNC
        and "conflict_resolution" in by_job
        and policies.conflict_resolution is ConflictResolution.COPY
    ):
        yield "conflict_resolution: copy makes a sync job gather conflict copies, latest does not"
