"""What is around every page: the product's name, the bar of pages in its groups, the title of the tab, and the page
for an address that does not exist."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import gradio as gr
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.requests.links.generate import asks_for_clip
from workbench.ui.components.component import FORM, ROOT, WATCH_TYPING

if TYPE_CHECKING:
    from workbench.ui.pages import Page

PRODUCT = "ASD Workbench"
FIRST = "/compare"  # what opens at "/"
INNER = "/generate"  # Gradio keeps its first page at "/"; this is where people find it
SIGN_OUT = '<button type="button" class="wb-sign-out" hidden>Sign out</button>'
SIGN_OUT_SCRIPT = (
    f"import({ROOT} + '/ui/js/vote/account.js')"
    ".then((account) => account.mountSignOut(element.querySelector('.wb-sign-out')));"
)
# on a phone the bar of pages scrolls, and the page one is on may lie beyond its edge
SHOW_CURRENT = """const bar = element.querySelector('nav'), at = bar.querySelector('[aria-current]');
if (at) bar.scrollLeft = at.offsetLeft - (bar.clientWidth - at.offsetWidth) / 2;
"""


def tab_title(title: str) -> str:
    return f"{title} · {PRODUCT}"


def page_frame(
    current: "Page", pages: Sequence["Page"], links: Sequence[tuple[str, str, str]], accounts: bool
) -> None:
    """The head of a page. `links` are further (group, title, path) of pages that Gradio does not serve.

    With `accounts` people can sign out.
    """
    gr.Navbar(visible=False)  # Gradio's own bar has no groups
    entries = [(page.group, page.title, page.path) for page in pages] + list(links)
    groups = "".join(
        f'<div class="wb-nav-group" role="group" aria-label="{escape(group)}"><span aria-hidden="true">{group}</span>'
        + "".join(_entry(title, path, current.title == title) for found, title, path in entries if found == group)
        + "</div>"
        for group in dict.fromkeys(group for group, _, _ in entries)
    )
    gr.HTML(
        f'<header class="wb-frame"><a class="wb-skip" href="#content">Skip to the page</a>'
        f'<a class="wb-product" href=".{FIRST}">{PRODUCT}</a><nav aria-label="Pages">{groups}</nav>'
        f"{SIGN_OUT if accounts else ''}</header>",
        js_on_load=f"document.title = {tab_title(current.title)!r};{SHOW_CURRENT}{WATCH_TYPING}"
        f"{FORM}.then((form) => form.submitOnEnter('#prompt textarea', '#generate, #compare, #make'));"
        f"{FORM}.then((form) => form.typedOnEnter('#frames input'));"
        f"{SIGN_OUT_SCRIPT if accounts else ''}",
        elem_id="frame",
        padding=False,
        apply_default_css=False,
    )


def _entry(title: str, path: str, current: bool) -> str:
    """Relative addresses hold behind a proxy with a prefix, too: every page lies right under it."""
    mark = ' aria-current="page"' if current else ""
    return f'<a href=".{path}"{mark}>{escape(title)}</a>'


NOT_FOUND = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Page not found · {product}</title><link rel="icon" href="data:,">
<style>:root {{ color-scheme: light dark; }} body {{ font: 16px/1.5 system-ui, sans-serif; margin: 12vh auto;
max-width: 34rem;
padding: 0 1rem; }} a {{ color: LinkText; }}</style></head>
<body><main><h1>There is no page at this address</h1>
<p>The link may be old, or a letter of it is missing.</p>
<ul>{links}</ul></main></body></html>
"""


class Addresses:
    """ASGI middleware for the addresses people type: "/" leads to the first page, Gradio's own first page is found
    under its name, and a browser that asks for a page that is not there gets one that helps it on."""

    def __init__(self, app: ASGIApp, pages: Sequence[tuple[str, str]], prefix: str = "") -> None:
        """`pages` are (title, path) to offer where nothing is found; `prefix` is one that a proxy has taken off."""
        self.app, self.pages, self.prefix = app, pages, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or not _wants_page(scope):
            return await self.app(scope, receive, send)
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root) if root else scope["path"]
        query = scope["query_string"].decode("latin-1")
        if path in ("", "/"):
            target = f"{self.prefix or root}{INNER if asks_for_clip(query) else FIRST}" + (
                f"?{query}" if query else ""
            )
            return await RedirectResponse(target, 307)(scope, receive, send)
        if path == INNER:
            return await self.app(scope | {"path": f"{root}/", "raw_path": f"{root}/".encode()}, receive, send)
        await self._or_not_found(scope, receive, send, self.prefix or root)

    async def _or_not_found(self, scope: Scope, receive: Receive, send: Send, root: str) -> None:
        missing = False

        async def watch(message: Message) -> None:
            nonlocal missing
            if message["type"] == "http.response.start":
                missing = message["status"] == 404
            if not missing:
                await send(message)

        await self.app(scope, receive, watch)
        if missing:
            offered = [f'<li><a href="{escape(root + path)}">{escape(title)}</a></li>' for title, path in self.pages]
            page = HTMLResponse(NOT_FOUND.format(product=PRODUCT, links="".join(offered)), 404)
            await page(scope, receive, send)


def _wants_page(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "")
