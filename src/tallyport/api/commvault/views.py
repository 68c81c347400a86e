"""An execution as a job of this dialect."""

from collections.abc import Mapping
from typing import Any

from tallyport.api.commvault import words
from tallyport.api.times import MICRO, present, seconds
from tallyport.control.pictures import Picture
from tallyport.control.progress import Gauge
from tallyport.domain import paths
from tallyport.domain.executions import Execution
from tallyport.domain.states import State
from tallyport.store import rows


def summary(run: Execution, picture: Picture, gauge: Gauge) -> dict[str, Any]:
    """Show one execution in a list."""
    job = picture.job
    status = words.status(run)
    began = run.started_at or run.created_at
    source = picture.source.name if picture.source is not None else ""
    destination = picture.destination.name if picture.destination is not None else ""
    return present(
        {
            "jobId": run.id,
            "jobType": "Transfer",
            "status": status,
            "localizedStatus": status,
            "statusColor": words.color(status),
            "percentComplete": gauge.percent(run, None),
            "percentSavings": 0,
            "currentPhaseName": run.phase,
            "pendingReason": run.info or "" if run.state in (State.WAITING, State.PAUSED) else "",
            "appTypeName": "Transfer",
            "backupLevel": 1,
            "backupLevelName": "Retry" if run.scope else "Full",
            "backupSetName": "/" + paths.display(job.source_path),
            "destClientName": destination,
            "destinationClient": {"clientName": destination},
            "isAged": False,
            "isVisible": True,
            "jobStartTime": seconds(began),
            "jobEndTime": seconds(run.ended_at) or 0,
            "jobElapsedTime": ((run.ended_at or rows.now()) - began) // MICRO,
            "lastUpdateTime": seconds(run.ended_at or rows.now()),
            "localizedOperationName": "Transfer",
            "localizedBackupLevelName": "Retry" if run.scope else "Full",
            "sizeOfApplication": run.bytes,
            "sizeOfMediaOnDisk": run.transferred_bytes,
            "totalFailedFiles": run.failed_files,
            "totalFailedFolders": run.failed_folders,
            "totalNumOfFiles": run.files,
            "userName": {"userName": run.created_by or job.created_by or "system", "userId": 0},
            "storagePolicy": {"storagePolicyName": ""},
            "jobStartedFrom": "Scheduled" if run.trigger == "schedule" else "Interactive",
            "migrationJobId": job.id,
            "subclient": {
                "clientId": 0,
                "clientName": source,
                "appName": "Transfer",
                "applicationId": 0,
                "subclientName": job.name,
                "backupsetName": "/" + paths.display(job.source_path),
            },
        }
    )


LOST = frozenset({State.FAILED, State.FAILED_TO_START, State.CANCELED})


def detail(run: Execution, picture: Picture, gauge: Gauge) -> dict[str, Any]:
    """Show everything of one execution."""
    short = summary(run, picture, gauge)
    began = seconds(run.started_at or run.created_at)
    attempt = present({"attemptNumber": run.attempt, "status": short["status"], "startTime": began})
    return {
        "job": {
            "jobDetail": {
                "generalInfo": {
                    "jobId": run.id,
                    "operationType": "Transfer",
                    "jobType": "Transfer",
                    "jobStartedFrom": short["jobStartedFrom"],
                    "subclient": short["subclient"],
                    "userName": short["userName"],
                    "startTime": began,
                    "migrationJobId": picture.job.id,
                },
                "detailInfo": {
                    "percentageComplete": short["percentComplete"],
                    "numOfObjects": run.files,
                    "sizeOfApplication": run.bytes,
                    "skippedItems": run.skipped,
                    "failures": run.failed,
                    "endTime": seconds(run.ended_at) or 0,
                },
                "progressInfo": {
                    "state": short["status"],
                    "reasonForJobDelay": short["pendingReason"] or (run.info or "" if run.state in LOST else ""),
                    "numOfFilesTransferred": run.transferred,
                    "percentComplete": short["percentComplete"],
                },
                "attemptsInfo": [attempt],
                "clientStatusInfo": {"vmStatus": []},
            }
        }
    }


MORE = {1: "retentionInfo", 2: "referenceCopyInfo", 4: "dashCopyInfo", 8: "adminDataInfo", 16: "bkpInfo"}
"""Kinds of further details, by the number their clients ask with; ours has something to say in the last two."""


def task(run: Execution, picture: Picture) -> dict[str, Any]:
    """Show how an execution was asked for."""
    job = picture.job
    by_schedule = run.trigger == "schedule"
    return {
        "taskInfo": {
            "task": {
                "taskId": job.number,
                "taskName": job.name,
                "taskType": 2 if by_schedule else 1,
                "initiatedFrom": 3 if by_schedule else 1,
                "ownerName": run.created_by or job.created_by or "system",
                "createdTime": seconds(job.created_at),
                "description": job.description or "",
            },
            "subTasks": [
                {
                    "subTask": {
                        "subTaskId": run.attempt,
                        "subTaskName": "Retry" if run.scope else "Full",
                        "operationType": "Transfer",
                        "subTaskType": "Transfer",
                    },
                    "pattern": {"description": str(job.schedule.get("cron") or job.schedule_mode)},
                }
            ],
            "associations": [{"clientName": picture.source.name if picture.source is not None else ""}],
            "migrationJobId": job.id,
        }
    }


def more(run: Execution, picture: Picture, kind: int) -> dict[str, Any]:
    """Show further details of a kind; what a transfer has not is empty."""
    found: dict[str, Any] = {}
    if kind == 16:
        found = {
            "files": run.files,
            "bytes": run.bytes,
            "transferred": run.transferred,
            "transferredBytes": run.transferred_bytes,
            "unchanged": run.unchanged,
            "skipped": run.skipped,
            "failed": run.failed,
            "failedFolders": run.failed_folders,
            "deleted": run.deleted,
        }
    elif kind == 8:
        found = {"trigger": run.trigger, "attempt": run.attempt, "retryOf": run.retry_of or 0}
    return {"errorCode": 0, "errorMessage": "", "jobId": run.id, "infoType": kind, MORE[kind]: found}


COUNTED = {
    "Running": "runningJobs",
    "Waiting": "waitingJobs",
    "Pending": "pendingJobs",
    "Queued": "queuedJobs",
    "Suspended": "suspendedJobs",
    "Suspend Pending": "suspendPendingJobs",
    "Kill Pending": "killPendingJobs",
}


def totals(counts: Mapping[tuple[str, str | None], int]) -> dict[str, int]:
    """Show how many executions are under way by status."""
    found = dict.fromkeys((*COUNTED.values(), "killedJobs", "interruptPendingJobs", "anomalousJobs"), 0)
    for (state, reason), count in counts.items():
        name = COUNTED.get(words.status_of(State(state), None, reason))
        if name is not None:
            found[name] += count
    return found
