"""A web server over TLS, as ``inner.example``."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tallyport.testing.ftp_servers import certificate


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # whoever did not trust it went away


@contextmanager
def tls_server(folder: Path, answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[int, str, list[str]]]:
    """Serve over TLS as ``inner.example``; gives the port, the certificate and the names that were asked for."""
    both = certificate(str(folder), "inner.example")
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_anything(self) -> None:
            answer(self)

        do_PROPFIND = do_OPTIONS = do_HEAD = do_GET = do_anything

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    context.sni_callback = lambda _socket, name, _context: asked.append(str(name))
    server = _Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, Path(f"{both}.crt").read_text(), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
