"""A reverse proxy that serves an app under a prefix and takes the prefix off, as nginx is told to."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

PIECE = 1 << 16
OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server"}


@contextmanager
def behind_prefix(app_url: str, prefix: str) -> Iterator[tuple[str, list[str]]]:
    """Yields the proxy's address and a list of the paths that were asked for outside the prefix."""
    strays: list[str] = []
    app_host = urlsplit(app_url).netloc

    class Forwarder(BaseHTTPRequestHandler):
        def forward(self) -> None:
            if not self.path.startswith((f"{prefix}/", f"{prefix}?")):
                strays.append(self.path)
                self.send_error(404)
                return
            connection = HTTPConnection(app_host)
            try:
                connection.request(self.command, self.path.removeprefix(prefix), self.body(), dict(self.headers))
                self.pass_on(connection.getresponse())
            except (BrokenPipeError, ConnectionResetError):
                pass  # the visitor left
            finally:
                connection.close()

        do_GET = do_HEAD = do_POST = do_DELETE = forward

        def body(self) -> bytes | None:
            length = self.headers.get("Content-Length")
            return self.rfile.read(int(length)) if length else None

        def pass_on(self, answer) -> None:
            """Piece by piece: events come one at a time."""
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in OF_ONE_HOP:
                    self.send_header(name, value)
            self.end_headers()
            while piece := answer.read1(PIECE):
                self.wfile.write(piece)
                self.wfile.flush()

        def log_message(self, *_) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Forwarder) as server:
        server.daemon_threads, server.block_on_close = True, False
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{prefix}", strays
        finally:
            server.shutdown()
