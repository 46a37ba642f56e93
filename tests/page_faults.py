"""What axe finds on a page that keeps people from using it."""

from axe_playwright_python.sync_playwright import Axe

SERIOUS = ("serious", "critical")


def faults(page) -> list[str]:
    """Serious and critical faults, in words."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]
