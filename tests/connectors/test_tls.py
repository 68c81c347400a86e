"""Over TLS a server is who its certificate says, for the name that was typed; a damaged line is tried again."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors.ftp import Settings as FtpSettings
from tallyport.connectors.ftp import open_ftp
from tallyport.connectors.registry import platform
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.ftp_servers import certificate, vsftpd
from tallyport.testing.wire import Snag, wired
from tests.connectors.test_guarded_hosts import settings_of
from tests.connectors.tls_server import tls_server

OVER_HTTP = ("webdav", "s3", "s3 by the SDK", "azure_blob", "gcs")
PADS, PAD = 20, 4_000  # headers of an answer, so long that what is flipped in them is no word of the handshake


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust the certificate that the server will have, and have ``inner.example`` and ``other.example`` lead here."""
    resolve = socket.getaddrinfo

    def here(host: str, port: int, *more: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if host.endswith(".example") else host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    for word in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(word, os.path.join(tmp_path, "server.pem.crt"))


def opened(name: str, host: str, port: int) -> None:
    platform_id = name.partition(" ")[0]
    there = settings_of(platform_id, host)
    settings = {word: value.replace(host, f"{host}:{port}") for word, value in there.items()}
    settings |= {"lean": name == "s3"} if platform_id == "s3" else {}
    known = platform(platform_id)
    known.open(known.read_settings(settings)).close()


def answer(request: BaseHTTPRequestHandler) -> None:
    request.send_response(404)
    for number in range(PADS):
        request.send_header(f"X-Pad-{number}", "x" * PAD)
    request.send_header("Content-Length", "0")
    request.end_headers()


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_certificate_for_another_name_is_a_setting_to_correct(tmp_path: Path, name: str) -> None:
    with tls_server(tmp_path, answer) as (port, _, asked):
        with refused(ErrorKind.NOT_FOUND):
            opened(name, "inner.example", port)
        with pytest.raises(TallyportError, match="certificate") as caught:
            opened(name, "other.example", port)
        assert caught.value.kind is ErrorKind.CONFIG
    assert set(asked) == {"inner.example", "other.example"}


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_bit_that_flips_under_tls_is_a_bad_line_and_no_wrong_certificate(tmp_path: Path, name: str) -> None:
    with (
        tls_server(tmp_path, answer) as (port, _, _asked),
        wired(port, Snag(at=PADS * PAD // 2, up=False, flips=True)) as wire,
    ):
        with refused(ErrorKind.UNAVAILABLE):
            opened(name, "inner.example", wire.port)
        assert wire.fired


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_server_that_speaks_no_tls_is_a_setting_to_correct(tmp_path: Path, name: str) -> None:
    certificate(str(tmp_path), "inner.example")
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    client, _ = plain.accept()
                except OSError:
                    return
                with client:
                    client.recv(4096)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with refused(ErrorKind.CONFIG):
            opened(name, "inner.example", port)
        plain.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.needs("vsftpd")
def test_a_certificate_for_another_name_is_refused_over_ftp() -> None:
    with vsftpd(tls=True) as server:
        settings = {**server.settings, "host": "localhost"}
        with pytest.raises(TallyportError, match="certificate") as caught:
            open_ftp(FtpSettings(**settings))  # type: ignore[arg-type]
        assert caught.value.kind is ErrorKind.CONFIG
