"""Every released model of the registry through the pages in a real Chromium: its files, at small size with random
weights, lie where docs/wan.md says; it is ready, makes a clip, stands on Compare, and its clips are judged.

WALK_ALL_MODELS=1 walks all of them, which takes minutes; by default three are walked, one of each kind of file."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from models.registry import get_spec, list_models
from tests.helpers.wan_data import write_released_files
from workbench.clips.generation import GenerationService
from workbench.clips.media import encode_mp4
from workbench.requests.links.compare import compare_link
from workbench.requests.links.evaluate import evaluate_link
from workbench.requests.links.generate import generate_link
from workbench.requests.systems import System
from workbench.settings import Settings
from workbench.ui.live import live_app

RELEASED = [spec for spec in list_models() if spec.checkpoint]
FIRST = get_spec("self-forcing-wan-1.3b")
WALKED = [
    spec
    for spec in RELEASED
    if os.environ.get("WALK_ALL_MODELS")
    or spec.name in ("self-forcing-wan-1.3b", "streamdiffusion-wan-1.3b", "wan-2.1-14b")
]
OTHERS = [spec for spec in WALKED if "t2v" in spec.tasks and spec is not FIRST]
PROMPT, SIZE, FRAMES, SEED = "a cat on a sailing boat", "64x80", 9, 3
PLAYER = "#player .wb-player[data-state=ready]"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def url(data, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WORKBENCH_WEIGHTS", "WORKBENCH_CACHE", "HF_HUB_CACHE"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        root = Path(os.environ["WORKBENCH_WEIGHTS"])
        write_released_files(root, {spec.name: spec.checkpoint for spec in RELEASED})
        with live_app(GenerationService(data), Settings(data_dir=data)) as address:
            yield address


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    file = tmp_path_factory.mktemp("video") / "drawn.mp4"
    encode_mp4(np.random.default_rng(0).integers(0, 255, (FRAMES, 64, 80, 3), np.uint8), 16, file)
    return file


def manifests(data: Path) -> dict[str, dict]:
    """The manifests of the clips made so far, by the ids of the clips."""
    files = [file for file in sorted(data.rglob("*.json")) if file.with_suffix(".mp4").exists()]
    return {file.stem: json.loads(file.read_text()) for file in files}


def test_all_are_ready_once_their_files_are_there(open_page):
    page = open_page("/models", "main table")
    text = page.inner_text("main")
    assert all(get_spec(spec.name).title in text for spec in RELEASED)
    assert "GB to download" not in text


@pytest.mark.parametrize("spec", WALKED, ids=lambda spec: spec.name)
def test_generate_makes_a_clip(spec, open_page, video, data):
    link = generate_link(System(spec.name, spec.default_steps), PROMPT, SEED, FRAMES, SIZE)
    page = open_page(link, "#generate")
    page.wait_for_function(f"() => document.querySelector('#frames input').value === '{FRAMES}'")
    if "t2v" not in spec.tasks:
        page.set_input_files("#video input[type=file]", video)
        page.wait_for_selector("#video :text('drawn')")
    page.click("#generate")
    page.wait_for_selector("#status [data-state=done]")
    page.wait_for_selector(PLAYER)
    (made,) = [found for found in manifests(data).values() if found["model"] == spec.name]
    assert (made["frames"], made["width"], made["height"], made["fps"]) == (FRAMES, 64, 80, spec.fps)
    assert made["weights_digest"] and made["steps"] == spec.default_steps


@pytest.mark.parametrize("spec", OTHERS, ids=lambda spec: spec.name)
def test_it_stands_on_compare_beside_another(spec, open_page, data):
    sides = [System(each.name, each.default_steps) for each in (FIRST, spec)]
    page = open_page(compare_link(sides, PROMPT, SEED, FRAMES, SIZE), ".wb-plot .main-svg")
    page.wait_for_selector(PLAYER)
    text = page.inner_text("main")
    assert FIRST.title in text and spec.title in text and "no difference" not in text.lower()
    assert page.locator("#player canvas").count() >= 2


def test_their_clips_are_judged(open_page, data):
    made = manifests(data)
    assert {found["model"] for found in made.values()} == {spec.name for spec in WALKED}
    page = open_page(evaluate_link(list(made)), "#run")
    page.click("#run")
    page.wait_for_selector("#status [data-state=done]")
    assert f"Done: {len(made)} clips" in page.inner_text("#status")
