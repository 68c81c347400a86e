"""Identifiers grow and never repeat, also when a block outruns the clock."""

import threading

from tallyport.store.ids import Ids


def test_identifiers_grow_over_blocks_longer_than_a_millisecond_holds() -> None:
    ids = Ids(worker=5)
    taken = [*ids.block(20000), ids.take(), *ids.block(3)]
    assert taken == sorted(set(taken))
    assert all(0 < number < 1 << 63 for number in taken)


def test_threads_never_get_the_same_identifier() -> None:
    ids = Ids()
    found: list[int] = []

    def take() -> None:
        mine = [ids.take() for _ in range(2_000)]
        found.extend(mine)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8_000


def test_workers_differ() -> None:
    assert not set(Ids(worker=1).block(5_000)) & set(Ids(worker=2).block(5_000))
