"""The way between two local trees: descriptors held once a visit, one landing for many visits."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from tallyport.connectors.hashing import of_parts
from tallyport.connectors.local import Local
from tallyport.connectors.local_content import evict
from tallyport.connectors.local_errors import refusal, translate
from tallyport.connectors.local_files import (
    Landed,
    Landing,
    copy_range,
    finish,
    hard_link,
    hash_file,
    sync_folder,
)
from tallyport.connectors.local_folders import (
    entry_at,
    entry_of,
    open_to_inspect,
    remove,
    same,
    stamp_fd,
    sweep,
)
from tallyport.connectors.protocol import Facts
from tallyport.connectors.quarantine import Keeper
from tallyport.connectors.temporaries import TEMPORARY
from tallyport.domain import posix_acl
from tallyport.domain.actions import Reason
from tallyport.domain.capabilities import Durability, VerifyLevel
from tallyport.domain.entries import Entry, Fingerprint, Kind, Side, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.losses import BITS, Fact, Loss
from tallyport.domain.paths import split
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.rules import EMPTIES_SOURCE
from tallyport.domain.shortfall import shortfalls
from tallyport.domain.standing import Standing
from tallyport.engine import passage, staging
from tallyport.engine.crossing_local import LocalCrossing, seen
from tallyport.engine.dressing import Dresser
from tallyport.engine.lease import Guard, free
from tallyport.engine.passage import (
    Settled,
    carrier_of,
    expected_at,
    is_still_used,
    item_done,
    item_gone,
    item_kept,
    others_of,
    plain,
    planned_source,
    task_error,
)
from tallyport.engine.throttle import Meter
from tallyport.engine.work import (
    DeleteWork,
    FinishWork,
    LinkWork,
    LockWork,
    PartWork,
    Row,
    StampWork,
    TaskReport,
    VisitWork,
)

_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_FILE = Kind.FILE
R = TypeVar("R")

FULL = 2_048  # staged files that wait for one sync


class LocalPassage:
    """Two folders of this machine."""

    has_parts = True
    has_versions = False
    has_links = True
    paces_itself = False

    def __init__(
        self,
        source: Local,
        destination: Local,
        *,
        policies: Policies,
        token: str,
        maps: str = "",
        quarantine: str | None = None,
    ) -> None:
        self.source = source
        self.destination = destination
        self.carrier = carrier_of(policies, maps, source, destination, is_same_book=True, native_kind=posix_acl.KIND)
        self.dresser = None if self.carrier is None else Dresser(self.carrier, source, destination)
        self.times = policies.timestamps
        self._reads_back = policies.verify > VerifyLevel.HASH
        self.source_limits = source.limits
        self.destination_limits = destination.limits
        self.shortfalls = shortfalls(source.limits, destination.limits, policies)
        self.token = token
        self.durability = policies.durability
        self.verify = policies.verify
        self.level = int(max(VerifyLevel.HASH, policies.verify))
        self.is_dry = policies.simulation
        self.both_ways = policies.transfer_type is TransferType.SYNC
        self.removes_source = policies.transfer_type in EMPTIES_SOURCE
        self.landing = Landing(policies.durability, token)
        self.staged: list[LocalCrossing] = []  # filled out of sight, to be shown
        self._parents: dict[str, int] = {}  # folders of the destination that stages stand in
        self._staged_files = 0
        # A folder that is filled at once has no word for what a plain file of it lost.
        keeps_all = destination.limits.time_precision <= source.limits.time_precision
        is_plain = self.carrier is None and not self._reads_back and keeps_all
        self.may_stage = policies.timestamps and not policies.simulation and is_plain
        self.failures: list[Settled] = []
        self.guard: Guard = free
        self.seats = 0  # whatever it says: one item after the other
        ends = {_SOURCE: source, _DESTINATION: destination}
        self._keepers = {} if quarantine is None else {side: Keeper(end, quarantine) for side, end in ends.items()}

    def facts_of(self, entry: Entry) -> Facts:
        """Give what travels with an entry under the job's policies, but what a dresser sets."""
        mode = entry.mode if self.dresser is None or entry.kind is Kind.SYMLINK else None
        return Facts(entry.size, entry.modified if self.times else None, mode)

    def keep(self, to: Side, path: str, replaces: Entry | None) -> tuple[Entry | None, str]:
        """Keep what is about to be replaced, where the job asks for that; gives what is replaced now, and where."""
        if replaces is None or not self._keepers:
            return replaces, ""
        kept, place = self._keepers[to].keep(path, replaces)
        self._secure(to, place)
        return kept, place

    def _secure(self, side: Side, place: str) -> None:
        """Bring the name of what is kept to disk before anything takes its old place."""
        if not place or self.durability is Durability.NONE:
            return
        fd = (self.source if side is _SOURCE else self.destination).open_container(split(place)[0])
        try:
            with translate("sync the folder", place):
                sync_folder(fd)
        finally:
            os.close(fd)

    def pace(self, meter: Meter | None, stopped: Callable[[], bool]) -> None:
        """Files are small, and parts wait as a whole: whoever gives them waits before."""

    def cross(self, work: VisitWork) -> LocalCrossing:
        return LocalCrossing(self, work)

    @property
    def full(self) -> bool:
        return self.landing.full or self._staged_files >= FULL

    def settle(self) -> list[Settled]:
        self.guard()
        failures, self.failures = self.failures, []
        if self.staged:
            failures = failures + [seen(*one) for one in self._show_staged()]
        settled: list[Settled] = list(self.landing.settle())
        if self._reads_back or self.dresser is not None:
            settled = [(ticket[0], self._proved(outcome, *ticket[1:])) for ticket, outcome in settled]
        return failures + settled if failures else settled

    def discard(self) -> None:
        staged, self.staged = self.staged, []
        for crossing in staged:
            crossing.unstage()
        self._staged_files = 0
        self._close_parents()
        self.failures = []
        self.landing.drop()

    # -- stages

    def parent(self, path: str) -> int:
        """Open the folder of the destination that a stage is to stand in; held until the stages are shown."""
        fd = self._parents.get(path, -1)
        if fd < 0:
            fd = self._parents[path] = self.destination.open_container(path)
        return fd

    def stage(self, crossing: LocalCrossing, files: int) -> None:
        """Have a filled stage shown by the next ``settle``, which serves several: each costs the folders above."""
        self.staged.append(crossing)
        self._staged_files += files

    def _show_staged(self) -> list[Settled]:
        """Sync what is staged, rename it into its place, put the times above right, sync those folders."""
        staged, self.staged = self.staged, []
        self._staged_files = 0
        stages = [crossing.stage for crossing in staged if crossing.stage is not None]
        landed: list[Settled] = list(self.landing.settle())  # what else is in the stages comes first
        try:
            if self.durability is not Durability.NONE:
                staging.sync(stages)
            shown: list[Settled] = [(crossing.stage_ticket, crossing.show()) for crossing in staged]
            if self.durability is not Durability.NONE:
                with translate("sync the folder", ""):
                    for fd in self._parents.values():
                        sync_folder(fd)
        except TallyportError as error:
            for stage in stages:
                stage.error = stage.error or error
            shown = [(crossing.stage_ticket, error) for crossing in staged]
        self._close_parents()
        return shown + landed

    def _close_parents(self) -> None:
        for fd in self._parents.values():
            os.close(fd)
        self._parents.clear()

    def _proved(
        self, outcome: Landed | TallyportError, d_fd: int, name: str, losses: Callable[[], tuple[Loss, ...]]
    ) -> Landed | passage.Landed | TallyportError:
        """Read back what landed, where the level asks for that, and say with it what did not travel."""
        if isinstance(outcome, TallyportError):
            return outcome
        if self._reads_back and outcome.entry.kind is _FILE:
            try:
                self.prove(d_fd, name, outcome.hash)
            except TallyportError as error:
                return error
        lost = losses()
        return passage.Landed(*outcome, losses=lost) if lost else outcome

    def prove(self, d_fd: int, name: str, expected: bytes) -> None:
        """Read what was written, from the disk where the level asks for that; remove it when it is not equal."""
        if self.verify is VerifyLevel.COLD:
            evict(d_fd, name)
        if hash_file(d_fd, name) != expected:
            remove(d_fd, name, _FILE, None)
            raise refusal(ErrorKind.CORRUPT, "prove", name, "what was read back is not what was written")

    # -- tasks

    def together(self, acts: Sequence[Callable[[], R]], sizes: Sequence[int]) -> Iterator[R]:
        return (act() for act in acts)  # movers are processes: each does one thing at a time

    def part(self, work: PartWork, stopped: Callable[[], bool]) -> TaskReport:
        try:
            with self._beside(work.path, work.d_path) as (s_fd, name, d_fd, _):
                content = copy_range(
                    s_fd,
                    name,
                    d_fd,
                    work.temporary,
                    offset=work.offset,
                    length=work.length,
                    expect=Fingerprint(*work.source),
                    durability=self.durability,
                    modified=work.source[1] if self.times else None,
                    guard=self.guard,
                )
        except TallyportError as error:
            return task_error(work.task_id, error)
        return TaskReport(work.task_id, hash=content)

    def finish(self, work: FinishWork) -> TaskReport:
        content = of_parts(work.hashes)
        try:
            with self._beside(work.path, work.d_path) as (s_fd, name, d_fd, d_name):
                source = _still(s_fd, name, Fingerprint(*work.source))
                replaces = expected_at(d_name, work.item) if work.replaces else None
                replaces, kept = self.keep(_DESTINATION, work.d_path, replaces)
                losses: list[Loss] = []

                def dress(temp_fd: int) -> None:
                    if self.dresser is not None:
                        open_fd = open_to_inspect(s_fd, name)
                        try:
                            losses.extend(self.dresser.dress(open_fd, temp_fd, _DESTINATION, d_name, source.mode))
                        finally:
                            os.close(open_fd)

                try:
                    entry = finish(
                        d_fd,
                        work.temporary,
                        d_name,
                        facts=self.facts_of(source),
                        replaces=replaces,
                        durability=self.durability,
                        dress=None if self.dresser is None else dress,
                    )
                except TallyportError as error:
                    there = entry_at(d_fd, d_name) if error.kind is ErrorKind.NOT_FOUND else None
                    if there is None or there.size != work.size or hash_file(d_fd, d_name) != content:
                        raise
                    entry = there  # it was finished before, and that was not recorded
                if self._reads_back:
                    self.prove(d_fd, d_name, content)
        except TallyportError as error:
            return task_error(work.task_id, error)
        done = item_done(work.item, entry, content=content, level=self.level, moved=work.size, losses=losses, kept=kept)
        return TaskReport(work.task_id, done, losses=plain(losses))

    def link(self, work: LinkWork) -> list[TaskReport]:
        reports: dict[int, TaskReport] = {}
        made: list[Made] = []
        held: list[int] = []
        folders: dict[str, int] = {}
        kept: dict[int, str] = {}
        to_replace = self._to_replace(work)
        others = others_of(work)
        try:
            standing = self._made_earlier(work, others, held)
            for position, task_id in enumerate(work.task_ids):
                try:
                    self.guard()
                    d_container, d_name = split(work.d_paths[position])
                    if d_container not in folders:
                        folders[d_container] = self.destination.open_container(d_container)
                        held.append(folders[d_container])
                    d_fd = folders[d_container]
                    if work.attempt > 1:
                        sweep(d_fd, _marked(self.token, task_id))
                    replaces = expected_at(d_name, work.items[position]) if work.replaces[position] else None
                    if (seen := to_replace.get(position)) is not None:
                        replaces = _still_the_same(d_fd, d_name, seen)
                    replaces, kept[position] = self.keep(_DESTINATION, work.d_paths[position], replaces)
                    try:
                        names = made or standing
                        content, moved, losses = self._link_one(work, position, d_fd, d_name, replaces, names)
                    except TallyportError as error:
                        content, moved, losses = self._made_before(work, position, d_fd, d_name, error), 0, ()
                    made.append(Made(position, d_fd, d_name, content, moved, losses))
                except TallyportError as error:
                    reports[position] = task_error(task_id, error)
            if self.durability is not Durability.NONE:
                with translate("sync the folder", ""):
                    for d_fd in held:
                        sync_folder(d_fd)
            for position, d_fd, d_name, content, moved, losses in made:
                entry = entry_at(d_fd, d_name)
                if entry is None:
                    gone = refusal(ErrorKind.NOT_FOUND, "link", d_name, "it vanished at once")
                    reports[position] = task_error(work.task_ids[position], gone)
                    continue
                item: Row = work.items[position]
                is_first = position == made[0].position and not standing
                if not moved and not is_first:
                    item = (*item[:3], str(Reason.LINKED), *item[4:])
                elif not is_first or others:  # the file system took no link, or what stood there is another file by now
                    item = (*item[:19], (item[19] or 0) | BITS[Fact.HARD_LINKS])
                place = kept.get(position, "")
                done = item_done(item, entry, content=content, level=self.level, moved=moved, losses=losses, kept=place)
                reports[position] = TaskReport(work.task_ids[position], done, losses=plain(losses))
        finally:
            for d_fd in held:
                os.close(d_fd)
        return [reports[position] for position in range(len(work.task_ids))]

    def _made_earlier(self, work: LinkWork, others: Sequence[Standing], held: list[int]) -> "list[Made]":
        """Give a name that an earlier run made, if it still is as it was left and holds what the source holds."""
        if not others:
            return []
        container, name = split(work.paths[0])
        try:
            s_fd = self.source.open_container(container)
            try:
                content = hash_file(s_fd, name)
            finally:
                os.close(s_fd)
            for one in others:
                d_container, d_name = split(one.d_path)
                held.append(self.destination.open_container(d_container))
                there = entry_at(held[-1], d_name)
                is_left = there is not None and there.kind is _FILE and tuple(fingerprint(there)) == one.there
                if is_left and content == one.hash:
                    return [Made(-1, held[-1], d_name, content, 0, ())]
        except TallyportError:
            pass  # said where it is to be carried
        return []

    def _to_replace(self, work: LinkWork) -> dict[int, Entry]:
        """See what is to be replaced, as it was decided on: replacing one name changes the tag of the others."""
        found: dict[int, Entry] = {}
        for position, is_replacing in enumerate(work.replaces):
            container, name = split(work.d_paths[position])
            expected = expected_at(name, work.items[position]) if is_replacing else None
            if expected is None:
                continue
            try:
                fd = self.destination.open_container(container)
            except TallyportError:
                continue  # said where it is to be made
            try:
                there = entry_at(fd, name)
            finally:
                os.close(fd)
            if there is not None and fingerprint(there) == fingerprint(expected):
                found[position] = there
        return found

    def _made_before(self, work: LinkWork, position: int, d_fd: int, d_name: str, error: TallyportError) -> bytes:
        """Give the hash of a name that stands already with the source's content, or raise the error.

        Links that were made before a crash, and never recorded, are made again.
        """
        there = entry_at(d_fd, d_name) if error.kind in _TAKEN else None
        container, name = split(work.paths[position])
        s_fd = self.source.open_container(container)
        try:
            entry = _still(s_fd, name, planned_source(work.items[position]))
            if there is None or there.kind is not _FILE or there.size != entry.size:
                raise error
            content = hash_file(s_fd, name)
        finally:
            os.close(s_fd)
        if hash_file(d_fd, d_name) != content:
            raise error
        return content

    def _link_one(
        self,
        work: LinkWork,
        position: int,
        d_fd: int,
        d_name: str,
        replaces: Entry | None,
        made: "list[Made]",
    ) -> tuple[bytes, int, tuple[Loss, ...]]:
        """Make one name of the group: a link to one that is made, or the content where there is none."""
        container, name = split(work.paths[position])
        s_fd = self.source.open_container(container)
        try:
            expected = planned_source(work.items[position])
            entry = _still(s_fd, name, expected)
            for _, first_fd, first_name, content, _, losses in made:
                temporary = f"{TEMPORARY}{_marked(self.token, work.task_ids[position])}-{os.urandom(6).hex()}"
                try:
                    hard_link(first_fd, first_name, d_fd, d_name, replaces=replaces, temporary=temporary)
                except TallyportError as error:
                    if error.kind is not ErrorKind.UNSUPPORTED:
                        raise
                    break  # no (more) links on this file system: a copy holds the same
                return content, 0, losses
            dressing = None
            if self.dresser is not None:
                dressing = self.dresser.dressing(_DESTINATION, d_name, entry.mode)
            mark = f"{_marked('', work.task_ids[position])[1:]}-"
            with Landing(self.durability, self.token, mark=mark) as landing:
                landing.copy(
                    s_fd,
                    entry,
                    d_fd,
                    d_name,
                    facts=self.facts_of(entry),
                    replaces=replaces,
                    new=False,
                    ticket=None,
                    dress=dressing,
                )
                ((_, outcome),) = landing.settle()
            if isinstance(outcome, TallyportError):
                raise outcome
            if self._reads_back:
                self.prove(d_fd, d_name, outcome.hash)
            return outcome.hash, outcome.moved, () if dressing is None else dressing.losses
        finally:
            os.close(s_fd)

    def delete(self, work: DeleteWork) -> TaskReport:
        side = self.source if work.side == _SOURCE else self.destination
        container, name = split(work.path)
        kept = ""
        kind = Kind(work.kind)
        expect = None if kind is Kind.CONTAINER or work.expect is None else Fingerprint(*work.expect)
        try:
            fd = side.open_container(container)
            try:
                if expect is not None and side is self.source:
                    expect = _still_as_carried(fd, name, kind, expect, work.item)
                if self._keepers:
                    wanted = None if expect is None else Entry(name, kind, *expect)
                    kept = self._keepers[Side(work.side)].take(work.path, kind, wanted)
                    self._secure(Side(work.side), kept)
                else:
                    remove(fd, name, kind, expect)
                if self.durability is not Durability.NONE:
                    with translate("sync the folder", container):
                        sync_folder(fd)
            finally:
                os.close(fd)
        except TallyportError as error:
            if is_still_used(work, error):
                return TaskReport(work.task_id)
            if error.kind is not ErrorKind.NOT_FOUND:
                kept_item = item_kept(work, error)
                return TaskReport(work.task_id, kept_item) if kept_item else task_error(work.task_id, error)
        return TaskReport(work.task_id, item_gone(work.item, work.side, kept=kept))

    def look_at_lock(self, work: LockWork) -> TaskReport:
        return TaskReport(work.task_id)  # a folder has no locks: this one is of another place

    def stamp(self, work: StampWork) -> TaskReport:
        try:
            s_fd = self.source.open_container(work.path)
            try:
                entry = entry_of("", os.fstat(s_fd))
            finally:
                os.close(s_fd)
            d_fd = self.destination.open_container(work.d_path)
            try:
                with translate("set times and permissions of", work.d_path):
                    stamp_fd(d_fd, self.facts_of(entry))
                    if self.durability is not Durability.NONE:
                        sync_folder(d_fd)
            finally:
                os.close(d_fd)
        except TallyportError as error:
            return task_error(work.task_id, error)
        return TaskReport(work.task_id)

    def close(self) -> None:
        self.landing.discard()
        self._close_parents()
        self.source.close()
        self.destination.close()

    @contextmanager
    def _beside(self, path: str, d_path: str) -> Iterator[tuple[int, str, int, str]]:
        """Open the folders of one file on both sides."""
        container, name = split(path)
        d_container, d_name = split(d_path)
        s_fd = self.source.open_container(container)
        try:
            d_fd = self.destination.open_container(d_container)
            try:
                yield s_fd, name, d_fd, d_name
            finally:
                os.close(d_fd)
        finally:
            os.close(s_fd)


_TAKEN = (ErrorKind.ALREADY_EXISTS, ErrorKind.CHANGED_DURING_COPY)  # what stands there is not what was expected


class Made(NamedTuple):
    """One name of a group of hard links that stands."""

    position: int
    d_fd: int
    d_name: str
    hash: bytes
    moved: int
    losses: tuple[Loss, ...]


def _still(s_fd: int, name: str, expected: Fingerprint) -> Entry:
    """Give the source's entry, if it is the one that was planned."""
    with translate("look at", name, _SOURCE):
        entry = entry_at(s_fd, name)
    if entry is None:
        raise refusal(ErrorKind.NOT_FOUND, "read", name, "it vanished since it was listed", _SOURCE)
    if not same(entry, expected) or entry.kind is not _FILE:
        raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", name, "it changed since it was listed", _SOURCE)
    return entry


def _marked(token: str, task_id: int) -> str:
    """Give what the names of a task's temporaries begin with, after what all of ours begin with."""
    return f"{token}-l{task_id:x}"


def _still_the_same(d_fd: int, name: str, seen: Entry) -> Entry:
    """Give a name to be replaced as it stands now, where only its tag moved on with the other names of its file."""
    now = entry_at(d_fd, name)
    is_same = now is not None and now.tag[:8] == seen.tag[:8] and now[2:4] == seen[2:4]
    return now if now is not None and is_same else seen


def _still_as_carried(s_fd: int, name: str, kind: Kind, expect: Fingerprint, item: tuple[Any, ...]) -> Fingerprint:
    """Give what must stand at the source to be removed: for one of several names of a file, what stands there now.

    Each removal of a name changes the tag of the others. So a file without a tag is read again, and must hold what
    was proved at the destination; a symlink's text never changes as long as its inode is the same.
    """
    if kind is Kind.SYMLINK:
        entry = entry_at(s_fd, name)
        return expect if entry is None or entry.tag[:8] != expect.tag[:8] else fingerprint(entry)
    entry = entry_at(s_fd, name) if kind is _FILE and not expect.tag else None
    if entry is None or entry.kind is not _FILE:
        return expect
    if entry[2:4] != expect[:2] or item[12] is None or hash_file(s_fd, name) != item[12]:
        raise refusal(ErrorKind.CHANGED_DURING_COPY, "remove", name, "it changed since it was carried", _SOURCE)
    return fingerprint(entry)
