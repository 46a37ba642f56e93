"""Insight: laws of similarity and attention, the map of what chunks read, costs, the command and the page."""

import copy
import json
import math
import re

import numpy as np
import pytest
import torch
from plotly.colors import sample_colorscale, unlabel_rgb

from models.cost import Call, CostModel, Times, cost_model, fit_calls, reads_of, time_clip
from models.insight import attention_mass, check, frames_read, step_clips, step_similarity, trace
from models.networks.attention_masks import chunk_causal_mask
from models.types import GenerationRequest, RequestError
from tests.conftest import PROMPT
from tests.helpers.tiny_models import tiny_pipeline
from workbench.__main__ import main
from workbench.charts import attention_map, cost_bars, reading_map, similarity_line, similarity_maps
from workbench.charts.common import contrast
from workbench.clips.generation import GenerationService
from workbench.experiments.insight import as_json, measure_cost, watch
from workbench.requests.insight_settings import read_plans, read_settings
from workbench.requests.links.insight import insight_query
from workbench.settings import Settings
from workbench.ui.live import live_app

REQUEST = GenerationRequest(PROMPT, steps=3, frames=49, seed=5)
LONG = GenerationRequest(PROMPT, steps=1, ffe=True, frames=77, seed=5)


def settings(prompts=PROMPT, seeds="7", steps=2, first_steps=0, plan="", frames=13, model="shapes-asd"):
    return read_settings(model, prompts, seeds, steps, first_steps, plan, frames)


# --- similarity


def test_a_step_is_like_itself_and_similarity_is_a_known_angle():
    east, north = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    matrix = step_similarity([east, north, east + north * 2 / 3, -east])
    assert torch.allclose(matrix.diagonal(), torch.ones(4, dtype=torch.float64))
    assert torch.equal(matrix, matrix.T)
    assert matrix[0].tolist() == pytest.approx([1, 0, math.sqrt(0.5), -1])


def test_a_model_whose_steps_agree_gives_one(tiny):
    class Agreeing:
        """Predicts the same clean chunk from any noise: flow = (noisy - x0) / sigma."""

        def __call__(self, latents, timestep, text, **options):
            x0 = torch.arange(latents.numel()).view(latents.shape) / latents.numel()
            return (latents - x0) / (timestep[0, 0] / 1000).clamp(min=1e-3)

    plan, seen = tiny.plan(REQUEST), {}

    def observe(chunk, step, x0):
        seen.setdefault(chunk, []).append(x0)

    list(tiny.causal_latents(REQUEST, network=Agreeing(), observe=observe))
    assert len(seen) == len(plan.chunks)
    for predictions in seen.values():
        assert len(predictions) == 3
        assert torch.allclose(step_similarity(predictions), torch.ones(3, 3, dtype=torch.float64), atol=1e-6)


# --- the trace


@pytest.mark.parametrize("request_", [REQUEST, LONG], ids=["whole past", "window"])
def test_what_is_watched_is_the_clip_and_its_forwards_are_the_plans(tiny, request_):
    watched, clip = trace(tiny, request_), tiny(request_)
    assert watched.forwards == clip.forwards == watched.plan.forwards
    assert [len(steps) for steps in watched.predictions] == [len(sigmas) for sigmas in clip.sigmas]
    clips = step_clips(tiny, watched, request_.frames)
    assert (clips[-1] == clip.frames).all() and all(each.shape == clip.frames.shape for each in clips)
    assert (clips[0] != clips[-1]).any()


def test_watching_changes_neither_predictions_nor_the_network(tiny):
    before = copy.deepcopy(tiny.transformer.state_dict())
    attends = [layer.attn1.attend for layer in tiny.transformer.blocks]
    with_, without = trace(tiny, REQUEST), trace(tiny, REQUEST, attention=False)
    assert without.attention is None
    for one, other in zip(with_.predictions, without.predictions, strict=True):
        assert all(map(torch.equal, one, other))
    assert [layer.attn1.attend for layer in tiny.transformer.blocks] == attends
    assert all(torch.equal(value, before[name]) for name, value in tiny.transformer.state_dict().items())


def test_only_few_step_causal_models_from_text_are_watched(tiny, world_clip):
    with pytest.raises(RequestError, match="makes all frames at once; Insight watches few-step"):
        check(tiny_pipeline(causal=False), GenerationRequest(PROMPT, steps=4))
    with pytest.raises(RequestError, match="leave picture and prompt switches out"):
        check(tiny, GenerationRequest(PROMPT, steps=1, image=world_clip[0]))
    with pytest.raises(RequestError, match="steps is 9"):
        trace(tiny, GenerationRequest(PROMPT, steps=9))


# --- what a chunk reads


@pytest.mark.parametrize("chunks", [(1, 3, 3), (2, 2, 2, 1), (5,)])
def test_without_a_window_chunks_read_what_the_mask_allows(chunks):
    mask, starts = chunk_causal_mask(chunks, 1), torch.tensor(chunks).cumsum(0) - torch.tensor(chunks)
    for read, start in zip(frames_read(chunks), starts.tolist(), strict=True):
        assert list(read) == mask[start].nonzero().flatten().tolist()


@pytest.mark.parametrize("window", [3, 4, 6])
def test_without_a_sink_the_window_is_that_of_the_mask(window):
    chunks = (1, 3, 3, 3)
    mask = chunk_causal_mask(chunks, 1, window)
    for read, start in zip(frames_read(chunks, window=window), (0, 1, 4, 7), strict=True):
        assert list(read) == mask[start].nonzero().flatten().tolist()


def test_window_and_sink_by_hand():
    assert frames_read((1, 3, 3, 3, 3), window=7, sink=1) == (
        (0,),
        (0, 1, 2, 3),
        (0, 1, 2, 3, 4, 5, 6),
        (0, 4, 5, 6, 7, 8, 9),
        (0, 7, 8, 9, 10, 11, 12),
    )


def test_attention_sums_to_one_over_what_is_read_and_is_nothing_elsewhere(tiny):
    watched = trace(tiny, LONG)
    owner = [chunk for chunk, length in enumerate(watched.plan.chunks) for _ in range(length)]
    assert any(len(read) < read[-1] + 1 for read in watched.reads)  # something was evicted
    for row, read in zip(watched.attention, watched.reads, strict=True):
        visible = sorted({owner[frame] for frame in read})
        assert float(row[visible].sum()) == pytest.approx(1, abs=1e-5)
        assert all(float(row[chunk]) > 0 for chunk in visible)
        assert all(float(row[chunk]) == 0 for chunk in set(owner) - set(visible))


def test_attention_mass_is_the_softmax_written_out():
    torch.manual_seed(0)
    q, k = torch.randn(2, 3, 4, 8), torch.randn(2, 5, 4, 8)
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(8)
    assert torch.allclose(attention_mass(q, k), scores.softmax(-1).mean((0, 1, 2)), atol=1e-6)
    # a key that every query points along takes all
    k[:] = 0
    k[:, 2] = 1000 * q.sum(1).sign()
    q[:] = q.sum(1, keepdim=True).sign()
    assert attention_mass(q, k).tolist() == pytest.approx([0, 0, 1, 0, 0])


# --- many clips


def test_findings_are_means_over_clips_and_say_what_n_counts(tiny):
    one, two = (list(watch(tiny, settings(seeds=seed)))[-1] for seed in ("1", "2"))
    rounds = list(watch(tiny, settings(seeds="1-2")))
    both = rounds[-1]
    assert [found.clips for found in rounds] == [1, 2]
    for chunk in range(len(both.plan.chunks)):
        assert torch.allclose(both.similarity[chunk], (one.similarity[chunk] + two.similarity[chunk]) / 2)
        assert torch.allclose(both.similarity[chunk].diagonal(), torch.ones(2, dtype=torch.float64))
    assert torch.allclose(both.attention, (one.attention + two.attention) / 2)
    point = both.first_to_last[0]
    assert point.n == 2 and point.low <= point.value <= point.high and both.unit == "seeds of one prompt"
    assert math.isnan(one.first_to_last[0].low) and as_json(one)["chunks"][0]["first_to_last"]["low"] is None


def test_several_prompts_are_the_units_however_many_seeds_they_have(tiny):
    *_, found = watch(tiny, settings(prompts=f"{PROMPT}\n{PROMPT.replace('red', 'blue')}", seeds="1-2"))
    assert (found.clips, found.first_to_last[0].n, found.unit) == (4, 2, "prompts")


def test_a_chunk_of_one_step_has_nothing_to_compare(tiny):
    *_, found = watch(tiny, settings(plan="3,1"))
    assert [matrix.shape[0] for matrix in found.similarity] == [3, 1]
    assert found.first_to_last[0] and found.first_to_last[1] is None
    assert json.loads(json.dumps(as_json(found), allow_nan=False))["chunks"][1]["first_to_last"] is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompts": " \n "}, "there is no prompt"),
        ({"seeds": ""}, "there is no seed"),
        ({"seeds": "7-x"}, "seed '7-x' is no whole number"),
        ({"seeds": "0-999"}, "are 1000 clips; at most 256"),
        ({"frames": 5000}, "frames is 5000; at most 481"),
        ({"plan": "4;1"}, "the step plan '4;1' is no list"),
        ({"model": "shapes-adf"}, "shapes-adf"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(change, told):
    with pytest.raises(RequestError, match=re.escape(told)):
        settings(**change)


def test_settings_read_back_from_their_link():
    found = settings(prompts="one\ntwo", seeds="0-2,9", first_steps=4, plan="4,1")
    query = insight_query(found)
    assert query["seeds"] == "0-2,9"
    again = read_settings(*(query[n] for n in ("model", "prompts", "seeds", "steps", "ffe", "plan", "frames")))
    assert again == found


# --- costs


def test_a_fit_finds_the_law_that_made_the_seconds():
    calls = [Call(t, r, 0.01 + 0.002 * t + 0.0003 * t * r) for t, r in ((1, 1), (3, 4), (3, 7), (3, 13))] * 2
    fit = fit_calls(calls)
    assert (fit.call, fit.frame, fit.pair) == pytest.approx((0.01, 0.002, 0.0003)) and fit.n == 8
    assert fit.error == pytest.approx(0, abs=1e-9)
    slow = fit_calls([*calls, *calls, Call(3, 7, 9.0)])
    assert (slow.call, slow.pair) == pytest.approx((0.01, 0.0003))  # one stall does not move it
    with pytest.raises(ValueError, match="no calls"):
        fit_calls([])


def test_a_prediction_adds_up_the_calls_of_the_plan(tiny):
    unit = CostModel(fit_calls([Call(1, 1, 1.0)]), fit_calls([Call(1, 1, 1e-9)]))
    constant = type(unit.forward)(call=1.0, frame=0.0, pair=0.0, n=1, error=0.0)
    nothing = type(unit.forward)(call=0.0, frame=0.0, pair=0.0, n=1, error=0.0)
    for request in (REQUEST, LONG, GenerationRequest(PROMPT, step_plan=(4, 1, 2), frames=49)):
        plan = tiny.plan(request)
        assert CostModel(constant, nothing).predict(plan, reads_of(tiny, plan)) == plan.forwards


def test_timed_clips_count_every_forward_with_what_it_read(tiny):
    times, plan = Times(), tiny.plan(LONG)
    time_clip(tiny, LONG, times)
    assert len(times.forwards) == plan.forwards and len(times.decodes) == len(plan.chunks)
    assert {(c.frames, c.read) for c in times.forwards} == {
        (length, len(read)) for length, read in zip(plan.chunks, reads_of(tiny, plan), strict=True)
    }
    assert all(c.seconds > 0 for c in times.forwards) and cost_model(times).forward.n == plan.forwards


def test_plans_are_measured_beside_their_prediction_round_after_round(tiny):
    plans = read_plans("1 1* 3,1", settings())
    rounds = list(measure_cost(tiny, plans, 2))
    model, rows = rounds[-1]
    assert [len(found[1][0].measured) for found in rounds] == [1, 2]
    assert [(row.name, row.forwards) for row in rows] == [("1", 3), ("1*", 6), ("3,1", 5)]
    assert all(row.predicted > 0 and min(row.measured) <= row.typical <= max(row.measured) for row in rows)
    assert model.forward.n == 2 * 6


@pytest.mark.parametrize(
    ("text", "repeats", "told"),
    [
        ("", 1, "there is no plan"),
        ("2**", 1, "'2**' is no plan of steps"),
        ("1 9", 1, "plan 9: steps is 9"),
        ("4,9", 1, "plan 4,9: steps is 9"),
        (" ".join("1," * k + "1" for k in range(13)), 1, "13 plans are too many"),
        ("1", 0, "repeats is 0"),
        ("1", 51, "repeats is 51"),
    ],
)
def test_bad_plans_are_refused_in_a_sentence(tiny, text, repeats, told):
    with pytest.raises(RequestError, match=re.escape(told)):
        next(measure_cost(tiny, read_plans(text, settings()), repeats))


# --- charts


def test_charts_hold_every_chunk_and_are_plain_data(tiny):
    *_, found = watch(tiny, settings(seeds="1-2", frames=49))
    chunks, reads = found.plan.chunks, found.trace.reads
    maps = similarity_maps([matrix.tolist() for matrix in found.similarity])
    line = similarity_line(found.first_to_last, found.unit)
    spread = attention_map(found.attention.tolist(), reads, chunks)
    assert len(maps["data"]) == len(line["data"][0]["x"]) == len(spread["data"][0]["z"]) == len(chunks)
    assert spread["data"][0]["z"][0][1:] == [None] * (len(chunks) - 1)
    assert [note["text"] for note in spread["layout"]["annotations"] if note["y"] == 0] == ["100 %"]
    json.dumps([maps, line, spread], allow_nan=False)
    assert similarity_maps([[[1.0]]]) == {} == similarity_line([None], "seeds")


def test_the_numbers_of_a_map_are_read_on_the_colours_of_their_cells():
    values = np.linspace(0, 1, 9)
    chart = attention_map([values.tolist()], [range(9)], [1] * 9)
    colours = [unlabel_rgb(colour) for colour in sample_colorscale("Cividis", values)]
    inks = [note["font"]["color"] for note in chart["layout"]["annotations"]]
    for ink, colour in zip(inks, colours, strict=True):
        assert contrast(ink, "#" + "".join(f"{round(level):02x}" for level in colour)) >= 4.5
    assert set(inks) == {"#111111", "#ffffff"}


def test_the_reading_map_tells_own_past_and_sink_apart():
    chunks = (1, 3, 3, 3, 3)
    chart = reading_map(chunks, frames_read(chunks, window=7, sink=1), [4, 1, 1, 1, 1], sink=1)
    drawn = {
        trace["name"].split(",")[0]: list(zip(trace["y"], trace["base"], trace["x"], strict=True))
        for trace in chart["data"]
    }
    assert drawn["made in this chunk"][:2] == [(0, 0.5, 1), (1, 1.5, 3)]
    assert drawn["read from the cache"] == [(1, 0.5, 1), (2, 0.5, 4), (3, 4.5, 3), (4, 7.5, 3)]
    assert drawn["read from the sink"] == [(3, 0.5, 1), (4, 0.5, 1)]
    assert chart["layout"]["yaxis"]["ticktext"][:2] == ["chunk 1 · 4 steps", "chunk 2 · 1 step"]


def test_cost_bars_show_spread_and_prediction():
    chart = cost_bars(["1", "1*"], [0.4, 0.5], [[0.3, 0.5, 0.4], [0.6, 0.6, 0.9]], ["9 forwards", "12 forwards"])
    bars, marks = chart["data"]
    assert bars["y"] == [0.4, 0.6] and marks["y"] == [0.4, 0.5] and "median of 3" in bars["name"]
    assert bars["error_y"]["array"] == pytest.approx([0.1, 0.3])


# --- the command


def run(capsys, *argv):
    code = main(["insight", *map(str, argv)])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_the_command_prints_json_of_the_shipped_model(capsys):
    code, out, _ = run(
        capsys, "--prompt", PROMPT, "--frames", 13, "--steps", 2, "--seeds", "0-1", "--cost", "1 2,1", "--json"
    )
    report = json.loads(out)
    assert code == 0 and report["clips"] == 2 and [chunk["steps"] for chunk in report["chunks"]] == [2, 2]
    assert report["chunks"][1]["reads"] == [0, 1, 2, 3] and report["chunks"][0]["first_to_last"]["n"] == 2
    assert [plan["forwards"] for plan in report["cost"]["plans"]] == [3, 4] and report["weights_digest"]


def test_the_command_prints_tables(capsys):
    code, out, _ = run(capsys, "--prompt", PROMPT, "--frames", 1, "--steps", 1, "--ffe")
    assert code == 0 and "4 network calls each" in out and "step 1 to last" in out


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "--prompt is missing"),
        (["--prompt", PROMPT, "--prompts", "f.txt"], "give one of them"),
        (["--prompts", "missing.txt"], "cannot be read"),
        (["--prompt", PROMPT, "--model", "shapes-teacher"], "Insight watches few-step causal models"),
        (["--prompt", PROMPT, "--steps", "9"], "steps is 9"),
        (["--prompt", PROMPT, "--seeds", "x"], "is no whole number"),
        (["--prompt", PROMPT, "--first-steps", "2"], "counts only with --ffe"),
        (["--prompt", PROMPT, "--ffe", "--first-steps", "0"], "--first-steps is 0"),
        (["--prompt", PROMPT, "--cost", "x"], "'x' is no plan of steps"),
        (["--prompt", PROMPT, "--cost", "1", "--repeats", "0"], "repeats is 0"),
        (["--prompt", PROMPT, "--jsn"], "did you mean --json"),
    ],
)
def test_bad_commands_are_refused_in_one_line(capsys, argv, told):
    code, out, err = run(capsys, *argv)
    assert (code, out, err.count("\n")) == (2, "", 1) and told in err and "Traceback" not in err


# --- the page


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    service = GenerationService(folder, pipelines={"shapes-asd": tiny_pipeline(0)})
    with live_app(service, Settings(data_dir=folder)) as address:
        yield address


def test_the_page_watches_plays_measures_and_its_link_reopens_it(open_page, url):
    page = open_page("/insight", "#watch")
    assert page.locator("nav a, .nav-holder a").filter(has_text="Insight").count() >= 1
    page.fill("#frames input", "25")
    page.fill("#seeds textarea, #seeds input", "1-2")
    page.click("#watch")
    page.wait_for_selector("#status [data-state=done]")
    page.wait_for_selector("#player .wb-player[data-state=ready]")
    assert page.locator("#player canvas").count() == 4
    page.evaluate("() => document.querySelector('#player .wb-player').workbench.seek(9)")
    page.wait_for_function("() => document.querySelectorAll(`#player .wb-picture[data-frame='9']`).length === 4")
    for name in ("line", "maps", "reads", "attention"):
        page.wait_for_selector(f"#chart-{name} .main-svg")
    assert page.locator("#chunks tbody tr").count() == 3
    page.fill("#plans textarea, #plans input", "1 2,1")
    page.fill("#repeats input", "2")
    page.click("#measure")
    page.wait_for_selector("#cost-status [data-state=done]")
    page.wait_for_selector("#chart-costs .main-svg")
    assert page.locator("#cost-table tbody tr").count() == 2
    page.wait_for_function("() => location.search.includes('seeds=1-2') && location.search.includes('plans=1+2%2C1')")
    again = open_page(page.url.removeprefix(url), "#watch")
    again.wait_for_selector("#status [data-state=done]")
    again.wait_for_selector("#player .wb-player[data-state=ready]")
    assert again.input_value("#plans textarea, #plans input") == "1 2,1"
    assert again.input_value("#frames input") == "25"


def test_the_page_says_what_is_wrong_and_goes_on(open_page):
    page = open_page("/insight", "#watch")
    page.wait_for_function("() => window.formFilled")
    page.click("#presets button:has-text('Sixteen seeds')")
    page.wait_for_function("() => location.search.includes('seeds=0-15')")  # before anything is analysed
    page.fill("#seeds textarea, #seeds input", "seven")
    page.click("#watch")
    page.wait_for_selector("#status [data-state=error]")
    assert "seed 'seven' is no whole number" in page.inner_text("#status")
    page.fill("#plans textarea, #plans input", "9")
    page.fill("#seeds textarea, #seeds input", "7")
    page.click("#measure")
    page.wait_for_selector("#cost-status [data-state=error]")
    assert "plan 9: steps is 9" in page.inner_text("#cost-status")
    page.fill("#frames input", "5")
    page.click("#watch")
    page.wait_for_selector("#status [data-state=done]")
    wrong = open_page("/insight?model=shapes-teacher&prompts=a", "#watch")
    wrong.wait_for_selector("#status [data-state=error]")
    assert "cannot be watched" in wrong.inner_text("#status")
