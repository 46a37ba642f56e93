"""`models`: the registry as a table or as JSON."""

import argparse

from workbench.common.console import say, say_json
from workbench.requests.catalogue import gpu_gigabytes

COLUMNS = ("name", "family", "tasks", "steps", "runs here", "GPU memory", "licence", "title")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "models", help="list the models", description="List the models and which can run here."
    )
    parser.add_argument("--download", metavar="NAME", help="get the missing files of a model from the hub")
    parser.add_argument("--json", action="store_true", help="print a JSON list of rows")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.requests.catalogue import model_rows

    if options.download:
        from workbench.commands.generate import open_model

        say(f"{open_model(options.download)} is ready")
        return 0
    rows = model_rows()
    if options.json:
        say_json(rows)
    else:
        say(table(rows))
    return 0


def table(rows: list[dict]) -> str:
    """Rows as aligned text; why a model cannot run here follows below the table."""
    cells = [COLUMNS]
    for row in rows:
        tasks, steps = (", ".join(map(str, row[name])) for name in ("tasks", "steps"))
        here = "yes" if row["available"] else "no"
        memory = f"{row['gpu_gb']:.1f} GB" if row["gpu_gb"] else "none"
        cells.append((row["name"], row["family"], tasks, steps, here, memory, row["license"], row["title"]))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    told = [f"{row['name']}: {row['state']}; licence {row['license']}" for row in rows if row["state"] != "ready"]
    return "\n".join(lines + (["", *told, machine()] if told else []))


def machine() -> str:
    """What this machine has for the models that need a GPU."""
    found = gpu_gigabytes()
    return f"this machine has a GPU with {found:.0f} GB" if found else "this machine has no GPU"
