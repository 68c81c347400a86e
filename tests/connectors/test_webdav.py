"""WebDAV keeps the contract on WsgiDAV and on Apache, and its own promises about credentials and folders."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tallyport.connectors import webdav_http, webdav_xml
from tallyport.connectors.nextcloud import Nextcloud
from tallyport.connectors.protocol import Connector, Facts, Locks, Stamps, Uploads, Versions
from tallyport.connectors.registry import platform
from tallyport.connectors.webdav import Settings, Webdav, open_webdav
from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock
from tallyport.testing.connector_contract import ConnectorContract, refused
from tallyport.testing.nextcloud_server import nextcloud
from tallyport.testing.proxy import Trouble, proxied
from tallyport.testing.share_servers import DavServer, apache, wsgidav
from tallyport.testing.worlds import read_all


@pytest.fixture(scope="module")
def on_wsgidav() -> Iterator[DavServer]:
    with wsgidav() as server:
        yield server


@pytest.fixture(scope="module")
def on_apache() -> Iterator[DavServer]:
    with apache() as server:
        yield server


@pytest.fixture(scope="module")
def on_nextcloud() -> Iterator[DavServer]:
    with nextcloud() as server:
        yield server


class DavContract(ConnectorContract):
    def abandon(self, connector: Connector, path: str, token: str) -> None:
        assert isinstance(connector, Webdav)
        name = connector._temporaries.name(token)
        with connector._call("PUT", f"{path}/{name}", "write", body=b"half of it"):
            pass


class TestWsgidav(DavContract):
    """A server that lets times be set, and looks before it moves."""

    keeps_container_times = False
    one_creator = False

    @pytest.fixture
    def connector(self, on_wsgidav: DavServer) -> Iterator[Connector]:
        with closing(open_webdav(Settings(**on_wsgidav.settings), make=True)) as connector:
            yield connector


@pytest.mark.needs("apache2")
class TestApache(DavContract):
    """A server with times of its own and weak ETags."""

    keeps_times = False
    keeps_container_times = False

    @pytest.fixture
    def connector(self, on_apache: DavServer) -> Iterator[Connector]:
        with closing(open_webdav(Settings(**on_apache.settings), make=True)) as connector:
            yield connector


class TestNextcloud(DavContract):
    """What Nextcloud adds: uploads in chunks, versions, times with the upload."""

    keeps_container_times = False

    @pytest.fixture
    def connector(self, on_nextcloud: DavServer) -> Iterator[Connector]:
        with closing(open_webdav(Settings(**on_nextcloud.settings), make=True)) as connector:
            yield connector


# -- credentials


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Run a server that answers everything in one way; gives its address and what it was asked, with credentials."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((f"{self.command} {self.path}", self.headers.get("Authorization")))
            answer(self)

        do_GET = do_PUT = do_PROPFIND = do_MKCOL = do_DELETE = do_MOVE = any

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()
            thread.join(5)


def sent_on(to: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", to)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def status(number: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(number)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def test_credentials_never_follow_a_redirect_to_another_server() -> None:
    with answering(status(207)) as (other, seen), answering(sent_on(f"{other}/x")) as (url, asked):
        with pytest.raises(TallyportError, match="sends us on") as caught:
            open_webdav(Settings(url=url, username="u", password="secret-word"))
        assert caught.value.kind is ErrorKind.CONFIG
        assert "secret-word" not in caught.value.message
    assert seen == []
    assert len(asked) == 1


def test_a_circle_of_redirects_ends() -> None:
    with answering(sent_on("/again")) as (url, asked):
        with refused(ErrorKind.CONFIG):
            open_webdav(Settings(url=url))
        assert len(asked) < 10


def test_credentials_are_not_sent_over_plain_http_unless_that_is_allowed() -> None:
    with pytest.raises(TallyportError, match="plain http") as caught:
        open_webdav(Settings(url="http://files.example.com/dav", username="u", password="p"))
    assert caught.value.kind is ErrorKind.CONFIG


@pytest.mark.parametrize(
    "url",
    ["ftp://host/", "https://", "https://u:p@host/", "https://host/?q", "https://host/#f", "https://host:x/", "host"],
)
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with refused(ErrorKind.CONFIG):
        platform("webdav").read_settings({"url": url})


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (401, ErrorKind.UNAUTHENTICATED),
        (403, ErrorKind.PERMISSION_DENIED),
        (423, ErrorKind.LOCKED),
        (429, ErrorKind.RATE_LIMITED),
        (503, ErrorKind.UNAVAILABLE),
        (507, ErrorKind.NO_SPACE),
        (500, ErrorKind.UNEXPECTED),
        (200, ErrorKind.CONFIG),
    ],
)
def test_what_a_status_means_is_told(number: int, kind: ErrorKind) -> None:
    with answering(status(number, Retry_After="7")) as (url, _):
        with pytest.raises(TallyportError) as caught:
            open_webdav(Settings(url=url))
        assert caught.value.kind is kind
        if kind in (ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE):
            assert caught.value.retry_after == 7.0


def test_wrong_credentials_are_unauthenticated(on_wsgidav: DavServer) -> None:
    with refused(ErrorKind.UNAUTHENTICATED):
        open_webdav(Settings(**{**on_wsgidav.settings, "password": "wrong"}))


# -- what a server may send


BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>
<d:multistatus xmlns:d="DAV:"><d:response><d:href>&c;</d:href></d:response></d:multistatus>"""


@pytest.mark.parametrize("body", [BOMB, b"<html>", b"", b"not xml", b"<d:multistatus xmlns:d='DAV:'>" + b"<a>" * 1000])
def test_xml_that_is_hostile_or_broken_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="XML"):
        list(webdav_xml.responses([body]))
    with answering(status(207, body)) as (url, _), pytest.raises(TallyportError):
        open_webdav(Settings(url=url))


def test_a_listing_is_given_while_it_comes() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'<d:multistatus xmlns:d="DAV:">'
        for number in range(3):
            came.append(number)
            yield b"<d:response><d:href>/%d</d:href></d:response>" % number
        yield b"</d:multistatus>"

    came: list[int] = []
    found = webdav_xml.responses(chunks())
    assert next(found).href == "/0"
    assert came == [0]
    assert [response.href for response in found] == ["/1", "/2"]


def test_a_listing_that_names_something_outside_is_refused() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        there = "/box/" if request.headers["Depth"] == "1" else "/"
        more = "<d:response><d:href>/elsewhere/%2e%2e%2fx</d:href></d:response>" if there == "/box/" else ""
        body = (
            f'<d:multistatus xmlns:d="DAV:"><d:response><d:href>{there}</d:href><d:propstat><d:prop><d:resourcetype>'
            f"<d:collection/></d:resourcetype></d:prop></d:propstat></d:response>{more}</d:multistatus>"
        )
        status(207, body.encode())(request)

    with answering(answer) as (url, _), closing(open_webdav(Settings(url=url))) as connector:
        with pytest.raises(TallyportError, match="not in it"):
            list(connector.children("box"))


# -- what it promises besides the contract


@pytest.mark.parametrize(
    ("number", "kind"), [(500, ErrorKind.UNEXPECTED), (403, ErrorKind.PERMISSION_DENIED)], ids=["500", "403"]
)
@pytest.mark.parametrize("stands", [True, False])
def test_a_server_that_stumbles_over_a_folder_somebody_else_makes_is_asked_what_stands(
    stands: bool, number: int, kind: ErrorKind
) -> None:
    """Several who make one folder at once make WsgiDAV answer 500 and Apache 403, with the folder there."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.command == "MKCOL":
            status(number)(request)
        elif request.path.startswith("/box") and not stands:
            status(404)(request)
        else:
            body = (
                f'<d:multistatus xmlns:d="DAV:"><d:response><d:href>{request.path}</d:href><d:propstat><d:prop>'
                "<d:resourcetype><d:collection/></d:resourcetype></d:prop></d:propstat></d:response></d:multistatus>"
            )
            status(207, body.encode())(request)

    with answering(answer) as (url, _), closing(open_webdav(Settings(url=url))) as connector:
        if stands:
            assert connector.make_container("box", Facts()).kind is Kind.CONTAINER
        else:
            with pytest.raises(TallyportError) as caught:
                connector.make_container("box", Facts())
            assert caught.value.kind is kind


def test_what_a_server_cuts_from_names_is_refused(on_wsgidav: DavServer) -> None:
    """WsgiDAV would move onto the name before the question mark."""
    with closing(open_webdav(Settings(**on_wsgidav.settings), "cut", make=True)) as connector:
        connector.write("what", [b"kept"], Facts())
        with refused(ErrorKind.INVALID_NAME):
            connector.write("what?.txt", [b"other"], Facts())
        assert read_all(connector, "what") == b"kept"
        assert {entry.name for entry in connector.children("")} == {"what"}


def test_times_are_kept_where_the_server_lets_them_be_set(on_wsgidav: DavServer) -> None:
    with closing(open_webdav(Settings(**on_wsgidav.settings), make=True)) as connector:
        assert connector.limits.sets_times
        assert isinstance(connector, Stamps)


@pytest.mark.needs("apache2")
def test_a_server_that_sets_times_itself_is_declared_so(on_apache: DavServer) -> None:
    with closing(open_webdav(Settings(**on_apache.settings), make=True)) as connector:
        assert not connector.limits.sets_times
        assert not isinstance(connector, Stamps)


@pytest.mark.needs("apache2")
def test_a_source_is_opened_without_writing_anything(on_apache: DavServer) -> None:
    import os

    before = sorted(os.listdir(on_apache.folder))
    with closing(open_webdav(Settings(**on_apache.settings))) as connector:
        assert connector.stat("") is not None
    assert sorted(os.listdir(on_apache.folder)) == before


@pytest.mark.needs("apache2")
@pytest.mark.parametrize("where", ["wsgidav", "apache"])
def test_a_lock_keeps_others_out_until_it_is_taken_away(
    on_wsgidav: DavServer, on_apache: DavServer, where: str
) -> None:
    server = on_apache if where == "apache" else on_wsgidav
    settings = Settings(**server.settings)
    with closing(open_webdav(settings, make=True)) as one, closing(open_webdav(settings)) as other:
        assert isinstance(one, Locks)
        one.write("busy", [b"x"], Facts())
        assert one.lock_of("busy") is None
        held = one.lock("busy", Lock(Principal(PrincipalKind.ACCOUNT, name="me")))
        assert held.token
        seen = other.lock_of("busy")
        assert seen is not None
        assert seen.owner == Principal(PrincipalKind.ACCOUNT, name="me")
        with refused(ErrorKind.LOCKED):
            other.lock("busy", Lock())
        with refused(ErrorKind.LOCKED):
            other.write("busy", [b"y"], Facts())
        one.unlock("busy", held)
        assert other.lock_of("busy") is None
        other.write("busy", [b"y"], Facts())
        assert read_all(one, "busy") == b"y"
        one.unlock("busy", held)


@pytest.mark.needs("apache2")
@pytest.mark.parametrize("where", ["wsgidav", "apache"])
def test_a_lock_with_a_mark_is_known_again_by_another_connection_and_lets_its_changes_through(
    on_wsgidav: DavServer, on_apache: DavServer, where: str
) -> None:
    server = on_apache if where == "apache" else on_wsgidav
    settings = Settings(**server.settings)
    alice, mark = Principal(PrincipalKind.ACCOUNT, name="alice"), str(uuid.uuid4())
    with closing(open_webdav(settings, make=True)) as one, closing(open_webdav(settings)) as other:
        one.write("marked", [b"x"], Facts())
        held = one.lock("marked", Lock(alice, mark=mark))
        seen = other.lock_of("marked")
        assert seen is not None
        assert (seen.owner, seen.mark, seen.token) == (alice, mark, held.token)
        assert other.lock("marked", Lock(alice, mark=mark)).token == held.token
    with closing(open_webdav(settings)) as stranger:
        stranger.hold("marked", str(uuid.uuid4()))
        with refused(ErrorKind.LOCKED):
            stranger.write("marked", [b"y"], Facts())
        stranger.hold("marked", mark)
        entry = stranger.write("marked", [b"y"], Facts())
        stranger.set_properties("marked", {"color": b"red"})  # whether or not the lock went with what was replaced
        held = stranger.lock("marked", Lock(alice, mark=mark))
        stranger.hold("marked", mark)
        stranger.delete("marked")
        stranger.write("marked", [b"new"], Facts())
        stranger.unlock("marked", held)
        assert entry.size == 1


def test_content_that_is_damaged_on_its_way_is_told_so_and_not_as_a_wrong_name(on_nextcloud: DavServer) -> None:
    port = int(on_nextcloud.url.split("/")[2].rpartition(":")[2])
    with proxied(port, Trouble(method="PUT", flip_up=0.5)) as proxy:
        settings = {**on_nextcloud.settings, "url": on_nextcloud.url.replace(f":{port}/", f":{proxy.port}/")}
        with closing(open_webdav(Settings(**settings))) as connector:  # type: ignore[arg-type]
            with refused(ErrorKind.CORRUPT):
                connector.write("flipped", [b"content"], Facts(size=7))
            assert connector.stat("flipped") is None
            connector.write("flipped", [b"content"], Facts(size=7))
            assert read_all(connector, "flipped") == b"content"


def test_a_body_that_is_given_up_has_no_error_and_one_that_fails_has_its_own() -> None:
    """What sends a body gives it up when the line breaks: the line's error counts then."""
    body = webdav_http._Watched([b"one", b"two"])
    sending = iter(body)
    next(sending)
    sending.close()
    assert body.error is None
    wrong = TallyportError(ErrorKind.NOT_FOUND, "it went")

    def failing() -> Iterator[bytes]:
        yield b"one"
        raise wrong

    body = webdav_http._Watched(failing())
    with pytest.raises(TallyportError):
        list(body)
    assert body.error is wrong


def test_an_account_of_nextcloud_has_more_abilities(on_nextcloud: DavServer) -> None:
    with closing(open_webdav(Settings(**on_nextcloud.settings))) as connector:
        assert isinstance(connector, Nextcloud)
        assert isinstance(connector, Uploads)
        assert isinstance(connector, Versions)
        assert connector.limits.versions


def test_the_registry_knows_it() -> None:
    assert platform("webdav").secret_names() == {"password", "token"}
