"""The report of prompt following as Markdown."""

from eval.oracles import ORACLES
from workbench.scoring.prompt_following import FFE_STEPS

NOTE = (
    "All right: number of things, their words and what is behind them, judged from pixels by the oracle. "
    "Intervals 95 %: Wilson for rates, bootstrap over captions for Fréchet distance (36 statistics of colour, detail "
    "and change per clip; lower is nearer). n* is n steps with First-Frame "
    "Enhancement ({first} steps in the first chunk); at {first} steps both are the same clip. Real clips are a second "
    "rendering of the same captions: the best anyone can do. From a picture: image-to-video from the first frame of a "
    "real clip of the caption; all right then also says that the object moved on as asked."
)


def markdown(report: dict) -> str:
    """The report as Markdown: the table, the differences, and how it was made."""
    parts = ORACLES[report.get("world", "shapes")].parts  # reports from before there were two worlds name none
    head = ["model and steps", "objects", "n", "all right", *parts, "Fréchet distance"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in report["rows"]:
        rates = [f"{row[f'{name}_right']:.0%}" for name in parts]
        cells = [row["name"], row["objects"], row["n"], _rate(row["all_right"]), *rates, _number(row["frechet"])]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    if report["differences"]:
        lines += ["", "ASD minus baseline, same captions and seeds:", "", "| steps | all right | Fréchet distance |"]
        lines += ["|---|---|---|"]
    for row in report["differences"]:
        lines.append(f"| {row['name']} | {_rate(row['all_right'], sign='+')} | {_number(row['frechet'], sign='+')} |")
    weights = ", ".join(f"{name} {digest[:12]}" for name, digest in report["weights"].items())
    lines += ["", NOTE.format(first=FFE_STEPS)]
    lines += ["", f"Made by `{report['command']}` on {report['date'][:10]}; weights {weights}."]
    return "\n".join(lines) + "\n"


def _rate(interval: dict, sign: str = "") -> str:
    return f"{interval['value']:{sign}.1%} ({interval['low']:{sign}.1%} to {interval['high']:{sign}.1%})"


def _number(interval: dict | None, sign: str = "") -> str:
    if interval is None:
        return "needs two clips"
    return f"{interval['value']:{sign}.2f} ({interval['low']:{sign}.2f} to {interval['high']:{sign}.2f})"
