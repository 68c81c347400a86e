"""One look at the ledger for all who watch: what is new is written once and handed to every watcher it concerns.

A watcher costs memory for what it has not read yet and nothing else: the number of watchers changes neither the number
of queries nor the work of writing a frame. Nobody watches, nothing is looked at.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from tallyport.api.events import shapes
from tallyport.control import watching
from tallyport.control.progress import Gauge
from tallyport.domain.events import Topic
from tallyport.domain.executions import Execution
from tallyport.store.database import Database
from tallyport.store.events import Event

EVERY = 0.35  # seconds between two looks: about three a second
CROWDED = 50  # watchers above which a look is taken half as often
KEEP_ALIVE = 15.0  # seconds
TOKENS_EVERY = 4.0  # seconds between two looks at whether the watchers' tokens still hold
MOST_UNREAD = 256 * 1024  # bytes: who reads slower is let go, and comes back with the id it had
MOST_WATCHERS = 2_000
PAGE = 500
RETRY = b"retry: 2000\n\n"


class Full(Exception):
    """No more watchers are let in."""


class Watch(NamedTuple):
    """What somebody wants to see."""

    job_id: str | None  # None: every job
    token_id: str
    topics: frozenset[str] = frozenset()  # none: all
    after: int | None = None  # id of the last event seen; None: what happens from now on


class Watcher:
    """One open stream."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._unread = bytearray()
        self._ready = asyncio.Event()
        self._is_over = False

    def give(self, frame: bytes) -> None:
        """Hand over a frame; a watcher that does not read is let go."""
        if len(self._unread) + len(frame) > MOST_UNREAD:
            self._unread.clear()
            self._is_over = True
        elif not self._is_over:
            self._unread += frame
        self._ready.set()

    def end(self) -> None:
        """End the stream after what was handed over."""
        self._is_over = True
        self._ready.set()

    def wants(self, event: Event) -> bool:
        """Tell whether an event is for this watcher."""
        chosen = self.watch
        return (chosen.job_id is None or chosen.job_id == event.job_id) and (
            not chosen.topics or event.topic in chosen.topics
        )

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield what was handed over, as much at once as there is."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            if self._unread:
                content = bytes(self._unread)
                self._unread.clear()
                yield content
            if self._is_over:
                return


class Hub:
    """Where streams are opened. One per process; every method but ``close`` belongs to the event loop."""

    def __init__(self, database: Database, gauge: Gauge, *, hidden: Collection[str] = ()) -> None:
        self._database = database
        self._gauge = gauge
        self._hidden = frozenset(hidden)
        self._watchers: set[Watcher] = set()
        self._poller: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last = 0
        self._shown: dict[str, tuple[object, ...]] = {}  # job: what its last progress frame said
        self._previous: dict[int, Execution | None] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._watchers)

    def close(self) -> None:
        """End every stream and open no more. From any thread, or from a signal."""
        self._is_closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_all)

    async def open(self, watch: Watch) -> AsyncIterator[bytes]:
        """Open a stream, or raise Full. What was missed comes first, then how it stands, then what happens."""
        if self._is_closed or len(self._watchers) >= MOST_WATCHERS:
            raise Full
        if watch.after is not None:
            return self._stream(watch, watch.after)
        # Read before the answer begins: all that happens after the client's first byte is shown.
        _, newest = await run_in_threadpool(watching.bounds, self._database)
        return self._stream(watch, newest)

    async def _stream(self, watch: Watch, after: int) -> AsyncIterator[bytes]:
        watcher = Watcher(watch)
        last: int | None = after
        try:
            # In the set before the first look, so that nothing falls between what is read here and what is handed over.
            self._watchers.add(watcher)
            await self._begin()
            yield RETRY
            async for content, sent, is_over in self._missed(watch, after):
                last = sent
                yield content
                if is_over:
                    return
            if watch.job_id is not None:
                run = await run_in_threadpool(watching.newest_run, self._database, watch.job_id)
                if run is not None:
                    yield await self._progress(run)
            async for content in watcher.frames():
                if last is not None:  # the first frames can hold what was read here, too
                    content, is_past = _later_than(content, last)
                    last = None if is_past else last
                if content:
                    yield content
        finally:
            self._watchers.discard(watcher)

    async def _missed(self, watch: Watch, last: int) -> AsyncIterator[tuple[bytes, int, bool]]:
        """Yield what was written after the last event seen, page by page, and whether it is the end of the job.

        First comes that some is gone, when it is.
        """
        oldest, newest = await run_in_threadpool(watching.bounds, self._database)
        if last > newest or (oldest > last + 1 and last > 0):  # a ledger that was brought back knows less
            yield shapes.frame("gap", {"lastEventId": str(last), "oldest": str(oldest)}), min(last, newest), False
            last = min(last, newest)
        while True:
            page = await run_in_threadpool(
                watching.after, self._database, last, watch.job_id, watch.topics, self._hidden, PAGE
            )
            if not page:
                return
            last = page[-1].id
            yield b"".join(_frame(event) for event in page), last, any(_ends(watch, event) for event in page)
            if len(page) < PAGE:
                return

    async def _begin(self) -> None:
        if self._poller is None or self._poller.done():
            self._loop = asyncio.get_running_loop()
            _, newest = await run_in_threadpool(watching.bounds, self._database)
            if self._poller is None or self._poller.done():
                self._last = newest
                self._poller = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        """Look, hand over, wait; ends when nobody watches."""
        loop = asyncio.get_running_loop()
        alive = checked = loop.time()
        while self._watchers and not self._is_closed:
            jobs = {w.watch.job_id for w in self._watchers if w.watch.job_id is not None}
            now = loop.time()
            tokens: set[str] = set()
            if now - checked >= TOKENS_EVERY:
                tokens, checked = {w.watch.token_id for w in self._watchers}, now
            try:
                seen = await run_in_threadpool(watching.look, self._database, self._last, jobs, tokens, self._hidden)
            except Exception:  # the top of a task: an outage of the store passes, the next look sees it all
                watching.log.exception("watch.failed")
                await asyncio.sleep(EVERY)
                continue
            self._hand_over(seen.events)
            for run in seen.runs:
                await self._hand_over_progress(run)
            for watcher in [w for w in self._watchers if w.watch.token_id in seen.void]:
                watcher.end()
            if now - alive >= KEEP_ALIVE:
                alive = now
                for watcher in list(self._watchers):
                    watcher.give(b": keep-alive\n\n")
            await asyncio.sleep(EVERY if len(self._watchers) <= CROWDED else 2 * EVERY)
        self._end_all()
        self._shown.clear()
        self._previous.clear()

    def _hand_over(self, events: Sequence[Event]) -> None:
        for event in events:
            self._last = event.id
            frame: bytes | None = None
            for watcher in list(self._watchers):
                if watcher.wants(event):
                    frame = _frame(event) if frame is None else frame
                    watcher.give(frame)
                    if _ends(watcher.watch, event):
                        watcher.end()

    async def _hand_over_progress(self, run: Execution) -> None:
        state = (run.id, run.state, run.phase, run.info, run.files, run.items, run.transferred_bytes, run.bytes)
        if self._shown.get(run.job_id) == state:
            return
        self._shown[run.job_id] = state
        frame = await self._progress(run)
        for watcher in list(self._watchers):
            if watcher.watch.job_id == run.job_id and not watcher.watch.topics:
                watcher.give(frame)

    async def _progress(self, run: Execution) -> bytes:
        if run.id not in self._previous:
            if len(self._previous) > 4_096:
                self._previous.clear()
            self._previous[run.id] = await run_in_threadpool(watching.previous_run, self._database, run)
        percent = await run_in_threadpool(self._gauge.percent, run, self._previous[run.id])
        return shapes.frame("progress", shapes.progress(run, percent))

    def _end_all(self) -> None:
        for watcher in list(self._watchers):
            watcher.end()


def _ends(watch: Watch, event: Event) -> bool:
    """Tell whether nothing can follow an event: it says that the one job that is watched was deleted."""
    return event.topic == Topic.DELETED and watch.job_id is not None


def _frame(event: Event) -> bytes:
    return shapes.frame(event.topic, shapes.event(event), id=event.id)


def _later_than(content: bytes, last: int) -> tuple[bytes, bool]:
    """Leave out frames whose id was sent already, and tell whether one with a later id was there."""
    kept, is_past = [], False
    for part in content.split(b"\n\n")[:-1]:
        first = part.partition(b"\n")[0]
        number = int(first[4:]) if first.startswith(b"id: ") else None
        if number is None or number > last:
            kept.append(part + b"\n\n")
            is_past = is_past or number is not None
    return b"".join(kept), is_past
