"""Versions of what can be changed: ``ETag``, ``If-Match``, ``If-None-Match``."""

import re

from fastapi import Request

from tallyport.control.refusals import Stale, invalid

_TAG = re.compile(r'(?:W/)?"(\d{1,12})"')


def tag(version: int) -> dict[str, str]:
    """Give the header that names a version."""
    return {"ETag": f'"{version}"'}


def expected_version(request: Request, now: int | None) -> int | None:
    """Give the version the caller saw, or None when any will do; refuse when it is not ``now``."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    versions = [int(found) for found in _TAG.findall(given)]
    if not versions:
        raise invalid("If-Match", f"{given[:80]!r} is not a version this server gave")
    if now is not None and now not in versions:
        raise Stale(f"it is at version {now} now, not {versions[0]}")
    return versions[0] if now is None or len(versions) == 1 else now


def is_known(request: Request, version: int) -> bool:
    """Tell whether the caller has this version already."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or str(version) in _TAG.findall(given)
