"""What can be sent to each route beside its path, for the OpenAPI document. A test compares it with the routes."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Parameter(NamedTuple):
    """One query parameter or header."""

    name: str
    help: str
    kind: str = "string"
    place: str = "query"


LIMIT = Parameter("limit", "Most entries of one page.", "integer")
OFFSET = Parameter("offset", "Entries to pass over.", "integer")
SLICE = (
    LIMIT,
    OFFSET,
    Parameter("pageSize", "Most entries of one page; not with limit or offset.", "integer"),
    Parameter("pageNumber", "Number of the page, from 1.", "integer"),
)
PROFILE = (
    Parameter("profile", "Shapes of the answer: dryviq, flatfile or both."),
    Parameter("X-Disable-Hooks", "true: answer in the flatfile shapes.", place="header"),
)
INCLUDE = Parameter("include", "all: as fields=all.")
FIELDS = Parameter("fields", "Fields to show, dotted names allowed; all adds the resolved policies.")
IF_MATCH = Parameter("If-Match", "Carry it out only if this is still the version.", place="header")
IF_NONE_MATCH = Parameter("If-None-Match", "Answer 304 if this is still the version.", place="header")
KEY = Parameter("Idempotency-Key", "Carry it out once, however often it is sent.", place="header")
JOB_FILTERS = (
    Parameter("status", "Words of either dialect, comma separated."),
    Parameter("state", "States as they are stored, comma separated."),
    Parameter("q", "Text in the name."),
    Parameter("kind", "Kind of job."),
    Parameter("category", "Id of a category.", "integer"),
    Parameter("parent", "Only children of this job."),
    Parameter("active", "1: under way; 0: not.", "boolean"),
    Parameter("source", "Id of the source connection."),
    Parameter("destination", "Id of the destination connection."),
    Parameter("transfer_type", "copy, sync, publish, move, migrate or taxonomy."),
    Parameter("failed", "1: with items that are failed now; 0: without.", "boolean"),
    Parameter("since", "Made not before this time: ISO 8601, or seconds since 1970."),
    Parameter("type", "What it acts on: file, workbook and so on."),
    Parameter("operation", "What it does: transfer, or what an agent calls it."),
    Parameter("environmentId", "Id of an environment."),
    Parameter("spaceId", "Id of a space."),
    Parameter("fileId", "Id of a file that an agent's job names."),
    Parameter("workbookId", "Id of a workbook that an agent's job names."),
)
CHILDREN = (
    Parameter("excludeChildJobs", "true: without parts and children.", "boolean"),
    Parameter("parentId", "Only children of this job."),
)
ITEM_FILTERS = (
    Parameter("job", "Ids of jobs, comma separated."),
    Parameter("jobs", "As job."),
    Parameter("status", "none pending success processed skipped retry remediation ignored failed, comma separated."),
    Parameter("item_status", "As status."),
    Parameter("processing_status", "What was changed on the way, comma separated: converted, renamed and so on."),
    Parameter("lost", "What they lack at the destination, comma separated: modes, hard_links and so on."),
    Parameter("type", "item, container, file, symlink or special."),
    Parameter("parent", "Id of the container."),
    Parameter("reason", "Reasons, comma separated."),
    Parameter("audit_category", "As reason."),
    Parameter("execution", "Settled last by this execution.", "integer"),
    Parameter("q", "Text in the name."),
)
ITEM_PAGE = (
    LIMIT,
    Parameter("cursor", "Go on after this item: meta.next_cursor of the page before.", "integer"),
    OFFSET,
    Parameter("count", "1: count even a very large job.", "boolean"),
)
SETTLE = (
    Parameter("retry", "Try again in the next execution.", "boolean"),
    Parameter("ignore", "Accept as it is.", "boolean"),
)
EXECUTION = Parameter("execution", "Number of an execution, last or current.")
BOM = Parameter("bom", "1: begin with a byte order mark.", "boolean")
REPORT = (
    Parameter("job", "Ids of jobs, comma separated; none is all."),
    Parameter("category", "Id of a category.", "integer"),
    Parameter("simulation", "1: only simulations; 0: without them.", "boolean"),
    Parameter("days", "How far back what was carried is shown: 30.", "integer"),
)
AUDIT = (
    Parameter("job", "Id of a job."),
    Parameter("execution", "Id of an execution, last or current."),
    Parameter("item", "Id of an item."),
    Parameter("level", "trace debug info warn error, comma separated."),
)
FAILED = (
    Parameter("isFailedItemsCSV", "true: as a matrix; false: as a list.", "boolean"),
    Parameter("columns", "extended: six more columns."),
    Parameter("execution", "Another execution of the job than what is unresolved now.", "integer"),
    Parameter("limit", "Most items; also as a header.", "integer"),
    Parameter("offset", "Items to pass over; also as a header.", "integer"),
    Parameter("bom", "1: CSV begins with a byte order mark.", "boolean"),
)
FORCE = Parameter("force", "true: end a run of our own workers; administrators only.", "boolean")
COMMANDS = (
    Parameter("start", "Queue a run.", "boolean"),
    Parameter("pause", "Stop at the next safe point.", "boolean"),
    Parameter("resume", "Go on.", "boolean"),
    Parameter("cancel", "Stop and end.", "boolean"),
    Parameter("reset", "soft, hard, stats, permissions or full: acts on the next run."),
)

RECORD = (
    Parameter("actor", "Name of who acted."),
    Parameter("action", "An action, or the beginning of one: user."),
    Parameter("object", "What was acted on: kind:id."),
    Parameter("since", "Not before this time: ISO 8601, or seconds since 1970."),
    Parameter("until", "Before this time."),
)
EVENTS = (
    Parameter("topic", "Topics, comma separated."),
    Parameter("after", "Oldest first, after the event with this id; of a stream: what was missed, too.", "integer"),
)
EVENT_PAGE = (
    Parameter("domain", "job, or the type of the jobs: file, sheet, ..."),
    Parameter("environmentId", "Environment."),
    Parameter("spaceId", "Space."),
    Parameter("jobId", "Id of a job."),
    Parameter("since", "Not before this time: ISO 8601, or seconds since 1970."),
    Parameter("includeAcknowledged", "true: those too that were dealt with.", "boolean"),
    Parameter("pageSize", "Most entries of one page; also limit.", "integer"),
    Parameter("pageNumber", "Number of the page, from 1; not with after or cursor.", "integer"),
    Parameter("cursor", "Newest first, from before the event with this id.", "integer"),
    LIMIT,
    Parameter("Last-Event-ID", "Of a stream: go on after this event.", place="header"),
)

APPEND = Parameter("append", "0: in the place of all; with a CSV file.", "boolean")

PARAMETERS: Mapping[tuple[str, str], tuple[Parameter, ...]] = {
    ("GET", "/v1/connections"): (
        *SLICE,
        Parameter("platform", "Id of a platform."),
        Parameter("q", "Text in the name."),
    ),
    ("POST", "/v1/connections"): (Parameter("create", "1: make the folder when it is missing.", "boolean"), KEY),
    ("GET", "/v1/connections/{connection}"): (IF_NONE_MATCH,),
    **{
        rule: given
        for maps in ("account_maps", "group_maps")
        for rule, given in {
            ("GET", f"/v1/{maps}"): (*SLICE, Parameter("q", "Text in the name.")),
            ("POST", f"/v1/{maps}"): (KEY,),
            ("GET", f"/v1/{maps}/{{map_id}}"): (IF_NONE_MATCH,),
            ("PATCH", f"/v1/{maps}/{{map_id}}"): (IF_MATCH,),
            ("GET", f"/v1/{maps}/{{map_id}}/exceptions"): SLICE,
            ("POST", f"/v1/{maps}/{{map_id}}/exceptions"): (
                APPEND,
                Parameter("check", "1: read a CSV file, store nothing.", "boolean"),
            ),
            ("POST", f"/v1/{maps}/{{map_id}}/exclusions/{{side}}"): (APPEND,),
        }.items()
    },
    ("GET", "/v1/transfers/{job}/security_map"): (
        *SLICE,
        Parameter("resolution", "How they were resolved: exception, email, unmapped and so on, comma separated."),
    ),
    ("POST", "/v1/connections/{connection}/test"): (
        Parameter("write", "1: also write a small file, read it back and remove it; asks for more rights.", "boolean"),
    ),
    ("GET", "/v1/reports/summary"): REPORT,
    ("GET", "/v1/reports/summary.csv"): (*REPORT, BOM),
    ("GET", "/v1/reports/summary.xlsx"): REPORT,
    ("GET", "/v1/jobs/{job}/report.xlsx"): (Parameter("items", "1: also a sheet with every item.", "boolean"),),
    ("GET", "/v1/views"): (Parameter("list", "jobs, items or failed."),),
    ("GET", "/v1/throughput"): (Parameter("after", "Only samples after this moment, in microseconds.", "integer"),),
    ("PATCH", "/v1/connections/{connection}"): (IF_MATCH,),
    ("GET", "/v1/connections/{connection}/items"): (Parameter("path", "Container to list."), LIMIT),
    ("GET", "/v1/jobs"): (
        *SLICE,
        *JOB_FILTERS,
        FIELDS,
        INCLUDE,
        Parameter("sortDirection", "asc or desc, by time of creation."),
        *CHILDREN,
        *PROFILE,
    ),
    ("GET", "/v1/jobs.csv"): (*JOB_FILTERS, BOM),
    ("POST", "/v1/jobs"): (*PROFILE, FIELDS, Parameter("plan", "true: plan the first run, and wait.", "boolean"), KEY),
    ("PATCH", "/v1/jobs"): (
        *COMMANDS,
        *JOB_FILTERS,
        *CHILDREN,
        PROFILE[0],
        Parameter("all", "1: every job.", "boolean"),
    ),
    ("GET", "/v1/jobs/{job}"): (*PROFILE, FIELDS, INCLUDE, IF_NONE_MATCH),
    ("PATCH", "/v1/jobs/{job}"): (*COMMANDS, *PROFILE, FIELDS, IF_MATCH),
    ("DELETE", "/v1/jobs/{job}"): (*PROFILE, IF_MATCH),
    ("POST", "/v1/jobs/{job}/clone"): (*PROFILE, KEY),
    ("POST", "/v1/jobs/{job}/retry"): (
        Parameter("scope", "unresolved (default), failed, pending or all."),
        Parameter("reason", "Only items that failed for these reasons, comma separated; or a group's message."),
        KEY,
    ),
    ("GET", "/v1/jobs/{job}/plan"): (Parameter("anew", "1: look at the source again.", "boolean"),),
    ("GET", "/v1/jobs/{job}/losses"): (
        Parameter("what", "Only items that lost one of these, comma separated."),
        *SLICE,
        Parameter("cursor", "Go on after this item: meta.next_cursor of the page before.", "integer"),
    ),
    ("POST", "/v1/jobs/{job}/complete"): (FORCE, KEY),
    ("POST", "/v1/jobs/{job}/fail"): (FORCE, KEY),
    ("POST", "/v1/jobs/{job}/execute"): (KEY,),
    ("POST", "/v1/jobs/{job}/ack"): (KEY,),
    ("POST", "/v1/jobs/{job}/cancel"): (KEY,),
    ("POST", "/v1/jobs/{job}/split"): (KEY,),
    ("POST", "/v1/jobs/{job}/failed-items/import"): (KEY,),
    ("GET", "/v1/jobs/history"): (*SLICE, Parameter("job", "Id of a job."), EXECUTION),
    ("GET", "/v1/jobs/history.csv"): (Parameter("job", "Id of a job."), BOM),
    ("GET", "/v1/jobs/{job}/deletes"): (LIMIT, Parameter("cursor", "Go on after this one.", "integer")),
    ("GET", "/v1/jobs/{job}/history"): (*SLICE, EXECUTION),
    ("GET", "/v1/jobs/{job}/history.csv"): (BOM,),
    ("GET", "/v1/jobs/{job}/failed-items"): (Parameter("group_by", "reason."),),
    ("GET", "/v1/users"): (*SLICE, Parameter("q", "Text in the name or address."), Parameter("role", "Role.")),
    ("POST", "/v1/users"): (KEY,),
    ("GET", "/v1/users/{user}"): (IF_NONE_MATCH,),
    ("PATCH", "/v1/users/{user}"): (IF_MATCH,),
    ("GET", "/v1/auth/personal-access-tokens"): SLICE,
    ("GET", "/v1/auth/api-keys"): (*SLICE, Parameter("environmentId", "Environment: keys here are of all.")),
    ("POST", "/v1/auth/api-key"): (
        Parameter("environmentId", "Environment: keys here are of all."),
        Parameter("type", "SECRET."),
    ),
    ("DELETE", "/v1/auth/api-key"): (Parameter("apiKey", "Id of the key."),),
    ("GET", "/v1/environments"): SLICE,
    ("POST", "/v1/environments"): (KEY,),
    ("GET", "/v1/environments/{environment}"): (IF_NONE_MATCH,),
    ("PATCH", "/v1/environments/{environment}"): (IF_MATCH,),
    ("DELETE", "/v1/environments/{environment}"): (IF_MATCH,),
    ("DELETE", "/v1/connections/{connection}"): (IF_MATCH,),
    ("PUT", "/v1/connections/{connection}/access"): (IF_MATCH,),
    ("DELETE", "/v1/webhooks/{webhook}"): (IF_MATCH,),
    **{("DELETE", f"/v1/{maps}/{{map_id}}"): (IF_MATCH,) for maps in ("account_maps", "group_maps")},
    ("PUT", "/v1/jobs/{job}/plan"): (IF_MATCH,),
    ("PATCH", "/v1/jobs/{job}/plan"): (IF_MATCH,),
    ("GET", "/v1/secrets"): (
        Parameter("environmentId", "Environment: production unless another is named."),
        Parameter("spaceId", "Also what is for this space alone."),
        Parameter("actorId", "Also what is for this actor alone."),
    ),
    ("POST", "/v1/secrets"): (KEY,),
    ("POST", "/v1/events"): (KEY,),
    ("GET", "/v1/tokens"): (*SLICE, Parameter("user", "Name or id of a user.")),
    ("GET", "/v1/webhooks"): SLICE,
    ("GET", "/v1/webhooks/{webhook}"): (IF_NONE_MATCH,),
    ("PATCH", "/v1/webhooks/{webhook}"): (IF_MATCH,),
    ("GET", "/v1/webhooks/{webhook}/deliveries"): (
        Parameter("state", "pending, delivered or dead."),
        LIMIT,
        Parameter("cursor", "Go on before the delivery with this id.", "integer"),
    ),
    ("GET", "/v1/audit"): (*RECORD, LIMIT, Parameter("cursor", "Go on before the line with this id.", "integer")),
    ("GET", "/v1/audit.csv"): (*RECORD, BOM),
    ("GET", "/v1/events"): (*EVENTS, *EVENT_PAGE),
    ("GET", "/v1/jobs/{job}/events"): (*EVENTS, *EVENT_PAGE),
    ("POST", "/v1/events/{event}/ack"): (KEY,),
    ("GET", "/v1/transfers/items"): (*ITEM_FILTERS, *ITEM_PAGE),
    ("GET", "/v1/transfers/items.csv"): (*ITEM_FILTERS, BOM),
    ("PATCH", "/v1/transfers/items"): (*SETTLE, Parameter("id", "Ids of items, comma separated."), *ITEM_FILTERS),
    ("GET", "/v1/transfers/items/flagged"): (*ITEM_FILTERS, *ITEM_PAGE),
    ("GET", "/v1/transfers/items/flagged.csv"): (*ITEM_FILTERS, BOM),
    ("GET", "/v1/transfers/items/{item}/parts"): (
        LIMIT,
        Parameter("cursor", "Go on after the part that starts here: meta.next_cursor of the page before.", "integer"),
    ),
    ("PATCH", "/v1/transfers/items/{item}"): SETTLE,
    ("GET", "/v1/transfers/{job}/items"): (*ITEM_FILTERS[2:], *ITEM_PAGE),
    ("GET", "/v1/transfers/{job}/items.csv"): (*ITEM_FILTERS[2:], BOM),
    ("PATCH", "/v1/transfers/{job}/items"): (
        *SETTLE,
        Parameter("id", "Ids of items, comma separated."),
        *ITEM_FILTERS[2:],
    ),
    ("GET", "/v1/transfers/auditing"): (
        *AUDIT,
        LIMIT,
        Parameter("cursor", "Go on after this line: meta.next_cursor of the page before.", "integer"),
    ),
    ("GET", "/v1/transfers/auditing.csv"): (*AUDIT, BOM),
    ("GET", "/v1/transfers/stats"): (Parameter("jobs", "Ids of jobs, comma separated."),),
    ("GET", "/v1/transfers/{job}/stats/{kind}"): (
        Parameter("age", "Of by_age: how much older each class is than the one before: 2d, 2w, 2m or 2y."),
    ),
    ("GET", "/Job"): (
        Parameter("jobCategory", "Active, Finished or All."),
        Parameter("completedJobLookupTime", "Leave out what ended longer ago than so many seconds.", "integer"),
        LIMIT,
        OFFSET,
    ),
    ("GET", "/Events"): (
        Parameter("jobId", "Number of an execution.", "integer"),
        Parameter("fromTime", "Not before this time, in seconds since 1970.", "integer"),
        Parameter("toTime", "Not after this time.", "integer"),
        Parameter("after", "Go on after the event with this id.", "integer"),
        LIMIT,
        *(
            Parameter(name, "true: of this severity; false: not.", "boolean")
            for name in ("showInfo", "showMinor", "showMajor", "showCritical")
        ),
    ),
    ("GET", "/Job/{job}"): (Parameter("FailedItems", "Present, even empty: the failed items instead."), *FAILED),
    ("GET", "/Job/{job}/FailedItems"): FAILED,
    ("POST", "/Job/{job}/action/Resubmit"): (
        Parameter("startInSuspendedState", "true: begin paused.", "boolean"),
        Parameter("failedItemsOnly", "true: only what is unresolved.", "boolean"),
    ),
}

_NAME = {"type": "string"}
_TERMS: dict[str, Any] = {  # of a connection
    "labels": {"type": "array", "items": _NAME, "description": "What a worker must have to reach it."},
    "max_transfers": {"type": "integer", "description": "Transfers at one time, over all jobs and workers."},
}
_JOB: dict[str, Any] = {
    "name": _NAME,
    "kind": {"type": "string", "enum": ["transfer"]},
    "description": _NAME,
    "transfer": {"type": "object", "description": "See the policies page for every key."},
    "schedule": {"type": "object", "properties": {"mode": {"enum": ["auto", "manual", "ad-hoc"]}}},
    "stop_policy": {
        "type": "object",
        "properties": {key: {"type": "integer", "minimum": 1} for key in ("on_success", "on_failure", "on_execute")},
    },
    "category": {"type": "object", "properties": {"id": {"type": "integer"}, "name": _NAME}},
    "priority": {"type": "integer"},
    "status": {"type": "string", "enum": ["start", "paused"]},
    "predecessor_ids": {"type": "array", "items": _NAME},
    "on_predecessor_failure": {"type": "string", "enum": ["hold", "fail", "run"]},
}
_PLAN: dict[str, Any] = {
    **{
        key: {"type": "array", "items": {"type": "object"}}
        for key in ("fieldMapping", "unmappedSourceFields", "unmappedDestinationFields")
    },
    "fileId": _NAME,
    "jobId": _NAME,
    "programId": _NAME,
}
_ENVIRONMENT: dict[str, Any] = {
    "name": _NAME,
    "isProd": {"type": "boolean"},
    "guestAuthentication": {"type": "array", "items": {"type": "string", "enum": ["magic_link", "shared_link"]}},
    "metadata": {"type": "object"},
    "translationsPath": _NAME,
    "namespaces": {"type": "array", "items": _NAME},
    "languageOverride": _NAME,
}
_NOTES = {"info": _NAME, "outcome": {"type": "object"}}

_SIDE_OF_MAP = {
    "type": "object",
    "properties": {
        "connection": {"type": "object", "properties": {"id": _NAME}},
        "default": {"type": "object"},
        "exclusions": {"type": "array", "items": {"type": "object"}},
    },
}
_MAP: dict[str, Any] = {
    "name": _NAME,
    "type": _NAME,
    "source": _SIDE_OF_MAP,
    "destination": _SIDE_OF_MAP,
    "map_by": {"type": "object", "description": "true for each rule that holds"},
    "unmapped_policy": {"type": "string", "enum": ["skip", "default", "fail"]},
    "exceptions": {"type": "array", "items": {"type": "object"}},
}
_PRINCIPALS: dict[str, Any] = {
    "append": {"type": "boolean"},
    "items": {"type": "array", "items": {"type": "object"}},
}

BODIES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    **{
        rule: given
        for maps in ("account_maps", "group_maps")
        for rule, given in {
            ("POST", f"/v1/{maps}"): _MAP,
            ("PATCH", f"/v1/{maps}/{{map_id}}"): _MAP,
            ("POST", f"/v1/{maps}/{{map_id}}/exceptions"): _PRINCIPALS,
            ("POST", f"/v1/{maps}/{{map_id}}/try"): {"source": {"type": "object"}},
            ("DELETE", f"/v1/{maps}/{{map_id}}/exceptions"): {"items": _PRINCIPALS["items"]},
            ("POST", f"/v1/{maps}/{{map_id}}/exclusions/{{side}}"): _PRINCIPALS,
            ("DELETE", f"/v1/{maps}/{{map_id}}/exclusions/{{side}}"): {"items": _PRINCIPALS["items"]},
        }.items()
    },
    ("POST", "/v1/setup"): {"token": _NAME, "name": _NAME, "password": _NAME, "email": _NAME},
    ("POST", "/v1/users"): {"name": _NAME, "role": {"type": "string"}, "password": _NAME, "email": _NAME},
    ("PATCH", "/v1/users/{user}"): {
        "email": _NAME,
        "role": {"type": "string"},
        "password": _NAME,
        "disabled": {"type": "boolean"},
        "locked": {"type": "boolean"},
    },
    ("POST", "/v1/auth/refresh-token"): {"refreshToken": _NAME},
    ("POST", "/v1/auth/personal-access-tokens"): {"name": _NAME, "expiresIn": {"type": "integer"}},
    ("POST", "/v1/auth/api-key"): {"name": _NAME, "expiresIn": {"type": "integer"}},
    ("POST", "/V4/AccessToken"): {
        "tokenName": _NAME,
        **{key: {"type": "integer"} for key in ("tokenType", "tokenExpiryTimestamp", "renewableUntilTimestamp")},
    },
    ("POST", "/V4/AccessToken/Renew"): {"accessToken": _NAME, "refreshToken": _NAME},
    ("POST", "/v1/environments"): _ENVIRONMENT,
    ("PATCH", "/v1/environments/{environment}"): _ENVIRONMENT,
    ("POST", "/v1/secrets"): dict.fromkeys(("name", "value", "environmentId", "spaceId", "actorId"), _NAME),
    ("POST", "/v1/events"): {
        "topic": _NAME,
        "domain": _NAME,
        **{key: {"type": "object"} for key in ("payload", "context", "attributes", "origin")},
        **dict.fromkeys(("callbackUrl", "dataUrl", "target"), _NAME),
        "namespaces": {"type": "array", "items": _NAME},
    },
    ("POST", "/v1/webhooks"): {
        "url": _NAME,
        "name": _NAME,
        "topics": {"type": "array", "items": {"type": "string"}},
        "job": _NAME,
        "secret": _NAME,
    },
    ("PATCH", "/v1/webhooks/{webhook}"): {
        "url": _NAME,
        "name": _NAME,
        "topics": {"type": "array", "items": {"type": "string"}},
        "job": _NAME,
        "disabled": {"type": "boolean"},
    },
    ("POST", "/v1/users/me/password"): {"old": _NAME, "new": _NAME},
    ("POST", "/v1/tokens"): {
        "name": _NAME,
        "scopes": {"type": "array", "items": {"type": "string"}},
        "expiresIn": {"type": "integer"},
        "user": _NAME,
        "kind": {"type": "string"},
    },
    ("PUT", "/v1/connections/{connection}/access"): {
        "restricted": {"type": "boolean"},
        "users": {"type": "array", "items": {"type": "string"}},
    },
    ("POST", "/v1/connections"): {
        "name": _NAME,
        "platform": {"type": "object", "properties": {"id": _NAME}},
        "auth": {"type": "object"},
        **_TERMS,
    },
    ("POST", "/v1/views"): {"list": _NAME, "name": _NAME, "query": _NAME},
    ("POST", "/v1/connections/{connection}/items"): {"path": _NAME},
    ("PATCH", "/v1/connections/{connection}"): {"name": _NAME, "auth": {"type": "object"}, **_TERMS},
    ("POST", "/v1/jobs"): _JOB,
    ("POST", "/v1/jobs/check"): _JOB,
    ("PATCH", "/v1/jobs/{job}"): {
        **_JOB,
        "status": _NAME,
        "progress": {"type": "integer"},
        "info": _NAME,
        "metadata": {"type": "object"},
        "outcomeAcknowledgedAt": _NAME,
    },
    ("POST", "/v1/jobs/{job}/clone"): _JOB,
    ("POST", "/v1/jobs/categories"): {"name": _NAME},
    ("POST", "/v1/transfers/categories"): {
        **dict.fromkeys(("name", "description", "action", "level", "job"), _NAME),
        **{name: {"type": "integer"} for name in ("max_retry", "priority")},
        "filter": {"type": "object"},
    },
    ("POST", "/v1/jobs/{job}/ack"): {"info": _NAME, "progress": {"type": "integer"}, "estimatedCompletionAt": _NAME},
    ("POST", "/v1/jobs/{job}/complete"): _NOTES,
    ("POST", "/v1/jobs/{job}/fail"): _NOTES,
    ("POST", "/v1/jobs/{job}/cancel"): {"info": _NAME},
    ("PUT", "/v1/jobs/{job}/plan"): _PLAN,
    ("PATCH", "/v1/jobs/{job}/plan"): _PLAN,
    ("POST", "/v1/jobs/{job}/split"): {
        "parts": {
            "oneOf": [
                {"type": "integer", "minimum": 2, "maximum": 1000},
                {"type": "array"},
                {"type": "string", "enum": ["auto"]},
            ]
        },
        "runInParallel": {"type": "boolean"},
    },
    ("POST", "/v1/jobs/preview-mutation"): {
        "sheetId": _NAME,
        "mutateRecord": {"type": "string", "description": "An expression; see docs/reference/expressions.md."},
        "filter": {"type": "string", "enum": ["valid", "error", "all", "none"]},
        "searchField": _NAME,
        "searchValue": _NAME,
        "q": _NAME,
        "ids": {"type": "array", "items": _NAME},
    },
    ("POST", "/v1/jobs/{job}/retry"): {"items": {"type": "array", "items": _NAME}},
    ("PATCH", "/v1/transfers/items"): {"note": _NAME},
    ("PATCH", "/v1/transfers/items/{item}"): {"note": _NAME},
    ("PATCH", "/v1/transfers/{job}/items"): {"note": _NAME},
    ("POST", "/v1/auth"): {"email": _NAME, "password": _NAME},
    ("POST", "/Login"): {"username": _NAME, "password": _NAME},
    ("POST", "/RenewLoginToken"): {"sessionId": _NAME},
    ("POST", "/Jobs"): {"category": {"type": "integer"}, "pagingConfig": {"type": "object"}},
    ("POST", "/JobDetails"): {"jobId": {"type": "integer"}},
}


def openapi_parameters(rule: tuple[str, str]) -> list[dict[str, Any]]:
    """Give a route's parameters as the document has them."""
    return [
        {
            "name": one.name,
            "in": one.place,
            "required": False,
            "description": one.help,
            "schema": {"type": one.kind, **_bounds(one)},
        }
        for one in PARAMETERS.get(rule, ())
    ]


def _bounds(one: Parameter) -> dict[str, int]:
    """Give the bounds of a whole number."""
    if one.kind != "integer" or one.name == "category":
        return {}
    if one.name in ("limit", "pageSize"):
        return {"minimum": 1, "maximum": 1_000}
    if one.name == "pageNumber":
        return {"minimum": 1, "maximum": 1_000_000}
    return {"minimum": 0, "maximum": (1 << 53) - 1}


def openapi_body(rule: tuple[str, str]) -> dict[str, Any] | None:
    """Give a route's body as the document has it, or None."""
    if rule == ("POST", "/connect/token"):
        names = ("grant_type", "username", "password", "scope", "refresh_token")
        form = {"type": "object", "required": ["grant_type"], "properties": dict.fromkeys(names, _NAME)}
        return {"content": {"application/x-www-form-urlencoded": {"schema": form}}}
    if rule not in BODIES:
        return None
    schema = {"type": "object", "properties": dict(BODIES[rule])}
    kinds = ["application/json"] + (["application/merge-patch+json"] if rule[0] == "PATCH" else [])
    return {"content": {kind: {"schema": schema} for kind in kinds}}
