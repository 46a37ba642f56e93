"""Prompt switches and steps by hand: laws over the cache, links to First-Frame Enhancement, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.networks.attention_masks import chunk_layout
from models.sampling.rollout import ClipNoise, TextSwitch, rollout
from models.sampling.schedulers import StepPlan
from models.types import GenerationRequest, PromptSwitch, RequestError
from tests.helpers.tiny_models import tiny_pipeline
from workbench.__main__ import main
from workbench.clips.manifest import read_manifest, request_from_manifest
from workbench.requests.links.generate import read_generate
from workbench.requests.timeline import read_step_plan, read_switches

PROMPT = "a red circle moving right on a black background"
OTHER = "a blue star moving left on a gray background"
REQUEST = GenerationRequest(PROMPT, steps=2, frames=49, seed=3)  # chunks of 1, 12, 12, 12 and 12 frames


def frames(pipeline, **changes) -> np.ndarray:
    return pipeline(replace(REQUEST, **changes)).frames


def switched(pipeline, cache: str, *, chunk: int = 2, prompt: str = OTHER, **changes) -> np.ndarray:
    return frames(pipeline, switches=(PromptSwitch(chunk, prompt, cache),), **changes)


@pytest.mark.parametrize("cache", ["keep", "recache", "reset"])
def test_frames_before_a_switch_are_those_of_an_unswitched_run(tiny, cache):
    plain, other = frames(tiny), switched(tiny, cache)
    assert np.array_equal(plain[:13], other[:13])
    assert not np.array_equal(plain[13:25], other[13:25])


@pytest.mark.parametrize("cache", ["keep", "recache"])
def test_a_switch_to_the_same_prompt_changes_nothing(tiny, cache):
    assert np.array_equal(frames(tiny), switched(tiny, cache, prompt=PROMPT))


def test_after_a_reset_the_past_has_no_say(tiny):
    """What follows a cut is the same whatever came before it; with the past kept it is not."""
    third = "a green square moving up on a brown background"
    for cache, alike in (("reset", True), ("keep", False)):
        first, second = switched(tiny, cache), frames(tiny, prompt=third, switches=(PromptSwitch(2, OTHER, cache),))
        assert np.array_equal(first[13:], second[13:]) == alike, cache


@pytest.mark.parametrize("window", [None, 5])
def test_recache_equals_a_past_that_was_given_under_the_new_prompt(tiny, window):
    model, layout = tiny.transformer, chunk_layout(13, 3, 1)
    old, new = (tiny.text_encoder.embed([text]).detach() for text in (PROMPT, OTHER))
    noise = ClipNoise(torch.Generator().manual_seed(1))
    shape, extra = (1, 16, 8, 8), {"window": window, "sink": 1} if window else {}
    plan = StepPlan.uniform(layout, 2)
    with torch.no_grad():
        mixed = list(
            rollout(
                model,
                plan,
                old,
                model.new_cache(8, 8, **extra),
                noise,
                shape,
                switches={2: TextSwitch(new, "recache")},
            )
        )
        past = torch.cat([part.latents for part in mixed[:2]], 1)
        given = StepPlan(layout, ((), (), *plan.sigmas[2:]))
        alone = list(rollout(model, given, new, model.new_cache(8, 8, **extra), noise, shape, given=past))
    for a, b in zip(mixed[2:], alone[2:], strict=True):
        assert torch.allclose(a.latents, b.latents, atol=1e-5)


def test_steps_by_hand(tiny):
    assert np.array_equal(frames(tiny, step_plan=(2,)), frames(tiny))
    assert np.array_equal(frames(tiny, step_plan=(4, 2)), frames(tiny, ffe=True, first_steps=4))
    assert [len(s) for s in tiny(replace(REQUEST, step_plan=(1, 3, 2))).sigmas] == [1, 3, 2, 2, 2]
    plan = StepPlan.by_hand(chunk_layout(13, 3, 1), (4, 1), given=1)
    assert plan == StepPlan.uniform(chunk_layout(13, 3, 1), 1, given=1).enhance_first(4)


def test_a_manifest_tells_switches_and_plan_and_makes_the_clip_again(service, tmp_path):
    request = replace(REQUEST, frames=25, step_plan=(3, 1), switches=(PromptSwitch(1, OTHER, "recache"),))
    made = service.generate("tiny-random", request, out=tmp_path / "a.mp4")
    model, again = request_from_manifest(made.manifest_path)
    assert (again.step_plan, again.switches) == (request.step_plan, request.switches)
    assert service.generate(model, again, out=tmp_path / "b.mp4").manifest.frames_digest == made.manifest.frames_digest
    names = {service.generate("tiny-random", r).path.stem for r in (request, replace(request, switches=()), REQUEST)}
    assert len(names) == 3


def test_a_manifest_from_before_switches_is_still_read(service, tmp_path):
    made = service.generate("tiny-random", replace(REQUEST, frames=2), out=tmp_path / "a.mp4")
    values = json.loads(made.manifest_path.read_text())
    del values["switches"], values["step_plan"]
    made.manifest_path.write_text(json.dumps(values))
    assert read_manifest(made.manifest_path).switches == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"switches": (PromptSwitch(5, OTHER),)}, "chunk 6; 49 frames can switch at chunks 2 to 5"),
        ({"switches": (PromptSwitch(0, OTHER),)}, "chunk 1; 49 frames"),
        ({"switches": (PromptSwitch(1, OTHER),), "frames": 1}, "nowhere"),
        ({"switches": (PromptSwitch(1, OTHER), PromptSwitch(1, PROMPT))}, "two prompt switches are at chunk 2"),
        ({"switches": (PromptSwitch(1, " "),)}, "has 0 characters"),
        ({"switches": (PromptSwitch(1, OTHER, "drop"),)}, "cache 'drop'; choose keep, recache, reset"),
        ({"step_plan": (0,)}, "is 0"),
        ({"step_plan": (7,)}, "holds 7"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(tiny, changes, told):
    with pytest.raises(RequestError, match=told.replace("(", r"\(")):
        tiny.check(replace(REQUEST, **changes))


def test_a_model_without_chunks_refuses_both():
    teacher = tiny_pipeline(causal=False)
    for changes in ({"step_plan": (2,)}, {"switches": (PromptSwitch(1, OTHER),)}):
        with pytest.raises(RequestError, match="has no chunks"):
            teacher.check(replace(REQUEST, **changes))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--step-plan", "4,x"], "--step-plan '4,x'"),
        (["--switch", "a blue star"], "names no chunk"),
        (["--switch-cache", "reset"], "goes with --switch"),
    ],
)
def test_wrong_flags_end_with_2(tmp_path, capsys, flags, told):
    assert main(["generate", "--prompt", PROMPT, "--out", str(tmp_path / "a.mp4"), *flags]) == 2
    assert told in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_page_and_a_link_read_what_people_write():
    assert read_step_plan(" 4, 1 ,2") == (4, 1, 2) and read_step_plan("  ") == ()
    late, early = "3: a blue star", "2:  a   red\tcircle"
    assert read_switches(f"{late}\n\n{early}", "reset") == read_switches(f"{early}|{late}", "reset")
    assert read_switches(early) == (PromptSwitch(1, "a red circle"),)
    query = {"plan": "4,1", "switches": f"{early}|{late}", "cache": "recache"}
    assert read_generate(query) == {"plan": "4,1", "switches": f"{early}\n{late}", "cache": "recache"}
    for wrong in ({"plan": "4;1"}, {"switches": "blue"}, {"cache": "drop"}):
        with pytest.raises(RequestError, match=f"'{next(iter(wrong.values()))}'"):
            read_generate(wrong)
