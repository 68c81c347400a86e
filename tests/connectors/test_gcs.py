"""Google Cloud Storage keeps the contract on our fake and on an emulator, and the traps that it alone has."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tallyport.connectors import gcs_uploads
from tallyport.connectors.gcs import MIB, UPLOAD_PART, Gcs, Settings, open_gcs
from tallyport.connectors.object_http import Refused
from tallyport.connectors.protocol import Connector, Facts, Precondition, Properties, Uploads, Versions
from tallyport.connectors.registry import platform
from tallyport.connectors.temporaries import Temporaries
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join
from tallyport.testing import gcs_server
from tallyport.testing.ability_contract import AbilityContract
from tallyport.testing.connector_contract import ConnectorContract
from tallyport.testing.contract_words import able, refused
from tallyport.testing.gcs_server import GcsServer
from tallyport.testing.proxy import Trouble, proxied
from tallyport.testing.servers import free_port
from tallyport.testing.worlds import content, put, read_all


def opened(server: GcsServer, path: str = "", **more: object) -> Gcs:
    settings = platform("gcs").read_settings(server.settings(**more))
    assert isinstance(settings, Settings)
    return open_gcs(settings, path, make=True)


@pytest.fixture(scope="session")
def on_fake(fake_gcs: GcsServer) -> Iterator[Gcs]:
    with closing(opened(fake_gcs, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        connector.page_size = 100
        yield connector


@pytest.fixture(scope="session")
def on_emulator(gcs_emulator: GcsServer) -> Iterator[Gcs]:
    with closing(opened(gcs_emulator, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        # It joins and copies whatever the condition: a probe finds that, and then the name is looked at before.
        connector.limits = replace(connector.limits, creates_only=False, replaces_checked=False)
        connector.page_size = 100
        yield connector


class GcsContract(ConnectorContract):
    __test__ = False
    part_size = 8 * MIB
    keeps_container_times = False
    above = "run-12345678/"
    upload_part = 9 * MIB


class TestOnFake(GcsContract):
    __test__ = True

    @pytest.fixture
    def connector(self, on_fake: Gcs) -> Connector:
        return on_fake

    def abandon(self, connector: Connector, path: str, token: str) -> None:
        assert isinstance(connector, Gcs)
        name = connector._beside(connector._key(join(path, "big"), "write"), Temporaries().name(token))
        connector._store(name, path, [b"half"])


class TestOnEmulator(GcsContract):
    __test__ = True

    @pytest.fixture
    def connector(self, on_emulator: Gcs) -> Connector:
        return on_emulator

    def test_a_range_past_the_end_gives_what_there_is(self, connector: Connector, place: str) -> None:
        """This server breaks the connection where a range begins at the end."""
        self.put(connector, join(place, "a"), b"content")
        assert read_all(connector, join(place, "a"), offset=5, length=100) == b"nt"

    def test_an_upload_over_a_known_entry_replaces_it_and_refuses_another(
        self, connector: Connector, place: str
    ) -> None:
        """This server lets what it joins keep the generation of what it replaces: another cannot be told."""
        path, uploads = join(place, "big"), able(connector, Uploads)
        seen = self.put(connector, path, b"old")
        handle = uploads.begin_upload(path, Facts(size=5), token="token")
        receipt = uploads.put_part(path, handle, 0, 0, [b"parts"], 5)
        uploads.finish_upload(path, handle, [receipt], Facts(size=5), when=Precondition(entry=seen))
        assert read_all(connector, path) == b"parts"

    def test_a_value_that_is_none_is_removed_and_others_stay(self, connector: Connector, place: str) -> None:
        """This server keeps an empty value where one is to be removed."""
        connector.write(join(place, "a"), [b"content"], Facts(size=7))
        properties = able(connector, Properties)
        properties.set_properties(join(place, "a"), {"one": b"1", "Two": b"2"})
        given = properties.set_properties(join(place, "a"), {"one": None, "Two": b"3"})
        assert given["Two"] == b"3"
        assert not given.get("one")

    def test_an_abandoned_upload_leaves_nothing_and_cannot_be_finished(self, connector: Connector, place: str) -> None:
        """This server breaks (500) where parts to join are missing."""
        path, uploads = join(place, "big"), able(connector, Uploads)
        handle = uploads.begin_upload(path, Facts(size=1), token="token")
        receipt = uploads.put_part(path, handle, 0, 0, [b"x"], 1)
        uploads.abandon_upload(path, handle)
        with refused():
            uploads.finish_upload(path, handle, [receipt], Facts(size=1))
        assert list(connector.children(place)) == []


# -- versions


@pytest.fixture(scope="session")
def kept() -> Iterator[GcsServer]:
    with gcs_server.fake_gcs(is_kept=True) as server:
        yield server


class TestVersionsOnFake(AbilityContract):
    upload_part = 9 * MIB

    @pytest.fixture
    def connector(self, kept: GcsServer) -> Iterator[Connector]:
        with closing(opened(kept, f"run-{uuid.uuid4().hex[:8]}")) as connector:
            connector.page_size = 100
            yield connector


def test_a_bucket_without_versions_has_not_the_ability(on_fake: Gcs, kept: GcsServer) -> None:
    assert not isinstance(on_fake, Versions)
    assert not on_fake.limits.versions
    with closing(opened(kept)) as connector:
        assert isinstance(connector, Versions)
        assert connector.limits.versions


def test_what_is_unfinished_leaves_no_version_behind(kept: GcsServer) -> None:
    with closing(opened(kept, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        connector.write("big", [bytes(9 * MIB)], Facts(size=9 * MIB))
        found = list(connector._all(connector._base, "", versions="true"))
        assert [one["name"].rpartition("/")[2] for one in found] == ["big"]


# -- uploads


def test_an_upload_goes_on_in_another_process_by_its_handle(fake_gcs: GcsServer) -> None:
    place = f"run-{uuid.uuid4().hex[:8]}"
    data = content(UPLOAD_PART + 5, 1)
    facts = Facts(size=len(data), modified=1_600_000_000_123_456_789)
    with closing(opened(fake_gcs, place)) as first:
        handle = first.begin_upload("big", facts, token="run")
        receipts = [first.put_part("big", handle, 0, 0, [data[:UPLOAD_PART]], UPLOAD_PART)]
        assert list(first.children("")) == []
    with closing(opened(fake_gcs, place)) as second:
        receipts.append(second.put_part("big", handle, 1, UPLOAD_PART, [data[UPLOAD_PART:]], 5))
        entry = second.finish_upload("big", handle, receipts, facts)
        assert (entry.size, entry.modified) == (len(data), facts.modified)
        assert read_all(second, "big") == data
        assert [one["name"] for one in second._all(second._base, "")] == [f"{place}/big"], "no part is left"


def test_more_parts_than_are_joined_in_one_request_are_joined_in_layers(
    fake_gcs: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs_uploads, "COMPOSED", 3)
    with closing(opened(fake_gcs, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        parts = [b"%d," % number for number in range(40)]
        handle = connector.begin_upload("big", Facts(size=sum(map(len, parts))), token="run")
        receipts = [
            connector.put_part("big", handle, number, 0, [data], len(data)) for number, data in enumerate(parts)
        ]
        entry = connector.finish_upload("big", handle, receipts, Facts())
        assert entry.size == sum(map(len, parts))
        assert read_all(connector, "big") == b"".join(parts)
        assert len(list(connector._all(connector._base, ""))) == 1


def test_a_container_that_holds_only_what_is_unfinished_is_empty_and_swept(fake_gcs: GcsServer) -> None:
    with closing(opened(fake_gcs, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        connector.make_container("box", Facts())
        handle = connector.begin_upload("box/big", Facts(size=5), token="mine")
        receipt = connector.put_part("box/big", handle, 0, 0, [b"parts"], 5)
        connector._store(f"{connector._base}box/{Temporaries().name('mine')}", "box", [b"half"])
        assert list(connector.children("box")) == []
        assert connector.sweep("box", "other") == 0
        assert connector.sweep("box", "mine") == 1, "and not the part of an upload that may go on"
        connector.finish_upload("box/big", handle, [receipt], Facts(size=5))
        connector.delete("box/big")
        assert [one["name"].rpartition("/")[2] for one in connector._all(connector._base, "")] == [""]


# -- signing in


def service_account(token_uri: str) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    told = {"type": "service_account", "client_email": "a@b.test", "private_key": pem, "token_uri": token_uri}
    return json.dumps(told)


def test_the_key_of_a_service_account_is_exchanged_for_a_token(fake_gcs: GcsServer) -> None:
    credentials = service_account(f"{fake_gcs.endpoint}/token")
    with closing(opened(fake_gcs, f"run-{uuid.uuid4().hex[:8]}", token="", credentials=credentials)) as connector:
        assert put(connector, "a") == connector.stat("a")


@pytest.mark.parametrize("body", [b"", b"<html>sign in here</html>", b"[]", b"{}", b'{"access_token": 7}'])
def test_a_sign_in_that_answers_with_no_token_is_said(fake_gcs: GcsServer, body: bytes) -> None:
    with answering(body) as port:
        credentials = service_account(f"http://127.0.0.1:{port}/token")
        with refused(ErrorKind.UNAUTHENTICATED, ErrorKind.UNAVAILABLE):
            opened(fake_gcs, token="", credentials=credentials)


@contextmanager
def answering(body: bytes) -> Iterator[int]:
    """Serve one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_wrong_token_is_said(fake_gcs: GcsServer) -> None:
    with refused(ErrorKind.UNAUTHENTICATED):
        opened(fake_gcs, token="wrong")


@pytest.mark.parametrize(
    "credentials",
    [
        "nonsense",
        "[]",
        '{"type": "external_account", "token_uri": "https://sts.googleapis.com/v1/token"}',
        '{"type": "service_account", "token_uri": "http://203.0.113.1/token"}',
        '{"type": "service_account", "token_uri": "file:///etc/passwd"}',
    ],
)
def test_credentials_that_are_no_service_accounts_are_refused(credentials: str) -> None:
    with refused(ErrorKind.CONFIG):
        platform("gcs").read_settings({"bucket": "b", "credentials": credentials})


def test_a_key_that_cannot_sign_is_said() -> None:
    told = {"type": "service_account", "client_email": "a", "token_uri": "https://a.test", "private_key": "nonsense"}
    with refused(ErrorKind.CONFIG):
        opened(GcsServer(1), credentials=json.dumps(told), sign_in="yes")


def test_a_token_never_goes_over_a_connection_that_others_read() -> None:
    with refused(ErrorKind.CONFIG):
        opened(GcsServer(1), endpoint="http://203.0.113.1", token="secret", sign_in="yes")


def test_an_upload_session_on_another_host_gets_no_token(fake_gcs: GcsServer) -> None:
    with closing(opened(fake_gcs)) as connector:
        with pytest.raises(Refused) as caught:
            connector._bucket.session("PUT", "http://203.0.113.1/upload/storage/v1/b/contract/o?upload_id=none", {})
        assert caught.value.status == 404, "it was our own host that answered"


def test_a_bucket_that_is_missing_is_said(fake_gcs: GcsServer) -> None:
    with refused(ErrorKind.NOT_FOUND):
        opened(fake_gcs, bucket="no-such-bucket")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with refused(ErrorKind.UNAVAILABLE):
        opened(GcsServer(free_port()))


def test_no_secret_is_in_what_is_shown(on_fake: Gcs) -> None:
    assert platform("gcs").secret_names() == {"credentials", "token"}
    assert gcs_server.TOKEN not in on_fake.location


# -- the network


def test_how_long_to_wait_is_heard(fake_gcs: GcsServer) -> None:
    refusing = Trouble(method="POST", times=None, status=429, headers=(("Retry-After", "17"),))
    with proxied(fake_gcs.port, refusing) as proxy, closing(opened(fake_gcs, endpoint=proxy.endpoint)) as connector:
        with pytest.raises(TallyportError) as caught:
            put(connector, "a")
        assert (caught.value.kind, caught.value.retry_after) == (ErrorKind.RATE_LIMITED, 17.0)


@pytest.mark.parametrize("sixteenth", range(0, 16, 3))
def test_content_that_is_cut_is_never_taken_for_whole(fake_gcs: GcsServer, sixteenth: int) -> None:
    place, data = f"run-{uuid.uuid4().hex[:8]}", content(1_000_000, 3)
    with closing(opened(fake_gcs, place)) as connector:
        put(connector, "a", data)
    with proxied(fake_gcs.port, Trouble(method="GET", path="*alt=media*", cut_down=sixteenth / 16)) as proxy:
        with closing(opened(fake_gcs, place, endpoint=proxy.endpoint)) as connector:
            with refused(ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT):
                read_all(connector, "a")
            assert read_all(connector, "a") == data


@pytest.mark.parametrize("size", [1_000_000, 9 * MIB])
def test_a_bit_that_flips_on_the_way_is_found_in_both_directions(fake_gcs: GcsServer, size: int) -> None:
    place, data = f"run-{uuid.uuid4().hex[:8]}", content(size, 4)
    with closing(opened(fake_gcs, place)) as connector:
        put(connector, "a", data)
    up = Trouble(method="POST" if size < MIB else "PUT", path="*uploadType*", flip_up=0.5)
    for trouble in (Trouble(method="GET", path="*alt=media*", flip_down=0.5), up):
        with (
            proxied(fake_gcs.port, trouble) as proxy,
            closing(opened(fake_gcs, place, endpoint=proxy.endpoint)) as connector,
        ):
            with refused(ErrorKind.CORRUPT):
                if trouble.method == "GET":
                    read_all(connector, "a")
                else:
                    put(connector, "b", data)
            assert connector.stat("b") is None
            assert [entry.name for entry in connector.children("")] == ["a"]


# -- rclone, and other programs' times


def test_a_time_that_gsutil_wrote_is_read(fake_gcs: GcsServer) -> None:
    with closing(opened(fake_gcs, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        connector._send(f"{connector._base}a", b"x", {"goog-reserved-file-mtime": "1500000000"}, {})
        entry = connector.stat("a")
        assert entry is not None
        assert entry.modified == 1_500_000_000_000_000_000
