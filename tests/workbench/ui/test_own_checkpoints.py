"""Checkpoints of one's own in the app: files of every code base, made and set side by side; what judges them."""

from argparse import Namespace
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode

import gradio as gr
import pytest
import torch

from eval.evaluator import evaluate
from models.default_world import SHAPES
from models.latent_time import pixel_frames
from models.pipeline import chunk_layout_for
from models.registry import MODELS, get_spec, list_models, own_sources, register
from models.types import GenerationRequest, RequestError
from models.wan.rows import PROMPTS
from tests.helpers.wan_data import layouts, original_state, transformer, write_small_world
from workbench.__main__ import main
from workbench.clips.generation import GenerationService
from workbench.clips.kept import kept_clip
from workbench.commands import app
from workbench.commands.sweep import LISTS, plan_from
from workbench.requests.clip_length import fitting_length, length_choices, whole_chunks
from workbench.requests.frame_size import fitting_size, size_choices
from workbench.requests.links.compare import read_compare
from workbench.requests.links.generate import read_generate
from workbench.requests.numbers import frames_of
from workbench.requests.systems import System
from workbench.scoring.evaluation import create_metrics
from workbench.scoring.runs import EvaluationService, _source
from workbench.settings import Settings
from workbench.sweeps.work import Setup, Worker
from workbench.ui.components.inputs import length_update
from workbench.ui.components.prompts import example_prompts, examples_update
from workbench.ui.context import EXAMPLES, Context, about_model, model_choices
from workbench.ui.pages.compare.view import Plan, make_comparison
from workbench.ui.pages.generate import _compare_address

PROMPT = "a cat on a sailing boat, waves behind it"
SIZE = "64x80"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One network as a file of every code base, all of the same name, beside Wan's other files."""
    folder = tmp_path_factory.mktemp("world")
    write_small_world(folder)
    found = {}
    for name, content in layouts(original_state(transformer())).items():
        found[name] = folder / name.replace(" ", "-") / "model.pt"
        found[name].parent.mkdir()
        torch.save(content, found[name])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_WEIGHTS", str(folder))
        patch.setenv("WORKBENCH_CACHE", str(folder / "cache"))
        kept = dict(MODELS)
        yield found
        MODELS.clear()
        MODELS.update(kept)


@pytest.fixture(scope="module")
def names(files, tmp_path_factory):
    """Their names in the app, opened as `app --model path:FILE` opens them."""
    before = set(MODELS)
    models = tuple(f"path:{path}" for path in files.values())
    app._check(Settings(data_dir=tmp_path_factory.mktemp("data"), models=models))
    return [name for name in MODELS if name not in before]


@pytest.fixture(scope="module")
def context(names, tmp_path_factory):
    data = tmp_path_factory.mktemp("clips")
    return Context(GenerationService(data), EvaluationService(data), Settings(data_dir=data), None, None)


def test_files_of_one_name_are_told_apart_by_their_folders(files, names):
    assert len(names) == len(files) == len(set(names))
    assert names[:2] == ["path:model.pt", "path:Self-Forcing/model.pt"]
    again = register(f"path:{next(iter(files.values()))}")
    assert again.name == names[0] and again.title == "model.pt"
    assert ("Self-Forcing/model.pt", names[1]) in model_choices()
    assert "prompts are free text" in about_model(names[0]) and "81 frames, 5.1 s" in about_model(names[0])


def test_every_family_makes_the_same_clip_on_generate_and_stands_on_compare(context, names):
    """One network in sixteen layouts: any tensor read wrongly would make another clip."""
    request = GenerationRequest(PROMPT, 1, frames=5, seed=3, size=(80, 64))
    made = [context.service.generate(name, request) for name in names]
    assert {clip.manifest.frames_digest for clip in made} == {made[0].manifest.frames_digest}
    assert made[0].result.frames.shape == (5, 80, 64, 3) and made[0].result.frames.std() > 0
    for start in range(0, len(names), 4):
        sides = tuple(System(name, 1) for name in names[start : start + 4])
        plan = Plan(PROMPT, 3, 5, sides, size=SIZE)
        found = read_compare(dict(parse_qsl(urlencode(plan.query))))
        assert (found["sides"], found["size"], found["frames"]) == (sides, SIZE, 5)
        last = list(make_comparison(context, plan, kept=True))[-1]
        assert last["status"]["state"] == "done"
    assert [kept_clip(context.service, context.evaluations.library, names[0], request) is not None] == [True]
    other = GenerationRequest(PROMPT, 1, frames=5, seed=3, size=(64, 80))
    assert kept_clip(context.service, context.evaluations.library, names[0], other) is None


def test_links_hold_the_size_and_the_other_side_is_of_the_same_world(names):
    made = SimpleNamespace(prompt=PROMPT, seed=3, frames=5, height=80, width=64)
    link = dict(parse_qsl(_compare_address(System(names[0], 1), made).partition("?")[2]))
    sides = read_compare(link)["sides"]
    assert link["size"] == SIZE and {get_spec(side.model).family for side in sides} == {"wan"}
    assert read_generate({"model": names[1], "size": "832x480"})["size"] == "832x480"
    with pytest.raises(RequestError, match="size in this link '5' is no size"):
        read_generate({"size": "5"})


def test_sizes_on_offer_are_those_that_all_models_make(names):
    assert size_choices(names[:2])[:2] == [("832 x 480, its own", ""), ("480 x 832", "480x832")]
    assert size_choices([names[0], "shapes-asd"]) == [("each model's own", "")]
    assert fitting_size([names[0]], SIZE) == SIZE and fitting_size([names[0], "shapes-asd"], SIZE) == ""
    assert fitting_size(names[:1], "4000x4000") == "" and fitting_size(names[:1], "") == ""


@pytest.mark.parametrize("spec", list_models(), ids=lambda spec: spec.name)
def test_lengths_on_offer_are_whole_chunks_that_the_row_allows(spec):
    offered = whole_chunks(spec)
    assert offered == sorted(set(offered)) and spec.trained_frames in offered and offered[-1] <= spec.most_frames
    assert [pixel_frames(sum(chunk_layout_for(spec, frames))) for frames in offered] == offered
    assert length_choices([spec.name]) == offered


def test_lengths_of_several_models_are_what_all_make(names):
    assert length_choices(["shapes-asd"]) == [13, 25, 37, 49, 109, 205, 421]
    assert length_choices(names[:1])[:7] == [9, 21, 33, 45, 57, 69, 81]
    assert length_choices([names[0], "rcm-wan-1.3b"])[-1] == 69  # rCM's one chunk is no whole one of the other
    assert fitting_length([names[0], "rcm-wan-1.3b"], 81) == 69 and fitting_length(names[:1], 81) == 81
    assert fitting_length(names[:1], 5) == 5 and fitting_length(names[:1], None) is None


def test_a_link_with_any_length_opens(names):
    for frames in ("5", "49", "3001"):
        found = read_generate({"model": names[0], "frames": frames})
        shown = length_update([names[0]], found["frames"])
        assert (shown["value"], frames_of(str(shown["value"]))) == (int(frames), int(frames))
    assert length_update([names[0]], "five")["value"] == "five"  # the button tells what is wrong with it
    assert length_update(["rcm-wan-1.3b"], "81")["value"] == 77


def test_examples_are_of_the_models_world(names):
    with gr.Blocks():
        examples = example_prompts(gr.Textbox(), "shapes-asd")
    for model, world in ((names[0], "wan"), ("shapes-asd", "shapes")):
        shown = [box for box, update in examples_update(examples, [model]).items() if update["visible"]]
        assert shown == [examples[world]]
    assert EXAMPLES["wan"] == PROMPTS and EXAMPLES["shapes"] == SHAPES.prompts


def test_oracles_do_not_apply_and_other_metrics_do(context, names):
    clip = context.service.generate(names[0], GenerationRequest(PROMPT, 1, frames=9, seed=3, size=(80, 64)))
    stored = context.evaluations.library.stored(clip.path.stem)
    metrics = create_metrics(
        ("oracle_right", "shapes_clip_alignment", "background_consistency_shapes_clip", "sharpness", "luma_flicker")
    )
    (scores,) = evaluate([_source("clip", stored)], metrics)
    told = "does not apply: the clip is of the wan world, and this metric knows the shapes world only"
    assert [result.reason for result in scores.results.values()].count(told) == 3
    assert scores.results["sharpness"].value is not None and scores.results["luma_flicker"].value is not None


def test_a_sweep_takes_them_and_its_workers_open_them_too(files, names):
    asked = dict.fromkeys(LISTS) | {"models": f"shapes-asd,path:{files['rCM']}", "prompts": "held-out:1", "plan": None}
    assert plan_from(Namespace(**asked)).models == ("shapes-asd", "path:rCM/model.pt")
    sources, specs = own_sources(), {name: get_spec(name) for name in names}
    for name in names:
        MODELS.pop(name)
    Worker(Setup(models=sources))
    assert {name: get_spec(name) for name in names} == specs


def test_a_model_of_the_registry_is_no_file_of_ones_own(tmp_path, capsys):
    assert main(["app", "--model", "shapes-asd", "--data-dir", str(tmp_path)]) == 2
    assert "'shapes-asd' is no file of your own; give path:FILE" in capsys.readouterr().err
