"""A console in process, and one in a browser over the real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from starlette.testclient import TestClient

from tallyport.web.app import create_console
from tallyport.web.doorway import Doorway
from tests.api import world as worlds


@dataclass
class Console:
    """A world with a browser-like client before it: cookies are kept, redirects are not followed."""

    world: worlds.World
    client: TestClient

    def sign_in(self, role: str = "admin") -> None:
        self.client.cookies.clear()
        answer = self.client.post("/console/sign-in", data={"name": role, "password": f"{role}-password"})
        assert answer.status_code == 303, answer.text

    def page(self, path: str, *, status: int = 200) -> str:
        answer = self.client.get(f"/console{path}")
        assert answer.status_code == status, answer.text
        return answer.text


@pytest.fixture(scope="session")
def _console(tmp_path_factory) -> Iterator[Console]:
    with pytest.MonkeyPatch.context() as patch:
        world = worlds.make(str(tmp_path_factory.mktemp("console")), patch)
        api = world.client.app
        client = TestClient(Doorway(api, create_console(api.state)), follow_redirects=False)
        client.__enter__()
        yield Console(world, client)
        client.__exit__(None, None, None)
        worlds.close(world)


@pytest.fixture
def console(_console: Console, tmp_path) -> Console:
    worlds.fresh(_console.world, str(tmp_path))
    _console.client.cookies.clear()
    return _console
