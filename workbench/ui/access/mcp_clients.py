"""MCP tools in the name of whoever calls them.

Gradio runs a tool that waits in a queue by a client of its own, which calls back over HTTP: one client for everybody,
without credentials, which the front door refuses where there are accounts. Here every caller has their own.
"""

import threading
from collections import OrderedDict

from gradio.mcp import GradioMCPServer
from gradio_client import Client

CREDENTIALS = ("authorization", "cookie")
MOST_CLIENTS = 32


class CallersClients:
    """The clients behind an MCP server by what their callers sent to be let in; the one not used for longest goes."""

    def __init__(self, server: GradioMCPServer) -> None:
        self._server = server
        self._clients: OrderedDict[tuple[str, ...], Client] = OrderedDict()
        self._lock = threading.Lock()

    def client(self) -> Client:
        """The client for the call that is being answered; it goes to the very socket that the call came by, under the
        name that was called."""
        request = self._server.mcp_server.request_context.request
        sent = {name: request.headers[name] for name in (*CREDENTIALS, "host") if name in request.headers}
        known = tuple(f"{name} {value}" for name, value in sent.items())
        with self._lock:
            if known not in self._clients:
                host, port = request.scope["server"]
                self._clients[known] = Client(
                    f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}",
                    download_files=False,
                    verbose=False,
                    analytics_enabled=False,
                    _skip_components=False,
                    headers={**sent, "x-gradio-user": "mcp"},
                )
            self._clients.move_to_end(known)
            while len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)
            return self._clients[known]
