"""The page where people of an auth file sign in. Annotators with an invitation never see it."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from workbench.ui.pages.vote import HEADERS

HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · ASD Workbench</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="./ui/css/workbench.css">
<link rel="stylesheet" href="./ui/css/vote_page.css">
<link rel="stylesheet" href="./ui/css/vote.css">
</head>
<body>
<main class="wb-root vote">
<form class="vote-intro" id="login">
<h1>Sign in</h1>
<p class="wb-notice" role="alert" hidden></p>
<label for="name">Name</label><input id="name" class="wb-filter" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" class="wb-filter" type="password" autocomplete="current-password" required>
<button class="vote-primary">Sign in</button>
</form>
</main>
<script type="module" src="./ui/js/vote/login.js"></script>
</body>
</html>
"""


def login_router() -> APIRouter:
    """`GET /login`."""
    router = APIRouter()

    @router.get("/login", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(HTML, headers=HEADERS)

    return router
