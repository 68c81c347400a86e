"""What a PATCH of a job asks for: a changed definition, a command, a state to reach, or notes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tallyport.api.flatfile.words import STATUSES, SYNONYMS
from tallyport.control.refusals import Invalid, Problem, invalid
from tallyport.domain import schedules
from tallyport.domain.documents import BlockErrors

DEFINITION: tuple[str, ...] = ("name", "description", "transfer", "schedule", "stop_policy", "category", "priority")
DEFINITION += ("predecessor_ids", "on_predecessor_failure", "disabled")
LATER = ("scheduler", "retention", "discriminator")
NOTES = ("info", "metadata", "input")
ESTIMATE = "estimatedCompletionAt"
VERBS = {"resume": "resume", "pause": "pause", "stop": "cancel", "cancel": "cancel"}
COMMANDS = ("start", "paused", *VERBS)
KNOWN = ("kind", *DEFINITION, *LATER, "config", "status", "progress", "outcomeAcknowledgedAt", ESTIMATE, *NOTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A patch taken apart."""

    definition: Mapping[str, Any] = field(default_factory=dict)  # with `start` or `paused` in `status`
    verb: str | None = None  # resume pause cancel
    target: str | None = None  # a state to reach
    notes: Mapping[str, Any] = field(default_factory=dict)
    progress: int | None = None
    estimate: str | None = None  # when an agent thinks that it will be done
    acknowledges: bool = False

    @property
    def changes_definition(self) -> bool:
        """Tell whether more is asked than a command."""
        return bool(self.definition.keys() - {"status", "kind"})

    @property
    def is_empty(self) -> bool:
        return self == Asked() or (set(self.definition) <= {"kind"} and self == Asked(definition=self.definition))


def read(document: object) -> Asked:
    """Take a patch apart, or raise Invalid."""
    if not isinstance(document, Mapping):
        raise invalid("", "a patch is a JSON object", code="wrong_type")
    problems = [
        Problem(f"/{key}", "unknown_key", f'unknown key "{key}".', KNOWN) for key in document if key not in KNOWN
    ]
    if "transfer" in document and "config" in document and document["transfer"] != document["config"]:
        problems.append(Problem("/config", "not_together", "config and transfer are one thing and differ here"))
    definition = {key: document[key] for key in ("kind", *DEFINITION, *LATER) if key in document}
    if "config" in document:
        definition["transfer"] = document["config"]
    verb, target = _status(document, definition, problems)
    if problems and isinstance(document.get("schedule"), Mapping):
        _schedule(document["schedule"], problems)
    notes = _notes(document, problems)
    progress = _progress(document, problems)
    estimate = document.get(ESTIMATE)
    if not isinstance(estimate, str | None):
        problems.append(Problem(f"/{ESTIMATE}", "wrong_type", "must be a time as text"))
        estimate = None
    asked = Asked(
        definition=definition,
        verb=verb,
        target=target,
        notes=notes,
        progress=progress,
        estimate=estimate,
        acknowledges=document.get("outcomeAcknowledgedAt") is not None,
    )
    if asked.changes_definition and (verb or target):
        problems.append(
            Problem(
                "/status", "not_together", "change the definition and the state in two requests", ("start", "paused")
            )
        )
    if problems:
        raise Invalid(problems)
    return asked


def _status(
    document: Mapping[str, Any], definition: dict[str, Any], problems: list[Problem]
) -> tuple[str | None, str | None]:
    word = document.get("status")
    if word is None:
        return None, None
    if word in ("start", "paused"):
        definition["status"] = word
        return None, None
    word = SYNONYMS.get(word, word) if isinstance(word, str) else word
    if isinstance(word, str) and word in VERBS:
        return VERBS[word], None
    if isinstance(word, str) and word in STATUSES:
        return None, word
    allowed = (*COMMANDS, *STATUSES)
    problems.append(Problem("/status", "unknown_value", f"{word!r} is not a status to ask for", allowed))
    return None, None


def _schedule(schedule: Mapping[str, Any], problems: list[Problem]) -> None:
    """Check a schedule that will not be reached: all that is wrong is told at once."""
    try:
        schedules.read_schedule({key: value for key, value in schedule.items() if value is not None})
    except BlockErrors as error:
        problems += error.problems


def _notes(document: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    notes = {key: document[key] for key in NOTES if key in document}
    if not isinstance(notes.get("info", ""), str | None):
        problems.append(Problem("/info", "wrong_type", "must be text"))
    for key in ("metadata", "input"):
        if not isinstance(notes.get(key, {}), Mapping | None):
            problems.append(Problem(f"/{key}", "wrong_type", "must be an object"))
    return notes


def _progress(document: Mapping[str, Any], problems: list[Problem]) -> int | None:
    value = document.get("progress")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        problems.append(Problem("/progress", "out_of_range", "must be a whole number from 0 to 100"))
        return None
    return int(value)
