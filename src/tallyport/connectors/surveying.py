"""Walking a source without reading content: each entry that takes part once, containers before what they hold."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from tallyport.connectors.counting import Counting
from tallyport.connectors.layers.layer import innermost
from tallyport.connectors.protocol import Connector, Grants, Links, Locks, Properties, Versions
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain import paths
from tallyport.domain.access import PrincipalKind
from tallyport.domain.capabilities import Limits
from tallyport.domain.carrying import denied, has_rules
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import REMEDIES, Scope, TallyportError
from tallyport.domain.filters import Judge, judge_for
from tallyport.domain.forecast import DENIALS, SAMPLE, Side, Tree
from tallyport.domain.manifests import Manifest
from tallyport.domain.parts import Child
from tallyport.domain.policies import Policies

_ABILITIES: tuple[type, ...] = (Grants, Links, Locks, Properties, Versions)
LOOK_EVERY = 256  # entries between two looks at whether to go on
PAGE = 10_000  # entries of a container that are held at once


def side_of(connector: Connector) -> Side:
    """Give what a connection can."""
    found = []
    for ability in _ABILITIES:
        if isinstance(connector, ability):
            found.append(ability.__name__)
    if "denials" in getattr(innermost(connector), "tells", frozenset()):
        found.append(DENIALS)
    return Side(connector.limits, frozenset(found))


def survey(
    source: Connector,
    destination: Limits,
    policies: Policies,
    *,
    now: int,
    goes_on: Callable[[], bool],
    there: Side | None = None,
    originals: Callable[[str], Mapping[str, str]] | None = None,
) -> Manifest:
    """Look at the source and gather its manifest; one that was cut short says that it is not complete.

    ``now`` is in nanoseconds: the age of items counts from it. With ``there``, what the destination can, it also
    tells what will be lost. ``originals``: as :class:`Manifest` takes it.
    """
    sides = None if there is None else (side_of(source), there)
    manifest = Manifest(policies, destination, sides=sides, originals=originals)
    judge = judge_for(policies.filter_source, started=now)
    root = source.stat(paths.ROOT)
    if root is not None and root.kind is Kind.CONTAINER:
        manifest.add_root(root)
        if there is not None:
            ask(source, paths.ROOT, root, manifest.tree)
    counting = Counting(source, manifest.tree.shortfall)
    manifest.tree.counts_versions = counting.lists
    for number, (path, entry) in enumerate(walk(source, judge, manifest.deny, counting)):
        if counting.lists:
            entry = counting.counted(path, entry)  # of what came while it was listed
        will_stand = manifest.add(path, entry)
        is_plain = entry.kind in (Kind.FILE, Kind.CONTAINER)
        if there is not None and will_stand and is_plain and manifest.tree.asked < SAMPLE:
            ask(source, path, entry, manifest.tree)
        if number % LOOK_EVERY == 0 and not goes_on():
            manifest.is_complete = False
            break
    return manifest


def ask(source: Connector, path: str, entry: Entry, tree: Tree) -> None:
    """Ask about one item what a listing does not tell. An item that cannot be asked about counts as without."""
    tree.asked += 1
    try:
        if isinstance(source, Grants):
            access = source.access(path)
            if has_rules(access):
                tree.access[access.native_kind or "grants"] += 1
                tree.access_of_folders += entry.kind is Kind.CONTAINER
                kinds = denied(access)
                tree.denied += bool(kinds)
                tree.denied_to_many += bool(kinds - {PrincipalKind.ACCOUNT})
        if isinstance(source, Properties):
            is_named = bool(source.properties(path))
            tree.named += is_named
            tree.named_folders += is_named and entry.kind is Kind.CONTAINER
        if not tree.counts_versions:
            tree.versioned += tree.loses_versions(Counting(source, tree.shortfall).counted(path, entry))
    except TallyportError as error:
        if REMEDIES[error.kind][0] is not Scope.ITEM:
            raise


def walk(
    source: Connector, judge: Judge | None, deny: Callable[[str, str], None], counting: Counting | None = None
) -> Iterator[tuple[str, Entry]]:
    """Give (path, entry) of all that a filter lets through. A container that cannot be listed is told to ``deny``.

    The items of a container come in the order in which a run goes through them, so that of two names that collide the
    same one is changed; in one that is larger than a page, in that order page by page. Memory grows with the depth and
    with the containers beside one another, never with the files.
    """
    listing = source.children if counting is None else counting.listing
    waiting = [paths.ROOT]
    while waiting:
        container = waiting.pop()
        below: list[str] = []
        try:
            for entry in _in_order(listing(container)):
                path = paths.join(container, entry.name)
                if is_temporary(entry.name) or (judge is not None and judge(path, entry, True) is not None):
                    continue
                yield path, entry
                if entry.kind is Kind.CONTAINER:
                    below.append(path)
        except TallyportError as error:
            if container == paths.ROOT or REMEDIES[error.kind][0] is not Scope.ITEM:
                raise
            deny(container, error.message)
        waiting += reversed(below)


def _in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    rest = iter(entries)
    while page := list(islice(rest, PAGE)):
        page.sort(key=lambda entry: paths.to_bytes(entry.name))
        yield from page


def weigh(
    source: Connector, judge: Judge | None, *, most: int, goes_on: Callable[[], bool]
) -> tuple[list[Child], bool]:
    """Weigh what stands directly below a source; False beside it when the look was cut short by ``goes_on``.

    More than ``most`` children are not all given, and not weighed.
    """
    sums: dict[str, list[int]] = {}
    for entry in source.children(paths.ROOT):
        if not is_temporary(entry.name) and (judge is None or judge(entry.name, entry, True) is None):
            sums[entry.name] = [1, 0]
            if len(sums) > most:
                return [Child(name, 1, 0) for name in sums], False
    is_whole = True
    for path, entry in walk(source, judge, lambda _path, _reason: None):
        found = sums.setdefault(path.partition("/")[0], [1, 0])
        found[0] += "/" in path
        found[1] += entry.size if entry.kind is Kind.FILE else 0
        if not goes_on():
            is_whole = False
            break
    return [Child(name, items, size) for name, (items, size) in sums.items()], is_whole
