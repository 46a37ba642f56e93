"""The tables of docs/results.md: made from the reports in `assets/results`, each between two comments that name it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.types import RequestError
from workbench.experiments import ablation_files, claims_report, few_steps, prompt_following_report
from workbench.experiments.ablation_files import FOLDER

BLOCKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "prompt_following": prompt_following_report.markdown,
    "ablation": ablation_files.headline_markdown,
    "claims": claims_report.markdown,
    "few_steps": few_steps.markdown,
}


def refresh(text: str, folder: Path = FOLDER) -> str:
    """`text` with every block of results made anew from `folder/NAME.json`.

    Raises RequestError when a report or a block's place is missing.
    """
    for name, markdown in BLOCKS.items():
        path = folder / f"{name}.json"
        if not path.exists():
            raise RequestError(f"{str(path)!r} is not here; measure it and put its report there")
        made = f"<!-- results:{name} -->\n{markdown(json.loads(path.read_text()))}<!-- /results:{name} -->"
        place = re.compile(rf"<!-- results:{name} -->.*?<!-- /results:{name} -->", re.DOTALL)
        if not place.search(text):
            raise RequestError(
                f"there is no place for {name}; mark it by <!-- results:{name} --> and its end by a slash"
            )
        text = place.sub(lambda _, made=made: made, text)
    return text
