"""One server for the whole session, its store emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api import world as worlds


@pytest.fixture(scope="session")
def _server(tmp_path_factory) -> Iterator[worlds.World]:
    with pytest.MonkeyPatch.context() as patch:
        made = worlds.make(str(tmp_path_factory.mktemp("server")), patch)
        yield made
        worlds.close(made)


@pytest.fixture
def world(_server: worlds.World, tmp_path, monkeypatch: pytest.MonkeyPatch) -> worlds.World:
    return worlds.fresh(_server, str(tmp_path))


@pytest.fixture
def new_world(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[worlds.World]:
    """Give a server of one's own, for tests that change the server itself."""
    made = worlds.make(str(tmp_path), monkeypatch)
    yield made
    worlds.close(made)
