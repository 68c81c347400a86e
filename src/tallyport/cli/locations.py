"""Where a one-shot reads and writes: two folders of this machine that do not lie in one another."""

import errno
import os
import re
import stat
from typing import NamedTuple

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.showing import line

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Locations(NamedTuple):
    """Source and destination as real, absolute paths."""

    source: str
    destination: str


def locate(source: str, destination: str) -> Locations:
    """Resolve both folders, or stop with the reason why they cannot be the two ends of a job.

    Symlinks are resolved, so that the ledger of a folder stays with the folder. The destination may be missing.
    """
    for given in (source, destination):
        if _SCHEME.match(given):
            raise Stop(Exit.USAGE, f"{line(given)} is an address: this release carries between folders of this machine")
        if not given:
            raise Stop(Exit.USAGE, "an empty path names no folder")
    found = Locations(os.path.realpath(source), os.path.realpath(destination))
    source_facts = _look(found.source, source)
    if source_facts is None:
        raise Stop(Exit.NOT_FOUND, f"the source {line(source)} does not exist")
    if not stat.S_ISDIR(source_facts.st_mode):
        raise Stop(
            Exit.USAGE,
            f"the source {line(source)} is not a folder: this release carries whole folders, "
            "not yet a single file. Name the folder that holds it",
        )
    destination_facts = _look(found.destination, destination)
    if destination_facts is not None and not stat.S_ISDIR(destination_facts.st_mode):
        raise Stop(Exit.USAGE, f"the destination {line(destination)} is not a folder")
    if found.source == found.destination or _same(source_facts, destination_facts):
        raise Stop(Exit.USAGE, f"the source {line(source)} and the destination {line(destination)} are the same folder")
    if _holds(source_facts, found.destination):
        raise Stop(
            Exit.USAGE,
            f"the destination {line(destination)} lies inside the source {line(source)}: "
            "the copy would be copied into itself. Choose a folder outside",
        )
    if destination_facts is not None and _holds(destination_facts, found.source):
        raise Stop(
            Exit.USAGE,
            f"the source {line(source)} lies inside the destination {line(destination)}: "
            "the run could overwrite what it reads. Choose a folder outside",
        )
    return found


def _look(real: str, given: str) -> os.stat_result | None:
    try:
        return os.stat(real)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise Stop(Exit.USAGE, "a path cannot hold a NUL character") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Stop(Exit.USAGE, f"{line(given)} is a loop of symbolic links") from error
        raise Stop(Exit.ERROR, f"cannot look at {line(given)}: {error.strerror}") from error


def _same(one: os.stat_result, other: os.stat_result | None) -> bool:
    return other is not None and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _holds(folder: os.stat_result, path: str) -> bool:
    """Tell whether a folder is above a path, whatever name (bind mount) either goes by."""
    while (parent := os.path.dirname(path)) != path:
        path = parent
        try:
            if _same(os.stat(path), folder):
                return True
        except OSError:
            continue
    return False
