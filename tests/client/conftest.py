"""A server of their own for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.server import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as found:
        yield found
