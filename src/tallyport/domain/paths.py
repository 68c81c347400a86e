"""Paths of items: relative, slash-separated text below an endpoint's root.

The root is the empty text. A segment holds any name a platform can give; bytes that are not UTF-8 are carried
as lone surrogates (PEP 383), so that ``to_bytes(from_bytes(b)) == b`` for every ``b``. Names are data:
nothing here resolves ``..``; :func:`check_segment` refuses it.
"""

ROOT = ""


def join(container: str, name: str) -> str:
    """Give the path of ``name`` inside ``container``."""
    return f"{container}/{name}" if container else name


def split(path: str) -> tuple[str, str]:
    """Give (container, name) of a path that is not the root."""
    container, _, name = path.rpartition("/")
    return container, name


def segments(path: str) -> list[str]:
    """Give the segments of a path, none for the root."""
    return path.split("/") if path else []


def check_segment(name: str) -> str | None:
    """Say why a name from outside may not be used as a path segment, or None when it may."""
    if name in ("", ".", ".."):
        return f"the name {name!r} is not a name of an item"
    if "/" in name or "\0" in name:
        return "a name cannot hold a slash or a NUL"
    return None


def to_bytes(path: str) -> bytes:
    """Give the bytes a path stands for."""
    return path.encode("utf-8", "surrogateescape")


def from_bytes(raw: bytes) -> str:
    """Read bytes as a path; what is not UTF-8 becomes lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def display(path: str) -> str:
    r"""Give the path as clean text for people and JSON: bytes that are not UTF-8 show as ``\xNN``."""
    try:
        path.encode("utf-8")
        return path
    except UnicodeEncodeError:
        return to_bytes(path).decode("utf-8", "backslashreplace")
