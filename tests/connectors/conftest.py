"""Servers that the tests of connectors share, one each per test process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tallyport.testing import azure_server, gcs_server, object_servers
from tallyport.testing.azure_server import AzureServer
from tallyport.testing.gcs_server import GcsServer
from tallyport.testing.object_servers import S3Server

IN_CI = os.environ.get("CI", "").lower() == "true"


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    with object_servers.seaweed() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with object_servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[AzureServer]:
    if not azure_server.is_installed() and not IN_CI:
        pytest.skip("needs Azurite: python3 dev.py setup, with npm")
    with azure_server.azurite() as server:
        yield server


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[GcsServer]:
    with gcs_server.fake_gcs() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator[GcsServer]:
    if gcs_server.emulator() is None and not IN_CI:
        pytest.skip("needs fake-gcs-server, which has no program for this machine")
    with gcs_server.fake_gcs_server() as server:
        yield server


@pytest.fixture(scope="session")
def lying_s3() -> Iterator[S3Server]:
    with object_servers.lying_s3() as server:
        yield server
