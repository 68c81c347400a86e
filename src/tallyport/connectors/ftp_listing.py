"""Listings of FTP: the facts of MLSD and MLST (RFC 3659), and the lines of LIST, which no document fixes."""

import calendar
import re
import time

from tallyport.domain.entries import Entry, Kind

SECOND = 1_000_000_000

_KINDS = {"file": Kind.FILE, "dir": Kind.CONTAINER}
_UNIX = re.compile(
    r"(?P<kind>[-dlbcpsD])(?P<mode>[-rwxsStTl]{9})[.+@]?\s+\d+\s+.*?\s*(?P<size>\d+)\s+"
    r"(?P<when>[A-Za-z]{3}\s+\d{1,2}\s+(?:\d{4}|\d{1,2}:\d{2})|\d{4}-\d{2}-\d{2} \d{2}:\d{2}) (?P<name>.+)"
)
_DOS = re.compile(r"\d{2}-\d{2}-\d{2,4}\s+\d{2}:\d{2}(?:[AP]M)?\s+(?P<size><DIR>|\d+) (?P<name>.+)")
_TYPES = {"-": Kind.FILE, "d": Kind.CONTAINER, "l": Kind.SYMLINK}


def facts_entry(line: str) -> Entry | None:
    """Read ``fact=value;... name``; None for the folder itself, the one above, and what is no such line."""
    facts, _, name = line.lstrip().partition(" ") if not line.startswith(" ") else ("", "", line[1:])
    said = {key.lower(): value for key, _, value in (fact.partition("=") for fact in facts.split(";")) if key}
    kind = said.get("type", "file").lower()
    if kind in ("cdir", "pdir") or name in ("", ".", ".."):
        return None
    return entry_of_facts(name, said)


def entry_of_facts(name: str, said: dict[str, str]) -> Entry:
    """Make an entry of facts."""
    word = said.get("type", "file").lower()
    kind = _KINDS.get(word, Kind.CONTAINER if word in ("cdir", "pdir") else Kind.SPECIAL)
    target = None
    if word.startswith("os.unix=slink") or word.startswith("os.unix=symlink"):
        kind, target = Kind.SYMLINK, said["type"].partition(":")[2]
    size = said.get("size", "0")
    mode = said.get("unix.mode", "").removeprefix("0o")  # as pyftpdlib writes it
    return Entry(
        name=name,
        kind=kind,
        size=int(size) if size.isdigit() and kind is Kind.FILE else 0,
        modified=moment_of(said.get("modify", "")),
        tag=said.get("unique", "").encode() if kind is Kind.FILE else b"",
        mode=int(mode, 8) & 0o7777 if re.fullmatch(r"[0-7]{1,6}", mode) else None,
        created=moment_of(said["create"]) or None if "create" in said else None,
        target=target,
    )


def line_entry(line: str) -> Entry | None:
    """Read a line of LIST as Unix or DOS write it; the time is left out, because lines are vague about it."""
    found = _UNIX.fullmatch(line)
    if found is not None:
        kind = _TYPES.get(found["kind"], Kind.SPECIAL)
        name, _, target = found["name"].partition(" -> ") if kind is Kind.SYMLINK else (found["name"], "", "")
        if name in (".", ".."):
            return None
        size = int(found["size"]) if kind is Kind.FILE else 0
        return Entry(name, kind, size, target=target if kind is Kind.SYMLINK else None)
    found = _DOS.fullmatch(line)
    if found is not None and found["name"] not in (".", ".."):
        if found["size"] == "<DIR>":
            return Entry(found["name"].lstrip(), Kind.CONTAINER)
        return Entry(found["name"], Kind.FILE, int(found["size"]))
    return None


def moment_of(text: str) -> int:
    """Read YYYYMMDDHHMMSS with perhaps a fraction, in UTC; 0 for anything else."""
    found = re.fullmatch(r"(\d{14})(?:\.(\d{1,9}))?", text.strip())
    if found is None:
        return 0
    try:
        seconds = calendar.timegm(time.strptime(found[1], "%Y%m%d%H%M%S"))
    except ValueError:
        return 0
    return seconds * SECOND + int((found[2] or "0").ljust(9, "0"))


def moment_text(moment: int) -> str:
    """Write a moment as FTP does."""
    seconds = min(max(moment // SECOND, 0), 253_402_300_799)
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds))
