"""`audit`: look every installed package up in a public list of known faults."""

import argparse
from importlib.metadata import distributions

import httpx

from workbench.common.console import notice, say, say_json

SERVICE = "https://api.osv.dev/v1/querybatch"  # https://google.github.io/osv.dev/post-v1-querybatch/
PATIENCE = 30.0  # seconds


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "audit",
        help="look installed packages up in a list of known faults",
        description="Send names and versions of the installed packages, and nothing else, to OSV, a public list of "
        "known faults, and print those that it knows. Exit code 1 when there is one. Without a network nothing is "
        "looked up, which is said, and is no failure but with --strict.",
    )
    parser.add_argument("--strict", action="store_true", help="exit code 1, too, when the list cannot be asked")
    parser.add_argument("--service", default=SERVICE, metavar="URL", help=f"where the list is (default {SERVICE})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    packages = installed_packages()
    try:
        faults = known_faults(packages, options.service)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        notice(f"the audit is skipped: {options.service} cannot be asked ({error}), so nothing was looked up")
        return int(options.strict)
    rows = [{"package": name, "version": packages[name], "faults": found} for name, found in faults.items()]
    if options.json:
        say_json(rows)
    for row in [] if options.json else rows:
        say(f"{row['package']} {row['version']}: {', '.join(row['faults'])}")
    notice(f"{len(packages)} packages were looked up, {len(rows)} have known faults")
    return int(bool(rows))


def installed_packages() -> dict[str, str]:
    """Version by name of what is installed beside this program, itself left out; a local part as "+cpu" is cut off."""
    found = {package.metadata["Name"]: package.version.partition("+")[0] for package in distributions()}
    return {name: found[name] for name in sorted(found, key=str.lower) if name and name != "asd-workbench"}


def known_faults(packages: dict[str, str], service: str) -> dict[str, list[str]]:
    """The ids of known faults by package, of those that have any. Raises httpx.HTTPError without an answer, and
    ValueError, KeyError or TypeError for an answer of another form."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in packages.items()
    ]
    answer = httpx.post(service, json={"queries": queries}, timeout=PATIENCE).raise_for_status().json()
    results = answer["results"]
    if len(results) != len(queries):
        raise ValueError(f"{len(results)} answers to {len(queries)} questions")
    found = {
        name: [fault["id"] for fault in result.get("vulns", [])]
        for name, result in zip(packages, results, strict=True)
    }
    return {name: faults for name, faults in found.items() if faults}
