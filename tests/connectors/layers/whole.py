"""A connector that can do everything, each layer around it, every call, and time that passes only in sleep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from tallyport.connectors.layers.faulty import Faulty
from tallyport.connectors.layers.layer import ABILITIES, Layer
from tallyport.connectors.layers.limited import Limited
from tallyport.connectors.layers.measured import Measured
from tallyport.connectors.layers.read_only import ReadOnly
from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.layers.throttled import Bucket, Throttled
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import ANYTHING, Connector, Facts, Page, Precondition
from tallyport.domain.access import Access, Principal, PrincipalKind
from tallyport.domain.entries import Entry
from tallyport.domain.locks import Lock
from tallyport.domain.versions import Version
from tallyport.testing.worlds import read_all

SOMEBODY = Principal(PrincipalKind.ACCOUNT, name="ann")

WRAPPERS: dict[str, Callable[[Connector], Layer]] = {
    "Measured": Measured,
    "Limited": lambda inner: Limited(inner, 2),
    "Throttled": lambda inner: Throttled(inner, Bucket(None)),
    "Retrying": Retrying,
    "ReadOnly": ReadOnly,
    "Faulty": lambda inner: Faulty(inner, []),
}


class Synced(Memory):
    """Memory that can be asked to be durable."""

    syncs = 0

    def sync(self) -> None:
        self.syncs += 1


class Whole(Synced):
    """Memory with every ability there is, as plain as can be; ``done`` tells what was asked of it."""

    def __new__(cls) -> Whole:
        return object.__new__(cls)  # with abilities that its settings would leave out

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.parts: dict[int, bytes] = {}
        self.held: Lock | None = None
        self.given = Access()
        self.values: dict[str, bytes] = {}

    def page(self, path: str, cursor: str | None = None) -> Page:
        self.done.append("page")
        return Page(tuple(self.children(path)), None)

    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        self.done.append("read_entry")
        return self.read(path, offset=offset, length=length)

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        self.done.append("copy")
        with self.read(path) as chunks:
            return self.write(to, list(chunks), facts, when=when)

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        self.done.append("begin_upload")
        return f"{path} {token}"

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        self.done.append("put_part")
        self.parts[number] = b"".join(content)
        return b"receipt"

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        self.done.append("finish_upload")
        return self.write(path, [self.parts[number] for number in sorted(self.parts)], facts, when=when)

    def abandon_upload(self, path: str, handle: str) -> None:
        self.done.append("abandon_upload")

    def forget_uploads(self, path: str) -> int:
        self.done.append("forget_uploads")
        return 0

    def versions(self, path: str) -> Sequence[Version]:
        self.done.append("versions")
        return [Version("1", 3, 0, is_current=True)]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        self.done.append("read_version")
        return self.read(path, offset=offset, length=length)

    def counted(self, path: str, *, glimpsed: bool = False) -> Iterator[Entry]:
        self.done.append("counted")
        return (entry._replace(contents=1) for entry in self.children(path))

    def access(self, path: str) -> Access:
        self.done.append("access")
        return self.given

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        self.done.append("set_access")
        self.given = access
        return access

    def principals(self, like: Principal) -> Iterator[Principal]:
        self.done.append("principals")
        return iter([like])

    def lock_of(self, path: str) -> Lock | None:
        self.done.append("lock_of")
        return self.held

    def lock(self, path: str, lock: Lock) -> Lock:
        self.done.append("lock")
        self.held = lock
        return lock

    def hold(self, path: str, mark: str) -> None:
        self.done.append("hold")

    def unlock(self, path: str, lock: Lock) -> None:
        self.done.append("unlock")
        self.held = None

    def properties(self, path: str) -> Mapping[str, bytes]:
        self.done.append("properties")
        return self.values

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        self.done.append("set_properties")
        self.values |= {name: value for name, value in values.items() if value is not None}
        return self.values


def abilities(connector: object) -> set[str]:
    return {ability.__name__ for ability in ABILITIES if isinstance(connector, ability)}


def every_call(connector: Connector) -> dict[str, Callable[[], object]]:
    """Give one call of each method, on a tree that holds a.txt."""
    assert abilities(connector) >= abilities(Whole())
    whole: Any = connector
    return {
        "stat": lambda: connector.stat("a.txt"),
        "children": lambda: [*connector.children(""), *whole.counted("")],
        "read": lambda: read_all(connector, "a.txt"),
        "write": lambda: connector.write("b.txt", [b"new"], Facts()),
        "make_container": lambda: connector.make_container("box", Facts()),
        "delete": lambda: connector.delete("c.txt"),
        "stamp": lambda: whole.stamp("a.txt", Facts(modified=0)),
        "rename": lambda: whole.rename("a.txt", "d.txt"),
        "content_hash": lambda: whole.content_hash("d.txt"),
        "make_symlink": lambda: whole.make_symlink("link", "d.txt", Facts()),
        "make_hard_link": lambda: whole.make_hard_link("e.txt", "d.txt"),
        "sync": lambda: whole.sync(),
        "sweep": lambda: whole.sweep("", "token"),
        "page": lambda: whole.page(""),
        "copy": lambda: whole.copy("d.txt", "f.txt", Facts()),
        "begin_upload": lambda: whole.begin_upload("g.txt", Facts(), token="token"),
        "put_part": lambda: whole.put_part("g.txt", "handle", 0, 0, [b"part"], 4),
        "finish_upload": lambda: whole.finish_upload("g.txt", "handle", [b"receipt"], Facts()),
        "abandon_upload": lambda: whole.abandon_upload("g.txt", "handle"),
        "forget_uploads": lambda: whole.forget_uploads("g.txt"),
        "versions": lambda: whole.versions("a.txt"),
        "read_version": lambda: whole.read_version("d.txt", "1"),
        "look_many": lambda: whole.look_many(["d.txt", "box", "nothing"]),
        "access": lambda: whole.access("a.txt"),
        "set_access": lambda: whole.set_access("a.txt", Access(owner=SOMEBODY)),
        "principals": lambda: list(whole.principals(SOMEBODY)),
        "lock_of": lambda: whole.lock_of("a.txt"),
        "lock": lambda: whole.lock("a.txt", Lock(SOMEBODY)),
        "hold": lambda: whole.hold("a.txt", "mark"),
        "unlock": lambda: whole.unlock("a.txt", Lock(SOMEBODY)),
        "properties": lambda: whole.properties("a.txt"),
        "set_properties": lambda: whole.set_properties("a.txt", {"a": b"1"}),
    }
