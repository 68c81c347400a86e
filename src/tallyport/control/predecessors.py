"""Which jobs a job may wait for."""

from collections.abc import Sequence

import sqlalchemy as sa

from tallyport.control.refusals import Invalid, Problem
from tallyport.domain import predecessors as rules
from tallyport.domain.documents import Reader
from tallyport.domain.predecessors import OnFailure
from tallyport.store import endings, jobs, predecessors

PATH = "/predecessor_ids"
MOST = 100


def read(reader: Reader, value: object, path: str = PATH) -> tuple[str, ...]:
    """Read the ids of predecessors."""
    ids = reader.texts(value, path) or ()
    if len(ids) > MOST:
        reader.wrong(path, "out_of_range", f"a job may wait for at most {MOST} others, not {len(ids)}")
    return tuple(dict.fromkeys(ids))


def read_policy(reader: Reader, value: object, path: str = "/on_predecessor_failure") -> str:
    """Read what becomes of a job whose predecessor failed."""
    word = reader.word(value, path, OnFailure)
    return (word or OnFailure.HOLD).value


def settle(tx: sa.Connection, job_id: str, ids: Sequence[str], *, path: str = PATH) -> None:
    """Set a job's predecessors, or raise Invalid: unknown, itself, or one that waits for it in the end.

    A job that waits for them is looked at again.
    """
    problems = []
    had = predecessors.ids_of(tx, job_id)
    if list(ids) == had:
        return
    for number, one in enumerate(ids):
        if one == job_id:
            problems.append(Problem(f"{path}/{number}", "cycle", "a job cannot wait for itself"))
        elif one not in had and jobs.find(tx, one) is None:
            problems.append(Problem(f"{path}/{number}", "not_found", f"there is no job {one[:80]!r}"))
    if not problems:
        way = rules.cycle(job_id, ids, lambda one: predecessors.ids_of(tx, one))
        if way is not None:
            problems.append(Problem(path, "cycle", f"jobs would wait for each other: {' for '.join(way)}"))
    if problems:
        raise Invalid(problems)
    predecessors.replace(tx, job_id, ids)
    endings.release(tx, job_id)
