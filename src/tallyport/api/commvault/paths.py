"""Where this dialect is mounted, and its paths without regard to case."""

MOUNTS = ("/searchsvc/cvwebservice.svc", "/commandcenter/api", "/webconsole/api")

ROOT = "/commandcenter/api"  # stands for every mount: clients ask it whether somebody is there

_WORDS = (
    "Job",
    "Jobs",
    "JobDetails",
    "FailedItems",
    "TaskDetails",
    "AdvancedDetails",
    "action",
    "pause",
    "resume",
    "kill",
    "Resubmit",
    "MultiJobOperation",
    "Events",
    "active",
    "aggregations",
    "summary",
    "CommServ",
    "Qcommand",
    "Login",
    "Logout",
    "RenewLoginToken",
    "WhoAmI",
    "V4",
    "AccessToken",
    "Renew",
)
_CANONICAL = {word.lower(): word for word in _WORDS}
_FIRST = frozenset({"job", "jobs", "jobdetails", "events", "login", "logout", "renewlogintoken", "whoami"})
_FIRST |= {"commserv", "qcommand", "v4"}


def canonical(path: str) -> str:
    """Give the path that our routes know; a path of another dialect stays as it is."""
    lowered = path.lower()
    mount = next((m for m in MOUNTS if lowered == m or lowered.startswith(f"{m}/")), "")
    rest = path[len(mount) :]
    if mount and not rest.strip("/"):
        return ROOT
    segments = rest.strip("/").split("/")
    if segments[0].lower() not in _FIRST:
        return path
    return "/" + "/".join(_CANONICAL.get(segment.lower(), segment) for segment in segments)
