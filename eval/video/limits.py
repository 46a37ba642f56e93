"""What one file may take at most, checked before it is decoded or parsed; $WORKBENCH_LIMITS changes it."""

import os
from dataclasses import dataclass, fields, replace

VARIABLE = "WORKBENCH_LIMITS"


@dataclass(frozen=True)
class Limits:
    """`pixels` of a frame, `picture_pixels` of a picture that a clip starts from, `frames` and `seconds` of a video,
    `streams` (sound and others, too) of a file.

    `text_bytes` of a prompt list, manifest or other JSON file, `yaml_bytes` of a YAML file, `levels` of tables and
    lists inside each other, `yaml_values` after YAML's aliases are put in full.
    """

    pixels: int = 8192 * 4320
    picture_pixels: int = 64_000_000
    frames: int = 200_000
    seconds: int = 4 * 3600
    streams: int = 64
    text_bytes: int = 64_000_000
    yaml_bytes: int = 4_000_000
    yaml_values: int = 200_000
    levels: int = 64


def limits() -> Limits:
    """The defaults with what `WORKBENCH_LIMITS` says, as `pixels=100000000,frames=500000`.

    Raises ValueError for a name or a number that is none.
    """
    text, found = os.environ.get(VARIABLE, ""), Limits()
    names = [field.name for field in fields(Limits)]
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = part.partition("=")
        if name not in names or not (number.isascii() and number.isdigit() and int(number)):
            example = f"{VARIABLE}=pixels=100000000,frames=500000"
            raise ValueError(f"{VARIABLE} has {part[:60]!r}; give whole numbers for {', '.join(names)}, as {example}")
        found = replace(found, **{name: int(number)})
    return found


def over(what: str, found: float, most: int) -> str:
    """Why something is not read: the number, the rule and the way out."""
    named = what.replace("_", " ")
    return f"it has {found:,.0f} {named}, and at most {most:,} are read; {VARIABLE}={what}=N allows more"
