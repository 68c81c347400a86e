"""The dialect of jobs that are executed, acknowledged, completed and retried: ``/v1/jobs/{id}/execute`` and so on."""
