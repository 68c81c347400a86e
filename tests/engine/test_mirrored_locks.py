"""A lock of the source is made at the destination, lets our changes through, and is given up after the source's."""

from __future__ import annotations

import uuid
from contextlib import closing
from dataclasses import replace

import pytest

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Facts, Locks
from tallyport.domain.errors import TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.policies import LockPropagation, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store.database import Database
from tallyport.testing.worlds import content, read_all
from tests.engine.pairs import Way
from tests.engine.places import Places

BIG = 70_000_000


@pytest.mark.parametrize(
    ("name", "changed"), [("azure", ("held.txt", "gone.bin")), ("wsgidav", ("held.txt",))], ids=["azure", "wsgidav"]
)
def test_a_lock_is_mirrored_lets_our_changes_through_and_is_released_after_the_source_s(
    database: Database, places: Places, name: str, changed: tuple[str, ...]
) -> None:
    here, there = places.new(name).end, places.new(name).end
    policies = replace(
        defaults_for(TransferType.PUBLISH), lock_propagation=LockPropagation.MIRROR_LOCK, max_delete_percent=100.0
    )
    one, other = (open_connection(end.platform, end.settings, end.path, make=True) for end in (here, there))
    assert isinstance(one, Locks)
    assert isinstance(other, Locks)
    mark = str(uuid.uuid4())  # with it the test's own changes of what it locked go through
    second = {"held.txt": b"second", "gone.bin": content(BIG, 2)}
    with closing(one), closing(other):
        for file in second:
            one.write(file, [b"first"], Facts())
        locks = {file: one.lock(file, Lock(mark=mark)) for file in second}
        way = Way(database, here, there, policies)
        assert (way.run().transferred, way.run().writes) == (2, 0)
        for file in changed:
            one.write(file, [second[file]], Facts(size=len(second[file])))
            locks[file] = one.lock(file, Lock(mark=mark))
        run = way.run()
        assert (run.transferred, run.failed) == (len(changed), 0)
        assert all(read_all(other, file) == second[file] for file in changed)
        with pytest.raises(TallyportError, match=r"lock|lease"):
            other.write("held.txt", [b"by a stranger"], Facts())
        one.unlock("held.txt", locks["held.txt"])
        one.unlock("gone.bin", locks["gone.bin"])
        one.delete("gone.bin")
        ended = way.run()
        assert (ended.deleted, ended.failed) == (1, 0)
        assert other.lock_of("held.txt") is None
        assert other.stat("gone.bin") is None
        other.write("held.txt", [b"free"], Facts())
