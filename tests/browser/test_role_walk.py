"""Every route and every page handler with every role: what passes the front door is what is intended, and no more."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from starlette.types import Receive, Scope, Send

from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.people.accounts import Accounts, add_account
from workbench.settings import Settings
from workbench.ui.access.doors import ALL_ROLES, LOOKING
from workbench.ui.access.front_door import FrontDoor
from workbench.ui.app import build_app, page_handler

PASSED = 299
# what is intended, by the least that must be true of a visitor; every route of the app stands in one of these
ANYBODY = """GET /api/v1/health | GET /api/v1/voting | GET /login | GET /vote | GET /ui | GET /favicon.ico
POST /api/v1/session | POST /api/v1/logout"""
VOTES = "POST /api/v1/next-pair | POST /api/v1/votes | POST /api/v1/votes/undo | POST /api/v1/consent"
LOOKS = """GET / | GET /compare | GET /grid | GET /insight | GET /evaluate | GET /dashboard | GET /studies
GET /results | GET /claims | GET /models | GET /jobs | GET /api | GET /api/v1/jobs | GET /config | GET /theme.css
GET /static/{path:path} | GET /assets/{path:path}
GET /svelte/{path:path} | GET /robots.txt | GET /pwa_icon | GET /pwa_icon/{size} | GET /manifest.json | GET /vendor
GET /media/{token} | GET /api/v1/openapi.json | GET /api/v1/clips | GET /api/v1/clips/{clip}/picture
GET /api/v1/evaluations/{run}/{file} | GET /api/v1/results/{study}/{file} | GET /api/v1/leaderboard/{file}
GET /api/v1/export/sheet.mp4 | GET /api/v1/export/page.html | GET /gradio_api/info | GET /gradio_api/theme.css
GET /gradio_api/startup-events | GET /gradio_api/app_id | GET /gradio_api/heartbeat/{session_hash}
GET /gradio_api/queue/data | GET /gradio_api/call/{api_name}/{event_id}"""
MAKES = """POST /gradio_api/upload | POST /gradio_api/cancel | POST /gradio_api/reset | POST /gradio_api/api/{api_name}
POST /gradio_api/run/{api_name} | POST /gradio_api/call/{api_name} | POST /gradio_api/call/v2/{api_name}
POST /gradio_api/queue/join | GET /gradio_api/upload_progress | GET /gradio_api/file={path_or_url:path}
GET /gradio_api/call/v2/{api_name}/{event_id} | GET /api/v1/selftest
GET /gradio_api/mcp | GET /api/v1/tokens | POST /api/v1/tokens | POST /api/v1/tokens/revoke"""
RULES = "POST /api/v1/sessions/end"
# what Gradio brings along, and nobody needs
NEVER = """GET /gradio_api/custom_component/{id}/{environment}/{type}/{file_name} | GET /gradio_api/deep_link
GET /gradio_api/dev/reload | GET /gradio_api/file/{path:path} | GET /gradio_api/login_check
GET /gradio_api/openapi.json | GET /gradio_api/proxy={url_path:path} | GET /gradio_api/queue/status
GET /gradio_api/runs | GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext} | GET /gradio_api/token
GET /gradio_api/user | GET /gradio_api/vibe-code | GET /logout | GET /monitoring | GET /monitoring/summary
GET /monitoring/{key} | GET /openapi.json | POST /gradio_api/component_server | POST /gradio_api/process_recording
POST /gradio_api/stream/{event_id} | POST /gradio_api/stream/{event_id}/close | POST /gradio_api/undo-vibe-edit
POST /gradio_api/vibe-code | POST /gradio_api/vibe-edit | POST /gradio_api/vibe-starter-queries | POST /login"""
# public endpoints, which are the tools of MCP as well: what shows, which reviewers may call, and what makes
SHOWING, MAKING = {"models", "leaderboard"}, {"generate", "compare", "evaluate"}
SIGNED_IN = "GET /api/v1/media/{token}"
INTENDED = {
    "nobody": (ANYBODY,),
    "annotator": (ANYBODY, SIGNED_IN, VOTES),
    "reviewer": (ANYBODY, SIGNED_IN, LOOKS),
    "researcher": (ANYBODY, SIGNED_IN, VOTES, LOOKS, MAKES),
    "admin": (ANYBODY, SIGNED_IN, VOTES, LOOKS, MAKES, RULES),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    for role in ALL_ROLES[1:]:
        add_account(folder / "people", role, role, "a password", cost=10)
    settings = Settings(data_dir=folder / "data", auth=folder / "people")
    return build_app(GenerationService(settings.data_dir, pipelines={"shapes-asd": tiny_pipeline(0)}), settings)


@pytest.fixture(scope="module")
def blocks(app):
    return mounted_pages(app).get_blocks()


@pytest.fixture(scope="module")
def door(app, blocks) -> FrontDoor:
    """The front door as the application has it, with nothing behind it that could refuse."""

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": PASSED, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return FrontDoor(
        behind, hosts=[], voting=app.state.voting, handler=lambda which: page_handler(blocks, which), framed_by=[]
    )


@pytest.fixture(scope="module")
def cookies(app) -> dict[str, str]:
    voting = app.state.voting
    found = {"nobody": "annotator=guess"}
    for role in ALL_ROLES[1:]:
        account = voting.sessions.accounts.find(role)
        secret = voting.sessions.open(voting.store.people.of_account(role), "account", account)
        found[role] = f"annotator={secret}"
    return found


def mounted_pages(app):
    return next(route.app for route in app.routes if hasattr(getattr(route, "app", None), "get_blocks"))


def routes_of(routes: Sequence, prefix: str = "") -> Iterator[str]:
    """Every route as METHOD /path, those of included routers and of the mounted pages among them."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from routes_of(route.original_router.routes, prefix + (route.include_context.prefix or ""))
        elif hasattr(getattr(route, "app", None), "get_blocks"):
            yield from routes_of(route.app.routes)
        elif not getattr(route, "methods", None):
            yield f"GET {prefix}{route.path}"  # a folder of files
        else:
            yield from (f"{method} {prefix}{route.path}" for method in route.methods)


def ask(door: FrontDoor, method: str, path: str, cookie: str, body: bytes = b"{}", **headers: str) -> int:
    """The status that a request gets at the front door."""
    given = {"host": "localhost", "cookie": cookie, **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()],
        "scheme": "http",
        "server": ("localhost", 80),
        "root_path": "",
    }
    statuses = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        statuses.append(message.get("status"))

    asyncio.run(door(scope, receive, send))
    return statuses[0]


def concrete(path: str) -> str:
    """A path with something in place of every part that varies; a folder with a file in it."""
    filled = path.replace("{path_or_url:path}", "/x")
    while "{" in filled:
        start, end = filled.index("{"), filled.index("}")
        filled = f"{filled[:start]}x{filled[end + 1 :]}"
    return f"{filled}/x" if filled in ("/ui", "/vendor") else filled


def rows(*groups: str) -> set[str]:
    return {line.strip() for group in groups for line in group.replace("\n", "|").split("|")}


def all_routes(app) -> set[str]:
    found = {route.removesuffix("/") for route in routes_of(app.routes) if not route.startswith("HEAD")}
    return {f"{route}/" if route.endswith(" ") else route for route in found}


def test_every_route_has_a_row(app):
    """A route that is new belongs into one of the groups above, and a row whose route is gone out of it."""
    listed = rows(ANYBODY, SIGNED_IN, VOTES, LOOKS, MAKES, RULES, NEVER)
    assert all_routes(app) == listed, all_routes(app) ^ listed


def test_every_public_endpoint_and_tool_has_a_row(app, blocks, door, cookies):
    public = {function.api_name for function in blocks.fns.values() if function.api_visibility == "public"}
    assert public == set(blocks.mcp_server_obj.tool_to_endpoint) == SHOWING | MAKING
    passing = {"nobody": set(), "annotator": set(), "reviewer": SHOWING}
    for role in ALL_ROLES:
        for method, path in (("POST", "/gradio_api/call/{}"), ("POST", "/gradio_api/run/{}")):
            called = {name for name in public if ask(door, method, path.format(name), cookies[role]) == PASSED}
            intended = passing.get(role, public) if "call" in path or role in ("researcher", "admin") else set()
            assert called == intended, (role, path)


def test_every_route_opens_to_whom_it_is_meant_for(app, door, cookies):
    routes = sorted(all_routes(app))
    for role, groups in INTENDED.items():
        intended = rows(*groups)
        body = b'{"fn_index": 0}'
        passed = {
            route
            for route in routes
            if ask(door, *(route.split(" ")[0], concrete(route.split(" ")[1])), cookies[role], body) == PASSED
        }
        assert passed == intended, (role, passed ^ intended)


def test_reviewers_call_what_only_shows_and_researchers_call_all(blocks, door, cookies):
    """Hidden handlers as well as public ones, by number and by name."""
    looked = set()
    for index, function in blocks.fns.items():
        shows = page_handler(blocks, index) in LOOKING
        looked |= {page_handler(blocks, index)} if shows else set()
        for path in ("/gradio_api/queue/join", "/gradio_api/run/predict"):
            body = f'{{"fn_index": {index}, "data": []}}'.encode()
            assert (ask(door, "POST", path, cookies["reviewer"], body) == PASSED) is shows, function.api_name
            assert ask(door, "POST", path, cookies["researcher"], body) == PASSED
            assert ask(door, "POST", path, cookies["annotator"], body) == 403
            assert ask(door, "POST", path, cookies["nobody"], body) == 401
        named = f"/gradio_api/call/{function.api_name}"
        assert (ask(door, "POST", named, cookies["reviewer"]) == PASSED) is shows, named
    assert looked == LOOKING  # no name is on the list that no page has


@pytest.mark.parametrize("number", ['"18"', "18.0", "true", "null", "[1]", "-1", "100000"])
def test_a_handler_that_is_not_plainly_named_is_none(door, cookies, number):
    body = f'{{"fn_index": {number}}}'.encode()
    assert ask(door, "POST", "/gradio_api/queue/join", cookies["reviewer"], body) == 403


def test_the_tools_of_programs_are_for_those_who_make(door, cookies):
    for path in ("/gradio_api/mcp", "/gradio_api/mcp/", "/gradio_api/mcp/sse", "/gradio_api/mcp/messages/x"):
        for method in ("GET", "POST", "DELETE"):
            answers = {role: ask(door, method, path, cookies[role]) for role in ALL_ROLES}
            closed = {"nobody": 401, "annotator": 403, "reviewer": 403}
            assert answers == closed | {"researcher": PASSED, "admin": PASSED}, (method, path)


def test_no_route_opens_to_two_credentials(app, door, cookies):
    """Whose request it is would depend on who reads it: the front door one of them, the route behind it the other."""
    voting = app.state.voting
    account = voting.sessions.accounts.find("researcher")
    token = voting.sessions.open(voting.store.people.of_account("researcher"), "token", account)
    bearer = f"Bearer {token}"
    assert ask(door, "GET", "/config", "", authorization=bearer) == PASSED
    for route in sorted(all_routes(app)):
        method, path = route.split(" ")[0], concrete(route.split(" ")[1])
        answers = {role: ask(door, method, path, cookies[role], authorization=bearer) for role in ALL_ROLES}
        assert answers == dict.fromkeys(ALL_ROLES, 400), route
        for role in ALL_ROLES[1:]:
            for both in (f"{cookies[role]}; {cookies['nobody']}", f"{cookies['nobody']};a[b]=c ;{cookies[role]}"):
                assert ask(door, method, path, both) == 400, (route, both)
    assert ask(door, "GET", "/config", f"{cookies['reviewer']}; {cookies['reviewer']}") == PASSED  # one, said twice


def test_the_auth_file_is_read_again(app):
    assert isinstance(app.state.voting.sessions.accounts, Accounts)
    assert {app.state.voting.sessions.accounts.find(role).role for role in ALL_ROLES[1:]} == set(ALL_ROLES[1:])
