"""Dependencies: each is pinned and is what runs, and known faults of them are found."""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

from workbench.__main__ import main
from workbench.commands.upkeep.audit import installed_packages

ROOT = Path(__file__).parents[3]
LINES = [
    (file.name, line.partition("#")[0].strip())
    for file in sorted(ROOT.glob("requirements*.txt"))
    for line in file.read_text().splitlines()
    if line.partition("#")[0].strip()
]


@pytest.mark.parametrize("file, line", LINES)
def test_every_requirement_is_pinned_to_what_runs(file, line):
    assert len(LINES) > 30
    pinned = re.fullmatch(r"([A-Za-z0-9._-]+)(\[[a-z,]+\])?==(\d+(\.\d+)*)", line)
    assert pinned, f"{line!r} of {file} is not NAME==VERSION"
    if file != "requirements-ray.txt":
        assert version(pinned[1]).partition("+")[0] == pinned[3]


@contextmanager
def service(answer):
    """A list of known faults at an address of this machine: `answer(queries)` is what it sends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            content = json.dumps(answer(queries)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def test_known_faults_are_told_and_everything_installed_is_asked_about(capsys):
    asked = {}

    def answer(queries):
        asked.update({query["package"]["name"]: query["version"] for query in queries})
        known = {"numpy": {"vulns": [{"id": "TEST-1"}, {"id": "TEST-2"}]}}
        return {"results": [known.get(query["package"]["name"], {}) for query in queries]}

    with service(answer) as url:
        assert main(["audit", "--service", url]) == 1
    assert capsys.readouterr().out == f"numpy {version('numpy')}: TEST-1, TEST-2\n"
    assert asked == installed_packages() and asked["gradio"] == version("gradio")


def test_nothing_known_is_said_with_the_number_of_packages(capsys):
    with service(lambda queries: {"results": [{} for _ in queries]}) as url:
        assert main(["audit", "--service", url, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == [] and f"{len(installed_packages())} packages were looked up, 0" in told.err


def test_without_a_network_it_says_that_nothing_was_looked_up(capsys):
    for extra, code in (([], 0), (["--strict"], 1)):
        assert main(["audit", "--service", "http://127.0.0.1:9/", *extra]) == code
        assert "the audit is skipped" in capsys.readouterr().err
    with service(lambda queries: {"results": []}) as url:  # nor does half an answer count
        assert main(["audit", "--service", url, "--strict"]) == 1
