"""What the acceptance tests share: folders on the disk, and the promise that nothing keeps running."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallyport.testing import trees
from tests.acceptance import product

# A seed of one's own replays a run; otherwise each run looks elsewhere. It is printed when a test fails.
SEED = int(os.environ.get("TALLYPORT_SEED") or random.randrange(1_000_000))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here + os.sep):
            item.add_marker(pytest.mark.acceptance)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """A folder of the test's own, removed afterwards: the trees are large."""
    yield str(tmp_path)
    trees.remove_tree(str(tmp_path))


@pytest.fixture
def data(place: str) -> str:
    """A data folder that does not exist yet."""
    return os.path.join(place, "data")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """A source of chance that says how to get the same chance again."""
    print(f"replay with TALLYPORT_SEED={SEED} (test {request.node.name})")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def server(place: str) -> Iterator[product.Server]:
    """A running server."""
    with product.serving(place) as running:
        yield running


@pytest.fixture
def make(place: str) -> Callable[[dict[str, str | bytes | None]], str]:
    """Make a small source tree from a picture: path → content, or None for a folder. Returns its path."""

    def make(picture: dict[str, str | bytes | None]) -> str:
        source = os.path.join(place, "source")
        os.makedirs(source)
        for path, content in picture.items():
            whole = os.path.join(source, path)
            os.makedirs(whole if content is None else os.path.dirname(whole), exist_ok=True)
            if content is not None:
                with open(whole, "wb") as stream:
                    stream.write(content.encode() if isinstance(content, str) else content)
        return source

    return make
