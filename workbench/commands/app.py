"""`app`: serve the pages and the API until stopped."""

import argparse
import re
import socket
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from eval.video.limits import kind_at
from models.registry import opened, register
from models.types import RequestError
from workbench.common.console import notice, say
from workbench.people.accounts import read_accounts
from workbench.requests.arguments import add_compile, device
from workbench.settings import Settings
from workbench.store import open_store

HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
SITE = re.compile(r"https?://[A-Za-z0-9._-]+(:[0-9]+)?")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("app", help="serve the app in a browser", description="Serve the app until Ctrl-C.")
    parser.add_argument("--host", default=Settings.host, help=f"address (default {Settings.host}; 0.0.0.0 for all)")
    parser.add_argument(
        "--port", type=int, default=Settings.port, help=f"port (default {Settings.port}; 0 takes a free one)"
    )
    parser.add_argument("--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="clips, database")
    parser.add_argument("--database-url", metavar="URL", help="SQLAlchemy URL (default: SQLite in --data-dir)")
    parser.add_argument(
        "--device", type=device, default=Settings.device, help=f"cpu or cuda (default {Settings.device})"
    )
    parser.add_argument(
        "--model",
        metavar="path:FILE",
        action="append",
        default=[],
        dest="models",
        help="offer a Wan checkpoint of your own on the pages; give it again for more (default: the registry's alone)",
    )
    add_compile(parser)
    parser.add_argument("--auth", type=Path, metavar="FILE", help="people and their roles (default: no accounts)")
    parser.add_argument("--read-only", action="store_true", help="show results; make and store nothing")
    parser.add_argument(
        "--clips",
        type=Path,
        metavar="DIR",
        action="append",
        default=[],
        help="folder whose videos may be evaluated; give it again for more (default: none but the app's own clips)",
    )
    parser.add_argument(
        "--allowed-host",
        metavar="NAME",
        action="append",
        default=[],
        help="name by which browsers reach this server; give it again for more (default: this machine's own, --host)",
    )
    parser.add_argument(
        "--framed-by",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="site that may show the pages inside its own, as https://huggingface.co (default: none)",
    )
    parser.add_argument(
        "--behind-proxy",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="proxy, or network of them, whose X-Forwarded-For and -Proto are believed, as 127.0.0.1; give it again "
        "for more (default: none)",
    )
    parser.add_argument(
        "--min-watch",
        type=float,
        default=Settings.min_watch,
        metavar="SHARE",
        help=f"share of a clip to watch before voting, 0 to 1 (default {Settings.min_watch}; 0 turns the rule off)",
    )
    parser.add_argument(
        "--root-path",
        default=Settings.root_path,
        metavar="/PREFIX",
        help="prefix under which a proxy serves the app and which it takes off (default: none)",
    )
    parser.add_argument(
        "--no-first-run",
        dest="first_run",
        action="store_false",
        help="leave an empty data folder empty instead of filling it with a few measured clips",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    settings = Settings(**{field.name: _frozen(getattr(options, field.name)) for field in fields(Settings)})
    _check(settings)
    with _bind(settings) as listener:  # before the slow part, so that a taken port is told at once
        from workbench.ui.server import serve

        address = _url(settings.host, listener.getsockname()[1])
        serve(settings, listener, on_ready=lambda: say(f"ASD Workbench is at {address} (Ctrl-C stops it)"))
    return 0


def _check(settings: Settings) -> None:
    if not 0 <= settings.port <= 65535:
        raise RequestError(f"--port {settings.port} is not a port; give 1 to 65535, or 0 for any free one")
    if not 0 <= settings.min_watch <= 1:
        raise RequestError(f"--min-watch {settings.min_watch} is not a share; give 0 to 1")
    if settings.root_path and (not settings.root_path.startswith("/") or settings.root_path.endswith("/")):
        raise RequestError(f"--root-path {settings.root_path!r} is no prefix; write it as /lab, without end slash")
    if settings.auth:
        read_accounts(settings.auth)
    for model in settings.models:
        notice(opened(register(model)))
    for name in settings.allowed_host:
        if not HOST.fullmatch(name):
            raise RequestError(f"--allowed-host {name[:80]!r} is not a host's name; give one as lab.example, no port")
    for site in settings.framed_by:
        if not SITE.fullmatch(site):
            raise RequestError(f"--framed-by {site[:80]!r} is not a site; give one as https://lab.example")
    for proxy in settings.behind_proxy:
        _check_network(proxy)
    for folder in settings.clips:
        if not folder.is_dir():
            raise RequestError(f"--clips {str(folder)!r} is not a folder; give one that exists")
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        where, kind = f"--data-dir {str(settings.data_dir)!r}", kind_at(settings.data_dir)
        reason = f"is {kind}" if kind else f"cannot be made ({error.strerror})"
        raise RequestError(f"{where} {reason}; choose another folder") from error
    open_store(settings).close()  # a database that cannot be reached is told before anything slow


def _check_network(proxy: str) -> None:
    try:
        ip_network(proxy)
    except ValueError as error:
        shown = f"--behind-proxy {proxy[:80]!r} is not an address or a network"
        raise RequestError(f"{shown}; give one as 127.0.0.1 or 10.0.0.0/8") from error


def _frozen(value: Any) -> Any:
    """Options that may be given again arrive as lists; settings are never changed."""
    return tuple(value) if isinstance(value, list) else value


def _bind(settings: Settings) -> socket.socket:
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        reason = f"cannot serve on {_url(settings.host, settings.port)} ({error.strerror})"
        raise RequestError(f"{reason}; choose another --port or --host") from error
    return listener


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
