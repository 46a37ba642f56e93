"""A download from a hub on this machine: kept where the hub's cache has it, and refused when its bytes are others."""

import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PUBLISHED, DAMAGED = b"weights" * 100, b"weighty" * 100
DIGEST = hashlib.sha256(PUBLISHED).hexdigest()
DOWNLOAD = f"""
from models.types import RequestError
from models.wan.places import HubFile, download, file_digest, find, missing
from models.wan.rows import Checkpoint
file = HubFile("someone/network", "model.pt", 0.1, sha256={DIGEST!r})
try:
    download(Checkpoint(file))
except RequestError as error:
    raise SystemExit(f"refused: {{error}}")
print(file_digest(find(file)), len(missing(Checkpoint(file))))
"""


class _Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for a large file, whose tag is the digest that it was published with."""

    content = PUBLISHED

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{DIGEST}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("content", [PUBLISHED, DAMAGED], ids=["published", "damaged"])
def test_a_download_is_the_published_file_or_is_refused(tmp_path, content):
    handler = type("Hub", (_Hub,), {"content": content})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        environment = os.environ | {
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
            "HF_HOME": str(tmp_path / "hub"),
            "HF_HUB_OFFLINE": "0",
            "WORKBENCH_CACHE": str(tmp_path / "cache"),
        }
        made = subprocess.run(
            [sys.executable, "-c", DOWNLOAD], env=environment, capture_output=True, text=True, check=False
        )
        hub.shutdown()
    if content == PUBLISHED:
        assert made.stdout.split() == [DIGEST, "0"], made.stderr
    else:
        assert made.returncode == 1
        assert "is not the published file (another SHA-256); delete it, download again" in made.stderr
