"""The two ends of a one-shot: a folder, an address such as ``s3://bucket/prefix``, or ``connection:/path``.

An address holds no secret: who may open it is found where that platform's own tools find it (for S3 the environment
and the profile, ``AWS_PROFILE``, ``AWS_ENDPOINT_URL``; for Azure ``AZURE_STORAGE_KEY`` and its kin; for Google what
``gcloud`` left). A connection is one that is saved in the data folder.
"""

import os
import re
import stat
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.locations import locate
from tallyport.cli.showing import line
from tallyport.connectors.registry import below
from tallyport.domain import paths
from tallyport.domain.errors import TallyportError

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_SAVED = re.compile(r"(?P<name>[^/:]+):(?P<path>/.*)", re.DOTALL)


class Place(NamedTuple):
    """One end."""

    platform: str
    settings: Mapping[str, object]
    path: str  # below the root of the connection
    shown: str
    saved: str | None = None  # name of a saved connection instead of platform and settings


def _bucket(rest: str, given: str) -> Place:
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise Stop(Exit.USAGE, f"{line(given)} names no bucket: s3://BUCKET/PREFIX")
    return Place("s3", {"bucket": bucket}, _below(prefix, given), given)


def _azure(rest: str, given: str) -> Place:
    account, _, below_account = rest.partition("/")
    container, _, prefix = below_account.partition("/")
    if not account or not container:
        raise Stop(Exit.USAGE, f"{line(given)} names no container: az://ACCOUNT/CONTAINER/PREFIX")
    return Place("azure_blob", {"account": account, "container": container}, _below(prefix, given), given)


def _google(rest: str, given: str) -> Place:
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise Stop(Exit.USAGE, f"{line(given)} names no bucket: gs://BUCKET/PREFIX")
    return Place("gcs", {"bucket": bucket}, _below(prefix, given), given)


_SCHEMES: Mapping[str, Callable[[str, str], Place]] = {"az": _azure, "gs": _google, "s3": _bucket}


def places(source: str, destination: str) -> tuple[Place, Place]:
    """Read both ends, or stop with the reason why they cannot be the two ends of a job."""
    ends = [_remote(given) for given in (source, destination)]
    if ends[0] is None and ends[1] is None:
        found = locate(source, destination)
        return _folder(found.source), _folder(found.destination)
    from_ = ends[0] or _folder(_source_folder(source))
    to = ends[1] or _folder(_destination_folder(destination))
    if (from_.platform, from_.settings, from_.saved) == (to.platform, to.settings, to.saved):
        _keep_apart(from_, to)
    return from_, to


def _remote(given: str) -> Place | None:
    """Read an address or a saved connection; None for a folder."""
    if os.path.lexists(given):
        return None
    if address := _ADDRESS.fullmatch(given):
        scheme = address["scheme"].lower()
        if scheme not in _SCHEMES:
            known = ", ".join(f"{one}://" for one in sorted(_SCHEMES))
            raise Stop(
                Exit.USAGE,
                f"{line(given)}: addresses of {scheme} are not known here, only {known}. "
                "Save a connection and give CONNECTION:/path",
            )
        return _SCHEMES[scheme](address["rest"], given)
    if saved := _SAVED.fullmatch(given):
        return Place("", {}, _below(saved["path"], given), given, saved["name"])
    return None


def _below(path: str, given: str) -> str:
    try:
        return below(path)
    except TallyportError as error:
        raise Stop(Exit.USAGE, f"{line(given)}: {error.message}") from error


def _folder(path: str) -> Place:
    return Place("fs", {"path": path}, paths.ROOT, paths.display(path))


def _source_folder(given: str) -> str:
    real = os.path.realpath(given) if given else ""
    if not given or not os.path.lexists(real):
        raise Stop(Exit.NOT_FOUND, f"the source {line(given)} does not exist")
    if not stat.S_ISDIR(os.stat(real).st_mode):
        raise Stop(Exit.USAGE, f"the source {line(given)} is not a folder: name the folder that holds it")
    return real


def _destination_folder(given: str) -> str:
    real = os.path.realpath(given) if given else ""
    if not given:
        raise Stop(Exit.USAGE, "an empty path names no folder")
    if os.path.lexists(real) and not os.path.isdir(real):
        raise Stop(Exit.USAGE, f"the destination {line(given)} is not a folder")
    return real


def _keep_apart(from_: Place, to: Place) -> None:
    """Refuse two ends of which one lies in the other: a copy would be copied into itself."""
    one, other = (f"{end.path}/" if end.path else "" for end in (from_, to))
    if one.startswith(other) or other.startswith(one):
        how = "are the same place" if one == other else "lie in one another"
        raise Stop(Exit.USAGE, f"the source {line(from_.shown)} and the destination {line(to.shown)} {how}")
