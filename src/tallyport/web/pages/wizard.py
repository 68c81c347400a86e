"""Describing a job in steps: a new one, one like another, or a change of one."""

from typing import Any, NamedTuple

from starlette.responses import Response

from tallyport.control import connections, documents, reading
from tallyport.control.desk import Right
from tallyport.control.failed import location
from tallyport.control.refusals import Conflict
from tallyport.domain.block_schema import APART, FILTER_SCHEMA, block_fields
from tallyport.domain.jobs import Job
from tallyport.domain.policies import TransferType
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages


class Kind(NamedTuple):
    """One type of job, as the first step shows it."""

    word: TransferType
    icon: str
    words: str
    is_careful: bool  # it may remove something


KINDS = (
    Kind(TransferType.COPY, "copy", "One way. The source is never changed, nothing is deleted.", False),
    Kind(TransferType.SYNC, "refresh", "Both ways. What changed on one side is carried to the other.", True),
    Kind(TransferType.PUBLISH, "upload", "One way. The destination mirrors the source: extras there go.", True),
    Kind(TransferType.MOVE, "arrow-right", "One way. The source is emptied after everything is verified.", True),
    Kind(TransferType.MIGRATE, "send", "One way. Each source item goes as soon as it is verified.", True),
    Kind(TransferType.TAXONOMY, "folder", "Folders only, no content.", False),
)
STEPS = (
    ("type", "Type"),
    ("locations", "Locations"),
    ("policies", "Policies"),
    ("behaviours", "Behaviours"),
    ("advanced", "Advanced"),
    ("summary", "Summary"),
)
DAYS = (
    "everyday",
    "weekdays",
    "weekends",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)

_FILE = '{"source": {"text": {"target": {"path": "/lists/%s.csv"}}}}'
EXAMPLES = {  # of settings that are written as JSON
    "permissions.import": _FILE % "grants",
    "metadata_import": _FILE % "properties",
    "metadata_map": '{"schemas": [{"source": {"id": "1"}, "default": true, "mappings": [...]}]}',
}


def new(page: Page) -> Response:
    """Describe a new job, empty or like another."""
    document: dict[str, Any] = {
        "kind": "transfer",
        "transfer": {"transfer_type": "copy"},
        "schedule": {"mode": "manual"},
    }
    if like := page.query.get("from"):
        picture = reading.job(page.desk, like)
        document = documents.write(picture.job, picture.category)
        if page.query.get("real"):
            document["transfer"] = {k: v for k, v in document["transfer"].items() if k != "simulation_mode"}
            document["name"] = picture.job.name.removesuffix(" (simulation)")
        elif page.query.get("simulate"):
            document["name"] = picture.job.name
        else:
            document["name"] = f"{picture.job.name} (copy)"
    return _draw(page, document, changed=None)


def edit(page: Page) -> Response:
    """Change a job; its two ends are fixed."""
    picture = reading.job(page.desk, page.part("job"))
    if not picture.job.managed:
        raise Conflict("a job that an outside agent works is changed by that agent")
    return _draw(page, documents.write(picture.job, picture.category), changed=picture.job)


def _draw(page: Page, document: dict[str, Any], *, changed: Job | None) -> Response:
    found, _ = connections.page(page.desk, platform=None, text=None, offset=0, limit=1_000)
    fields = [field for field in block_fields() if field.key not in APART]
    defaults = {
        kind.value: {field.key: field.default for field in block_fields(kind) if field.kind != "object"}
        for kind in TransferType
    }
    return page.render(
        "wizard.html",
        document=document,
        job_id=None if changed is None else changed.id,
        version=None if changed is None else changed.version,
        connections=[(one, location(one)) for one in found],
        kinds=KINDS,
        examples=EXAMPLES,
        steps=STEPS,
        policies=[field for field in fields if field.is_policy],
        behaviours=[field for field in fields if not field.is_policy],
        defaults=defaults,
        filters=FILTER_SCHEMA,
        categories=reading.categories(page.desk),
        days=DAYS,
    )


ROUTES = pages(
    (f"{PREFIX}/jobs/new", new),
    (f"{PREFIX}/jobs/{{job}}/edit", edit),
    right=Right.MANAGE,
)
