"""Wrong input by the thousand, to every command and every door of the app: each must be refused in one sentence."""

import argparse
import contextlib
import io
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from workbench.commands import COMMANDS
from workbench.commands import words as words_of
from workbench.commands.line import build_parser, main
from workbench.requests.arguments import READERS

PATIENCE = 60.0  # seconds until something counts as hung
LOOK_EVERY = 25  # requests between two looks at page, memory and open files
MEMORY_GROWTH, FILE_GROWTH = 100.0, 16  # MB and open files, from the first quarter to the end
# arguments without which a command says nothing about the others, where they are not told from its parser
NEEDED = {
    "convert": ["weights.safetensors"],
    "publish": ["run", "generator"],
    "bench-vbench": ["--vbench", "v", "--dino", "d", "--pyiqa", "p"],
}
WRONG = {
    int: ("x", "1.5", "-1", "nan", "", "9" * 30, "1" * 5000, "\udcff"),
    float: ("x", "-1", "nan", "inf", "", "1e300", "\udcff"),
    Path: ("", " ", "x" * 300, "y/" * 3000),
    None: ("half \ud800", "\udcff", "bell\a"),
}
JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 2**70, float("nan"), "", " ", "x" * 5000, "half \\ud800", "\0", "../../etc/passwd"),
    *(
        "<script>",
        "{}",
        [],
        {},
        [[]],
        {"path": "/etc/passwd"},
        ["a"] * 500,
        "http://127.0.0.1:1/",
        "\u202e",
        "é" * 200,
    ),
    *([1, [2, [3, [4, [5]]]]], {"a": {"b": {"c": {}}}}, "shapes-asd", "1*", 10**400),
)
ENDPOINTS = {"models": 0, "generate": 11, "compare": 4, "evaluate": 4, "leaderboard": 3}
OWN_POSTS = ("session", "next-pair", "votes", "votes/undo", "consent", "logout")
FIELDS = ("name", "invite", "study", "assignment", "key", "answers", "watched", "seconds", "flags")
PAGES = ("/", "/generate", "/compare", "/evaluate", "/dashboard", "/insight", "/grid", "/results", "/studies", "/vote")
QUERY = (
    "model",
    "prompt",
    "steps",
    "ffe",
    "seed",
    "frames",
    "sides",
    "run",
    "clips",
    "study",
    "show",
    "axis",
    "frame",
)
FILES = (
    "media/{}",
    "evaluations/{}/scores.csv",
    "results/{}/votes.csv",
    "leaderboard/{}",
    "clips/{}/picture",
    "clips",
)


def parsers(command: str) -> list[tuple[list[str], argparse.ArgumentParser]]:
    """The parsers of a command's actions, or its own, each with the words that lead to it."""
    parser = build_parser(command).commands.choices[command]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return [([command, name], inner) for name, inner in action.choices.items()]
    return [([command], parser)]


def kind_of(action: argparse.Action) -> Any:
    """The kind of words that an option takes, whoever reads them."""
    if action.type in READERS:
        return action.type
    return {"whole": int, "number": float}.get(getattr(action.type, "__qualname__", "").partition(".")[0])


def needed(
    parser: argparse.ArgumentParser, words: list[str], but: argparse.Action | None = None, given: str | None = None
) -> list[str]:
    """Values for all that a command must have, `but` one, which is left out or `given`."""
    found = list(NEEDED.get(words[0], ()))
    for action in parser._actions:
        if action is but and given is not None and not action.option_strings:
            found += [given]
        if action is but or words[0] in NEEDED or action.nargs in (0, "?", "*"):
            continue
        if not action.option_strings:
            found += [next(iter(action.choices)) if action.choices else "name"]
        elif action.required:
            found += [action.option_strings[0], "name.json"]
    return found


def wrong_words() -> list[list[str]]:
    """A command line for every option of every command and every word that is none of its kind."""
    found = []
    for words, parser in (row for command in COMMANDS for row in parsers(command)):
        for action in (action for action in parser._actions if action.nargs != 0):
            for word in ("nonsense",) if action.choices else WRONG[kind_of(action)]:
                if action.option_strings:
                    found.append([*words, *needed(parser, words, action), f"{action.option_strings[0]}={word}"])
                elif not word.startswith("-") and words[0] not in NEEDED:
                    found.append([*words, *needed(parser, words, action, word)])
    return found


@dataclass
class Report:
    """What bad input came to; `faults` must stay empty. Memory in MB, by looks at it while requests came in."""

    commands: int = 0
    requests: int = 0
    faults: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)


class _Hung(Exception):
    pass


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    def alarm(*_: object) -> None:
        raise _Hung

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def try_commands(count: int, seed: int, report: Report, on_each: Callable[[], object]) -> None:
    """Run `count` wrong command lines in an empty folder; each must end with 2 and one line."""
    lines, here = wrong_words(), os.getcwd()
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for argv in rng.sample(lines, count) if count <= len(lines) else rng.choices(lines, k=count):
                said, code = io.StringIO(), None
                try:
                    with _patience(), contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                        code = main([*words_of(argv[0]), *argv[1:]])
                except _Hung:
                    report.faults.append(f"{argv!r} hung"[:300])
                except BaseException as error:
                    report.faults.append(f"{argv!r} raised {type(error).__name__}"[:300])
                text = said.getvalue()
                if code not in (2, None) or "Traceback" in text or (code == 2 and text.count("\n") != 1):
                    report.faults.append(f"{argv!r} gave {code}: {text}"[:300])
                report.commands += 1
                on_each()
        finally:
            os.chdir(here)


def try_requests(url: str, count: int, seed: int, report: Report, on_each: Callable[[], object]) -> None:
    """Send `count` wrong requests to a running app of this process; it must answer each, and work after each."""
    rng = random.Random(seed)
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        client.post("/api/v1/session", json={"name": "somebody"})
        for number in range(count):
            send = rng.choice((_own, _own, _call, _call, _page, _file, _raw))
            name = f"request {number} ({send.__name__.strip('_')})"
            try:
                status, text = send(client, rng)
                if status >= 500 and not (status == 503 and "error" in text):
                    report.faults.append(f"{name}: {status} {text}"[:400])
                if "Traceback (most recent" in text:
                    report.faults.append(f"{name}: a traceback is shown: {text}"[:400])
            except httpx.TimeoutException:
                report.faults.append(f"{name} hung")
            except httpx.HTTPError as error:
                report.faults.append(f"{name}: {type(error).__name__}: {error}")
            report.requests += 1
            on_each()
            if number % LOOK_EVERY == 0 or number == count - 1:
                _look(client, report)
    _judge_growth(report)


def _look(client: httpx.Client, report: Report) -> None:
    for path in ("/api/v1/health", "/evaluate"):
        if (answer := client.get(path)).status_code != 200:
            report.faults.append(f"{path} answers {answer.status_code} after request {report.requests}")
    report.files.append(len(os.listdir("/proc/self/fd")))
    report.memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6)


def _judge_growth(report: Report) -> None:
    early = len(report.memory) // 4
    if len(report.memory) < 8:
        return
    if (grown := report.memory[-1] - report.memory[early]) > MEMORY_GROWTH:
        report.faults.append(f"memory grew by {grown:.0f} MB")
    if (more := report.files[-1] - report.files[early]) > FILE_GROWTH:
        report.faults.append(f"{more} more files are open")


def _json(value: Any) -> bytes:
    """JSON, with escapes for half characters."""
    return json.dumps(value).replace("\\\\ud800", "\\ud800").encode()


def _own(client: httpx.Client, rng: random.Random) -> tuple[int, str]:
    body: Any = {name: rng.choice(JUNK) for name in rng.sample(FIELDS, rng.randint(0, 5))}
    path = f"/api/v1/{rng.choice(OWN_POSTS)}"
    if path.endswith("/logout"):
        body = {}
    content = rng.choice((_json(body), _json(rng.choice(JUNK)), b"[" * 5000, b"\xff\xfe", b""))
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    return answer.status_code, answer.text


def _call(client: httpx.Client, rng: random.Random) -> tuple[int, str]:
    name = rng.choice(list(ENDPOINTS))
    data = [rng.choice(JUNK) for _ in range(max(0, ENDPOINTS[name] + rng.choice((0, 0, 0, 1, -1))))]
    answer = client.post(
        f"/gradio_api/call/{name}", content=_json({"data": data}), headers={"content-type": "application/json"}
    )
    identity = answer.json().get("event_id") if answer.status_code == 200 else None
    if identity is None:
        return answer.status_code, answer.text
    began, lines = time.monotonic(), []
    with client.stream("GET", f"/gradio_api/call/{name}/{identity}") as events:
        for line in events.iter_lines():
            lines.append(line[:2000])
            if time.monotonic() - began > PATIENCE:
                raise httpx.ReadTimeout("the call does not end")
    return events.status_code, "\n".join(lines)


def _page(client: httpx.Client, rng: random.Random) -> tuple[int, str]:
    query = {name: str(rng.choice(JUNK))[:500] for name in rng.sample(QUERY, rng.randint(1, 5))}
    answer = client.get(rng.choice(PAGES), params={k: v.encode(errors="replace") for k, v in query.items()})
    return answer.status_code, answer.text[:2000]


def _file(client: httpx.Client, rng: random.Random) -> tuple[int, str]:
    from urllib.parse import quote

    name = quote(str(rng.choice(JUNK))[:300] or "x", safe="")
    answer = client.get(f"/api/v1/{rng.choice(FILES).format(name)}", params={"q": str(rng.choice(JUNK))[:300]})
    return answer.status_code, answer.text[:2000]


def _raw(client: httpx.Client, rng: random.Random) -> tuple[int, str]:
    method, path = rng.choice(("PUT", "DELETE", "PATCH", "GET", "POST")), rng.choice((*PAGES, "/gradio_api/upload"))
    answer = client.request(method, path, content=rng.randbytes(rng.randint(0, 5000)))
    return answer.status_code, answer.text[:2000]
