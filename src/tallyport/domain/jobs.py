"""A job: what a person defined. Endpoints, policies, schedule, and the state it is in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as stored. Times are microseconds since 1970 UTC; paths are those of ``domain/paths.py``."""

    id: str  # 32 hexadecimal digits, never all decimal
    number: int = 0  # short form of the id, given by the store
    kind: str = "transfer"
    name: str
    description: str | None = None
    managed: bool = True  # False: worked by an outside agent
    state: str = "created"  # domain.states.State
    result: str | None = None
    source_connection: str | None = None
    source_path: str = ""
    destination_connection: str | None = None
    destination_path: str = ""
    transfer_type: str | None = None
    transfer: Mapping[str, object] = field(default_factory=dict)  # the block as given
    schedule: Mapping[str, object] = field(default_factory=dict)
    schedule_mode: str = "manual"
    stop_policy: Mapping[str, object] = field(default_factory=dict)
    category_id: int | None = None
    priority: int = 0
    parent_id: str | None = None
    part: int | None = None  # of a job split off its parent: its place, from 0
    on_predecessor_failure: str = "hold"  # domain.predecessors.OnFailure
    lease_until: int | None = None  # of a job that an outside agent works
    extra: Mapping[str, object] = field(default_factory=dict)  # what one dialect keeps with a job
    disabled: str | None = None  # why it may not run, for people
    warnings: tuple[str, ...] = ()
    held: bool = False  # an automatic schedule that waits for a person
    closed: bool = False  # stop policy met: never runs again
    next_run_at: int | None = None
    reset: str | None = None  # acts on the next execution: soft hard stats permissions full link_remediation
    root_item_id: int | None = None
    execution_id: int | None = None  # the newest execution
    executions: int = 0
    successes: int = 0
    failures: int = 0
    version: int = 1
    created_at: int
    created_by: str | None = None
    modified_at: int
    deleted_at: int | None = None


class Standing(NamedTuple):
    """How a job may stand, for a choice of some: in one of these states, and what is known beside."""

    states: frozenset[str]  # domain.states.State
    has_errors: bool | None = None  # of a complete job: some items failed
    is_closed: bool | None = None
    waits: frozenset[str | None] | None = None  # why its execution waits: domain.states.Wait
