"""Include and exclude rules over entries: does this item take part?

An exclude block drops what matches any of its rules; an include block drops what matches none. Every block has
its say, so exclude beats include. A container that is dropped is not entered. An include block holds
containers back only by rules that speak of containers: paths, and patterns aimed at containers by name.
Otherwise ``include *.docx`` would find nothing below the first folder.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tallyport.domain.actions import Reason
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.patterns import matcher
from tallyport.domain.policies import FilterBlock, FilterRule

Test = Callable[[str, Entry], bool]  # path from the root, entry
Judge = Callable[[str, Entry, bool], Reason | None]
"""(path, entry, own): why the item is left out, or None. ``own``: the entry is of the side the filter is about,
and not the other side's standing in for it; facts that belong to an account are then unknown."""

_FILE, _CONTAINER = Kind.FILE, Kind.CONTAINER
NEVER = 1 << 200  # later than any file, in nanoseconds


class _Rule(NamedTuple):
    matches: Test
    reason: Reason
    names_containers: bool  # an include block may hold containers back by it
    account: bool  # says something of the side's account only
    leads_to: Test | None = None  # the container lies on the way to what the rule names
    names_files: bool = True  # an include block may hold files back by it


def judge_for(blocks: tuple[FilterBlock, ...], *, started: int) -> Judge | None:
    """Build the filter of one side, or None when there is none. ``started`` (nanoseconds) is what age counts from."""
    excluding = [_rule(rule, started) for block in blocks if block.action == "exclude" for rule in block.rules]
    including = [[_rule(rule, started) for rule in block.rules] for block in blocks if block.action == "include"]
    if not excluding and not including:
        return None

    drops = tuple((rule.matches, rule.reason, rule.account) for rule in excluding)

    def judge(path: str, entry: Entry, own: bool) -> Reason | None:
        for matches, reason, account in drops:
            if matches(path, entry) and (own or not account):
                return reason
        for rules in including:
            if not _included(rules, path, entry, own):
                return Reason.IGNORED_MATCH_FAIL
        return None

    return judge


def asks_for_times(blocks: tuple[FilterBlock, ...]) -> bool:
    """Tell whether a filter asks for a time of an item."""
    return any(rule.type == "date" for block in blocks for rule in block.rules)


def _included(rules: list[_Rule], path: str, entry: Entry, own: bool) -> bool:
    if entry.kind is _CONTAINER:
        if not all(rule.names_containers for rule in rules):
            return True
        return any(
            rule.matches(path, entry) or (rule.leads_to is not None and rule.leads_to(path, entry)) for rule in rules
        )
    if not any(rule.names_files for rule in rules):
        return True
    return any((own or not rule.account) and rule.matches(path, entry) for rule in rules)


# -- one builder per rule type


def _rule(rule: FilterRule, started: int) -> _Rule:
    return _BUILDERS[rule.type](rule, started)


def _extension(rule: FilterRule, started: int) -> _Rule:
    endings = frozenset("." + extension.lstrip(".").casefold() for extension in rule.extensions)

    def matches(path: str, entry: Entry) -> bool:
        return entry.kind is not _CONTAINER and extension_of(entry.name) in endings

    return _Rule(matches, Reason.IGNORED_EXTENSION, False, False)


def _pattern(rule: FilterRule, started: int) -> _Rule:
    fits = matcher(rule.text)
    targets = frozenset(rule.targets or ("all",))
    files = bool(targets & {"all", "item"})
    containers = bool(targets & {"all", "container"})

    def matches(path: str, entry: Entry) -> bool:
        return (containers if entry.kind is _CONTAINER else files) and fits(entry.name)

    return _Rule(matches, Reason.IGNORED_PATTERN, "container" in targets, False, names_files=files)


def _size(rule: FilterRule, started: int) -> _Rule:
    low = 0 if rule.min is None else rule.min
    high = NEVER if rule.max is None else rule.max

    def matches(path: str, entry: Entry) -> bool:
        return entry.kind is _FILE and not low <= entry.size <= high

    return _Rule(matches, Reason.IGNORED_SIZE, False, False)


def _date(rule: FilterRule, started: int) -> _Rule:
    if rule.range_type == "range":
        since = 0 if rule.since is None else rule.since
        until = NEVER if rule.until is None else rule.until
    else:
        since, until = _ago(started, rule.range_type, rule.value or 1), NEVER
    targets = frozenset(rule.targets or ("all",))
    readings = [read for name, read in _TIMES.items() if name in targets or "all" in targets]

    def matches(path: str, entry: Entry) -> bool:
        if entry.kind is _CONTAINER:
            return False
        times = [read(entry) for read in readings]
        return any(time is not None and since <= time <= until for time in times)

    return _Rule(matches, Reason.IGNORED_DATE, False, False)


def _shared(rule: FilterRule, started: int) -> _Rule:
    return _Rule(lambda path, entry: entry.shared, Reason.IGNORED_SHARED, False, True)


def _hidden(rule: FilterRule, started: int) -> _Rule:
    """Match what the platform marks as hidden, and what most people hide: a name that begins with a dot."""
    return _Rule(lambda path, entry: entry.hidden or entry.name.startswith("."), Reason.IGNORED_HIDDEN, False, False)


def _group(rule: FilterRule, started: int) -> _Rule:
    endings = frozenset().union(*(GROUPS[name].endings for name in rule.groups))
    fits = matcher(";".join(GROUPS[name].patterns for name in rule.groups))

    def matches(path: str, entry: Entry) -> bool:
        if entry.kind is _CONTAINER:
            return False
        return extension_of(entry.name) in endings or fits(entry.name)

    return _Rule(matches, Reason.IGNORED_PREDEFINED, False, False)


def _path(rule: FilterRule, started: int) -> _Rule:
    named = tuple(path.strip("/") for path in rule.paths)
    below = tuple(f"{path}/" if path else "" for path in named)

    def matches(path: str, entry: Entry) -> bool:
        return path in named or path.startswith(below)

    def leads_to(path: str, entry: Entry) -> bool:
        return not path or any(target.startswith(f"{path}/") for target in named)

    return _Rule(matches, Reason.IGNORED_PATH, True, False, leads_to)


_BUILDERS: Mapping[str, Callable[[FilterRule, int], _Rule]] = {
    "extension": _extension,
    "pattern": _pattern,
    "size": _size,
    "date": _date,
    "shared": _shared,
    "hidden": _hidden,
    "group": _group,
    "path": _path,
}


RULE_TYPES = tuple(_BUILDERS)


def _last_touched(entry: Entry) -> int | None:
    return max(time for time in (entry.created, entry.modified, entry.accessed) if time is not None)


_TIMES: Mapping[str, Callable[[Entry], int | None]] = {
    "created_on": lambda entry: entry.created,
    "modified_on": lambda entry: entry.modified,
    "accessed_on": lambda entry: entry.accessed,
    "last_touched": _last_touched,
}


def _ago(started: int, unit: str, count: int) -> int:
    """Give the nanosecond that lies ``count`` units before ``started``; months and years by the calendar."""
    days = {"day": 1, "week": 7}.get(unit)
    if days is not None:
        return started - count * days * 86_400_000_000_000
    seconds, rest = divmod(started, 1_000_000_000)
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    months = now.year * 12 + now.month - 1 - count * (12 if unit == "year" else 1)
    year, month = max(months // 12, 1), months % 12 + 1
    last = (datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)).day
    then = now.replace(year=year, month=month, day=min(now.day, last))
    return int((then - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000_000 + rest


def extension_of(name: str) -> str:
    """Give the extension of a name with its dot, case folded; empty without one (``.profile`` has none)."""
    stem, dot, ending = name.rpartition(".")
    return f".{ending.casefold()}" if dot and stem else ""


class _Group(NamedTuple):
    endings: frozenset[str]
    patterns: str = ""


def _endings(text: str) -> frozenset[str]:
    return frozenset("." + word for word in text.split())


# Predefined sets. The names are public; what is in them is ours.
GROUPS: Mapping[str, _Group] = {
    "Audio": _Group(_endings("aac ac3 aif aifc aiff amr ape au flac m4a m4b mid midi mka mp3 oga ogg opus ra wav wma")),
    "Documents": _Group(
        _endings(
            "csv doc docm docx dot dotm dotx epub htm html key md mht msg numbers odp ods odt one pages pdf pot potx"
            " pps ppsx ppt pptm pptx rtf tex txt vsd vsdx wpd xls xlsb xlsm xlsx xlt xltx xml xps"
        )
    ),
    "Executables": _Group(
        _endings("app bat bin cmd com cpl dll dmg exe jar msi msp ps1 reg run scr sh sys vb vbe vbs wsf")
    ),
    "Images": _Group(
        _endings(
            "ai arw avif bmp cr2 cr3 dng emf eps gif heic heif ico jfif jp2 jpe jpeg jpg nef orf png psd raf raw rw2"
            " svg tga tif tiff webp wmf"
        )
    ),
    "Movies": _Group(
        _endings("3g2 3gp asf avi f4v flv m2ts m4v mkv mov mp4 mpe mpeg mpg mts ogv qt rm rmvb swf ts vob webm wmv")
    ),
    "Temporary": _Group(
        _endings("bak crdownload dmp download gid laccdb ldb old part partial swo swp temp tmp"),
        "~$*;~*.tmp;.~lock.*;*~;.ds_store;thumbs.db;desktop.ini;.tmp*",
    ),
    "Windows": _Group(
        _endings("bat cab cmd com cpl cur dll drv exe inf ini lnk msc msi ocx pif reg scr sys theme url"),
        "thumbs.db;desktop.ini;ntuser.*;autorun.inf;$recycle.bin;system volume information",
    ),
}
