"""The way between two local trees: descriptors held once a visit, one landing for many visits."""

import os
import stat
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
    make_folder,
    open_below,
    open_to_inspect,
    remove,
    rename_new,
    same,
    stamp,
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
from tallyport.domain.losses import Loss
from tallyport.domain.paths import join, segments, split
from tallyport.domain.policies import Policies, TransferType
from tallyport.engine import passage, staging
from tallyport.engine.dressing import Dresser
from tallyport.engine.lease import Guard, free
from tallyport.engine.listing_local import LocalListing
from tallyport.engine.passage import (
    Settled,
    carrier_of,
    expected_at,
    is_still_used,
    item_done,
    item_gone,
    plain,
    planned_source,
    task_error,
)
from tallyport.engine.staging import Stage
from tallyport.engine.throttle import Meter
from tallyport.engine.work import (
    DeleteWork,
    FinishWork,
    LinkWork,
    PartWork,
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
        self._times = policies.timestamps
        self._reads_back = policies.verify > VerifyLevel.HASH
        self.source_limits = source.limits
        self.destination_limits = destination.limits
        self.token = token
        self.durability = policies.durability
        self.verify = policies.verify
        self.level = int(max(VerifyLevel.HASH, policies.verify))
        self.is_dry = policies.simulation
        self.both_ways = policies.transfer_type is TransferType.SYNC
        self.landing = Landing(policies.durability, token)
        self.staged: list[LocalCrossing] = []  # filled out of sight, to be shown
        self._parents: dict[str, int] = {}  # folders of the destination that stages stand in
        self._staged_files = 0
        self.may_stage = (
            policies.timestamps and not policies.simulation and self.carrier is None and not self._reads_back
        )
        self.failures: list[Settled] = []
        self.guard: Guard = free
        self.seats = 0  # whatever it says: one item after the other
        ends = {_SOURCE: source, _DESTINATION: destination}
        self._keepers = {} if quarantine is None else {side: Keeper(end, quarantine) for side, end in ends.items()}

    def facts_of(self, entry: Entry) -> Facts:
        """Give what travels with an entry under the job's policies, but what a dresser sets."""
        mode = entry.mode if self.dresser is None or entry.kind is Kind.SYMLINK else None
        return Facts(entry.size, entry.modified if self._times else None, mode)

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

    def cross(self, work: VisitWork) -> "LocalCrossing":
        return LocalCrossing(self, work)

    @property
    def full(self) -> bool:
        return self.landing.full or self._staged_files >= FULL

    def settle(self) -> list[Settled]:
        self.guard()
        failures, self.failures = self.failures, []
        if self.staged:
            failures = failures + [_seen(*one) for one in self._show_staged()]
        settled: list[Settled] = list(self.landing.settle())
        if self._reads_back or self.dresser is not None:
            settled = [(ticket[0], self._proved(outcome, *ticket[1:])) for ticket, outcome in settled]
        return failures + settled if failures else settled

    # -- stages

    def parent(self, path: str) -> int:
        """Open the folder of the destination that a stage is to stand in; held until the stages are shown."""
        fd = self._parents.get(path, -1)
        if fd < 0:
            fd = self._parents[path] = self.destination.open_container(path)
        return fd

    def stage(self, crossing: "LocalCrossing", files: int) -> None:
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
        try:
            for position, task_id in enumerate(work.task_ids):
                try:
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
                        content, moved, losses = self._link_one(work, position, d_fd, d_name, replaces, made)
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
                item = work.items[position]
                if not moved and position:
                    item = (*item[:3], str(Reason.LINKED), *item[4:])
                place = kept.get(position, "")
                done = item_done(item, entry, content=content, level=self.level, moved=moved, losses=losses, kept=place)
                reports[position] = TaskReport(work.task_ids[position], done, losses=plain(losses))
        finally:
            for d_fd in held:
                os.close(d_fd)
        return [reports[position] for position in range(len(work.task_ids))]

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
                return task_error(work.task_id, error)
        return TaskReport(work.task_id, item_gone(work.item, work.side, kept=kept))

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


class LocalCrossing:
    """One folder on both sides, each by a descriptor. A destination that is missing is made when it is needed."""

    def __init__(self, passage: LocalPassage, work: VisitWork) -> None:
        self._passage = passage
        self._work = work
        self._landing = passage.landing
        self._s_fd = -1 if work.gone == "source" else passage.source.open_container(work.path)
        self._d_fd = -1
        self._must_open = False  # the destination lacks the rights to be filled
        self._opened_from: int | None = None  # the mode it had before it got them
        self.stage: Stage | None = None
        self.stage_ticket: Any = None
        self._may_stage = (
            passage.may_stage
            and work.d_fresh
            and work.d_path != ""
            and work.only is None
            and not (work.resumed or work.s_only or work.gone)
        )
        if not self._may_stage:
            self._open_destination()

    def _open_destination(self) -> None:
        passage, work = self._passage, self._work
        self._may_stage = False
        if work.s_only or work.gone == "destination" or (passage.is_dry and work.d_fresh):
            return
        try:
            self._d_fd = passage.destination.open_container(work.d_path)
            mode = os.fstat(self._d_fd).st_mode
            self._must_open = mode & 0o300 != 0o300 and os.geteuid() != 0
        except TallyportError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                self.close()
                raise
        except BaseException:
            self.close()
            raise

    def _fd(self, side: Side) -> int:
        if side is _SOURCE:
            return self._s_fd
        if self._may_stage:
            self._open_destination()
        return self._d_fd

    def fill(
        self, listing: LocalListing, largest: int, ticket: Any, stopped: Callable[[], bool]
    ) -> tuple[list[Entry], bool] | None:
        """Fill a new folder out of sight, where that is possible, to be shown by the next ``settle``.

        Gives the entries that are left to be carried one by one, and whether all were gone through; what
        was carried comes with the ticket. None: nothing was done.
        """
        if not self._may_stage:
            return None
        _, files, size = listing.totals()
        if not files or listing.count > staging.MOST_FILES or size > staging.MOST_BYTES:
            self._open_destination()
            return None
        passage = self._passage
        container, name = split(self._work.d_path)
        try:
            stage = Stage(passage.parent(container), name, self._stage_name())
        except TallyportError:
            self._open_destination()  # which says what is wrong
            return None
        self._may_stage = False
        self.stage, self.stage_ticket, self._d_fd = stage, ticket, stage.fd
        rest, all_seen = stage.fill(
            self._s_fd,
            listing.stats(),
            listed_at=listing.listed_at,
            largest=largest,
            times=True,
            each=passage.durability is Durability.EACH,
            stopped=stopped,
        )
        passage.stage(self, len(stage.rows))
        return listing.entries(rest), all_seen

    def show(self) -> list[tuple[Any, ...]] | TallyportError:
        """Put the stage in its place; gives the rows of what is in it."""
        stage = self.stage
        if stage is None:
            raise AssertionError("only a stage is shown")
        try:
            stage.publish()
            stage.is_shown = True
            self._stamp_above(stage.parent_fd)
        except TallyportError as error:
            stage.error = error
            return error
        finally:
            self._d_fd = stage.fd
        return stage.rows

    def _stamp_above(self, parent_fd: int) -> None:
        """Give the folder above the time of its source again, as its own visit did before."""
        with translate("set times and permissions of", split(self._work.d_path)[0]):
            above = os.stat("..", dir_fd=self._s_fd, follow_symlinks=False)
            stamp_fd(parent_fd, Facts(modified=above.st_mtime_ns))

    def _stage_name(self) -> str:
        return f"{TEMPORARY}{self._passage.token}-stage-{self._work.item_id:x}"

    def _ready(self, side: Side) -> int:
        """Give the descriptor of a folder that can be written to."""
        if side is _SOURCE:
            return self._s_fd
        if self._may_stage:
            self._open_destination()
        if self._d_fd < 0:
            self._d_fd = open_below(self._passage.destination.root_fd, self._work.d_path, make=True)
        if self._must_open:
            self._must_open = False
            with translate("write to", self._work.d_path):
                self._opened_from = os.fstat(self._d_fd).st_mode
                os.fchmod(self._d_fd, stat.S_IMODE(self._opened_from) | 0o700)
        return self._d_fd

    def container(self, side: Side) -> Entry | None:
        fd = self._fd(side)
        if fd < 0:
            return None
        path = self._work.path if side is _SOURCE else self._work.d_path
        return entry_of((segments(path) or [""])[-1] or ".", os.fstat(fd))

    def listing(self, side: Side) -> LocalListing:
        return LocalListing(self._fd(side), self._work.path if side is _SOURCE else self._work.d_path)

    def look(self, side: Side, name: str) -> Entry | None:
        fd = self._fd(side)
        if fd < 0:
            return None
        with translate("look at", name, side):
            return entry_at(fd, name)

    def carry(self, to: Side, entry: Entry, name: str, *, replaces: Entry | None, ticket: Any) -> None:
        passage = self._passage
        if self._may_stage:
            self._open_destination()
        if to is _DESTINATION:
            from_fd, to_fd, is_new = self._s_fd, self._d_fd, self._work.d_fresh
        else:
            from_fd, to_fd, is_new = self._d_fd, self._s_fd, False
        if to_fd < 0 or self._must_open:
            try:
                to_fd = self._ready(to)
            except TallyportError as error:
                passage.failures.append((ticket, error))
                return
        if replaces is not None:
            work = self._work
            try:
                path = join(work.path if to is _SOURCE else work.d_path, name)
                replaces, kept = passage.keep(to, path, replaces)
            except TallyportError as error:
                passage.failures.append((ticket, error))
                return
            if kept:
                ticket.kept = kept
        facts = passage.facts_of(entry)
        dressing, lost = None, _nothing_lost
        if passage.dresser is not None:
            if entry.kind is _FILE:
                dressing = passage.dresser.dressing(to, name, entry.mode)
                lost = lambda: dressing.losses  # noqa: E731 - known once the file is dressed
            else:
                try:
                    owner, group, losses = passage.dresser.owners(entry, to, name)
                except TallyportError as error:
                    passage.failures.append((ticket, error))
                    return
                facts = facts._replace(owner=owner, group=group)
                lost = lambda: losses  # noqa: E731
        if passage.dresser is not None or passage._reads_back:
            ticket = (ticket, to_fd, name, lost)
        elif (stage := self.stage) is not None and to is _DESTINATION:
            if stage.error is not None:
                passage.failures.append((ticket, stage.error))
                return
            if not stage.is_shown:
                ticket = InStage(ticket, stage)
        if entry.kind is _FILE:
            self._landing.copy(
                from_fd,
                entry,
                to_fd,
                name,
                facts=facts,
                replaces=replaces,
                new=is_new,
                ticket=ticket,
                dress=dressing,
            )
        else:
            self._landing.symlink(entry, to_fd, name, facts=facts, replaces=replaces, new=is_new, ticket=ticket)

    def begin(self, entry: Entry, name: str) -> str:
        return ""

    def make(self, to: Side, entry: Entry, name: str) -> Entry:
        fd = self._ready(to)
        self._landing.touch(fd)
        made = make_folder(fd, name, 0o777 if entry.mode is None else entry.mode)
        if self._passage.dresser is None:
            return made
        # Before anything is in it, so that nobody sees what they should not; what fails here holds back what is below.
        self._dress(to, entry, name, is_filled=False)
        return entry_at(fd, name) or made

    def stamp(self, to: Side, entry: Entry, name: str) -> Entry:
        fd = self._ready(to)
        self._landing.touch(fd)
        passage = self._passage
        if passage.dresser is None or passage.carrier is None:
            return stamp(fd, name, passage.facts_of(entry))
        if entry.kind is Kind.SYMLINK:
            owner, group, losses = passage.dresser.owners(entry, to, name)
            passage.carrier.note(losses)
            return stamp(fd, name, passage.facts_of(entry)._replace(owner=owner, group=group))
        passage.carrier.note(self._dress(to, entry, name))
        return stamp(fd, name, passage.facts_of(entry))

    def dress(self, to: Side, entry: Entry, name: str) -> tuple[Loss, ...]:
        fd = self._ready(to)
        self._landing.touch(fd)
        dresser = self._passage.dresser
        if dresser is None or entry.kind is not Kind.SYMLINK:
            return () if dresser is None else self._dress(to, entry, name)
        owner, group, losses = dresser.owners(entry, to, name)
        stamp(fd, name, Facts(owner=owner, group=group))
        return losses

    def _dress(self, to: Side, entry: Entry, name: str, *, is_filled: bool = True) -> tuple[Loss, ...]:
        """Give what stands under a name what its like on the other side has besides content."""
        dresser = self._passage.dresser
        if dresser is None:
            raise AssertionError("asked only where something travels")
        with translate("set the permissions of", name):
            s_fd = open_to_inspect(self._fd(to.other), entry.name)
            try:
                d_fd = open_to_inspect(self._fd(to), name)
                try:
                    return dresser.dress(s_fd, d_fd, to, name, entry.mode, is_filled=is_filled)
                finally:
                    os.close(d_fd)
            finally:
                os.close(s_fd)

    def holds_earlier(self, to: Side, entry: Entry, there: Entry) -> bool:
        return False

    def rename(self, side: Side, name: str, new_name: str) -> None:
        fd = self._ready(side)
        with translate("rename", name, side):
            rename_new(fd, name, fd, new_name)
        self._landing.touch(fd)

    def content_hash(self, side: Side, entry: Entry, *, is_cold: bool = False) -> bytes:
        if is_cold:
            evict(self._fd(side), entry.name)
        return hash_file(self._fd(side), entry.name)

    def sweep(self) -> None:
        if self._work.d_path and self._passage.may_stage and self._s_fd >= 0:
            parent_fd = self._passage.destination.open_container(split(self._work.d_path)[0])
            try:
                staging.clear(parent_fd, self._stage_name())
                self._stamp_above(parent_fd)
            finally:
                os.close(parent_fd)
        if self._d_fd >= 0:
            sweep(self._d_fd, self._passage.token)
        if self._passage.both_ways and self._s_fd >= 0:
            sweep(self._s_fd, self._passage.token)

    def seal(self) -> tuple[Entry | None, bool]:
        if self._fd(_DESTINATION) < 0:
            return None, False
        with translate("set times and permissions of", self._work.d_path):
            before = os.fstat(self._d_fd)
            if self._s_fd >= 0:
                source = entry_of(".", os.fstat(self._s_fd))
                self._dress_container(source, before)
                stamp_fd(self._d_fd, self._passage.facts_of(source))
            after = os.fstat(self._d_fd)
        has_changed = before.st_ctime_ns != after.st_ctime_ns
        if has_changed:
            self._landing.touch(self._d_fd)
        return entry_of(".", after), has_changed

    def _dress_container(self, source: Entry, st: os.stat_result) -> None:
        """Give the container its owner and lists once; later only the mode that filling it took away."""
        dresser, carrier = self._passage.dresser, self._passage.carrier
        if dresser is None or carrier is None:
            return
        if not self._work.carried:
            name = self._work.d_path
            carrier.note(dresser.dress(self._s_fd, self._d_fd, _DESTINATION, name, source.mode))
        elif self._opened_from is not None:
            os.fchmod(self._d_fd, stat.S_IMODE(self._opened_from))

    def identity(self, *, has_containers: bool) -> bytes:
        if self._fd(_DESTINATION) < 0:
            return b"nothing"
        st = os.fstat(self._d_fd)
        # A container that appears by a rename changes the folder's ctime, after the folder's own visit.
        changed = 0 if has_containers and self._passage.may_stage else st.st_ctime_ns
        return b"%d %d %d %d" % (st.st_dev, st.st_ino, st.st_mtime_ns, changed)

    def close(self) -> None:
        for fd in (self._s_fd, self._d_fd):
            if fd >= 0:
                os.close(fd)
        self._s_fd = self._d_fd = -1
        # The ticket is the visit that holds this crossing: a circle, and movers seldom look for those.
        self.stage = self.stage_ticket = None


_TAKEN = (ErrorKind.ALREADY_EXISTS, ErrorKind.CHANGED_DURING_COPY)  # what stands there is not what was expected


class InStage(NamedTuple):
    """The ticket of what lands in a stage: it is not done before the stage is shown."""

    ticket: Any
    stage: Stage


def _seen(ticket: Any, outcome: Any) -> Settled:
    """Say what came of something carried, now that the stage it may be in is shown or never will be."""
    if type(ticket) is not InStage:
        return ticket, outcome
    return ticket.ticket, ticket.stage.error or outcome


class Made(NamedTuple):
    """One name of a group of hard links that stands."""

    position: int
    d_fd: int
    d_name: str
    hash: bytes
    moved: int
    losses: tuple[Loss, ...]


def _nothing_lost() -> tuple[Loss, ...]:
    return ()


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
