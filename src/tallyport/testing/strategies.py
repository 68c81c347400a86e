"""Hypothesis strategies for what platforms can hold: names, paths, entries, and trees as drawings."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tallyport.domain import naming
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.paths import check_segment, from_bytes, join
from tallyport.testing.worlds import quoted

# What has broken file tools before; more of these than chance would give.
AWKWARD = (
    *(
        " a",
        "a ",
        ".a",
        "a.",
        "-rf",
        "--",
        "~",
        "*",
        "?",
        '"',
        "'",
        "\\",
        "a\\b",
        ":",
        "|",
        "<>",
        "%2F",
        "%",
        "$HOME",
    ),
    *(
        "a\tb",
        "a\nb",
        "a\rb",
        "\x01",
        "\x7f",
        "\x1b[31m",
        "con",
        "NUL.txt",
        "desktop.ini",
        "Thumbs.db",
        ".DS_Store",
    ),
    *(
        "é",
        "é",
        "ß",
        "ss",
        "İ",
        "ı",
        "ﬁ",
        "가",
        "가",
        "日本語",
        "עברית",
        "العربية",
        "\u202egpj.exe",
        "\u200b",
    ),
    *("😀", "👩‍👩‍👧", "\ufeff", "\ufffd", "\ufffe", "\U0010ffff", "a" * 255, "é" * 127, "😀" * 63),
)


def names(limits: Limits | None = None, *, bytes_too: bool = True) -> SearchStrategy[str]:
    """Names that a platform with these limits takes; with ``bytes_too`` also names that are not UTF-8."""
    taken = limits or Limits()
    ordinary = st.text(alphabet="abcABC019._- ", min_size=1, max_size=12)
    any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
    kinds = [ordinary, st.sampled_from(AWKWARD), any_text]
    if bytes_too:
        kinds.append(st.binary(min_size=1, max_size=20).map(from_bytes))
    return st.one_of(kinds).filter(lambda name: is_taken(name, taken))


def is_taken(name: str, limits: Limits) -> bool:
    """Tell whether a platform with these limits takes a name."""
    return (
        check_segment(name) is None
        and naming.refusal(name, limits) is None
        and naming.length(name, limits.name_unit) <= limits.max_name
    )


def paths(limits: Limits | None = None, *, bytes_too: bool = True) -> SearchStrategy[str]:
    """Paths of one to four segments."""
    segments = st.lists(names(limits, bytes_too=bytes_too), min_size=1, max_size=4)
    return segments.map("/".join)


def entries(kinds: tuple[Kind, ...] = tuple(Kind)) -> SearchStrategy[Entry]:
    """Entries as any platform might give them."""
    return st.sampled_from(kinds).flatmap(_entries_of)


def _entries_of(kind: Kind) -> SearchStrategy[Entry]:
    is_file = kind is Kind.FILE
    return st.builds(
        Entry,
        name=names(),
        kind=st.just(kind),
        size=st.integers(0, 2**53) if is_file else st.just(0),
        modified=st.integers(-(2**62), 2**62),
        tag=st.binary(max_size=16) if is_file else st.just(b""),
        mode=st.none() | st.integers(0, 0o7777),
        owner=st.none() | st.integers(0, 2**31) | st.sampled_from(["ann", "bob"]),
        group=st.none() | st.integers(0, 2**31) | st.sampled_from(["staff", "users"]),
        target=paths() if kind is Kind.SYMLINK else st.none(),
        hash=st.none() | st.binary(min_size=16, max_size=16) if is_file else st.none(),
        hidden=st.booleans(),
    )


@st.composite
def trees(draw: DrawFn, limits: Limits | None = None, *, bytes_too: bool = True, most: int = 12) -> str:
    """Trees as drawings (see ``worlds.tree``), sorted: files with small content, and empty containers."""
    nodes: dict[str, object] = {"": None}  # containers hold None
    for name in draw(st.lists(names(limits, bytes_too=bytes_too), max_size=most)):
        container = draw(st.sampled_from([path for path, node in nodes.items() if node is None]))
        path = join(container, name)
        if path not in nodes:
            is_container = draw(st.booleans())
            nodes[path] = None if is_container else (draw(st.integers(0, 20)), draw(st.integers(1, 5)))
    parents = {path.rpartition("/")[0] for path in nodes if path}
    drawn = []
    for path in sorted(nodes, key=lambda path: path.split("/")):
        match nodes[path]:
            case (0, _):
                drawn.append(f"{quoted(path)} 0b v0")
            case (size, version):
                drawn.append(f"{quoted(path)} {size}b v{version}")
            case _ if path and path not in parents:
                drawn.append(quoted(f"{path}/"))
    return "\n".join(drawn)
