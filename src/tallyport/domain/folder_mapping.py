"""Jobs of kind ``folder_mapping``: one child for each first-level folder of the source, and what it takes over.

A parent carries nothing. Each of its runs looks at the first level and makes, changes, puts aside or takes up again the
children that do the work.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tallyport.domain import naming, paths
from tallyport.domain.capabilities import Limits
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies

KIND = "folder_mapping"
MOST = 100_000  # folders of one parent
OWN = ("schedule", "stop_policy")  # of the children; they stand in the transfer block
CHILDREN = "children"  # of a parent's extra: what it says of its children alone
INHERITED = "inherited"  # of a child's extra: what it took over last
GONE = "its folder is gone from the source, or left out by the filter of its parent"
BEING_DELETED = "it is being deleted with its children"
_NOTHING = "/."  # a path that no item has


class Folder(NamedTuple):
    """A first-level folder and the one it is carried to, by name."""

    name: str
    destination: str


class Placed(NamedTuple):
    """Which folders have a child, and why others have none."""

    folders: Sequence[Folder]
    skipped: Sequence[tuple[str, str]]  # name, why


def placed(
    names: Iterable[str], known: Mapping[str, str], policies: Policies, limits: Limits, container: str
) -> Placed:
    """Give each folder its name at the destination, in the order of their names.

    ``known`` are the folders that have a child, with the names they were given; these stay. Of several folders that
    would be one at the destination the first gets a child.
    """
    taken = {naming.key(given, limits): name for name, given in known.items()}
    folders: list[Folder] = []
    skipped: list[tuple[str, str]] = []
    for name in sorted(names):
        if name in known:
            folders.append(Folder(name, known[name]))
            continue
        named = naming.fit(name, policies, limits, container=container)
        if named.name is None:
            skipped.append((name, named.problem))
            continue
        key = naming.key(named.name, limits)
        if key in taken:
            skipped.append((name, f"the destination has one folder for it and for {paths.display(taken[key])!r}"))
            continue
        taken[key] = name
        folders.append(Folder(name, named.name))
    return Placed(folders, skipped)


def is_child(job: Job) -> bool:
    """Tell whether a folder mapping made a job."""
    return INHERITED in job.extra


def folder_of(child: Job) -> Folder:
    """Give the folder that a child is for."""
    return Folder(paths.split(child.source_path)[1], paths.split(child.destination_path)[1])


def name_of(parent: Job, folder: Folder) -> str:
    """Name a child."""
    return f"{parent.name} / {paths.display(folder.name)}"[:500]


def inherited(parent: Job, folder: Folder) -> dict[str, Any]:
    """Give what a child takes over from its parent, as a document of JSON."""
    given = parent.extra.get(CHILDREN)
    own = dict(given) if isinstance(given, Mapping) else {}
    return {
        "transfer": _transfer(parent, folder),
        **{key: dict(own.get(key, {})) for key in OWN},
        "category_id": parent.category_id,
        "priority": parent.priority,
    }


def taken_over(child: Job, now: Mapping[str, Any]) -> dict[str, Any]:
    """Give the columns of a child that change since what it takes over did; what it says of its own stays."""
    kept = child.extra.get(INHERITED)
    before: Mapping[str, Any] = kept if isinstance(kept, Mapping) else {}
    if before == now:
        return {}
    values: dict[str, Any] = {"extra": {**child.extra, INHERITED: now}}
    transfer, old, new = dict(child.transfer), before.get("transfer", {}), now["transfer"]
    for key in {*old, *new}:
        if old.get(key) != new.get(key):
            transfer.pop(key, None)
            transfer |= {key: new[key]} if key in new else {}
    if transfer != child.transfer:
        values["transfer"] = transfer
    for key in (*OWN, "category_id", "priority"):
        if before.get(key) != now[key]:
            values[key] = now[key]
    return values


def _transfer(parent: Job, folder: Folder) -> dict[str, Any]:
    """Give a parent's block with both ends one level deeper."""
    block: dict[str, Any] = dict(parent.transfer)
    ends = (
        ("source", paths.join(parent.source_path, folder.name), folder.name),
        ("destination", paths.join(parent.destination_path, folder.destination), folder.destination),
    )
    for side, path, _ in ends:
        given = block.get(side)
        end = {key: value for key, value in (given or {}).items() if key != "size_estimate"}
        block[side] = end | {"target": {"path": f"/{paths.display(path)}"}}
    filters = block.get("filter")
    if filters:
        block["filter"] = {
            **filters,
            **{side: _blocks(filters[side], paths.display(name)) for side, _, name in ends if side in filters},
        }
    return block


def _blocks(blocks: Any, name: str) -> list[Any]:
    """Count the paths of a filter from a folder below: those that lie elsewhere are left out."""
    found = []
    for block in blocks:
        rules = [rule for given in block["rules"] for rule in _rule(given, name)]
        if not rules and block.get("action", "exclude") == "include":
            rules = [{"type": "filter_path", "paths": [_NOTHING]}]
        if rules:
            found.append({**block, "rules": rules})
    return found


def _rule(rule: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    if str(rule.get("type", "")).removeprefix("filter_") != "path":
        return [rule]
    if isinstance(rule.get("rules"), list):
        nested = [below for one in rule["rules"] for below in _rule({**one, "type": rule["type"]}, name)]
        return [{**rule, "rules": nested}] if nested else []
    given = rule.get("paths", [])
    cut = [_cut(path, name) for path in ([given] if isinstance(given, str) else given)]
    below = [path for path in cut if path is not None]
    return [{**rule, "paths": below}] if below else []


def _cut(path: str, name: str) -> str | None:
    first, _, rest = path.strip("/").partition("/")
    return f"/{rest}" if first in (name, "") else None
