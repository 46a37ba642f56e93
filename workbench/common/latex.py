"""Tables as LaTeX that compiles as it is, with booktabs or without any package."""

from collections.abc import Sequence

# inside a document that loads booktabs these do nothing
RULES = "".join(rf"\providecommand{{\{name}}}{{\hline}}" for name in ("toprule", "midrule", "bottomrule"))
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {character: f"\\{character}" for character in "&%$#_{}"}
SPECIAL |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"}
NO_QUOTES = r"\providecommand{\textquotedbl}{''}"  # only newer font encodings have it
RULE = r"\midrule"


def escape(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(SPECIAL.get(character, character) for character in text)


def tabular(align: str, heads: Sequence[str], rows: Sequence[Sequence[str] | str], note: str = "") -> str:
    """A table of cells that are LaTeX already; a row may be RULE. `note` goes above it as a comment."""
    lines = [f"% {' '.join(note.split())}"] if note else []
    lines += [RULES, rf"\begin{{tabular}}{{{align}}}", r"\toprule", _line(heads), RULE]
    lines += [row if isinstance(row, str) else _line(row) for row in rows]
    text = "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"
    return f"{NO_QUOTES}\n{text}" if r"\textquotedbl{}" in text else text


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
