"""Where people are sent to sign in and to vote; these pages' own scripts read the queries."""

from workbench.requests.links.address import address


def vote_link(study: str, base: str = "") -> str:
    return base + address("/vote", {"study": study})


def invitation_link(secret: str, base: str = "") -> str:
    return base + address("/vote", {"invite": secret})


def login_link(wanted: str) -> str:
    """The page to sign in at, which leads on to `wanted`."""
    return address("/login", {"next": wanted})
