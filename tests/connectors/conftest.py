"""Servers that the tests of connectors share, one each per test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallyport.testing import object_servers
from tallyport.testing.object_servers import S3Server


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    with object_servers.seaweed() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with object_servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def lying_s3() -> Iterator[S3Server]:
    with object_servers.lying_s3() as server:
        yield server
