"""What is wrong with where a connection leads is told of the field that says so, of every platform."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.connectors import hosts, reach
from tallyport.control import connections
from tallyport.domain.errors import ErrorKind, TallyportError
from tests.api.world import World
from tests.connectors.test_guarded_hosts import PLATFORMS, settings_of

FIELDS = {**dict.fromkeys(PLATFORMS, "endpoint"), **dict.fromkeys(("sftp", "smb", "ftp"), "host"), "webdav": "url"}
NOWHERE = "nowhere.invalid"


def document(platform: str, host: str) -> dict[str, Any]:
    more = {"path": "somewhere"} if platform == "smb" else {"path": "/somewhere"}
    auth = settings_of(platform, host) | (more if FIELDS[platform] == "host" else {})
    return {"name": "place", "platform": {"id": platform}, "auth": auth}


def told(answer: Any) -> str:
    assert answer.status_code == 400, answer.text
    ((path,),) = [[one["path"] for one in answer.json()["errors"]]]
    return str(path)


@pytest.fixture(autouse=True)
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "reaches_private_networks", lambda: False)


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "::1", "2130706433", NOWHERE])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_refused_host_is_told_of_its_field(world: World, platform: str, host: str) -> None:
    assert told(world.post("/v1/connections", json=document(platform, host))) == f"/auth/{FIELDS[platform]}"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_host_that_is_refused_only_when_it_is_opened_is_told_of_its_field(
    world: World, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server may answer the second time with another address."""
    monkeypatch.setattr(hosts, "pinned", lambda host, port, *, allow_private: "93.184.216.34")
    assert told(world.post("/v1/connections", json=document(platform, "127.0.0.1"))) == f"/auth/{FIELDS[platform]}"


def test_a_refused_host_in_a_connection_string_is_told_of_that(world: World) -> None:
    text = "AccountName=account;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/account"
    auth = {"container": "some-container", "connection_string": text}
    answer = world.post("/v1/connections", json={"name": "place", "platform": {"id": "azure_blob"}, "auth": auth})
    assert told(answer) == "/auth/connection_string"


@pytest.mark.parametrize("host", ["127.0.0.1", NOWHERE])
def test_a_connection_that_is_pointed_to_a_refused_host_is_told_of_its_field(world: World, host: str) -> None:
    made = world.post("/v1/connections", json={"platform": {"id": "memory"}, "auth": {"store": "patched"}})
    assert made.status_code == 201
    with world.database.begin() as tx:
        tx.exec_driver_sql("UPDATE connections SET platform = 'sftp', settings = '{\"host\": \"93.184.216.34\"}'")
    patch = {"auth": {"host": host, "username": "u", "password": "p", "path": "/x", "store": None}}
    assert told(world.patch(made.headers["location"], json=patch)) == "/auth/host"


@pytest.mark.parametrize("endpoint", ["https://[[::1]]", "https://[::1", "https://", "http://host:port", "ftp://host"])
def test_an_endpoint_that_is_no_address_is_told_of_its_field(world: World, endpoint: str) -> None:
    auth = {"bucket": "some-bucket", "endpoint": endpoint, "access_key": "a", "secret_key": "s"}
    answer = world.post("/v1/connections", json={"name": "place", "platform": {"id": "s3"}, "auth": auth})
    assert told(answer) == "/auth/endpoint"


@pytest.mark.parametrize(
    ("kind", "setting", "field"),
    [
        (ErrorKind.CONFIG, "host_key", "/auth/host_key"),
        (ErrorKind.NOT_FOUND, "", "/auth/path"),
        (ErrorKind.TIMEOUT, "", "/auth/host"),
        (ErrorKind.UNAUTHENTICATED, "", "/auth"),
    ],
)
def test_what_opening_complains_of_is_told_of_what_is_to_be_put_right(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: ErrorKind, setting: str, field: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TallyportError(kind, "not so", setting=setting)

    monkeypatch.setattr(connections, "open_connection", refuse)
    monkeypatch.setattr(hosts, "pinned", lambda host, port, *, allow_private: "93.184.216.34")
    assert told(world.post("/v1/connections", json=document("sftp", "93.184.216.34"))) == field
