"""The Vote page: a page of its own outside Gradio, whose configuration would tell what models there are."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

PATH = "/vote"
HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Vote</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="./ui/css/workbench.css">
<link rel="stylesheet" href="./ui/css/vote_page.css">
<link rel="stylesheet" href="./ui/css/vote.css">
</head>
<body>
<main id="vote" class="wb-root vote"><noscript>Voting needs JavaScript.</noscript></main>
<script type="module" src="./ui/js/vote/vote.js"></script>
</body>
</html>
"""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


def vote_page_router() -> APIRouter:
    """`GET /vote`, the same bytes for everybody: what is shown comes by the voting routes."""
    router = APIRouter()

    @router.get(PATH, include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(HTML, headers=HEADERS)

    return router
