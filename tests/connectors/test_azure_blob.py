"""Azure Blob Storage keeps the contract on Azurite, and the traps that it alone has."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import BlobServiceClient, generate_container_sas

from tallyport.connectors import azure_prefix
from tallyport.connectors.azure_blob import LIMITS, MIB, UPLOAD_PART, AzureBlob, Settings, open_azure_blob
from tallyport.connectors.azure_http import way_of
from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.protocol import Connector, Facts, Precondition
from tallyport.connectors.registry import platform
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.paths import join
from tallyport.testing.ability_contract import AbilityContract
from tallyport.testing.azure_server import ACCOUNT, CONTAINER, KEY, AzureServer
from tallyport.testing.connector_contract import ConnectorContract
from tallyport.testing.contract_words import refused
from tallyport.testing.proxy import Trouble, proxied
from tallyport.testing.servers import free_port
from tallyport.testing.worlds import content, made_place, put, read_all


def digest_of(connector: Connector, path: str) -> bytes:
    return hashlib.sha256(read_all(connector, path)).digest()


def opened(server: AzureServer, path: str = "", **more: object) -> AzureBlob:
    settings = platform("azure_blob").read_settings(server.settings(**more))
    assert isinstance(settings, Settings)
    return open_azure_blob(settings, path, make=True)


@pytest.fixture(scope="session")
def on_azurite(azurite: AzureServer) -> Iterator[AzureBlob]:
    with closing(opened(azurite, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        connector.page_size = 100
        yield connector


class TestOnAzurite(ConnectorContract):
    part_size = 8 * 1024 * 1024
    keeps_container_times = False
    above = "run-12345678/"
    upload_part = 9 * 1024 * 1024

    @pytest.fixture
    def connector(self, on_azurite: AzureBlob) -> Connector:
        return on_azurite


# -- versions: snapshots that the connection takes itself


class TestVersionsOnAzurite(AbilityContract):
    upload_part = 9 * MIB

    @pytest.fixture
    def connector(self, azurite: AzureServer) -> Iterator[Connector]:
        with closing(opened(azurite, f"run-{uuid.uuid4().hex[:8]}", versions="snapshots")) as connector:
            connector.page_size = 100
            yield connector


def test_a_write_that_fails_again_and_again_takes_one_snapshot(azurite: AzureServer) -> None:
    with closing(opened(azurite, f"run-{uuid.uuid4().hex[:8]}", versions="snapshots")) as connector:
        put(connector, "a", b"old")
        stale = put(connector, "b")._replace(tag=b"0x0")
        for _ in range(3):
            with refused(ErrorKind.ALREADY_EXISTS):
                connector.write("a", [b"new"], Facts(size=3), when=Precondition(entry=stale))
        assert [one.is_current for one in connector.versions("a")] == [True]
        put(connector, "a", b"new")
        assert [one.is_current for one in connector.versions("a")] == [False, True]


def test_snapshots_of_somebody_are_read_and_keep_a_blob_from_being_deleted(azurite: AzureServer) -> None:
    place = f"run-{uuid.uuid4().hex[:8]}"
    with closing(opened(azurite, place, versions="snapshots")) as connector:
        put(connector, "a", b"old")
        put(connector, "a", b"new")
    with closing(opened(azurite, place)) as connector:
        assert not connector.limits.versions
        assert [one.size for one in connector.versions("a")] == [3, 3]
        with refused(ErrorKind.UNSUPPORTED):
            connector.delete("a")
        assert read_all(connector, "a") == b"new"


# -- leases


def test_a_lease_is_a_lock_that_keeps_others_from_writing(azurite: AzureServer, on_azurite: AzureBlob) -> None:
    path = join(made_place(on_azurite), "a")
    put(on_azurite, path, b"held")
    assert on_azurite.lock_of(path) is None
    held = on_azurite.lock(path, Lock())
    assert on_azurite.lock_of(path) is not None
    for act in (lambda: put(on_azurite, path, b"new"), lambda: on_azurite.lock(path, Lock())):
        with refused(ErrorKind.LOCKED):
            act()
    with refused(ErrorKind.LOCKED):
        on_azurite.delete(path)
    assert read_all(on_azurite, path) == b"held"
    on_azurite.unlock(path, held)
    on_azurite.unlock(path, held)
    assert on_azurite.lock_of(path) is None
    put(on_azurite, path, b"new")


def test_a_lease_with_a_mark_is_known_again_by_another_connection_and_lets_its_changes_through(
    azurite: AzureServer,
) -> None:
    place, mark, big = f"run-{uuid.uuid4().hex[:8]}", str(uuid.uuid4()), content(UPLOAD_PART + 5, 3)
    with closing(opened(azurite, place)) as one, closing(opened(azurite, place)) as other:
        put(one, "a", b"held")
        held = one.lock("a", Lock(mark=mark))
        assert other.lock("a", Lock(mark=mark)) == held
    with closing(opened(azurite, place)) as stranger:
        stranger.hold("a", str(uuid.uuid4()))
        for act in (lambda: put(stranger, "a", b"new"), lambda: stranger.delete("a")):
            with refused(ErrorKind.LOCKED):
                act()
        stranger.hold("a", mark)
        put(stranger, "a", b"new")
        stranger.stamp("a", Facts(modified=1_600_000_000_000_000_000))
        facts = Facts(size=len(big), modified=1)
        handle = stranger.begin_upload("a", facts, token="run")
        receipts = [stranger.put_part("a", handle, 0, 0, [big[:UPLOAD_PART]], UPLOAD_PART)]
        receipts.append(stranger.put_part("a", handle, 1, UPLOAD_PART, [big[UPLOAD_PART:]], 5))
        stranger.finish_upload("a", handle, receipts, facts)
        assert stranger.lock_of("a") is not None
        stranger.delete("a")
        assert stranger.stat("a") is None
        put(stranger, "a", b"again")
        stranger.hold("a", mark)
        put(stranger, "a", b"and again")


def test_a_lock_of_nothing_is_not_found(on_azurite: AzureBlob) -> None:
    with refused(ErrorKind.NOT_FOUND):
        on_azurite.lock(join(made_place(on_azurite), "nothing"), Lock())


# -- uploads


def test_an_upload_goes_on_in_another_process_by_its_handle(azurite: AzureServer) -> None:
    place = f"run-{uuid.uuid4().hex[:8]}"
    data = content(UPLOAD_PART + 5, 1)
    facts = Facts(size=len(data), modified=1_600_000_000_123_456_789)
    with closing(opened(azurite, place)) as first:
        handle = first.begin_upload("big", facts, token="run")
        receipts = [first.put_part("big", handle, 0, 0, [data[:UPLOAD_PART]], UPLOAD_PART)]
    with closing(opened(azurite, place)) as second:
        receipts.append(second.put_part("big", handle, 1, UPLOAD_PART, [data[UPLOAD_PART:]], 5))
        whole = ContentHash()
        whole.update(data)
        entry = second.finish_upload("big", handle, receipts, facts._replace(hash=whole.digest()))
        assert (entry.size, entry.modified, entry.hash) == (len(data), facts.modified, whole.digest())
        assert digest_of(second, "big") == hashlib.sha256(data).digest()


def test_an_abandoned_upload_frees_what_its_blocks_take(azurite: AzureServer) -> None:
    with closing(opened(azurite, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        handle = connector.begin_upload("big", Facts(size=9 * MIB), token="run")
        connector.put_part("big", handle, 0, 0, [bytes(9 * MIB)], 9 * MIB)
        key = connector._key("big", "look at")
        assert sum(connector._waiting(key, "big").values()) == 9 * MIB
        connector.abandon_upload("big", handle)
        assert sum(connector._waiting(key, "big").values()) == 2


def test_parts_of_the_largest_file_fit_the_blocks_of_the_platform(on_azurite: AzureBlob) -> None:
    for size in (1, 400 * 10**9, LIMITS.max_size or 0):
        pieces = int(on_azurite.begin_upload("a", Facts(size=size), token="run").partition(":")[0])
        assert -(-size // UPLOAD_PART) * pieces <= 50_000
    with refused(ErrorKind.TOO_LARGE):
        on_azurite.begin_upload("a", Facts(size=(LIMITS.max_size or 0) + 1), token="run")


# -- folders as others make them


def test_a_folder_that_azure_marks_is_one_container_whatever_lies_in_it(azurite: AzureServer) -> None:
    with closing(opened(azurite, f"run-{uuid.uuid4().hex[:8]}")) as connector:
        connector.make_container("box", Facts())
        put(connector, "box-", b"between")
        put(connector, "box/inside")
        put(connector, "slashed/inside")
        connector._making(f"{connector._base}slashed/", b"", {}, {})
        connector.page_size = 1
        assert sorted(entry.name for entry in connector.children("")) == ["box", "box-", "slashed"]
        assert [entry.name for entry in connector.children("slashed")] == ["inside"]
        connector.delete("box/inside")
        connector.delete("box")
        assert connector.stat("box") is None
        put(connector, "twin", b"a file")
        put(connector, "twin/below", b"below it")
        shown = {entry.name: entry.kind for entry in connector.children("")}
        assert (shown["twin"], shown["␛=twin"]) == (Kind.FILE, Kind.CONTAINER)
        assert read_all(connector, "␛=twin/below") == b"below it"


# -- signing in


def sas(permissions: str = "racwdl") -> str:
    start, end = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    given = generate_container_sas(ACCOUNT, CONTAINER, account_key=KEY, permission=permissions, start=start, expiry=end)
    assert isinstance(given, str)
    return given


@pytest.mark.parametrize("mark", ["", "?"])
def test_a_shared_access_signature_opens_a_container(azurite: AzureServer, mark: str) -> None:
    with closing(opened(azurite, f"run-{uuid.uuid4().hex[:8]}", key="", sas=mark + sas())) as connector:
        written = put(connector, "caf\u00e9 +&%/a b")
        assert connector.stat("caf\u00e9 +&%/a b") == written
        connector.copy("caf\u00e9 +&%/a b", "copied", Facts(), when=Precondition(absent=True))
        assert read_all(connector, "copied") == b"content"


def test_a_signature_that_may_only_read_is_told_so(azurite: AzureServer) -> None:
    with closing(opened(azurite, key="", sas=sas("rl"))) as connector:
        with refused(ErrorKind.PERMISSION_DENIED):
            put(connector, "a")


def test_a_connection_string_says_it_all(azurite: AzureServer) -> None:
    document = {"container": CONTAINER, "connection_string": azurite.connection_string}
    settings = platform("azure_blob").read_settings(document)
    assert isinstance(settings, Settings)
    with closing(open_azure_blob(settings)) as connector:
        assert connector.stat("") is not None


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"account": "abc"}, ErrorKind.CONFIG),
        ({"key": KEY}, ErrorKind.CONFIG),
        ({"account": "abc", "key": "not base64"}, ErrorKind.CONFIG),
        ({"connection_string": "nonsense"}, ErrorKind.CONFIG),
        ({"account": "abc", "sas": "sv=1&sig=2#"}, ErrorKind.CONFIG),
        ({"endpoint": "http://203.0.113.1/abc", "sas": "sv=1&sig=2"}, ErrorKind.CONFIG),
    ],
)
def test_settings_that_cannot_sign_in_are_refused_before_any_call(document: dict[str, str], kind: ErrorKind) -> None:
    settings = platform("azure_blob").read_settings({"container": "c-1", **document})
    assert isinstance(settings, Settings)
    with refused(kind):
        way_of(settings)


def test_the_parts_of_a_connection_string_are_where_the_cloud_puts_them() -> None:
    text = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn"
    way = way_of(Settings(container="abc", connection_string=text))
    assert way == ("acc", "https://acc.blob.core.chinacloudapi.cn", b"key", "")
    assert way_of(Settings(container="abc", connection_string="UseDevelopmentStorage=true")).account == ACCOUNT
    assert way_of(Settings(container="abc", account="acc", key="a2V5")).endpoint == "https://acc.blob.core.windows.net"


def test_wrong_credentials_are_said(azurite: AzureServer) -> None:
    with refused(ErrorKind.UNAUTHENTICATED, ErrorKind.PERMISSION_DENIED):
        opened(azurite, key="d3Jvbmc=")


def test_a_container_that_is_missing_is_said(azurite: AzureServer) -> None:
    with refused(ErrorKind.NOT_FOUND):
        opened(azurite, container="no-such-container")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with refused(ErrorKind.UNAVAILABLE):
        opened(AzureServer(free_port()))


def test_a_prefix_that_is_missing_is_not_found_unless_it_is_to_be_made(azurite: AzureServer) -> None:
    settings = platform("azure_blob").read_settings(azurite.settings(prefix="/fixed/"))
    assert isinstance(settings, Settings)
    with refused(ErrorKind.NOT_FOUND):
        open_azure_blob(settings, "no/such")
    with closing(open_azure_blob(settings, "no/such", make=True)) as connector:
        assert connector.location.endswith(f"/{CONTAINER}/fixed/no/such")


def test_no_secret_is_in_what_is_shown(on_azurite: AzureBlob) -> None:
    assert platform("azure_blob").secret_names() == {"key", "sas", "connection_string"}
    assert KEY not in on_azurite.location


# -- the network


def test_how_long_to_wait_is_heard(azurite: AzureServer) -> None:
    refusing = Trouble(method="PUT", times=None, status=503, headers=(("Retry-After", "17"),))
    with proxied(azurite.port, refusing) as proxy:
        endpoint = f"{proxy.endpoint}/{ACCOUNT}"
        with closing(opened(azurite, endpoint=endpoint)) as connector:
            with pytest.raises(TallyportError) as caught:
                put(connector, "a")
            assert (caught.value.kind, caught.value.retry_after) == (ErrorKind.UNAVAILABLE, 17.0)


@pytest.mark.parametrize("sixteenth", range(0, 16, 3))
def test_content_that_is_cut_is_never_taken_for_whole(azurite: AzureServer, sixteenth: int) -> None:
    place, data = f"run-{uuid.uuid4().hex[:8]}", content(1_000_000, 3)
    with closing(opened(azurite, place)) as connector:
        put(connector, "a", data)
    with proxied(azurite.port, Trouble(method="GET", path="*/a", cut_down=sixteenth / 16)) as proxy:
        with closing(opened(azurite, place, endpoint=f"{proxy.endpoint}/{ACCOUNT}")) as connector:
            with refused(ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT):
                read_all(connector, "a")
            assert read_all(connector, "a") == data


def test_a_bit_that_flips_on_the_way_is_found_in_both_directions(azurite: AzureServer) -> None:
    place, data = f"run-{uuid.uuid4().hex[:8]}", content(1_000_000, 4)
    with closing(opened(azurite, place)) as connector:
        put(connector, "a", data)
    for trouble in (Trouble(method="GET", path="*/a", flip_down=0.5), Trouble(method="PUT", path="*/b", flip_up=0.5)):
        with proxied(azurite.port, trouble) as proxy:
            with closing(opened(azurite, place, endpoint=f"{proxy.endpoint}/{ACCOUNT}")) as connector:
                with refused(ErrorKind.CORRUPT):
                    if trouble.method == "GET":
                        read_all(connector, "a")
                    else:
                        put(connector, "b", data)
                assert connector.stat("b") is None


def test_a_blob_that_has_no_hash_is_read_twice_over_plain_http(
    azurite: AzureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azurite tells an MD5 of every blob; Azure only of those that were stored with one."""
    place, data = f"run-{uuid.uuid4().hex[:8]}", content(3_000_000, 4)
    monkeypatch.setattr(azure_prefix, "md5_in", lambda found: None)
    monkeypatch.setattr(azure_prefix, "hash_in", lambda text: None)
    with proxied(azurite.port) as proxy, closing(opened(azurite, place, endpoint=f"{proxy.endpoint}/{ACCOUNT}")) as one:
        put(one, "a", data)
        assert read_all(one, "a") == data
        for nth in (1, 2):
            proxy.script = [Trouble(method="GET", path="*/a", nth=nth, flip_down=0.9)]
            with refused(ErrorKind.CORRUPT):
                read_all(one, "a")


# -- the vendor's own client, and rclone


def test_the_vendors_client_reads_what_we_wrote_and_we_read_its(azurite: AzureServer) -> None:
    place = f"run-{uuid.uuid4().hex[:8]}"
    data = content(9 * MIB, 5)
    with closing(opened(azurite, place)) as connector:
        connector.write("big.txt", [data], Facts(size=len(data), modified=1_500_000_000_123_456_789))
        with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
            theirs = service.get_container_client(CONTAINER)
            blob = theirs.get_blob_client(f"{place}/big.txt")
            assert blob.download_blob(validate_content=True).readall() == data
            told = blob.get_blob_properties()
            assert told.content_settings.content_md5 == bytearray(hashlib.md5(data).digest())
            assert told.content_settings.content_type == "text/plain"
            assert told.metadata["mtime"] == "2017-07-14T02:40:00.123456789Z"
            theirs.upload_blob(f"{place}/theirs/a", b"theirs", metadata={"someone": "else"})
        assert read_all(connector, "theirs/a") == b"theirs"
        assert connector.properties("theirs/a") == {"someone": b"else"}
        stamped = connector.stamp("theirs/a", Facts(modified=7))
        assert (stamped.modified, connector.properties("theirs/a")) == (7, {"someone": b"else"})
