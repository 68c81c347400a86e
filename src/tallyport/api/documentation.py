"""The OpenAPI document: every error declared, nothing that the routes do not do."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tallyport.api import parameters, problems, rights

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": problems.TITLES[status], "content": {problems.MEDIA_TYPE: {}}}
    for status in (400, 401, 403, 404, 406, 409, 412, 413, 422, 500, 503)
}


def install(app: FastAPI) -> None:
    """Give the application its document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _finish(
                get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _finish(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    document["components"]["responses"] = {
        f"Problem{status}": {"description": answer["description"], "content": content}
        for status, answer in ERRORS.items()
    }
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "authtoken": {"type": "apiKey", "in": "header", "name": "Authtoken"},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            rule = (method.upper(), path)
            public = rule in rights.PUBLIC
            operation["security"] = [] if public else [{"bearer": []}, {"authtoken": []}]
            if not public and rule in rights.RULES:
                operation["x-right"] = rights.RULES[rule].value
            if added := parameters.openapi_parameters(rule):
                operation["parameters"] = operation.get("parameters", []) + added
            if (body := parameters.openapi_body(rule)) is not None:
                operation["requestBody"] = body
            operation["parameters"] = _path_parameters(path, operation.get("parameters", []))
            good = operation["responses"].get("200", {})
            if (only := next((kind for end, kind in ONLY_KINDS.items() if path.endswith(end)), None)) is not None:
                good["content"] = {only: {}}
            for kind in OTHER_KINDS.get(path, ()):
                good.setdefault("content", {})[kind] = {}
            for status in map(str, ERRORS):
                operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}
            if parameters.IF_NONE_MATCH in parameters.PARAMETERS.get(rule, ()):
                operation["responses"]["304"] = {"description": "Not changed since"}
            for status, description in OTHER_STATUSES.get(rule, {}).items():
                operation["responses"][status] = {"description": description}
            for status, described in OTHER_ANSWERS.get(rule, {}).items():
                operation["responses"][status] = described
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


def _path_parameters(path: str, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the parameters of a path that its function does not name."""
    named = {one["name"] for one in known if one["in"] == "path"}
    missing = [name for name in re.findall(r"{(\w+)}", path) if name not in named]
    return [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in missing] + known


ONLY_KINDS = {
    ".csv": "text/csv",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "/metrics": "text/plain",
    "/Logout": "text/plain",
    "/v1/jobs/schema": "application/schema+json",
}
"""What is answered in place of JSON, by the end of the path."""

OTHER_STATUSES: dict[tuple[str, str], dict[str, str]] = {
    ("GET", "/connect/logout"): {"204": "Signed out"},
    ("POST", "/v1/users/me/password"): {"204": "Changed"},
}
_TOO_MANY: dict[str, Any] = {
    "description": problems.TITLES[429],
    "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_COUNTING: dict[str, Any] = {"202": {"description": "Being counted: ask again", "content": {"application/json": {}}}}
OTHER_ANSWERS: dict[tuple[str, str], dict[str, dict[str, Any]]] = {
    ("POST", "/connect/token"): {
        "400": {
            "description": "Refused, as RFC 6749 says it; a body that cannot be read as a problem",
            "content": {"application/json": {}, problems.MEDIA_TYPE: {}},
        }
    },
    ("GET", "/v1/jobs/{job}/breakdown"): _COUNTING,
    ("GET", "/v1/transfers/{job}/stats/{kind}"): _COUNTING,
    ("POST", "/v1/transfers/executions/{execution}/reconcile"): _COUNTING,
    ("POST", "/v1/auth"): {"429": _TOO_MANY},
    ("POST", "/v1/auth/refresh-token"): {"429": _TOO_MANY},
    ("POST", "/v1/setup"): {"429": _TOO_MANY},
}

_VERBS = ("pause", "resume", "kill", "Resubmit")
OTHER_KINDS = {
    **dict.fromkeys(("/Job/{job}", "/Job/{job}/FailedItems"), ("application/xml", "text/csv")),
    **dict.fromkeys(("/Job", "/Jobs", "/Login", "/RenewLoginToken", "/WhoAmI", "/CommServ"), ("application/xml",)),
    **dict.fromkeys(("/JobDetails", "/Job/{job}/TaskDetails", "/Job/{job}/AdvancedDetails"), ("application/xml",)),
    **dict.fromkeys(("/Jobs/active", "/Jobs/aggregations/summary", "/Jobs/MultiJobOperation"), ("application/xml",)),
    **dict.fromkeys((f"/Job/{{job}}/action/{verb}" for verb in _VERBS), ("application/xml",)),
    **dict.fromkeys(("/Qcommand/{command}", "/Events", "/Events/{event}"), ("application/xml",)),
    **dict.fromkeys(("/v1/events", "/v1/jobs/{job}/events"), ("text/event-stream",)),
}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["key", "message", "description", "path", "allowed"],
                "properties": {
                    "key": {"type": "string"},
                    "message": {"type": "string"},
                    "description": {"type": "string"},
                    "path": {"type": "string", "description": "JSON pointer into the body, or a query parameter"},
                    "code": {"type": "string"},
                    "allowed": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}
