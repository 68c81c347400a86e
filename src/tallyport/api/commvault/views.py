"""An execution as a job of this dialect."""

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
    failed_folders = 0  # counted with the files: the totals do not tell them apart
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
            "totalFailedFiles": run.failed,
            "totalFailedFolders": failed_folders,
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
                },
                "progressInfo": {
                    "state": short["status"],
                    "reasonForJobDelay": short["pendingReason"],
                    "numOfFilesTransferred": run.transferred,
                    "percentComplete": short["percentComplete"],
                },
                "attemptsInfo": [attempt],
                "clientStatusInfo": {"vmStatus": []},
            }
        }
    }
