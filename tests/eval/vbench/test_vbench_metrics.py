"""VBench's network dimensions on small random networks: laws, refusals, sharing, and second implementations."""

import json
import shutil
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from eval.evaluator import Source, evaluate
from eval.metric import Resources
from eval.metrics import create_metric, create_metrics, list_metrics
from eval.vbench import backbones, weights
from eval.vbench.constants import DIMENSIONS
from eval.vbench.metrics.open_clip_score import OpenClipScore, open_clip_scores
from eval.vbench.networks.musiq import GroupNorm
from eval.vbench.networks.vision_transformer import load_clip, load_dino
from eval.vbench.preprocessing import middle_frames
from tests.helpers.vbench_weights import save, save_all, small_clip, small_dino
from workbench.scoring.evaluation import create_metrics as create_all

RUNS = ["subject_consistency", "background_consistency", "aesthetic_quality", "imaging_quality", "clip_score"]
NAMED = "clip_score_small-test-clip-mine"
UNAVAILABLE = ["object_class", "multiple_objects", "human_action", "color", "spatial_relationship", "scene"]


@pytest.fixture(scope="module")
def resources(tmp_path_factory):
    return Resources(weights=save_all(tmp_path_factory.mktemp("weights")))


def clip(frames=20, size=(128, 144), seed=0):
    """Coloured noise that drifts to the right."""
    generator = np.random.default_rng(seed)
    wide = generator.integers(0, 256, (size[0] // 8, size[1] // 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    return np.stack([wide[:, 3 * t : 3 * t + size[1]] for t in range(frames)])


def scores(names, resources, frames, **source):
    (found,) = evaluate([Source("c", frames=frames, fps=8.0, **source)], create_metrics(names, resources))
    return found.results


def test_all_sixteen_dimensions_are_there_by_name():
    assert set(DIMENSIONS) | {"i2v_subject", "i2v_background", "clip_score"} <= set(list_metrics())


@pytest.mark.parametrize("name", [*DIMENSIONS, "i2v_subject", "i2v_background", "clip_score"])
def test_without_weights_the_reason_names_size_and_place(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HOME", str(tmp_path))
    metric = create_metric(name, Resources(weights=tmp_path / "weights"))
    if name == "temporal_flickering":
        return
    reason = metric.missing()
    assert " MB" in reason or " GB" in reason
    assert str(tmp_path / "weights") in reason
    result = scores([name], Resources(weights=tmp_path / "weights"), clip(3))[name]
    assert result.value is None and result.reason == reason


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_dimensions_that_cannot_run_say_so(name, resources):
    assert "not computed here" in create_metric(name, resources).missing()


@pytest.fixture(scope="module")
def scored(resources):
    """A clip of 18 frames, which come in windows of 16 and 2, and its scores."""
    return clip(18), scores(RUNS, resources, clip(18), prompt="a red square")


def test_every_dimension_gives_a_value_and_a_curve(scored):
    frames, found = scored
    for name in RUNS:
        result = found[name]
        assert result.value is not None, result.reason
        assert len(result.per_frame) == len(frames)
    assert found["subject_consistency"].per_frame[0] is None


def test_windows_do_not_matter(resources, scored):
    frames, found = scored
    last = scores(RUNS, resources, np.concatenate([frames[:1], frames[14:]]), prompt="a red square")
    for name in RUNS:
        assert found[name].per_frame[15:] == pytest.approx(last[name].per_frame[2:], abs=1e-5)


def test_a_still_clip_is_perfectly_consistent(resources):
    frames = np.repeat(clip(1), 3, axis=0)
    found = scores(["subject_consistency", "background_consistency", "motion_smoothness"], resources, frames)
    assert found["subject_consistency"].value == pytest.approx(1.0, abs=1e-6)
    assert found["background_consistency"].value == pytest.approx(1.0, abs=1e-6)
    assert found["motion_smoothness"].per_frame[0] is None and found["motion_smoothness"].per_frame[1] is not None


def test_one_frame_has_nothing_to_compare(resources):
    names = ["subject_consistency", "background_consistency", "dynamic_degree", "motion_smoothness", "i2v_subject"]
    found = scores(names, resources, clip(1), image=clip(1)[0])
    assert all(found[name].value is None and "give" in found[name].reason for name in names)
    assert scores(["imaging_quality"], resources, clip(1))["imaging_quality"].value is not None


def test_what_a_clip_lacks_is_told(resources):
    frames = clip(3)
    assert "prompt" in scores(["clip_score"], resources, frames)["clip_score"].reason
    assert "style" in scores(["appearance_style"], resources, frames)["appearance_style"].reason
    assert "picture" in scores(["i2v_subject"], resources, frames)["i2v_subject"].reason
    small = scores(["dynamic_degree", "motion_smoothness"], resources, clip(3, (64, 64)))
    assert "64x64 are too small" in small["dynamic_degree"].reason
    assert "sides of 113 or more" in small["motion_smoothness"].reason


def test_consistency_matches_its_formula(resources):
    frames = clip(6)
    features = F.normalize(backbones.network("clip_b32", resources).image(_clip(frames)), dim=-1)
    expected = [float((features[t] @ features[t - 1] + features[t] @ features[0]) / 2) for t in range(1, 6)]
    result = scores(["background_consistency"], resources, frames)["background_consistency"]
    assert result.per_frame[1:] == pytest.approx(expected, abs=1e-6)
    assert result.value == pytest.approx(np.mean(expected), abs=1e-6)


def test_clip_score_is_the_mean_of_eight_middle_frames(resources):
    result = scores(["clip_score"], resources, clip(21), prompt="a cat")["clip_score"]
    assert result.value == pytest.approx(np.mean([result.per_frame[i] for i in middle_frames(21, 8)]), abs=1e-9)


def test_dynamic_degree_rule(resources):
    result = scores(["dynamic_degree"], resources, clip(3, (128, 128)))["dynamic_degree"]
    lengths = [length for length in result.per_frame if length is not None]
    assert len(lengths) == 2 and result.parts["needed"] == 1
    assert result.parts["threshold"] == 3.0
    assert result.value == float(sum(length > 3.0 for length in lengths) >= 1)


def test_less_precision_moves_values_a_little_and_is_another_version(resources, scored):
    frames, exact = scored
    rounded = replace(resources, precision="bfloat16")
    found = scores(RUNS, rounded, frames, prompt="a red square")
    for name in RUNS:
        assert found[name].per_frame != exact[name].per_frame
        assert found[name].value == pytest.approx(exact[name].value, abs=0.02)
        ours, theirs = create_metric(name, rounded).facts, create_metric(name, resources).facts
        assert ours.version == f"{theirs.version}-bfloat16" and "(bfloat16)" in ours.title
    # flows and ViCLIP stay in float32, whatever is asked
    for name in ("dynamic_degree", "motion_smoothness", "overall_consistency"):
        assert create_metric(name, rounded).facts == create_metric(name, resources).facts


@pytest.mark.parametrize("shape", [(3, 64, 16, 16), (2, 256, 5, 7)])
def test_group_norm_is_torchs(shape):
    torch.manual_seed(0)
    norm = GroupNorm(32, shape[1], eps=1e-4)
    norm.weight.data.normal_(), norm.bias.data.normal_()
    images = (3 * torch.randn(shape) + 0.5).contiguous(memory_format=torch.channels_last)
    expected = F.group_norm(images.double(), 32, norm.weight.double(), norm.bias.double(), norm.eps)
    assert norm(images).is_contiguous(memory_format=torch.channels_last)
    assert (norm(images) - expected).abs().max() < 1e-5
    # sums of squares may come out below the square of the mean where all is one colour
    assert norm(images.zero_() + 100.123).isfinite().all()


def test_features_are_computed_once_and_networks_loaded_once(resources):
    first, second = (backbones.frame_features("clip_b32", resources) for _ in range(2))
    assert first is second
    assert first.network is backbones.frame_features("clip_b32_rounded", resources).network


def test_other_weights_are_another_version(tmp_path):
    resources = Resources(weights=tmp_path)
    versions = set()
    for seed in (0, 1):
        save(tmp_path, "dino_b16", small_dino(seed).state_dict())
        versions.add(create_metric("subject_consistency", resources).facts.version)
    assert len(versions) == 2


def test_a_file_that_holds_something_else_is_named(tmp_path):
    save(tmp_path, "dino_b16", {"x": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"dino_vitbase16_pretrain\.pth does not hold DINO"):
        backbones.network("dino_b16", Resources(weights=tmp_path))
    weights.places_of("musiq_spaq", tmp_path)[0].parent.mkdir()
    weights.places_of("musiq_spaq", tmp_path)[0].write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"cannot be read as weights"):
        backbones.network("musiq_spaq", Resources(weights=tmp_path))


def test_torchscript_archives_are_read_as_openai_publishes_them(tmp_path):
    module = torch.jit.trace(torch.nn.Linear(2, 3), torch.zeros(1, 2))
    torch.jit.save(module, str(tmp_path / "m.pt"))
    assert set(weights.read_state(tmp_path / "m.pt")) == {"weight", "bias"}


@pytest.mark.parametrize("seed", [0, 1])
@torch.inference_mode()
def test_clip_towers_match_open_clip(seed):
    theirs = small_clip(seed)
    ours = load_clip(theirs.state_dict())
    torch.manual_seed(seed)
    images, ids = torch.randn(3, 3, 224, 224), torch.randint(1, 49000, (2, 77))
    ids[:, 40] = 49407
    assert torch.allclose(ours.image(images), theirs.encode_image(images), atol=1e-5)
    assert torch.allclose(ours.text(ids), theirs.encode_text(ids), atol=1e-5)
    assert ours.logit_scale == pytest.approx(float(theirs.logit_scale.exp()), rel=1e-3)


@torch.inference_mode()
def test_dino_matches_timm_on_its_own_grid():
    theirs, images = small_dino(0), torch.randn(2, 3, 224, 224)
    ours = load_dino(theirs.state_dict())
    assert torch.allclose(ours(images), theirs(images), atol=1e-5)
    assert ours.position_table(14, 24).shape == (1 + 14 * 24, 128)


def _clip(frames):
    return backbones.FRAME_FEATURES["clip_b32"][1](frames)


def test_any_open_clip_model_scores_text(tmp_path):
    config = {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 64, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }
    (tmp_path / "small-test-clip.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "small-test-clip.json")
    model, _, preprocess = open_clip.create_model_and_transforms("small-test-clip", pretrained=None)
    model.eval()
    metric = OpenClipScore("small-test-clip", tmp_path / "small.pt", Resources())
    assert f"expected at {tmp_path / 'small.pt'}" in metric.missing()
    assert "no architecture" in OpenClipScore("ViT-Q", tmp_path / "small.pt", Resources()).missing()
    torch.save(model.state_dict(), tmp_path / "small.pt")
    frames = clip(3)
    (tmp_path / "open_clip" / "small-test-clip").mkdir(parents=True)
    shutil.copy(tmp_path / "small.pt", tmp_path / "open_clip" / "small-test-clip" / "mine.pt")
    for asked in ("", "small-test-clip", "small-test-clip:mine", f"small-test-clip:{tmp_path / 'small.pt'}"):
        names = [each.facts.name for each in open_clip_scores(Resources(tmp_path, clip=asked))]
        assert names == (["clip_score_small-test-clip-small"] if ".pt" in asked else []) + [NAMED], asked
    assert "expected at" in open_clip_scores(Resources(tmp_path, clip="small-test-clip:other"))[0].missing()
    named = create_all([NAMED], Resources(tmp_path))  # as the page makes what lies in the folder
    (found,) = evaluate([Source("c", frames=frames, fps=8.0, prompt="a cat")], [metric, *named])
    assert found.results[NAMED] == found.results["clip_score_small-test-clip"]
    result = found.results["clip_score_small-test-clip"]
    with torch.inference_mode():
        images = model.encode_image(torch.stack([preprocess(Image.fromarray(frame)) for frame in frames]))
        text = model.encode_text(open_clip.tokenize(["a cat"]))
    assert result.per_frame == pytest.approx(F.cosine_similarity(images, text).tolist(), abs=1e-5)
