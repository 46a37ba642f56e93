"""Two threads that are the first to need a network, as the first request and the first run of the app are."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys, threading, time
failures = []

def second():
    while "diffusers" not in sys.modules:
        time.sleep(0.001)
    try:
        import models.networks.transformer
    except ImportError as error:
        failures.append(str(error))

thread = threading.Thread(target=second)
thread.start()
import models.weights
thread.join()
sys.exit("; ".join(failures) or 0)
"""


def test_a_second_thread_may_import_a_network_while_the_first_does():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_diffusers_is_imported_in_one_place():
    outside_types = re.compile(r"^(?:import diffusers|from diffusers import)", re.MULTILINE)
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("models", "eval", "workbench")
        for path in (ROOT / package).rglob("*.py")
        if outside_types.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"models/networks/diffusers_parts.py"}
