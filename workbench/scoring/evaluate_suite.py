"""`evaluate --vbench-suite`: VBench's sample folders, and its quality, semantic and total score."""

import argparse
import json
import shlex
import sys

from eval.metric import Resources
from models.types import RequestError
from models.whole_files import write_bytes
from workbench.common.console import notice, say, say_json
from workbench.requests.outputs import check_outputs, vbench_files
from workbench.scoring.vbench_suite import SuiteScores, find_suite, score_suite


def run_suite(options: argparse.Namespace) -> int:
    if options.paths:
        raise RequestError("--vbench-suite names the clips already; leave the other paths out")
    if options.out and options.out.suffix.lower() != ".json":
        raise RequestError(f"--out {str(options.out)!r} cannot hold a suite; end it in .json")
    suite = find_suite(options.vbench_suite, options.vbench_info)
    outputs = [*([options.out] if options.out else []), *vbench_files(options)]
    inputs = [*options.vbench_suite.rglob("*"), *([options.vbench_info] if options.vbench_info else [])]
    check_outputs(outputs, inputs, "--out" if options.out else "--vbench-out", overwrite=options.overwrite)
    scores = score_suite(suite, Resources(options.weights, options.device, options.clip, options.precision))
    command = f"python -m workbench {shlex.join(sys.argv[1:])}"
    told = scores.to_dict()
    if options.out:
        write_bytes(options.out, json.dumps(told | {"command": command}, indent=2).encode())
    if options.vbench_out:
        scores.write(options.vbench_out, options.out.stem if options.out else "results", command)
    if options.json:
        say_json(told)
    else:
        say(_table(scores))
    for text in told["notices"]:
        notice(text)
    return 0 if any(value is not None for value in scores.values().values()) else 1


def _table(scores: SuiteScores) -> str:
    """The raw value of each dimension, then the scores put together and what they lack."""
    found = scores.aggregated()
    lines = ["| dimension | clips | value |", "|---|---|---|"]
    for name, value in scores.values().items():
        lines.append(f"| {name} | {len(scores.results[name])} | {'' if value is None else f'{value:.6f}'} |")
    for name, why in scores.cannot.items():
        lines.append(f"| {name} | | cannot run here: {why} |")
    lines += ["", "| score | value | lacks |", "|---|---|---|"]
    for group in (found.quality, found.semantic, found.total):
        value = "" if group.value is None else f"{group.value:.6f}"
        lines.append(f"| {group.name} | {value} | {', '.join(group.missing)} |")
    return "\n".join(lines)
