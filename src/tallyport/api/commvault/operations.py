"""One operation on one execution or on many: each is answered for itself, and a conflict is an answer."""

from collections.abc import Mapping
from typing import Any, Protocol

from fastapi import APIRouter
from starlette.responses import Response

from tallyport.api.commvault import xml
from tallyport.api.commvault.negotiation import Form, document
from tallyport.api.wiring import Called, Desked, Raw, read_json
from tallyport.control import executions, reading
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture
from tallyport.control.reading import WantedJobs
from tallyport.control.refusals import Conflict, NotFound, Refusal

router = APIRouter(tags=["job control"])


class Verb(Protocol):
    """What is done to the job of an execution."""

    def __call__(self, desk: Desk, job_id: str, by: Caller) -> Picture: ...


OPERATIONS: Mapping[str, Verb] = {
    "JOB_KILL": executions.cancel,
    "JOB_SUSPEND": executions.pause,
    "JOB_RESUME": executions.resume,
}
BY_NUMBER = {0: "JOB_KILL", 1: "JOB_SUSPEND", 2: "JOB_RESUME"}
QCOMMAND = "qoperation execute"
REQUEST = "JobManager_PerformMultiCellJobOpReq"
ANSWER = "JobManager_PerformMultiCellJobOpResp"


def operate(desk: Desk, caller: Caller, number: int, verb: Verb) -> None:
    """Do something to an execution that is its job's newest. Raises Conflict or NotFound."""
    run, picture = reading.execution(desk, number)
    if picture.job.execution_id != run.id:
        raise Conflict(f"execution {run.id} has ended")
    verb(desk, picture.job.id, caller)


@router.post("/Jobs/MultiJobOperation", summary="One operation on many executions")
def operate_executions(desk: Desked, caller: Called, form: Form, body: Raw) -> Response:
    return document(form, ANSWER, _many(desk, caller, _request(body)))


@router.post("/Qcommand/{command}", summary="One operation on all executions, as a command")
def execute_command(desk: Desked, caller: Called, form: Form, command: str, body: Raw) -> Response:
    if command.lower() != QCOMMAND:
        raise NotFound(f"there is no command {command[:80]!r}; {QCOMMAND!r} is one")
    return document(form, ANSWER, _many(desk, caller, _request(body)))


def _request(body: bytes) -> Mapping[str, Any]:
    given = xml.tree(body) if body.lstrip().startswith(b"<") else read_json(body)
    inner = given.get(REQUEST, given) if isinstance(given, Mapping) else {}
    return inner if isinstance(inner, Mapping) else {}


def _many(desk: Desk, caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    asked = given.get("jobOpReq")
    asked = asked if isinstance(asked, Mapping) else {}
    kind = asked.get("operationType")
    name = BY_NUMBER.get(kind, "") if isinstance(kind, int) else str(kind or "").upper()
    if name not in OPERATIONS:
        message = f"operationType {kind!r} is not one of {', '.join(OPERATIONS)}"
        return {"error": {"errorCode": 2, "errLogMessage": message}, **_errors([(0, 2, message)])}
    if str(given.get("message", "")).upper() in ("ALL_JOBS", "0"):
        numbers = _every(desk)
    else:
        listed = asked.get("jobs")
        numbers = [_number(one) for one in listed] if isinstance(listed, list) else []
    answers = [_one(desk, caller, number, OPERATIONS[name]) for number in numbers]
    bad = next((answer for answer in answers if answer[1]), None)
    error = {"errorCode": 0, "errLogMessage": ""} if bad is None else {"errorCode": bad[1], "errLogMessage": bad[2]}
    return {"error": error, **_errors(answers)}


def _one(desk: Desk, caller: Caller, number: int, verb: Verb) -> tuple[int, int, str]:
    try:
        operate(desk, caller, number, verb)
    except Refusal as error:
        return number, 2, error.message
    return number, 0, ""


def _every(desk: Desk) -> list[int]:
    """Give the executions under way: of all jobs, and only their newest."""
    found = []
    for job_id in reading.job_ids(desk, WantedJobs(active=True)):
        run = reading.job(desk, job_id).active
        if run is not None:
            found.append(run.id)
    return found


def _number(one: object) -> int:
    value = one.get("jobId") if isinstance(one, Mapping) else one
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _errors(answers: list[tuple[int, int, str]]) -> dict[str, Any]:
    listed = [{"errList": [{"errorCode": code, "errLogMessage": told}], "jobId": job} for job, code, told in answers]
    return {"errors": listed or [{"errList": [{"errorCode": 0, "errLogMessage": ""}]}]}
