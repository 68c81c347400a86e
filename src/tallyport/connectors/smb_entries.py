"""What SMB says of an item as an entry, and what a share takes."""

from tallyport.connectors import smb_messages as smb
from tallyport.domain.capabilities import LengthUnit, Limits, VerifyLevel
from tallyport.domain.entries import Entry, Kind

# MS-FSCC 2.1.5.2; devices as in "Naming Files, Paths, and Namespaces", with their superscript digits.
FORBIDDEN = '"*:<>?\\|/' + "".join(map(chr, range(32)))
DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{name}{digit}" for name in ("com", "lpt") for digit in "0123456789¹²³"}
)


def limits_of() -> Limits:
    """Give what Windows and Samba take."""
    return Limits(
        time_precision=100,
        max_name=255,
        max_path=32_000,
        name_unit=LengthUnit.UTF16,
        case_sensitive=False,
        forbidden_characters=FORBIDDEN,
        forbidden_endings=" .",
        reserved_names=DEVICES,
        unicode_only=True,
        versions=False,
        owners=True,  # an account without the privilege keeps them, which reading back shows
        replaces_checked=False,
        best_verify=VerifyLevel.READBACK,
    )


def entry_of(name: str, standing: smb.Standing, number: bytes, *, tag: int = 0) -> Entry:
    """Make an entry."""
    kind = Kind.CONTAINER if standing.attributes & smb.DIRECTORY else Kind.FILE
    if standing.attributes & smb.REPARSE and tag & smb.NAME_SURROGATE:
        kind = Kind.SYMLINK
    return Entry(
        name=name,
        kind=kind,
        size=standing.size if kind is Kind.FILE else 0,
        modified=standing.modified,
        tag=number + standing.changed,
        created=standing.created,
        hidden=bool(standing.attributes & smb.HIDDEN),
        sparse=bool(standing.attributes & smb.SPARSE),
    )


def listed_entry(one: smb.Listed) -> Entry:
    """Make an entry of a line of a listing."""
    return entry_of(one.name, one.standing, one.number, tag=one.tag)


def link_text(raw: bytes) -> str:
    """Give what a symlink or a junction names, with slashes; empty when it is something else."""
    tag = int.from_bytes(raw[:4], "little")
    if len(raw) < 20:
        return ""
    at, length = int.from_bytes(raw[12:14], "little"), int.from_bytes(raw[14:16], "little")
    if not length:
        at, length = int.from_bytes(raw[8:10], "little"), int.from_bytes(raw[10:12], "little")
    begin = (20 if tag == smb.LINK_TAG else 16) + at
    return raw[begin : begin + length].decode("utf-16-le", "surrogatepass").replace("\\", "/")
