"""An execution: one run of a job, with its totals."""

from dataclasses import dataclass

SPLIT = '{"parts":true}'  # scope of an execution whose work its job's parts do
ENDED = frozenset({"canceled", "complete", "failed", "failed_to_start"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run as stored. Times are microseconds since 1970 UTC, sizes bytes."""

    id: int  # one sequence over all jobs
    job_id: str
    attempt: int
    retry_of: int | None = None
    trigger: str = "manual"  # manual schedule retry cli
    state: str = "created"
    result: str | None = None
    phase: str = "pending"  # pending initialize executing links deletes stamps finalize complete
    scope: str | None = None  # JSON; absent = everything; SPLIT = what the parts do
    policies: str  # frozen, domain.transfer_block.policies_from_json
    token: str
    simulation: bool = False
    reset: str | None = None  # of the job, that this execution acts on
    full: bool = False
    info: str | None = None
    wait_until: int | None = None
    wait_reason: str | None = None  # brake, or the error kind a connection recovers from
    waits: int = 0  # for a connection, in a row, with nothing settled between
    waited_at: int = 0  # items accounted for when the last of them began
    deadline: int | None = None  # stopped at a safe point after this
    approved_deletes: int = 0  # a person let the delete brake go up to this many
    revision: int = 0
    halted_by: str | None = None  # an error category stopped it
    files: int = 0
    bytes: int = 0
    folders: int = 0
    transferred: int = 0
    transferred_bytes: int = 0
    unchanged: int = 0
    unchanged_bytes: int = 0
    skipped: int = 0
    failed: int = 0
    failed_folders: int = 0  # of the failed, those that are containers
    deleted: int = 0
    writes: int = 0
    pending: int = 0
    created_at: int
    created_by: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    acknowledged_at: int | None = None

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def is_split(self) -> bool:
        """Tell whether the parts of its job do its work."""
        return self.scope == SPLIT

    @property
    def failed_files(self) -> int:
        """Failed items that are no containers."""
        return self.failed - self.failed_folders

    @property
    def items(self) -> int:
        """Items accounted for so far: carried, unchanged, skipped, failed, deleted."""
        return self.transferred + self.unchanged + self.skipped + self.failed + self.deleted
