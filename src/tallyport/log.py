"""The log of a server: readable on a terminal, one JSON object a line elsewhere, and no secret in it.

Modules log by the standard library; facts are ``extra`` fields. What looks like a token, and every field that is
named like a secret, is hidden whatever wrote it, the libraries we use among it.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

LEVELS = ("debug", "info", "warning", "error")

_NAMES = re.compile(r"authorization|authtoken|cookie|passw|secret|token|credential|api[_-]?key", re.IGNORECASE)
_HARMLESS = frozenset({"token_id", "tokenId"})
_HIDDEN = "***"
_NAMED = r"(?i)\b((?:authorization|authtoken|password|passwd|secret|token|api[_-]?key)[\"']?\s*[:=]\s*[\"']?)"
_TEXTS = (
    (re.compile(r"(?i)\b(bearer|qsdk|saml|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 ***"),
    (re.compile(_NAMED + r"[^\s\"',;&]+"), r"\1***"),
    (re.compile(r"\b(?:pat|sk|whsec)_[A-Za-z0-9+/=_-]{16,}"), _HIDDEN),
    (re.compile(r"\b[0-9a-f]{64}\b"), _HIDDEN),
    (re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"), _HIDDEN),
)


def hidden(text: str) -> str:
    """Give a text without what looks like a token or a password."""
    for pattern, shown in _TEXTS:
        text = pattern.sub(shown, text)
    return text


def redact(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets in everything a line is about to say."""
    for name, value in list(event.items()):
        event[name] = _redacted(name, value)
    return event


def set_up(level: str = "warning", stream: TextIO | None = None) -> None:
    """Log to a stream, standard error by default, from this level on."""
    out = stream or sys.stderr
    pretty = out.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False) if pretty else structlog.processors.JSONRenderer(default=str)
    )
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, renderer],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("tallyport").setLevel(level.upper())


def _redacted(name: str, value: Any) -> Any:
    if _NAMES.search(name) and name not in _HARMLESS:
        return _HIDDEN
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(name, one) for one in value]
    return value
