"""A platform that says when it may be asked again is asked nothing before, also in the middle of one call."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

import pytest

from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.memory import Memory
from tallyport.connectors.opening import open_connection
from tallyport.connectors.pausing import LONGEST, Pause, heeding
from tallyport.connectors.protocol import Connector, Facts, Uploads
from tallyport.connectors.registry import platform
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing import azure_server, nextcloud_server, share_servers
from tallyport.testing.azure_server import AzureServer
from tallyport.testing.connector_contract import refused
from tallyport.testing.gcs_server import GcsServer
from tallyport.testing.object_servers import S3Server
from tallyport.testing.proxy import Proxy, Trouble, proxied
from tallyport.testing.worlds import content, read_all
from tests.clock import Clock

MIB = 1024 * 1024
WAIT = 1  # seconds that the platform asks for
IN_PARTS = ("s3", "s3 by the SDK", "azure_blob", "gcs", "nextcloud")
PLATFORMS = (*IN_PARTS, "webdav")


class Behind(NamedTuple):
    """A platform behind a bad network."""

    platform: str
    settings: dict[str, object]
    proxy: Proxy
    size: int = 17 * MIB  # of a content that takes several requests
    flowing: str = ""  # method of the request that is open as long as content is given


@pytest.fixture(scope="module")
def wsgidav() -> Iterator[share_servers.DavServer]:
    with share_servers.wsgidav() as server:
        yield server


@pytest.fixture(scope="module")
def nextcloud() -> Iterator[share_servers.DavServer]:
    with nextcloud_server.nextcloud() as server:
        yield server


@pytest.fixture(params=PLATFORMS)
def behind(request: pytest.FixtureRequest) -> Iterator[Behind]:
    with placed(request.param, request.getfixturevalue) as behind:
        yield behind


@contextmanager
def placed(name: str, fixture: Callable[[str], object]) -> Iterator[Behind]:
    if name.startswith("s3"):
        s3 = fixture("seaweed")
        assert isinstance(s3, S3Server)
        with proxied(int(s3.endpoint.rpartition(":")[2])) as proxy:
            yield Behind("s3", {**S3Server(proxy.endpoint).settings(), "lean": name == "s3"}, proxy)
    elif name == "azure_blob":
        azure = fixture("azurite")
        assert isinstance(azure, AzureServer)
        with proxied(azure.port) as proxy:
            endpoint = f"{proxy.endpoint}/{azure_server.ACCOUNT}"
            yield Behind(name, dict(azure.settings(endpoint=endpoint)), proxy)
    elif name == "gcs":
        gcs = fixture("fake_gcs")
        assert isinstance(gcs, GcsServer)
        with proxied(gcs.port) as proxy:
            yield Behind(name, dict(gcs.settings(endpoint=proxy.endpoint)), proxy)
    else:
        dav = fixture("wsgidav" if name == "webdav" else "nextcloud")
        assert isinstance(dav, share_servers.DavServer)
        here = dav.url.split("/")[2]
        with proxied(int(here.rpartition(":")[2])) as proxy:
            url = dav.url.replace(here, f"127.0.0.1:{proxy.port}")
            yield Behind("webdav", {**dav.settings, "url": url}, proxy, 3 * MIB, "PUT")


def opened(behind: Behind) -> Connector:
    settings = platform(behind.platform).read_settings(behind.settings)
    connector: Connector = platform(behind.platform).open(settings, f"paused-{uuid.uuid4().hex[:8]}", make=True)
    return connector


def refuse(behind: Behind, status: int, path: str = "*") -> None:
    headers = (("Retry-After", str(WAIT)),)
    behind.proxy.counts.clear()
    behind.proxy.script.append(Trouble(path=path, status=status, headers=headers))


def early(behind: Behind) -> list[str]:
    """Give the requests that came after the refusal and before its time was over."""
    ((at, _),) = behind.proxy.fired
    came = [one for one in behind.proxy.passed if at < one.at < at + WAIT]
    return [f"{one.method} {one.path}" for one in came if one.method != behind.flowing]


def test_a_write_of_several_requests_goes_on_when_the_time_is_over(behind: Behind) -> None:
    """Somebody else was refused while this content was on its way."""
    data = content(behind.size, 1)
    with closing(opened(behind)) as connector:

        def chunks() -> Iterator[bytes]:
            yield data[: len(data) // 2]
            refuse(behind, 429, "*other*")
            with refused(ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE):
                connector.stat("other")
            yield data[len(data) // 2 :]

        connector.write("big", chunks(), Facts(size=len(data)))
        assert early(behind) == []
        assert read_all(connector, "big") == data


def test_what_is_cleared_away_after_a_refusal_waits_too(behind: Behind) -> None:
    data = content(behind.size, 2)
    with closing(opened(behind)) as connector:
        connector.write("big", [b"old"], Facts())

        def chunks() -> Iterator[bytes]:
            yield data[: len(data) // 2]
            refuse(behind, 503)
            yield data[len(data) // 2 :]

        with refused(ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE):
            connector.write("big", chunks(), Facts(size=len(data)))
        assert early(behind) == []
        assert read_all(connector, "big") == b"old"
        assert early(behind) == []


@pytest.mark.parametrize("behind", IN_PARTS, indirect=True)
def test_the_parts_of_an_upload_wait(behind: Behind) -> None:
    data = content(10 * MIB, 3)
    first = 9 * MIB  # more than a request carries, and what is left over is less than a platform takes
    with closing(opened(behind)) as connector:
        assert isinstance(connector, Uploads)
        handle = connector.begin_upload("big", Facts(size=len(data)), token="t")
        refuse(behind, 503)
        with refused(ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE):
            connector.put_part("big", handle, 0, 0, [data[:first]], first)
        receipts = [
            connector.put_part("big", handle, 0, 0, [data[:first]], first),
            connector.put_part("big", handle, 1, first, [data[first:]], len(data) - first),
        ]
        connector.finish_upload("big", handle, receipts, Facts(size=len(data)))
        assert early(behind) == []
        assert read_all(connector, "big") == data


def test_whoever_has_a_connection_of_the_same_platform_waits(behind: Behind) -> None:
    with (
        closing(open_connection(behind.platform, behind.settings, "one", make=True)) as one,
        closing(open_connection(behind.platform, behind.settings, "two", make=True)) as two,
    ):
        two.write("kept", [b"content"], Facts())
        refuse(behind, 503)
        with refused(ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE):
            one.write("refused", [b"content"], Facts())
        assert read_all(two, "kept") == b"content"
        assert early(behind) == []


def test_the_longest_pause_counts() -> None:
    clock = Clock()
    pause = Pause(clock=clock, sleep=clock.sleep)
    pause.wait("look")
    assert clock.now == 0
    for seconds in (5.0, 2.0, None, 0.0):
        pause.hold(seconds)
    pause.wait("look")
    assert clock.now == 5


def test_a_pause_too_long_to_wait_here_is_told() -> None:
    clock = Clock()
    pause = Pause(clock=clock, sleep=clock.sleep)
    pause.hold(LONGEST + 60)
    with pytest.raises(TallyportError, match="90 more seconds") as found:
        pause.wait("look", "a")
    assert (found.value.kind, found.value.retry_after, found.value.path) == (ErrorKind.RATE_LIMITED, 90, "a")
    assert clock.now == 0


def test_a_wait_ends_once_its_thread_is_to_stop_and_says_how_much_was_left() -> None:
    clock = Clock()
    pause = Pause(clock=clock, sleep=clock.sleep)
    pause.hold(20)
    with heeding(lambda: clock.now >= 1), pytest.raises(TallyportError, match="19 more seconds") as found:
        pause.wait("look", "a")
    assert (found.value.kind, found.value.retry_after, clock.now) == (ErrorKind.RATE_LIMITED, 19, 1)
    pause.wait("look")
    assert clock.now == 20


def test_a_call_is_not_made_again_once_its_thread_is_to_stop() -> None:
    clock = Clock()
    tries: list[float] = []

    class Busy(Memory):
        def stat(self, path: str) -> None:
            tries.append(clock.now)
            raise TallyportError(ErrorKind.RATE_LIMITED, "busy", retry_after=20)

    patient = Retrying(Busy(), sleep=clock.sleep)
    with heeding(lambda: clock.now >= 1), pytest.raises(TallyportError, match="busy"):
        patient.stat("a")
    assert (tries, clock.now) == ([0], 1)
