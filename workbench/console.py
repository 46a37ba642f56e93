"""What commands say: results on standard output, notices and errors on standard error."""

import json
import sys
from typing import Any


def say(text: str) -> None:
    """One result."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """One result as JSON; paths become strings."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def notice(text: str) -> None:
    """Something the user should know about a result that is on its way."""
    sys.stderr.write(f"notice: {one_line(text)}\n")


def fail(text: str) -> None:
    """Why there is no result."""
    sys.stderr.write(f"error: {one_line(text)}\n")


def one_line(text: str, limit: int = 600) -> str:
    """Whitespace and control characters become single spaces; what is over `limit` characters is cut in the middle."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else f"{line[: limit // 2]} ... {line[-limit // 2 :]}"
