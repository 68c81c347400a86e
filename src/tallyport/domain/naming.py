"""Names at the receiving side: characters, endings and lengths it refuses, names it takes already.

Pure functions over :class:`~tallyport.domain.capabilities.Limits`. The order is fixed: transform, or encode;
then truncate; then duplicates. Renaming what was renamed changes nothing, so a second run finds the same names.
"""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from unicodedata import normalize

from tallyport.domain.capabilities import LengthUnit, Limits
from tallyport.domain.filters import extension_of
from tallyport.domain.paths import display, to_bytes
from tallyport.domain.policies import DuplicateNames, Policies, RestrictedContent, TransferType

RESTORED = "restored"  # in the processing words: an item got its original name again


class Named(NamedTuple):
    """A name for the receiving side, or why there is none."""

    name: str | None
    processing: tuple[str, ...] = ()  # converted renamed encoded truncated deduplicated
    problem: str = ""  # for people, when ``name`` is None


def conflict_name(name: str, modified: int, limits: Limits) -> str:
    """Name the losing copy of a conflict after its own time: ``report (conflict 2025-05-02T10-11-12Z).docx``."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=min(max(modified // 10**9, -(10**10)), 10**11))
    return _marked(name, f" (conflict {moment:%Y-%m-%dT%H-%M-%S}Z)", limits)


def is_converted(name: str, policies: Policies, limits: Limits) -> bool:
    """Tell whether a file of this name is carried as a zip archive, because the platform refuses its type."""
    if not limits.refused_extensions or policies.restricted_content is not RestrictedContent.CONVERT:
        return False
    return extension_of(name)[1:] in limits.refused_extensions and "zip" not in limits.refused_extensions


def fit(name: str, policies: Policies, limits: Limits, *, container: str = "", is_file: bool = False) -> Named:
    """Give the name an item gets at a platform, not regarding its neighbours.

    ``container`` is where it will stand there, for platforms that limit whole paths. A file whose type is refused
    gets the name of the archive that it is carried in.
    """
    processing: list[str] = []
    fitting = name
    if is_file and is_converted(name, policies, limits):
        fitting = name = f"{name.rpartition('.')[0]}.zip"
        processing.append("converted")
    complaint = refusal(name, limits)
    if complaint:
        if not policies.segment_transform:
            return Named(None, (), complaint)
        encode = policies.encode_invalid_characters
        fitting = _mend(name, limits, encode=encode)
        processing.append("encoded" if encode and fitting != _mend(name, limits, encode=False) else "renamed")
    most = room_for(container, limits)
    unit = limits.name_unit
    if length(fitting, unit) > most:
        words = UNIT_WORDS[unit]
        if not policies.segment_truncate:
            return Named(None, (), f"the name has {length(fitting, unit)} {words}, the platform takes {most} here")
        # The cut may leave a space or a dot at the end, which the platform may refuse.
        fitting = _mend(truncate(fitting, most, unit), limits, encode=False)
        if length(fitting, unit) > most:
            return Named(None, (), f"the name cannot be cut to the {most} {words} that the platform takes here")
        processing.append("truncated")
    return Named(fitting, tuple(processing))


def room_for(container: str, limits: Limits) -> int:
    """Give the longest a name in a container may be, in the platform's unit."""
    if limits.max_path is None:
        return limits.max_name
    used = length(container, limits.name_unit) + 1 if container else 0
    return min(limits.max_name, limits.max_path - used)


def refusal(name: str, limits: Limits) -> str | None:
    """Say what a platform refuses in a name, length aside; None when nothing."""
    is_clean = name.isascii() and not any(character in name for character in limits.forbidden_characters)
    bad = () if is_clean else sorted({character for character in name if _is_bad(character, limits)})
    if bad:
        return f"the platform takes no {', '.join(map(ascii, bad))} in a name"
    if limits.forbidden_endings and name.endswith(tuple(limits.forbidden_endings)):
        return f"the platform takes no name that ends with {name[-1]!r}"
    if is_reserved(name, limits):
        return f"the platform keeps the name {display(name)} for itself"
    return None


def truncate(name: str, most: int, unit: LengthUnit = LengthUnit.BYTES) -> str:
    """Cut a name from the right of its stem to at most that length; the extension and one character stay."""
    stem, extension = split_extension(name)
    room = most - length(extension, unit)
    while len(stem) > 1 and length(stem, unit) > room:
        over = length(stem, unit) - room
        stem = stem[: max(1, len(stem) - max(1, over // 4))]
    return stem + extension


def distinct(
    name: str, taken: Collection[str], policies: Policies, limits: Limits, *, is_container: bool = False
) -> Named:
    """Give a name that no neighbour has. ``taken`` holds the :func:`key` of each name in use at the destination.

    Containers are numbered as well: were two of them merged, equal names in them would overwrite each other.
    Move jobs always leave the second out.
    """
    if key(name, limits) not in taken:
        return Named(name)
    if policies.duplicate_names is DuplicateNames.WARN or policies.transfer_type is TransferType.MOVE:
        return Named(None, (), f"the destination has an item named {display(name)} already")
    return numbered(name, lambda one: key(one, limits) in taken, limits, is_container=is_container)


def numbered(name: str, is_taken: Callable[[str], bool], limits: Limits, *, is_container: bool = False) -> Named:
    """Give the first of ``name(1)``, ``name(2)``, ... that is free."""
    number = 1
    while is_taken(found := _marked(name, f"({number})", limits, whole=is_container)):
        number += 1
    return Named(found, ("deduplicated",))


def key(name: str, limits: Limits) -> str:
    """Give what two names must differ in for the platform to keep both."""
    if not limits.case_sensitive:
        name = name.casefold()
    return normalize("NFC", name) if limits.normalises_names else name


UNIT_WORDS: dict[LengthUnit, str] = {
    LengthUnit.BYTES: "bytes",
    LengthUnit.UTF16: "UTF-16 units",
    LengthUnit.CHARACTERS: "characters",
}


def length(name: str, unit: LengthUnit = LengthUnit.BYTES) -> int:
    """Give how long a name is in a platform's unit."""
    if unit is LengthUnit.CHARACTERS:
        return len(name)
    if unit is LengthUnit.UTF16:
        return len(name) + sum(character > "\uffff" for character in name)
    return len(to_bytes(name))


def split_extension(name: str) -> tuple[str, str]:
    """Give stem and extension with its dot; no extension longer than 16 bytes, none of a name that starts with it."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or not extension or length(extension) > 16:
        return name, ""
    return stem, dot + extension


def _marked(name: str, mark: str, limits: Limits, *, whole: bool = False) -> str:
    """Put a mark before the extension, or at the end of a whole name; what gets too long loses some of its stem."""
    stem, extension = (name, "") if whole else split_extension(name)
    unit = limits.name_unit
    room = limits.max_name - length(mark, unit) - length(extension, unit)
    while len(stem) > 1 and length(stem, unit) > room:
        stem = stem[:-1]
    return f"{stem}{mark}{extension}"


def _mend(name: str, limits: Limits, *, encode: bool) -> str:
    mended = "".join(
        (_encoded(character) if encode else "_") if _is_bad(character, limits) else character for character in name
    )
    kept = mended.rstrip(limits.forbidden_endings) if limits.forbidden_endings else mended
    mended = kept + "_" * (len(mended) - len(kept))
    if is_reserved(mended, limits):
        stem, dot, rest = mended.partition(".")
        mended = f"{stem}_{dot}{rest}"
    return mended


def _encoded(character: str) -> str:
    return to_bytes(character).hex().upper()


def _is_bad(character: str, limits: Limits) -> bool:
    return character in limits.forbidden_characters or ("\ud800" <= character <= "\udfff" and limits.unicode_only)


def is_reserved(name: str, limits: Limits) -> bool:
    """Tell whether a platform keeps a name for itself, alone or before a dot."""
    if not limits.reserved_names:
        return False
    return (
        name.partition(".")[0].rstrip(" ").casefold() in limits.reserved_names
        or name.casefold() in limits.reserved_names
    )
