"""Who may go where, as data: routes and page handlers that are not listed here are closed to everybody."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

NOBODY, ANNOTATOR, REVIEWER, RESEARCHER, ADMIN = "nobody", "annotator", "reviewer", "researcher", "admin"
ALL_ROLES = (NOBODY, ANNOTATOR, REVIEWER, RESEARCHER, ADMIN)
VOTERS = (ANNOTATOR, RESEARCHER, ADMIN)
LOOKERS = (REVIEWER, RESEARCHER, ADMIN)
MAKERS = (RESEARCHER, ADMIN)
GRADIO = "/gradio_api/"


@dataclass(frozen=True)
class Door:
    """A method and a path, in which {} stands for one part and a last * for any rest, and the roles it opens to."""

    method: str
    path: str
    roles: tuple[str, ...]


def _doors(roles: tuple[str, ...], method: str, *paths: str) -> list[Door]:
    return [Door(method, path, roles) for path in paths]


PAGES: tuple[str, ...] = (
    *("/", "/generate", "/compare", "/grid", "/insight", "/evaluate", "/dashboard", "/studies", "/results"),
    *("/claims", "/models", "/jobs", "/api"),
)
MCP = ("/gradio_api/mcp", "/gradio_api/mcp/", "/gradio_api/mcp/*")  # tools that make, over a protocol for programs
DOORS: tuple[Door, ...] = (
    *_doors(ALL_ROLES, "GET", "/api/v1/health", "/api/v1/voting", "/login", "/vote", "/ui/*", "/favicon.ico"),
    *_doors(ALL_ROLES, "POST", "/api/v1/session", "/api/v1/logout"),
    *_doors(VOTERS, "POST", "/api/v1/next-pair", "/api/v1/votes", "/api/v1/votes/undo", "/api/v1/consent"),
    *_doors((ANNOTATOR, REVIEWER, RESEARCHER, ADMIN), "GET", "/api/v1/media/{}"),
    *_doors(LOOKERS, "GET", *PAGES, *(f"{page}/" for page in PAGES[1:]), "/media/{}", "/vendor/*"),
    *_doors(LOOKERS, "GET", "/config", "/config/", "/theme.css", "/static/*", "/assets/*", "/svelte/*"),
    *_doors(LOOKERS, "GET", "/manifest.json", "/pwa_icon", "/pwa_icon/{}", "/robots.txt"),
    *_doors(LOOKERS, "GET", "/api/v1/openapi.json", "/api/v1/clips", "/api/v1/clips/{}/picture"),
    *_doors(LOOKERS, "GET", "/api/v1/evaluations/{}/{}", "/api/v1/results/{}/{}", "/api/v1/leaderboard/{}"),
    *_doors(LOOKERS, "GET", "/api/v1/jobs"),
    *_doors(LOOKERS, "GET", "/api/v1/export/sheet.mp4", "/api/v1/export/page.html"),
    *_doors(LOOKERS, "GET", "/gradio_api/info", "/gradio_api/theme.css", "/gradio_api/startup-events"),
    *_doors(LOOKERS, "GET", "/gradio_api/app_id", "/gradio_api/heartbeat/{}", "/gradio_api/queue/data"),
    *_doors(LOOKERS, "GET", "/gradio_api/call/{}/{}"),
    # which handlers a reviewer may call is the list LOOKING
    *_doors(LOOKERS, "POST", "/gradio_api/queue/join", "/gradio_api/run/{}", "/gradio_api/call/{}"),
    *_doors(MAKERS, "POST", "/gradio_api/upload", "/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/api/{}"),
    *_doors(MAKERS, "POST", "/gradio_api/call/v2/{}"),
    *_doors(MAKERS, "GET", "/gradio_api/upload_progress", "/gradio_api/file=/*", "/gradio_api/call/v2/{}/{}"),
    *_doors(MAKERS, "GET", "/api/v1/selftest"),
    *(Door(method, path, MAKERS) for method in ("GET", "POST", "DELETE") for path in MCP),
    *_doors(MAKERS, "GET", "/api/v1/tokens"),
    *_doors(MAKERS, "POST", "/api/v1/tokens", "/api/v1/tokens/revoke"),
    *_doors((ADMIN,), "POST", "/api/v1/sessions/end"),
)
# handlers that only show what is there, as MODULE.FUNCTION; all others are for those who make things
LOOKING = frozenset(
    f"{module}.{name}"
    for module, names in {
        "pages.generate": "reopen fit told_before",
        "compare.page": "reopen _fit told_before suited",
        "components.inputs": "boxes",
        "pages.grid": "reopen fit told_before suited",
        "insight.page": "reopen told_before suited",
        "evaluate.page": "reopen open_linked show show_chart",
        "studies.page": "opened chosen looked checked followed previewed",
        "results.page": "opened metrics_for shown_for",
        "dashboard.page": "opened moved changed pressed",
        "pages.claims": "load filtered",
        "pages.models": "models_table",
        "pages.jobs": "jobs_table",
        "pages.api": "reference",
        "api.endpoints": "models",
        "api.leaderboard_endpoint": "leaderboard",
    }.items()
    for name in names.split()
)
CALLS = ("queue/join", "run/", "call/", "api/")


def may_pass(role: str, method: str, path: str, doors: Iterable[Door] = DOORS) -> bool:
    """Whether a role may make a request; HEAD is as GET."""
    wanted = "GET" if method == "HEAD" else method
    return any(role in door.roles for door in doors if door.method == wanted and _pattern(door.path).fullmatch(path))


def is_call(path: str) -> bool:
    """Whether a posted request runs a handler of a page."""
    return path.startswith(tuple(GRADIO + call for call in CALLS))


def handler_name(function: Any) -> str:
    """A page's handler as LOOKING writes it; "" for none."""
    function = function.func if isinstance(function, partial) else function
    module = getattr(function, "__module__", None)
    return f"{'.'.join(module.split('.')[-2:])}.{function.__name__}" if module else ""


@cache
def _pattern(path: str) -> re.Pattern[str]:
    text = re.escape(path.removesuffix("*")).replace(r"\{\}", "[^/]+")
    return re.compile(f"{text}.+" if path.endswith("*") else text, re.DOTALL)
