"""What of an item a platform cannot hold, told from the item as it is listed: the same before a run and while it runs.

A forecast counts it over a tree, and the engine writes it down with each item it carries, so that both are equal.
"""

from collections.abc import Mapping

from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.losses import BITS, Fact
from tallyport.domain.naming import is_converted
from tallyport.domain.policies import Policies, Symlinks
from tallyport.domain.versions import most_kept

_FILE, _CONTAINER = Kind.FILE, Kind.CONTAINER
_SYMLINKS, _SPECIAL, _SIZE = BITS[Fact.SYMLINKS], BITS[Fact.SPECIAL], BITS[Fact.SIZE]
_VERSIONS = BITS[Fact.VERSIONS]


class Shortfall:
    """What one side lacks of what comes from the other, under the policies of a job."""

    __slots__ = (
        "_folders",
        "_links",
        "_max_size",
        "_modes",
        "_owners",
        "_policies",
        "_precision",
        "_step",
        "_step_of_folders",
        "_symlinks",
        "_taking",
        "_times",
        "most_contents",
    )

    def __init__(
        self,
        giving: Limits,
        taking: Limits,
        policies: Policies,
        *,
        has_versions: bool = False,
        most_contents: int | None = None,
    ) -> None:
        """``has_versions``: each file comes as a series of contents, which its names cannot share.

        Of those at most ``most_contents``, as the job says.
        """
        self._policies, self._taking = policies, taking
        self.most_contents = most_kept(taking, most_contents, has_versions=has_versions)  # None: all that come

        def bit(fact: Fact, *, is_lost: bool) -> int:
            return BITS[fact] if is_lost else 0

        dates_both = giving.dates_containers and taking.dates_containers
        is_coarser = policies.timestamps and taking.sets_times and taking.time_precision > giving.time_precision
        step = bit(Fact.PRECISION, is_lost=is_coarser)
        self._times = bit(Fact.TIMES, is_lost=policies.timestamps and not taking.sets_times)
        self._folders = bit(
            Fact.FOLDER_TIMES, is_lost=policies.timestamps and giving.dates_containers and not taking.dates_containers
        )
        self._links = bit(Fact.HARD_LINKS, is_lost=not taking.hard_links or has_versions)
        self._modes = bit(Fact.MODES, is_lost=giving.permissions and not taking.permissions)
        self._owners = bit(Fact.OWNERS, is_lost=policies.preserve_owners and not taking.owners)
        self._step, self._step_of_folders, self._precision = step, step * dates_both, taking.time_precision
        self._symlinks = bit(Fact.SYMLINKS, is_lost=policies.symlinks is Symlinks.COPY and not taking.symlinks)
        self._max_size = taking.max_size

    def whole(self, entry: Entry) -> int:
        """Say why an item cannot stand there at all; 0 where it can."""
        kind = entry.kind
        if kind is _FILE:
            return _SIZE if self._max_size is not None and entry.size > self._max_size else 0
        if kind is _CONTAINER:
            return 0
        return self._symlinks if kind is Kind.SYMLINK else _SPECIAL

    def of(self, entry: Entry) -> int:
        """Give the bits of all that an item will lack; of one that cannot stand there at all, why, and no more."""
        kind = entry.kind
        bits = self.whole(entry)
        if bits or kind is Kind.SPECIAL:
            return bits
        if entry.owner is not None:
            bits = self._owners
        step = self._step
        if kind is _CONTAINER:
            bits |= self._folders
            step = self._step_of_folders
        else:
            bits |= self._times
            if kind is _FILE:
                if entry.links > 1:
                    bits |= self._links
                if entry.contents > 1 and self._loses_versions(entry):
                    bits |= _VERSIONS
        if kind is not Kind.SYMLINK and entry.mode is not None:  # a symlink has none of its own
            bits |= self._modes
        return bits | step if step and entry.modified % self._precision else bits

    def leaves_versions(self, name: str) -> bool:
        """Tell whether earlier contents of a file may stay behind, so that it matters how many it has.

        What is carried as an archive has its newest content alone.
        """
        return self.most_contents is not None or is_converted(name, self._policies, self._taking)

    def _loses_versions(self, entry: Entry) -> bool:
        if self.most_contents is not None and entry.contents > self.most_contents:
            return True
        return is_converted(entry.name, self._policies, self._taking)


def shortfalls(
    source: Limits, destination: Limits, policies: Policies, *, has_versions: bool = False
) -> Mapping[Side, Shortfall]:
    """Give what each side lacks of what is carried to it."""
    return {
        Side.DESTINATION: Shortfall(
            source,
            destination,
            policies,
            has_versions=has_versions,
            most_contents=policies.versioning_from_source_max,
        ),
        Side.SOURCE: Shortfall(
            destination,
            source,
            policies,
            has_versions=has_versions,
            most_contents=policies.versioning_from_destination_max,
        ),
    }
