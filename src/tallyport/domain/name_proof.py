"""Whether every name of a planned namespace finds its place at the destination, before the first byte is sent.

Entries come container by container. What is held is the names of one container, as numbers, and a few examples.
"""

from collections import Counter
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

from tallyport.domain import naming, paths
from tallyport.domain.capabilities import Limits
from tallyport.domain.naming import Named
from tallyport.domain.policies import DuplicateNames, Policies, TransferType

FIRST = 20  # examples of each kind


class Trouble(StrEnum):
    """What is the matter with a name at the destination. Shown and documented; never renamed."""

    COLLISION = "collision"  # another item of its container has that name there: by case, form, or after a change
    LENGTH = "length"  # longer than the platform takes, alone or with its path
    RESERVED = "reserved"  # kept by the platform for itself
    CHARACTERS = "characters"  # holds or ends with something that the platform refuses
    TEXT = "text"  # bytes that are no text, where names are text


class NameTrouble(NamedTuple):
    """One name that does not go as it is."""

    trouble: Trouble
    path: str  # at the source
    name: str | None  # what it becomes; None: it is not carried
    words: str


class NameProof:
    """Looks at each planned name; give entries of one container one after the other."""

    def __init__(self, policies: Policies, limits: Limits) -> None:
        self._policies = policies
        self._limits = limits
        self._container: str | None = None
        self._taken: set[bytes] = set()
        self._counts: Counter[Trouble] = Counter()
        self._lost: Counter[Trouble] = Counter()
        self._first: dict[Trouble, list[NameTrouble]] = {}

    def add(self, path: str, *, is_container: bool, fitting: Named, original: str | None = None) -> Named:
        """Look at one name with what it becomes by itself; gives what it becomes beside its neighbours.

        ``original``: the name that it had before an earlier job renamed it.
        """
        container, name = paths.split(path)
        wanted = name if original is None else original
        if container != self._container:
            self._container, self._taken = container, set()
        trouble = self._trouble_of(wanted)
        if trouble is not None:
            words = fitting.problem or naming.refusal(wanted, self._limits) or "it is longer than the platform takes"
            self._note(NameTrouble(trouble, path, fitting.name, words))
        if fitting.name is None:
            return fitting
        found = fitting
        if self._mark(fitting.name) in self._taken:
            found = self._distinct(fitting.name, is_container=is_container)
            words = found.problem or f"another item has the name {paths.display(fitting.name)} there"
            self._note(NameTrouble(Trouble.COLLISION, path, found.name, words))
        if found.name is not None:
            self._taken.add(self._mark(found.name))
        return found

    def document(self) -> dict[str, Any]:
        """Give counts and the first of each kind as JSON. ``lost`` are those that will not be carried."""
        return {
            trouble.value: {
                "count": self._counts[trouble],
                "lost": self._lost[trouble],
                "first": [
                    {
                        "path": f"/{paths.display(one.path)}",
                        "name": None if one.name is None else paths.display(one.name),
                        "why": one.words,
                    }
                    for one in self._first.get(trouble, [])
                ],
            }
            for trouble in Trouble
        }

    def _trouble_of(self, name: str) -> Trouble | None:
        limits = self._limits
        if limits.unicode_only and any("\ud800" <= character <= "\udfff" for character in name):
            return Trouble.TEXT
        if naming.is_reserved(name, limits):
            return Trouble.RESERVED
        if naming.refusal(name, limits) is not None:
            return Trouble.CHARACTERS
        if naming.length(name, limits.name_unit) > naming.room_for(self._container or "", limits):
            return Trouble.LENGTH
        return None

    def _distinct(self, name: str, *, is_container: bool) -> Named:
        policies = self._policies
        if policies.duplicate_names is DuplicateNames.WARN or policies.transfer_type is TransferType.MOVE:
            return Named(None, (), f"the destination has an item named {paths.display(name)} already")
        return naming.numbered(
            name, lambda one: self._mark(one) in self._taken, self._limits, is_container=is_container
        )

    def _mark(self, name: str) -> bytes:
        """Give a short number for what two names must differ in."""
        key = naming.key(name, self._limits)
        return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).digest()

    def _note(self, found: NameTrouble) -> None:
        self._counts[found.trouble] += 1
        self._lost[found.trouble] += found.name is None
        first = self._first.setdefault(found.trouble, [])
        if len(first) < FIRST:
            first.append(found)
