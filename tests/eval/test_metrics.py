"""Weight-free metrics: laws, second implementations, and clips that are degraded on purpose from a known frame."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from eval import degradations
from eval.degradations import BREAK, DEGRADATIONS, clean_clip, responses
from eval.evaluator import Source, evaluate
from eval.metric import ClipFacts
from eval.metrics import METRICS, create_metric, create_metrics
from eval.metrics.check import lacks
from eval.metrics.picture.blockiness import blockiness
from eval.metrics.picture.colorfulness import colorfulness
from eval.metrics.picture.saturation import saturation
from eval.vbench.long import LongMetric
from eval.video.windows import windows
from tests.conftest import PROMPT
from workbench.scoring.evaluation import create_metrics as create_all
from workbench.scoring.evaluation import metric_rows

FACTS = {metric.facts.name: metric.facts for metric in create_metrics()}
WEIGHT_FREE = [name for name, facts in FACTS.items() if facts.moved_by]
PAIRED = ["temporal_flickering", "frame_difference", "warping_error", "dynamic_degree_flow"]
TRIPLED = ["luma_flicker", "motion_smoothness_flow"]
SPACED = ["ground_stability"]  # compares frames a quarter of a second apart
FPS = 16.0


def score(name, frames, size=16, fps=FPS):
    facts = ClipFacts(frames.shape[2], frames.shape[1], fps, len(frames), degradations.PROMPT)
    scorer = create_metric(name).open(facts)
    for window in windows(frames, size):
        scorer.add(window)
    return scorer.result()


def random_clip(seed=0, frames=7, height=72, width=96):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def clean():
    return clean_clip()


@pytest.mark.parametrize("name", METRICS)
def test_every_row_states_its_facts(name):
    facts = create_metric(name).facts
    assert facts.name == name and facts.judged_by and not lacks(facts)


@pytest.mark.parametrize(
    "change, lack",
    [
        ({"says": ""}, "sharpness has no says"),
        ({"version": ""}, "sharpness has no version"),
        ({"group": "looks"}, "group 'looks', which no page shows"),
        ({"kind": "guess"}, "kind 'guess'"),
        ({"bounds": (1.0, 0.0)}, "bounds 1 and 0; the lower one comes first"),
        ({"moved_by": {}}, "no degradation that moves it; give it `moved_by` with one of blur, "),
        ({"moved_by": {"fog": 1}}, "moved by 'fog', which is not in DEGRADATIONS"),
    ],
)
def test_what_a_metric_lacks_is_said(change, lack):
    (told,) = lacks(replace(create_metric("sharpness").facts, **change))
    assert lack in told


def test_an_unknown_name_lists_what_exists_nearest_first():
    with pytest.raises(ValueError, match="'sharpnes' does not exist; choose from sharpness, "):
        create_metric("sharpnes")


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_a_value_and_its_curve_do_not_depend_on_windows(name):
    clip = random_clip(frames=9)
    results = [score(name, clip, size) for size in (1, 2, 4, 16)]
    assert all(result == results[0] for result in results)
    assert len(results[0].per_frame) == len(clip)
    low, high = create_metric(name).facts.bounds
    assert (low is None or results[0].value >= low) and (high is None or results[0].value <= high)


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_a_clip_of_one_frame_has_a_value_or_the_reason_why_not(name):
    result = score(name, random_clip(frames=1))
    assert (result.value is None) == (name in PAIRED + TRIPLED + SPACED)
    assert result.value is not None or "frame" in result.reason


def test_frames_a_quarter_of_a_second_apart_are_too_far_for_a_shorter_clip():
    assert "shorter than a quarter of a second" in score("ground_stability", random_clip(frames=4)).reason
    assert score("ground_stability", random_clip(frames=5)).value is not None


def test_a_prompt_without_a_ground_is_told_the_grounds():
    scorer = create_metric("texture_spectrum_distance").open(ClipFacts(64, 64, FPS, 3, "a cat"))
    assert "over and one of grass, night sky, sand" in scorer.result().reason


@pytest.mark.parametrize("name", TRIPLED)
def test_two_frames_are_too_few_for_what_needs_three(name):
    assert "three frames" in score(name, random_clip(frames=2)).reason


def test_a_static_clip_is_perfectly_steady(clean):
    still = np.repeat(clean[:1], 20, 0)
    steady = {"temporal_flickering": 1.0, "frame_difference": 0.0, "luma_flicker": 0.0, "warping_error": 0.0}
    steady |= {"motion_smoothness_flow": 1.0, "dynamic_degree_flow": 0.0}
    assert {name: score(name, still).value for name in steady} == steady


@pytest.mark.parametrize("name", ["warping_error", "motion_smoothness_flow", "dynamic_degree_flow"])
def test_frames_too_small_for_flow_are_told(name):
    assert "16 pixels" in score(name, random_clip(height=12)).reason


@pytest.mark.parametrize("name", WEIGHT_FREE)
@pytest.mark.parametrize("size", [(16, 16), (17, 31), (65, 33), (480, 270)])
def test_any_size_is_scored(name, size):
    result = score(name, random_clip(frames=3, height=size[1], width=size[0]), fps=8)
    assert result.value is not None and np.isfinite(result.value)


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_flat_frames_have_a_value_or_the_reason_why_not(name):
    for level in (0, 128, 255):
        result = score(name, np.full((4, 48, 64, 3), level, np.uint8), fps=8)
        if name in SPACED:
            assert result.value is None and "too flat" in result.reason
        else:
            assert result.value is not None and np.isfinite(result.value)


# --- second implementations


def test_colourfulness_is_its_formula():
    frame = random_clip(frames=1)[0]
    r, g, b = frame.astype(float).transpose(2, 0, 1)
    rg, yb = r - g, (r + g) / 2 - b
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert colorfulness(*map(np.ascontiguousarray, frame.transpose(2, 0, 1))) == pytest.approx(expected, rel=1e-9)


def test_saturation_is_that_of_hsv():
    frame = random_clip(frames=1)[0]
    high, low = frame.max(-1).astype(float), frame.min(-1)
    expected = np.where(high > 0, (high - low) / np.maximum(high, 1), 0).mean()
    planes = map(np.ascontiguousarray, frame.transpose(2, 0, 1))
    assert saturation(*planes) == pytest.approx(expected, abs=0.5 / 255)


def test_contrast_and_exposure_are_spread_and_mean_of_luma():
    clip = random_clip(frames=3)
    luma = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip]) / 255
    assert score("contrast", clip).per_frame == pytest.approx(luma.std((1, 2)), rel=1e-9)
    assert score("exposure", clip).per_frame == pytest.approx(luma.mean((1, 2)), rel=1e-9)
    black = np.zeros((2, 32, 32, 3), np.uint8)
    assert score("exposure", black).parts == {"black_share": 1.0, "white_share": 0.0}


def test_blockiness_finds_the_grid_and_nothing_else():
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 256, (9, 12)), np.ones((8, 8))).astype(np.uint8)
    assert blockiness(blocks) > 50
    assert blockiness(np.ascontiguousarray(blocks[4:, 4:])) < 0.2
    assert blockiness(np.full((32, 32), 9, np.uint8)) == 1.0
    assert blockiness(np.zeros((8, 8), np.uint8)) is None
    assert blockiness(rng.integers(0, 256, (256, 256)).astype(np.uint8)) == pytest.approx(1, abs=0.03)


def test_blockiness_rises_with_compression(clean):
    def jpeg(quality):
        return cv2.imdecode(cv2.imencode(".jpg", clean[0], [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)

    values = [score("blockiness", jpeg(quality)[None]).value for quality in (95, 30, 10)]
    assert values == sorted(values) and values[2] > 1.5 * values[0]


def test_brightness_flicker_is_half_the_bend_of_the_mean():
    levels = [100, 100, 112, 100, 100]
    clip = np.stack([np.full((32, 32, 3), level, np.uint8) for level in levels])
    assert score("luma_flicker", clip).per_frame == (None, 6.0, 12.0, 6.0, None)
    fade = np.stack([np.full((32, 32, 3), 3 * t, np.uint8) for t in range(20)])
    assert score("luma_flicker", fade).value == 0


@pytest.mark.parametrize("speed, dynamic", [(1, 0.0), (4, 1.0)])
def test_a_pan_has_its_speed(speed, dynamic):
    """A pan of v pixels a frame at a shorter side of 256 and 16 frames a second moves 2 v pixels in 1/8 s."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 512, 3)).astype(np.uint8)
    wide = cv2.GaussianBlur(noise, (0, 0), 3)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    clip = np.stack([wide[:, speed * t : speed * t + 320] for t in range(8)])
    result = score("dynamic_degree_flow", clip)
    assert result.value == dynamic
    assert result.parts["speed"] == pytest.approx(2 * speed, rel=0.1)
    twice_as_fast = score("dynamic_degree_flow", clip, fps=2 * FPS)
    assert twice_as_fast.parts["speed"] == pytest.approx(2 * result.parts["speed"], rel=1e-9)
    assert score("warping_error", clip).value < 0.1 * score("frame_difference", clip).value
    assert score("motion_smoothness_flow", clip).value > 0.995


# --- degradations that begin at a known frame


@pytest.fixture(scope="module")
def table():
    """{degradation: {metric: response}}, changes as a share of the metric's strongest response to any of them."""
    return responses(create_metrics(WEIGHT_FREE), FPS)


def moved(degradation):
    """{metric: sign} of the metrics that are for a degradation."""
    return {name: facts.moved_by[degradation] for name, facts in FACTS.items() if degradation in facts.moved_by}


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_what_is_degraded_moves_the_metrics_it_is_for_in_their_direction(table, name):
    for metric, sign in moved(name).items():
        assert sign * table[name][metric].change > 0.25, (metric, table[name][metric])


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_it_moves_them_at_that_frame_and_not_before(table, name):
    for metric in table[name]:
        assert table[name][metric].before == 0, metric
    for metric in moved(name):
        assert abs(table[name][metric].first - BREAK) <= 1, (metric, table[name][metric])


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_the_others_hardly_move(table, name):
    seen_too = {metric for metric, facts in FACTS.items() if name in facts.may_move_by}
    others = set(table[name]) - set(moved(name)) - seen_too
    assert not {m: table[name][m].change for m in others if abs(table[name][m].change) > 0.2}


def test_a_clip_is_scored_alike_after_a_tiny_one():
    """OpenCV's flow search changes its settings for tiny frames, and keeps them."""
    clip = random_clip(frames=4)
    first = score("warping_error", clip)
    score("warping_error", random_clip(frames=4, height=16, width=16))
    assert score("warping_error", clip) == first


def test_order_of_clips_does_not_change_them():
    sources = [Source(str(seed), frames=random_clip(seed), fps=FPS) for seed in range(3)]
    metrics = create_metrics(WEIGHT_FREE)
    forth, back = ({s.id: s.results for s in evaluate(order, metrics)} for order in (sources, sources[::-1]))
    assert forth == back


def test_a_swapped_caption_moves_what_reads_captions_and_nothing_else(world_clip):
    names = [facts.name for facts, why in metric_rows() if not why]
    captions = (PROMPT, PROMPT.replace("red circle", "blue square"))
    sources = [Source(caption, frames=world_clip, fps=12, prompt=caption) for caption in captions]
    own, swapped = (scores.results for scores in evaluate(sources, create_all(names)))
    moved = {name for name in names if own[name] != swapped[name]}
    assert moved == {"shapes_clip_alignment", "oracle_right", "oracle_shape_error", "oracle_color_error"}
    assert swapped["shapes_clip_alignment"].value < own["shapes_clip_alignment"].value - 0.2
    assert (own["oracle_right"].value, swapped["oracle_right"].value) == (1, 0)
    assert all(
        swapped[f"oracle_{part}_error"].value > own[f"oracle_{part}_error"].value for part in ("shape", "color")
    )


# --- long videos


@pytest.mark.parametrize("size", [3, 16])
def test_a_long_video_counts_as_the_mean_of_its_clips_of_two_seconds(clean, size):
    metric = create_metric("temporal_flickering")

    def long(frames):
        scorer = LongMetric(metric).open(ClipFacts(240, 160, 6.9, len(frames)))
        for window in windows(frames, size):
            scorer.add(window)
        return scorer.result()

    clips = [clean[:12], clean[12:24], clean[20:32]]  # the last one borrows four frames
    alone = [score("temporal_flickering", clip) for clip in clips]
    found = long(clean)
    assert found.value == pytest.approx(np.mean([result.value for result in alone]), rel=1e-12)
    assert found.parts == {f"clip {k}": result.value for k, result in enumerate(alone, 1)} | {"clips": 3.0}
    assert found.per_frame == alone[0].per_frame + alone[1].per_frame + alone[2].per_frame[-8:]
    assert long(clean[:24]).value == pytest.approx(np.mean([result.value for result in alone[:2]]), rel=1e-12)
    assert long(clean[:7]).value == score("temporal_flickering", clean[:7]).value
    assert "one frame" in long(clean[:1]).reason


@pytest.mark.parametrize("name", ["shapes_clip_alignment", "oracle_right", "tabletop_right"])
def test_what_needs_a_prompt_says_that_there_is_none(name):
    frames = np.zeros((13, 64, 64, 3), np.uint8)
    (found,) = evaluate([Source("clip", frames=frames, fps=12.0)], [create_metric(name)])
    assert found.results[name].reason.startswith("the clip has no prompt, ")
