"""However a server's answers come, in whatever pieces and order, whoever waits for one gets it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tallyport.connectors import event_loop
from tallyport.connectors.protocol import Facts, Precondition
from tallyport.connectors.sftp import Settings, Sftp, open_sftp
from tallyport.testing.sftp_relay import Manner, relayed
from tallyport.testing.share_servers import asyncssh_server
from tallyport.testing.worlds import content, read_all

ABSENT = Precondition(absent=True)
FACTS = Facts(modified=1_700_000_000_000_000_000, mode=0o640)

MANNERS = {
    "as they come": Manner(),
    "byte by byte": Manner(piece=1),
    "in threes": Manner(piece=3),
    "in another order": Manner(held=7, seed=1),
    "a window of a few bytes": Manner(window=40),
    "all at once": Manner(window=64, piece=1, held=5, seed=2),
}


@contextmanager
def connected(manner: Manner) -> Iterator[tuple[Sftp, str]]:
    with relayed(manner) as server, closing(open_sftp(Settings(**server.settings))) as connector:
        yield connector, server.folder


@pytest.mark.needs("sshd")
@pytest.mark.parametrize("manner", MANNERS.values(), ids=MANNERS)
def test_whoever_waits_gets_an_answer(manner: Manner) -> None:
    wanted = {f"f{number}": content(number * 19, 1) for number in range(40)}
    with connected(manner) as (connector, folder), ThreadPoolExecutor(16) as pool:
        put = pool.map(
            lambda one: connector.write(one[0], [one[1]] if one[1] else [], FACTS, when=ABSENT), wanted.items()
        )
        assert {entry.name: entry.size for entry in put} == {name: len(data) for name, data in wanted.items()}
        assert connector._session._lane is not None
        assert sorted(entry.name for entry in connector.children("")) == sorted(wanted)
        assert dict(zip(wanted, pool.map(lambda name: read_all(connector, name), wanted), strict=True)) == wanted
        assert sorted(os.listdir(folder)) == sorted(wanted)


@contextmanager
def one_helper() -> Iterator[None]:
    """Let the library have one thread for what it does beside the loop."""
    loop = event_loop.run(_loop())
    with ThreadPoolExecutor(1) as few:
        loop.set_default_executor(few)
        try:
            yield
        finally:
            loop.set_default_executor(ThreadPoolExecutor())


async def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_connecting_does_not_wait_for_a_thread_that_waits_for_it() -> None:
    with asyncssh_server(version=3) as server, one_helper(), ThreadPoolExecutor(8) as pool:
        settings = Settings(**server.settings)
        for connector in list(pool.map(open_sftp, [settings] * 8)):
            connector.close()


def test_a_connection_that_broke_is_made_anew_for_all_who_wait() -> None:
    with (
        asyncssh_server(version=3) as server,
        closing(open_sftp(Settings(**server.settings))) as connector,
        one_helper(),
        ThreadPoolExecutor(16) as pool,
    ):
        connector.write("a", [b"content"], FACTS)
        connector._drop()
        assert set(pool.map(lambda _: read_all(connector, "a"), range(32))) == {b"content"}
        connector._drop()
        assert all(pool.map(lambda _: connector._do("look at", "a", connector._stat("a")), range(32)))
