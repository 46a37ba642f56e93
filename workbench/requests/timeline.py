"""Steps and prompts chunk by chunk, as people write them on the page, in links and on the command line."""

from collections.abc import Sequence

from models.default_world import DEFAULT
from models.types import PromptSwitch, RequestError
from workbench.common.words import read_whole

EXAMPLE = f"2: {DEFAULT.switch}"  # from the second chunk on


def read_step_plan(text: str, name: str = "the step plan") -> tuple[int, ...]:
    """`4,1,1` to numbers; empty for none. Raises RequestError for anything else."""
    numbers = [read_whole(part) for part in text.split(",")] if text.strip() else []
    if None in numbers:
        raise RequestError(f"{name} {text[:80]!r} is no list of whole numbers; write it as 4,1,1,2")
    return tuple(numbers)


def read_switch(text: str, cache: str = "keep", name: str = "the prompt switch") -> PromptSwitch:
    """`2: a blue star ...` to a switch before the second chunk: people count chunks from 1. Raises RequestError."""
    chunk, colon, prompt = text.partition(":")
    number = read_whole(chunk)
    if not colon or number is None:
        raise RequestError(f"{name} {text[:80]!r} names no chunk; write CHUNK: PROMPT, as {EXAMPLE!r}")
    return PromptSwitch(number - 1, " ".join(prompt.split()), cache)


def format_switches(switches: Sequence[PromptSwitch]) -> str:
    """Switches between bars, as links have them."""
    return "|".join(f"{switch.chunk + 1}: {switch.prompt}" for switch in switches)


def read_switches(text: str, cache: str = "keep") -> tuple[PromptSwitch, ...]:
    """One switch a line (or between bars, as links have them), in the order of their chunks."""
    lines = [line for line in text.replace("|", "\n").splitlines() if line.strip()]
    return tuple(sorted((read_switch(line, cache) for line in lines), key=lambda switch: switch.chunk))
