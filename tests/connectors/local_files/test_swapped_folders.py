"""Somebody swaps folders for symlinks all the time: nothing outside the root is touched."""

from __future__ import annotations

import os

from tallyport.connectors.local_files import (
    TEMPORARY,
    Landed,
    Landing,
    entries,
    entry_at,
    hash_file,
    make_folder,
    open_below,
    remove,
    rename_new,
    stamp,
    sweep,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing import faults
from tests.connectors.local_files.conftest import (
    MOMENT,
    NONE,
    Two,
)

# -- somebody swaps folders for symlinks all the time


def test_nothing_outside_is_touched_while_folders_turn_into_symlinks(tmp_path: object) -> None:
    """P1: list, copy, rename, delete, stamp, make, sweep and hash, each many times, with a canary outside."""
    place = str(tmp_path)
    os.makedirs(f"{place}/root/real/sub")
    os.makedirs(f"{place}/outside/sub")
    os.symlink(f"{place}/outside", f"{place}/root/swapped")
    files = ("victim", "sub/victim", f"{TEMPORARY}token-1")
    for name in files:
        with open(f"{place}/outside/{name}", "wb") as stream:
            stream.write(b"canary")
    facts = Facts(mode=0o777, modified=1)

    def canary() -> list[object]:
        found: list[object] = []
        for folder, folders, names in os.walk(f"{place}/outside"):
            for name in sorted([".", *folders, *names]):
                st = os.lstat(f"{folder}/{name}")
                found.append((folder, name, st.st_ino, st.st_mode, st.st_nlink, st.st_mtime_ns, st.st_ctime_ns))
        return found

    before = canary()
    done = {"inside": 0, "refused": 0}
    kinds: set[ErrorKind] = set()
    later_kinds: set[ErrorKind] = set()
    source = os.open(place, os.O_RDONLY)
    with open(f"{place}/new", "wb") as stream:
        stream.write(b"new")
    new = entry_at(source, "new")
    assert new is not None
    root_fd = os.open(f"{place}/root", os.O_RDONLY)

    def tries(folder_fd: int) -> None:
        for entry in list(entries(folder_fd)):
            if entry.kind is Kind.FILE:
                hash_file(folder_fd, entry.name)
                stamp(folder_fd, entry.name, facts)
                remove(folder_fd, entry.name, Kind.FILE, None)
        sweep(folder_fd, "token")
        make_folder(folder_fd, "made")
        remove(folder_fd, "made", Kind.CONTAINER, None)
        with Landing(NONE, "token") as landing:
            for name in ("victim", "other"):
                landing.copy(source, new, folder_fd, name, facts=facts, replaces=None, new=False, ticket=0)
            landing.settle()
        rename_new(folder_fd, "other", folder_fd, "third")

    with faults.Flipper([(f"{place}/root/real", f"{place}/root/swapped")]) as flipper:
        turn = 0
        # Until it was tried often enough in each way, however the processor is shared with the flipper.
        while turn < 1000 or flipper.flips <= 100 or min(done.values()) <= 50:
            path = ("real", "real/sub", "swapped/sub")[turn % 3]
            turn += 1
            try:
                fd = open_below(root_fd, path)
            except TallyportError as error:
                kinds.add(error.kind)
                done["refused"] += 1
                continue
            try:
                tries(fd)
            finally:
                os.close(fd)
            done["inside"] += 1
            try:
                stamp(root_fd, "real", Facts(modified=1))
                remove(root_fd, "swapped", Kind.FILE, None)
            except TallyportError as error:
                later_kinds.add(error.kind)
    assert kinds == {ErrorKind.NOT_FOUND}
    assert later_kinds <= {ErrorKind.CHANGED_DURING_COPY, ErrorKind.NOT_FOUND}
    assert canary() == before
    os.close(root_fd)
    os.close(source)


def test_a_source_file_that_turns_into_a_symlink_is_never_followed(two: Two) -> None:
    """The name flips between a file and a symlink to a secret of the same size."""
    entry = two.file("a", b"public")
    with open(f"{two.place}/secret", "wb") as stream:
        stream.write(b"SECRET")
    os.utime(f"{two.place}/secret", ns=(MOMENT, MOMENT))
    os.symlink("../secret", f"{two.source}/b")
    seen = {"copied": 0, "refused": 0}
    with faults.Flipper([(f"{two.source}/a", f"{two.source}/b")]), Landing(NONE, "token") as landing:
        number = 0
        while number < 1000 or not seen["refused"]:
            number += 1
            current = entry_at(two.s_fd, "a")
            assert current is not None
            landing.copy(
                two.s_fd,
                current._replace(kind=Kind.FILE) if number % 2 else entry,
                two.d_fd,
                str(number),
                facts=Facts(),
                replaces=None,
                new=True,
                ticket=number,
            )
            ((_, outcome),) = landing.settle()
            seen["copied" if isinstance(outcome, Landed) else "refused"] += 1
    for name in two.everything():
        assert two.content(name) == b"public"
    os.unlink(f"{two.place}/secret")
