"""One container of two local trees: both folders by a descriptor, held while it is visited."""

import os
import stat
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tallyport.connectors.local_content import evict
from tallyport.connectors.local_errors import translate
from tallyport.connectors.local_files import (
    hash_file,
)
from tallyport.connectors.local_folders import (
    entry_at,
    entry_of,
    make_folder,
    open_below,
    open_to_inspect,
    rename_new,
    stamp,
    stamp_fd,
    sweep,
)
from tallyport.connectors.protocol import Facts
from tallyport.connectors.temporaries import TEMPORARY
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.losses import Loss
from tallyport.domain.paths import join, segments, split
from tallyport.engine import staging
from tallyport.engine.listing_local import LocalListing
from tallyport.engine.passage import (
    Settled,
)
from tallyport.engine.staging import Stage
from tallyport.engine.work import (
    VisitWork,
)

if TYPE_CHECKING:
    from tallyport.engine.passage_local import LocalPassage

_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_FILE = Kind.FILE


class LocalCrossing:
    """One folder on both sides, each by a descriptor. A destination that is missing is made when it is needed."""

    def __init__(self, passage: "LocalPassage", work: VisitWork) -> None:
        self._passage = passage
        self._work = work
        self._landing = passage.landing
        self._s_fd = -1 if work.gone == "source" else passage.source.open_container(work.path)
        self._modified = os.fstat(self._s_fd).st_mtime_ns if passage.removes_source and self._s_fd >= 0 else None
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

    def look_many(self, side: Side, names: Sequence[str]) -> Sequence[Entry | None]:
        return [self.look(side, name) for name in names]

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

    def listing(self, side: Side, *, counts: bool = True) -> LocalListing:
        return LocalListing(self._fd(side), self._work.path if side is _SOURCE else self._work.d_path)

    def recounted(self, listing: LocalListing) -> LocalListing:
        return listing

    def counted(self, side: Side, entry: Entry) -> Entry:
        return entry

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

    def put_back(self) -> None:
        if self._d_fd < 0 or self._s_fd < 0 or self._passage.is_dry:
            return
        with translate("set times and permissions of", self._work.d_path):
            if self._opened_from is not None:
                os.fchmod(self._d_fd, stat.S_IMODE(self._opened_from))
            if self._passage.times:
                # What a move takes away at the source changes its times: as it was found counts.
                modified = os.fstat(self._s_fd).st_mtime_ns if self._modified is None else self._modified
                stamp_fd(self._d_fd, Facts(modified=modified))

    def unstage(self) -> None:
        """Take away what is filled out of sight, and will not be shown."""
        stage = self.stage
        if stage is None or stage.is_shown:
            return
        try:
            staging.take_away(stage)
            self._stamp_above(stage.parent_fd)
        except TallyportError:
            pass  # the sweep of the next visit removes it

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


class InStage(NamedTuple):
    """The ticket of what lands in a stage: it is not done before the stage is shown."""

    ticket: Any
    stage: Stage


def seen(ticket: Any, outcome: Any) -> Settled:
    """Say what came of something carried, now that the stage it may be in is shown or never will be."""
    if type(ticket) is not InStage:
        return ticket, outcome
    return ticket.ticket, ticket.stage.error or outcome


def _nothing_lost() -> tuple[Loss, ...]:
    return ()
