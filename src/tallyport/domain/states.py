"""States of an execution, and which call is valid in which state.

A job shows the state of its latest execution. A final state is never left: starting or retrying makes a new
execution, in ``created`` or ``ready``. The words are canonical; each dialect has words of its own in ``api/``.
"""

from enum import StrEnum


class State(StrEnum):
    """State of an execution. Stored."""

    CREATED = "created"  # defined, nothing was asked of it yet
    PLANNING = "planning"  # reads both sides to make a plan that a person can see; writes nothing
    SCHEDULED = "scheduled"  # will become ready at a time, or is held before its first run
    READY = "ready"  # may run as soon as a worker is free
    WAITING = "waiting"  # may not go on yet; see Wait
    EXECUTING = "executing"
    PAUSING = "pausing"  # work in hand is brought to a safe point
    PAUSED = "paused"  # by a person; nothing is out
    CANCELING = "canceling"  # work in hand is brought to a safe point
    CANCELED = "canceled"  # final
    COMPLETE = "complete"  # final; Result says how well
    FAILED = "failed"  # final; stopped by policy, or nothing could be carried
    FAILED_TO_START = "failed_to_start"  # final; bad set-up or no connection, nothing was tried


class Result(StrEnum):
    """How a complete execution ended. Stored."""

    CLEAN = "clean"
    NO_CHANGES = "no_changes"  # found nothing to do
    WARNINGS = "warnings"
    ERRORS = "errors"  # at least one item failed


class Wait(StrEnum):
    """Why an execution is waiting. Stored."""

    PREDECESSORS = "predecessors"
    WINDOW = "window"  # outside its hours
    PARTS = "parts"  # jobs split off it are under way
    BACKOFF = "backoff"  # a connection recovers
    BRAKE = "brake"  # more would be deleted than allowed: a person approves or raises the limit
    WORKER = "worker"  # no worker that runs has the labels of both connections


class Call(StrEnum):
    """What may be asked of a job or of its latest execution."""

    READ = "read"  # GET, list, failed items
    EDIT = "edit"  # PATCH of the definition or the schedule; a running execution keeps its frozen copy
    ANNOTATE = "annotate"  # PATCH of info or metadata
    PROGRESS = "progress"  # PATCH of progress
    DELETE = "delete"  # soft; an active execution is canceled first
    START = "start"  # execute; from paused this resumes, from a final state it is a full new run
    READ_PLAN = "read_plan"
    EDIT_PLAN = "edit_plan"  # in a final state: for the next run
    ACK = "ack"  # ready to executing, later a heartbeat
    COMPLETE = "complete"
    FAIL = "fail"
    ACK_OUTCOME = "ack_outcome"
    CANCEL = "cancel"
    PAUSE = "pause"  # stop at the next safe point
    HOLD = "hold"  # `status: paused` with an auto schedule: holds the next run, pauses an active one
    RESUME = "resume"
    RETRY = "retry"  # unresolved items only
    RESUBMIT = "resubmit"  # a full new run under a new execution id
    SPLIT = "split"


class Verdict(StrEnum):
    """Answer to a call."""

    YES = "yes"
    SAME = "same"  # succeeds and changes nothing
    NO = "no"  # conflicts with the state
    DUPLICATE = "duplicate"  # succeeds when the active attempt came of the same request, conflicts otherwise


FINAL = frozenset({State.CANCELED, State.COMPLETE, State.FAILED, State.FAILED_TO_START})
ACTIVE = frozenset(State) - FINAL - {State.CREATED, State.SCHEDULED}

_LETTERS = {"+": Verdict.YES, "=": Verdict.SAME, "-": Verdict.NO, "d": Verdict.DUPLICATE}
_COLUMNS = (
    State.CREATED,
    State.PLANNING,
    State.SCHEDULED,
    State.READY,
    State.WAITING,
    State.EXECUTING,
    State.PAUSING,
    State.PAUSED,
    State.CANCELING,
    State.COMPLETE,
    State.FAILED,
    State.FAILED_TO_START,
    State.CANCELED,
)


def _table(rows: dict[Call, str]) -> dict[tuple[Call, State], Verdict]:
    return {
        (call, state): _LETTERS[letter]
        for call, letters in rows.items()
        for state, letter in zip(_COLUMNS, letters.replace(" ", ""), strict=True)
    }


# Executions that our workers drive, and what is the same for all.
#                      cr pl sc rd wt ex pg pd cg cp fl fs cn
_MANAGED = _table(
    {
        Call.READ:        "+  +  +  +  +  +  +  +  +  +  +  +  +",
        Call.EDIT:        "+  +  +  +  +  +  +  +  +  +  +  +  +",
        Call.ANNOTATE:    "+  +  +  +  +  +  +  +  +  +  +  +  +",
        Call.PROGRESS:    "-  -  -  -  -  -  -  -  -  -  -  -  -",
        Call.DELETE:      "+  +  +  +  +  +  +  +  +  +  +  +  +",
        Call.START:       "+  +  +  =  =  =  -  +  -  +  +  +  +",
        Call.READ_PLAN:   "+  +  +  +  +  +  +  +  +  +  +  +  +",
        Call.EDIT_PLAN:   "+  +  +  -  -  -  -  -  -  +  +  +  +",
        Call.ACK:         "=  =  =  =  =  =  =  =  =  =  =  =  =",
        Call.COMPLETE:    "-  -  -  -  -  -  -  -  -  -  -  -  -",
        Call.FAIL:        "-  -  -  -  -  -  -  -  -  -  -  -  -",
        Call.ACK_OUTCOME: "-  -  -  -  -  -  -  -  -  +  +  +  +",
        Call.CANCEL:      "+  +  +  +  +  +  +  +  =  -  -  -  =",
        Call.PAUSE:       "-  -  +  +  +  +  =  =  -  -  -  -  -",
        Call.HOLD:        "+  +  +  +  +  +  =  =  -  +  +  +  +",
        Call.RESUME:      "-  -  -  =  =  =  +  +  -  -  -  -  -",
        Call.RETRY:       "d  d  -  d  d  d  -  -  -  +  +  +  +",
        Call.RESUBMIT:    "-  -  -  -  -  -  -  -  -  +  +  +  +",
        Call.SPLIT:       "+  +  +  +  -  -  -  -  -  -  -  -  -",
    }
)  # fmt: skip

# Where an execution that an outside agent drives differs.
_UNMANAGED = _MANAGED | _table(
    {
        Call.PROGRESS:    "-  -  -  +  +  +  -  -  -  -  -  -  -",
        Call.ACK:         "-  -  -  +  -  +  -  -  -  -  -  -  -",
        Call.COMPLETE:    "-  -  -  +  +  +  -  -  -  =  -  -  -",
        Call.FAIL:        "-  -  -  +  +  +  -  -  -  -  =  =  -",
        Call.SPLIT:       "+  +  +  +  -  +  -  -  -  -  -  -  -",
    }
)  # fmt: skip


def allowed(
    call: Call,
    state: State,
    *,
    managed: bool = True,
    forced: bool = False,
    unresolved: bool = True,
    acknowledged: bool = False,
    was_split: bool = False,
) -> Verdict:
    """Say whether a call is valid now.

    ``forced``: an administrator completes or fails a managed execution. ``unresolved``: it has failed or
    untried items, or its outcome asks for a retry. ``acknowledged``: its outcome was acknowledged before.
    """
    table = _MANAGED if managed and not (forced and call in (Call.COMPLETE, Call.FAIL)) else _UNMANAGED
    verdict = table[call, state]
    if verdict is not Verdict.YES:
        return verdict
    if call is Call.RETRY and state is State.COMPLETE and not unresolved:
        return Verdict.NO
    if call is Call.ACK_OUTCOME and acknowledged:
        return Verdict.SAME
    if call is Call.SPLIT and was_split:
        return Verdict.NO
    return verdict


# Every move of one execution. Whoever moves it says which state it expects to find (compare and set).
MOVES: dict[State, frozenset[State]] = {
    State.CREATED: frozenset(
        {State.PLANNING, State.SCHEDULED, State.READY, State.WAITING, State.FAILED_TO_START, State.CANCELED}
    ),
    State.PLANNING: frozenset(
        {State.SCHEDULED, State.READY, State.WAITING, State.FAILED_TO_START, State.CANCELING, State.CANCELED}
    ),
    State.SCHEDULED: frozenset({State.READY, State.WAITING, State.PAUSED, State.CANCELED}),
    State.READY: frozenset(
        {State.EXECUTING, State.PLANNING, State.WAITING, State.PAUSED, State.FAILED_TO_START, State.CANCELED}
        | {State.CANCELING}  # it began before: the engine ends it
        | {State.COMPLETE, State.FAILED}  # unmanaged: the agent ends it without an ack
    ),
    State.WAITING: frozenset(
        {State.READY, State.EXECUTING, State.PAUSING, State.PAUSED, State.CANCELING, State.CANCELED}
        | {State.COMPLETE, State.FAILED, State.FAILED_TO_START}
    ),
    State.EXECUTING: frozenset(
        {State.WAITING, State.PAUSING, State.CANCELING, State.COMPLETE, State.FAILED}
        | {State.READY}  # its worker was lost
    ),
    State.PAUSING: frozenset(
        {State.PAUSED, State.READY, State.CANCELING} | {State.COMPLETE, State.FAILED}  # what was in hand was the last
    ),
    State.PAUSED: frozenset({State.READY, State.CANCELING, State.CANCELED}),
    State.CANCELING: frozenset({State.CANCELED}),
    State.CANCELED: frozenset(),
    State.COMPLETE: frozenset(),
    State.FAILED: frozenset(),
    State.FAILED_TO_START: frozenset(),
}

# What an accepted call makes of the present execution, while nothing says otherwise.
EFFECTS: dict[tuple[Call, State], State] = {
    (Call.START, State.CREATED): State.READY,
    (Call.START, State.PLANNING): State.PLANNING,  # goes on by itself as soon as the plan stands
    (Call.START, State.SCHEDULED): State.READY,
    (Call.START, State.PAUSED): State.READY,
    (Call.RESUME, State.PAUSED): State.READY,
    (Call.RESUME, State.PAUSING): State.READY,
    (Call.ACK, State.READY): State.EXECUTING,
    (Call.ACK, State.EXECUTING): State.EXECUTING,
    **{(Call.COMPLETE, state): State.COMPLETE for state in (State.READY, State.WAITING, State.EXECUTING)},
    **{(Call.FAIL, state): State.FAILED for state in (State.READY, State.WAITING, State.EXECUTING)},
    **{(Call.PAUSE, state): State.PAUSED for state in (State.SCHEDULED, State.READY)},
    **{(Call.PAUSE, state): State.PAUSING for state in (State.WAITING, State.EXECUTING)},
    **{
        (Call.CANCEL, state): State.CANCELED
        for state in (State.CREATED, State.PLANNING, State.SCHEDULED, State.READY, State.PAUSED)
    },
    **{(Call.CANCEL, state): State.CANCELING for state in (State.WAITING, State.EXECUTING, State.PAUSING)},
}


def after(call: Call, state: State) -> State:
    """Give the state an accepted call leads to; the same state when it changes nothing here.

    Calls that make a new execution (start, retry, resubmit from a final state) leave the old one as it is.
    """
    return EFFECTS.get((call, state), state)


def can_move(state: State, to: State) -> bool:
    """Tell whether one execution may go from a state to another in one step."""
    return to in MOVES[state]
