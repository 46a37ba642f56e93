"""Whether a picture shows what the prompt says, where that can be told: in the worlds made here, by their oracles."""

from typing import Any

import numpy as np

from eval.oracles import ORACLES, Oracle
from models.specs import ModelSpec
from models.types import GenerationRequest
from models.video_input import fit_image

LOOKS = 8  # the picture is judged as a clip that stands still: the oracles want to see a thing for a while
VAGUE = (None, "unclear")


def picture_notices(spec: ModelSpec, request: GenerationRequest) -> list[str]:
    """What a person should know about the picture that a clip starts from: nothing where it shows the prompt."""
    if request.image is None:
        return []
    oracle = ORACLES.get(spec.family)
    if oracle is None:
        return [f"whether the picture shows what the prompt says is not checked for {spec.title}"]
    seen = fit_image(request.image, request.size or spec.size)
    still = np.repeat(seen[None], LOOKS, axis=0)
    wrong = _wrong(oracle, oracle.judge(still, request.prompt))
    if not wrong:
        return []
    return [f"the picture does not show what the prompt says ({'; '.join(wrong)}): the clip begins with the picture"]


def _wrong(oracle: Oracle, verdict: Any) -> list[str]:
    """What a verdict on a still clip finds wrong, motion left out; nothing for a prompt that cannot be judged."""
    if verdict.all_right is None:
        return []
    wrong = []
    if not verdict.count_ok:
        number = int(np.median(verdict.curves["things"]))
        wrong.append(f"{len(verdict.things)} asked for, {number} seen")
    for thing in verdict.things:
        for name in oracle.words:
            if name != "direction" and not getattr(thing, f"{name}_ok"):
                seen = getattr(thing.seen, name, None)
                wrong.append(f"{getattr(thing.asked, name)} asked for, {'unclear' if seen in VAGUE else seen} seen")
    if not getattr(verdict, f"{oracle.behind}_ok"):
        wrong.append(f"another {oracle.behind} than asked for")
    return wrong
