"""How awkward a platform of dictionaries is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tallyport.domain.capabilities import Limits


def _not_negative(value: int | float) -> str | None:
    return "cannot be negative" if value < 0 else None


def _positive_or_none(value: int | None) -> str | None:
    return None if value is None else _positive(value)


def _positive(value: int) -> str | None:
    return "must be 1 or more" if value < 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How awkward the platform is. The defaults are as good as a local disk."""

    store: str = field(default="", metadata={"help": "name of a tree shared within this process; empty: its own"})
    case_insensitive: bool = field(default=False, metadata={"help": "names that differ only in case are one"})
    time_precision: int = field(
        default=1, metadata={"help": "nanoseconds that times are rounded down to", "check": _positive}
    )
    delay: float = field(default=0.0, metadata={"help": "seconds every call takes", "check": _not_negative})
    lag: int = field(default=0, metadata={"help": "calls after which a listing shows a change", "check": _not_negative})
    forbidden_characters: str = field(
        default="/\0", metadata={"help": "characters no name may hold, besides slash and NUL"}
    )
    forbidden_endings: str = field(default="", metadata={"help": "characters no name may end with"})
    max_name: int = field(default=255, metadata={"help": "bytes of one name", "check": _positive})
    max_size: int | None = field(default=None, metadata={"help": "bytes of one file", "check": _not_negative})
    quota: int | None = field(
        default=None, metadata={"help": "bytes that all files together may have", "check": _not_negative}
    )
    read_only: bool = field(default=False, metadata={"help": "refuse every write"})
    refused_extensions: str = field(
        default="", metadata={"help": "file types the platform refuses, separated by spaces: `cmd exe`"}
    )
    max_path: int | None = field(default=None, metadata={"help": "bytes of one whole path", "check": _not_negative})
    permissions: bool = field(default=True, metadata={"help": "keep mode, owner and group"})
    stamps: bool = field(default=True, metadata={"help": "can set times of what exists"})
    moves: bool = field(default=True, metadata={"help": "can rename"})
    hashes: bool = field(default=True, metadata={"help": "can give the hash of content when asked"})
    free_hashes: bool = field(default=False, metadata={"help": "gives the hash of content with every entry"})
    symlinks: bool = field(default=True, metadata={"help": "knows symlinks"})
    hard_links: bool = field(default=True, metadata={"help": "knows hard links"})
    versions: bool = field(default=False, metadata={"help": "keeps earlier contents of a file"})
    max_versions: int | None = field(
        default=None, metadata={"help": "contents of one file that are kept", "check": _positive_or_none}
    )
    counts: bool = field(
        default=True,
        metadata={"help": "counts the contents of files beside a listing, where it keeps earlier ones"},
    )
    sweeps: bool = field(default=True, metadata={"help": "can remove temporaries that a crash left"})
    grants: bool = field(default=True, metadata={"help": "knows who may do what, and its own accounts"})
    locks: bool = field(default=True, metadata={"help": "can lock what stands in it"})
    properties: bool = field(default=True, metadata={"help": "keeps named values with an item"})
    glimpses: bool = field(default=False, metadata={"help": "shows times and the like only to who looks at an item"})


DEFAULTS = Settings()

PLAIN = Settings(
    stamps=False,
    moves=False,
    hashes=False,
    symlinks=False,
    hard_links=False,
    sweeps=False,
    grants=False,
    locks=False,
    properties=False,
)


def abilities_lost(settings: Settings) -> frozenset[str]:
    """Name the methods that a connector with these settings must not have."""
    lost: Mapping[str, bool] = {
        "stamp": not settings.stamps,
        "rename": not settings.moves,
        "content_hash": not settings.hashes,
        "make_symlink": not (settings.symlinks or settings.hard_links),
        "make_hard_link": not (settings.symlinks or settings.hard_links),
        "sweep": not settings.sweeps,
        "versions": not settings.versions,
        "read_version": not settings.versions,
        "counted": not (settings.versions and settings.counts),
        **dict.fromkeys(("access", "set_access", "principals"), not settings.grants),
        **dict.fromkeys(("lock_of", "lock", "hold", "unlock"), not settings.locks),
        **dict.fromkeys(("properties", "set_properties"), not settings.properties),
        **dict.fromkeys(("glimpses", "look_many"), not settings.glimpses),
    }
    return frozenset(method for method, is_lost in lost.items() if is_lost)


def limits_of(settings: Settings) -> Limits:
    """Give what a platform with these settings says of itself."""
    return Limits(
        time_precision=settings.time_precision,
        max_size=settings.max_size,
        max_name=settings.max_name,
        max_path=settings.max_path,
        versions=settings.versions,
        max_versions=settings.max_versions if settings.versions else None,
        refused_extensions=frozenset(settings.refused_extensions.casefold().split()),
        case_sensitive=not settings.case_insensitive,
        forbidden_characters="".join(sorted({*settings.forbidden_characters, "/", "\0"})),
        forbidden_endings=settings.forbidden_endings,
        slow_hash=not settings.free_hashes,
        symlinks=settings.symlinks,
        hard_links=settings.hard_links,
        permissions=settings.permissions,
        owners=settings.permissions,
        locks=settings.locks,
    )
