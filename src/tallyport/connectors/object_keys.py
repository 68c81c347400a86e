"""Paths as keys of an object store, and keys as paths.

A key is any text; a path has names that are never empty, ``.`` or ``..``. Names that a key has and a path cannot
have are shown escaped, and the escape is read back, so that every object can be reached:

=====================  ==========================================  =========================
in the key             example                                     shown as
=====================  ==========================================  =========================
an empty segment       ``a//b``                                    ``a/␛%/b``
content at a slash     ``a/`` with content                         ``a/␛%``
``.`` and ``..``       ``a/../b``                                  ``a/␛%%2E%2E/b``
a NUL                  ``a\\0b``                                    ``␛%a%00b``
an escape of ours      ``␛%2E``                                    ``␛%%E2%90%9B%252E``
prefix and object      ``a`` beside ``a/b``                        ``a`` and ``␛=a/b``
=====================  ==========================================  =========================
"""

from urllib.parse import quote, unquote

from tallyport.domain.paths import check_segment, segments

ESCAPE = "\u241b"
_CODED = ESCAPE + "%"
_TWIN = ESCAPE + "="


def name_of(segment: str) -> str:
    """Give the name that a segment of a key is shown by."""
    if check_segment(segment) is None and not segment.startswith((_CODED, _TWIN)):
        return segment
    return _CODED + quote(segment, safe="").replace(".", "%2E")


def twin_of(segment: str) -> str:
    """Give the name of a prefix beside which an object has the same name."""
    return _TWIN + name_of(segment)


def segment_of(name: str) -> str:
    """Give the segment of a key that a name stands for."""
    if name.startswith(_TWIN):
        name = name[len(_TWIN) :]
    if name.startswith(_CODED):
        return unquote(name[len(_CODED) :])
    return name


def is_twin(name: str) -> bool:
    """Tell whether a name can only mean a prefix."""
    return name.startswith(_TWIN)


def key_of(path: str) -> str:
    """Give the key of a path, both below the same root."""
    return "/".join(segment_of(name) for name in segments(path)) if ESCAPE in path else path
