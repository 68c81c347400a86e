"""Labels: which places a worker reaches, and which workers may therefore work a job.

A connection names the labels that a worker must have to reach it, a worker names those that it has. A job needs the
labels of both its ends. Without labels everybody reaches everything.
"""

import re
from collections.abc import Iterable
from itertools import combinations

MOST = 4  # labels of one worker, or of one connection
_WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


def problem(label: str) -> str | None:
    """Say why a text cannot be a label, or None."""
    if _WORD.fullmatch(label):
        return None
    return f'"{label[:60]}" is no label: up to 40 small letters, digits, dots, dashes and underscores, no dash first'


def read(text: str) -> frozenset[str]:
    """Read labels as they are stored with workers and batches."""
    return frozenset(text.split())


def write(labels: Iterable[str]) -> str:
    """Write labels as they are stored with workers and batches; the same labels always read the same."""
    return " ".join(sorted(set(labels)))


def needed(*ends: Iterable[str]) -> frozenset[str]:
    """Give what a worker needs to work between some connections, each given by its labels."""
    return frozenset[str]().union(*ends)


def serves(worker: Iterable[str], need: Iterable[str]) -> bool:
    """Tell whether a worker may do what needs these labels."""
    return frozenset(need) <= frozenset(worker)


def served(worker: Iterable[str]) -> tuple[str, ...]:
    """Give every need that a worker with these labels serves, as it is stored: one for each choice among them."""
    own = sorted(set(worker))
    return tuple(write(chosen) for count in range(len(own) + 1) for chosen in combinations(own, count))


def lacking(need: Iterable[str], workers: Iterable[Iterable[str]]) -> str:
    """Say in a sentence that no worker has all of these labels, and how near the nearest is."""
    wanted = frozenset(need)
    best = max((wanted & frozenset(one) for one in workers), key=len, default=frozenset())
    told = f"no worker that runs has {_listed(wanted)}"
    return f"{told}; the nearest lacks {_listed(wanted - best)}" if best else told


def _listed(labels: frozenset[str]) -> str:
    word = "label" if len(labels) == 1 else "labels"
    return f"the {word} {', '.join(sorted(labels))}"
