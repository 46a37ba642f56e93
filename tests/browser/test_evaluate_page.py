"""The Evaluate page: finding clips, jobs, the endpoint and its files, and the page itself in a real Chromium."""

import io
import json
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from eval.metric import Facts
from eval.report import write_csv
from eval.video.frame_metrics import temporal_flickering
from models.types import GenerationRequest, RequestError
from tests.conftest import PATIENCE
from tests.helpers.tiny_models import tiny_pipeline
from workbench.charts.evaluation import ClipCurves, metric_curves, spread_over_clips, windowed_mean
from workbench.clips.display import make_display
from workbench.clips.generation import GenerationService
from workbench.clips.library import ClipFile, Library
from workbench.clips.media import decode_mp4, encode_mp4
from workbench.scoring.evaluation import create_metrics, list_metrics
from workbench.scoring.runs import DONE, STOPPED, EvaluationService, Plan
from workbench.settings import Settings
from workbench.ui.app import build_app
from workbench.ui.live import live_app
from workbench.ui.selftest import coded_clip

PROMPT = "a red circle moving right on a black background"
QUICK = ["temporal_flickering", "sharpness"]
ORACLE = ["oracle_right", "oracle_shape_error", "oracle_color_error"]


@pytest.fixture(scope="module")
def data(tmp_path_factory, world_clip) -> Path:
    """A data folder with two clips made by a tiny model, and a folder of other videos, two of them broken."""
    folder = tmp_path_factory.mktemp("data")
    service = GenerationService(folder, pipelines={"shapes-asd": tiny_pipeline(0)})
    for seed in (11, 12):
        service.generate("shapes-asd", GenerationRequest(PROMPT, 1, frames=13, seed=seed))
    others = folder / "others" / "deep"
    others.mkdir(parents=True)
    encode_mp4(coded_clip(), 12, folder / "others" / "coded12.mp4")
    encode_mp4(coded_clip(64, shift=20), 16, others / "coded16.mp4")
    encode_mp4(world_clip, 12, folder / "others" / "world.mp4")
    (folder / "others" / "empty.mp4").write_bytes(b"")
    (folder / "others" / "renamed.mp4").write_text("hello")
    (folder / "others" / "notes.txt").write_text("not a video by its name")
    return folder


def roots(data: Path) -> tuple[Path, ...]:
    """Folders that a server was started with."""
    return (data / "others", data / "clips", data / "long")


@pytest.fixture(scope="module")
def service(data) -> EvaluationService:
    return EvaluationService(data, roots(data))


def finished(run, patience: float = 120):
    end = time.monotonic() + patience
    while run.active:
        assert time.monotonic() < end, run.state
        time.sleep(0.02)
    return run


# jobs


def test_a_run_scores_what_it_can_and_tells_what_it_cannot(service, data):
    clips, _ = service.library.folder("others")
    run = finished(service.start(Plan(tuple(clips), (*QUICK, *ORACLE))))
    assert run.state == DONE and len(run.rows) == len(clips)
    skipped = {clip.name: row.skipped for clip, row in zip(clips, run.rows, strict=True) if row.skipped}
    assert set(skipped) == {"empty.mp4", "renamed.mp4"} and not any(str(data) in why for why in skipped.values())
    first = run.rows[0].results
    frames, _ = decode_mp4(clips[0].path)
    assert first["temporal_flickering"].value == pytest.approx(temporal_flickering(frames), abs=0.01)
    assert "no prompt" in first["oracle_right"].reason
    assert first["sharpness"].per_frame == () and len(run.scores(0).results["sharpness"].per_frame) == 49


def test_the_oracle_judges_clips_of_the_grammar_and_says_why_not_others(service, data):
    world = ClipFile(data / "others" / "world.mp4", "world", PROMPT)
    wrong = ClipFile(world.path, "wrong", PROMPT.replace("circle", "square").replace("red", "blue"))
    outside = ClipFile(world.path, "outside", "a cat")
    run = finished(service.start(Plan((world, wrong, outside), tuple(ORACLE))))
    right, other, none = (run.scores(i).results for i in range(3))
    assert right["oracle_right"].value == 1 and set(right["oracle_right"].per_frame) == {1.0}
    assert other["oracle_right"].value == 0 and other["oracle_right"].parts["background"] == 1
    assert right["oracle_shape_error"].value < 0.05 < other["oracle_shape_error"].value
    assert right["oracle_color_error"].value < other["oracle_color_error"].value
    assert all("outside the grammar" in none[name].reason for name in ORACLE)


def test_a_run_is_found_again_after_a_restart_and_goes_on(data):
    clips, _ = Library(data, roots(data)).folder("others")
    run = finished(EvaluationService(data).start(Plan(tuple(clips), tuple(QUICK))))
    again = EvaluationService(data).get(run.id)
    assert (again.state, again.rows, again.plan) == (DONE, run.rows, run.plan)
    lines = run.lines.read_bytes().splitlines(keepends=True)
    run.lines.write_bytes(lines[0] + lines[1] + lines[2][:20])  # as a crash leaves it
    restarted = EvaluationService(data)
    assert restarted.get(run.id).state == STOPPED and len(restarted.get(run.id).rows) == 2
    resumed = finished(restarted.resume(run.id))
    assert resumed.state == DONE and [row.results for row in resumed.rows] == [row.results for row in run.rows]
    assert [json.loads(line)["id"] for line in run.lines.read_text().splitlines()] == [row.id for row in run.rows]


@pytest.mark.alone
def test_cancel_stops_within_a_clip_and_the_next_run_starts(data, tmp_path):
    long = tmp_path / "long.mp4"
    encode_mp4(np.tile(coded_clip(), (40, 1, 1, 1)), 12, long)
    service = EvaluationService(data)
    metrics = ("motion_smoothness_flow", "warping_error")
    run = service.start(Plan((ClipFile(long, "long"),) * 3, metrics))
    waiting = service.start(Plan((ClipFile(long, "long"),), metrics))
    while run.progress is None or run.progress.frame == 0:
        time.sleep(0.01)
    assert waiting.state == "queued"
    started = time.monotonic()
    service.cancel(run.id)
    service.cancel(waiting.id)
    finished(run)
    finished(waiting)
    assert time.monotonic() - started < 5 and run.state == waiting.state == STOPPED and not run.rows
    assert finished(service.start(Plan((ClipFile(data / "others" / "world.mp4", "w"),), tuple(QUICK)))).state == DONE


@pytest.mark.parametrize(
    "metrics, told", [((), "no metric"), (("sharpnes",), "'sharpnes' does not exist; choose from sharpness")]
)
def test_bad_metrics_are_refused(service, data, metrics, told):
    with pytest.raises(RequestError, match=told):
        service.start(Plan((ClipFile(data / "others" / "world.mp4", "w"),), metrics))


def test_metrics_that_cannot_run_here_are_refused_with_the_reason(service, data):
    absent = [metric for metric in create_metrics(list_metrics()) if metric.missing()]
    if not absent:
        pytest.skip("every metric runs on this machine")
    name = absent[0].facts.name
    with pytest.raises(RequestError, match=f"'{name}' cannot run here .*; leave it out"):
        service.start(Plan((ClipFile(data / "others" / "world.mp4", "w"),), (name,)))


@pytest.mark.parametrize("identity", ["0" * 16, "../clips", "zz"])
def test_an_unknown_run_is_told(service, identity):
    with pytest.raises(RequestError, match="not on this server"):
        service.get(identity)


# what browsers are shown


def test_small_clips_are_shown_without_loss_and_large_ones_as_h264(data, tmp_path):
    small = make_display(data / "others" / "world.mp4", "small", tmp_path)
    assert small.frames.shape == (49, 64, 64, 3) and small.fps == 12
    large = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None, None, None] * 9, (24, 720, 1280, 3))
    encode_mp4(large, 24, tmp_path / "large.mp4")
    assert make_display(tmp_path / "large.mp4", "large", tmp_path / "copies").video == tmp_path / "large.mp4"
    (tmp_path / "large.mkv").write_bytes((tmp_path / "large.mp4").read_bytes())  # by its name browsers might refuse it
    copy = make_display(tmp_path / "large.mkv", "large", tmp_path / "copies")
    assert copy.video == tmp_path / "copies" / "large.mp4" and copy.count == 24 and copy.fps == 24
    assert decode_mp4(copy.video)[0].shape == (24, 540, 960, 3)


def facts(name: str, better: bool | None = True) -> Facts:
    return Facts(name, f"Title of {name}", "motion", "weight-free", better, (0, 1), "", "", "")


def test_the_windowed_mean_is_a_mean_of_known_neighbours():
    curve = [None, 1.0, 2.0, None, 6.0, 6.0, None]
    means = windowed_mean(curve, fps=4)  # one frame to each side
    assert np.isnan(means[0]) and np.isnan(means[6])
    assert means[1:6].tolist() == [1.5, 1.5, 4.0, 6.0, 6.0]


def test_curves_have_a_panel_a_metric_and_know_their_moments():
    a = ClipCurves("A <b>", 12, {"x": [0.1] * 24, "y": [None, 0.2] * 12})
    b = ClipCurves("B", 24, {"x": [0.3] * 24, "y": []})
    chart = metric_curves([facts("x"), facts("y", False), facts("empty")], [a, b], seconds=True)
    titles = [note["text"] for note in chart["layout"]["annotations"]]
    assert titles == ["<b>Title of x</b> ↑ better", "<b>Title of y</b> ↓ better"]
    raw = chart["data"][2]
    assert chart["rates"][2] == 24 and raw["customdata"][12] == [12, 0.5, 13] and raw["x"][12] == 0.5
    half = chart["data"][4]  # a value in every second frame is no gap
    assert half["x"][:2] == [1 / 12, 3 / 12] and None not in half["y"]
    assert "<b>" not in chart["data"][0]["name"]
    assert metric_curves([facts("empty")], [a, b], seconds=False) == {}


def test_a_long_curve_keeps_its_dips():
    curve = [1.0] * 30_000
    curve[12_345] = 0.0
    chart = metric_curves([facts("x")], [ClipCurves("A", 24, {"x": curve})], seconds=False)
    raw = chart["data"][0]
    assert len(raw["x"]) < 5000 and raw["y"][raw["x"].index(12_346)] == 0.0


def test_the_band_needs_three_clips_and_ends_with_them():
    clips = [ClipCurves("", 12, {"x": [value] * length}) for value, length in ((0.0, 12), (0.5, 24), (1.0, 24))]
    band = spread_over_clips(clips, "x", seconds=False)
    assert band.clips == 3 and band.x.max() == 12 and band.mean[0] == 0.5
    assert (band.low[0], band.high[0]) == pytest.approx((0.1, 0.9))
    assert spread_over_clips(clips[:2], "x", seconds=False) is None


# routes and the endpoint


@pytest.fixture(scope="module")
def web(data):
    app = build_app(GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)}), Settings(data_dir=data))
    return TestClient(app, base_url="http://localhost")


def test_the_list_of_clips_has_pictures(web):
    listed = web.get("/api/v1/clips", params={"text": "circle", "limit": 1}).json()
    assert listed["total"] == 2 and listed["clips"][0]["prompt"] == PROMPT
    picture = web.get(f"/api/v1/clips/{listed['clips'][0]['id']}/picture")
    assert picture.status_code == 200 and picture.content.startswith(b"\x89PNG")
    assert web.get("/api/v1/clips/..%2fothers%2fworld/picture").status_code == 404


@pytest.fixture(scope="module")
def url(data):
    service = GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)})
    with live_app(service, Settings(data_dir=data, clips=roots(data))) as address:
        yield address


@pytest.fixture(scope="module")
def client(url):
    return Client(url, verbose=False)


def test_the_endpoint_measures_uploads_and_stored_clips(client, data, url):
    ids = [clip.id for clip in Library(data).listing()[1]]
    files = [handle_file(str(data / "others" / name)) for name in ("coded12.mp4", "renamed.mp4")]
    result = client.predict(files, ids, [*ORACLE, *QUICK], ["a cat"], api_name="/evaluate")
    first, broken, *stored = result["clips"]
    assert [row["clip"] for row in (first, broken)] == ["coded12.mp4", "renamed.mp4"] and "read" in broken["skipped"]
    assert first["prompt"] == "a cat" and "outside the grammar" in first["reasons"]["oracle_right"]
    assert len(first["per_frame"]["sharpness"]) == 49 and 0 < first["values"]["temporal_flickering"] < 1
    assert [row["id"] for row in stored] == ids and all(row["prompt"] == PROMPT for row in stored)
    assert [metric["name"] for metric in result["metrics"]][:1] == ["temporal_flickering"]  # in page order
    assert result["summary"]["sharpness"]["n"] == 3 and result["summary"]["sharpness"]["unscored"] == 1
    run = result["link"].partition("run=")[2]
    values = pd.read_csv(io.BytesIO(httpx.get(f"{url}/api/v1/evaluations/{run}/clips.csv").content))
    assert values["sharpness"][0] == first["values"]["sharpness"] and "read" in values["skipped"][1]
    curves = pd.read_parquet(io.BytesIO(httpx.get(f"{url}/api/v1/evaluations/{run}/frames.parquet").content))
    assert curves["sharpness"][:49].tolist() == first["per_frame"]["sharpness"]
    assert len(httpx.get(f"{url}/api/v1/evaluations/{run}/scores.json").json()["clips"]) == 4
    assert httpx.get(f"{url}/api/v1/evaluations/{run}/run.json").status_code == 404


@pytest.mark.parametrize(
    "arguments, told",
    [
        ((None, None, QUICK, None), "no clip is chosen"),
        ((None, ["nope"], QUICK, None), "'nope' is not in the store"),
        ((None, {"a": 1}, QUICK, None), "clip_ids is .*list of strings"),
        ((None, None, ["nope"], None), "does not exist|no clip"),
    ],
)
def test_the_endpoint_refuses_bad_input_in_one_sentence(client, arguments, told):
    with pytest.raises(AppError, match=told) as error:
        client.predict(*arguments, api_name="/evaluate")
    assert "\n" not in str(error.value)


def test_a_read_only_server_evaluates_nothing(data, tmp_path):
    settings = Settings(data_dir=tmp_path, read_only=True)
    with live_app(GenerationService(tmp_path, pipelines={}), settings) as address:
        file = handle_file(str(data / "others" / "world.mp4"))
        with pytest.raises(AppError, match="read-only"):
            Client(address, verbose=False).predict([file], None, QUICK, None, api_name="/evaluate")
    assert not (tmp_path / "evaluations").exists() and threading.active_count() < 60


# the page in a real browser


CODES = """async () => {
  const { readCode } = await import('/ui/js/selftest.js');
  return [...document.querySelectorAll('#player canvas')].map((canvas) => readCode(canvas, { bits: 8, block: 8 }));
}"""
PLACE = """([trace, frame]) => {
  const plot = document.querySelector('.wb-plot');
  const k = plot.data[trace].customdata.findIndex((at) => at[0] === frame);
  const along = (letter) => {
    const axis = plot._fullLayout[plot._fullData[trace][`${letter}axis`].replace(letter, `${letter}axis`)];
    return axis._offset + axis.d2p(plot.data[trace][letter][k]);
  };
  const box = plot.getBoundingClientRect();
  return [box.left + along('x'), box.top + along('y')];
}"""
OWN_FRAMES = "() => document.querySelector('.wb-plot').data.map((trace) => Boolean(trace.customdata))"
PLAYHEAD = "() => document.querySelector('.wb-playhead').getBoundingClientRect().left"
PER_SECOND = """() => {
  const { xaxis } = document.querySelector('.wb-plot')._fullLayout;
  return xaxis.d2p(1) - xaxis.d2p(0);
}"""
# press the button the moment it can be pressed again, when the first run's last words are still to come
CLICK_WHEN_DONE = """() => {
  const [button, status] = ['#run', '#status'].map((name) => document.querySelector(name));
  window.runShown = () => status.querySelector('[data-state=done] a[download]')?.href.split('/').at(-2);
  const before = window.runShown();
  const timer = setInterval(() => {
    if (button.disabled || [undefined, before].includes(window.runShown())) return;
    clearInterval(timer);
    window.earlier = window.runShown();
    button.click();
  }, 1);
}"""
PLAYER = "#player .wb-player"
CLOCK = f"document.querySelector('{PLAYER}').workbench.clock"


@pytest.fixture
def page(browser):
    """A page whose console must have stayed clean when the test ends."""
    problems = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    # gradio's own client warns this way at the end of every upload
    known = ("Method not implemented.",)
    page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    page.close()
    assert [problem for problem in problems if problem not in known] == []


def point(page, trace: int, frame: int) -> tuple[float, float]:
    """Where a frame of a trace is on the window."""
    page.locator(".wb-plot").scroll_into_view_if_needed()
    return page.evaluate(PLACE, [trace, frame])


def test_a_click_on_a_point_seeks_to_that_frame_and_playing_moves_the_playhead(page, url, data):
    service = EvaluationService(data)
    files = [ClipFile(data / "others" / name, name) for name in ("coded12.mp4", "deep/coded16.mp4")]
    run = finished(service.start(Plan(tuple(files), tuple(QUICK))))
    page.goto(f"{url}/evaluate?run={run.id}")
    page.wait_for_selector(".wb-plot .main-svg")
    page.wait_for_selector(f"{PLAYER}[data-state=ready]")
    assert page.inner_text("#axis label.selected") == "seconds"  # 12 and 16 frames a second have no frames in common
    raw = [i for i, own in enumerate(page.evaluate(OWN_FRAMES)) if own]
    for trace, frame in ((raw[0], 7), (raw[1], 30), (raw[3], 61), (raw[2], 20)):
        x, y = point(page, trace, frame)
        page.mouse.move(x, y)
        page.wait_for_timeout(200)
        page.mouse.click(x, y)
        side = raw.index(trace) % 2
        page.wait_for_function(
            "([side, frame]) => document.querySelectorAll('#player .wb-picture')[side].dataset.frame == frame",
            arg=[side, frame],
        )
        codes = page.evaluate(CODES)
        assert codes[side] == frame
        assert abs(codes[0] / 12 - codes[1] / 16) < 1 / 12 or codes[0] == 48  # in step by time; the shorter clip waits
    page.evaluate(f"() => {CLOCK}.seek(4)")
    before = page.evaluate(PLAYHEAD)
    page.evaluate(f"() => {CLOCK}.play()")
    page.wait_for_function(f"() => {CLOCK}.frame > 12")
    page.evaluate(f"() => {CLOCK}.pause()")
    seconds = (page.evaluate(f"() => {CLOCK}.frame") - 4) / 16
    assert page.evaluate(PLAYHEAD) - before == pytest.approx(seconds * page.evaluate(PER_SECOND), abs=2)
    page.click("#axis label:has-text('frames')")
    page.wait_for_function("() => document.querySelector('.wb-plot').data[0].x[5] === 7")  # the first frame has none


def test_uploads_a_folder_and_bad_files_together(page, url, data):
    page.goto(f"{url}/evaluate")
    page.wait_for_selector(".wb-metric")
    page.wait_for_selector(".wb-clip img")
    assert page.locator(".wb-metric[data-off] .wb-why").count() > 0 or not [
        metric for metric in create_metrics(list_metrics()) if metric.missing()
    ]
    page.fill(".wb-filter", "seed 11")
    page.wait_for_function("() => document.querySelectorAll('.wb-clip').length === 1")
    page.check(".wb-clip input")
    page.click("#metrics button:has-text('None')")
    page.check("#metrics input[value=sharpness]")
    page.check("#metrics input[value=oracle_right]")
    page.click("#sources button[role=tab]:has-text('Upload')")
    names = ("world.mp4", "empty.mp4", "renamed.mp4")
    page.set_input_files("#uploads input[type=file]", [data / "others" / name for name in names])
    page.wait_for_function("() => document.querySelector('#uploads').innerText.includes('renamed')")
    page.fill("#prompts textarea", PROMPT)
    page.click("#run")
    page.wait_for_selector("#status [data-state=done]")
    told = page.inner_text("#status")
    assert "Skipped empty.mp4" in told and "Skipped renamed.mp4" in told
    page.wait_for_selector(f"{PLAYER}[data-state=ready]")
    assert page.locator("#player canvas").count() == 2
    assert "Shapes-world oracle: as asked" in page.inner_text("#summary")
    page.wait_for_function("() => /run=[0-9a-f]{16}/.test(location.search)")
    page.evaluate(CLICK_WHEN_DONE)
    page.click("#run")  # the page goes on
    page.wait_for_function("() => window.earlier && ![undefined, window.earlier].includes(window.runShown())")
    page.wait_for_selector("#status [data-state=done]")
    page.click("#metrics button:has-text('None')")
    page.click("#run")
    page.wait_for_selector("#status [data-state=error]")
    assert "no metric is chosen" in page.inner_text("#status")


def test_cancel_keeps_what_is_done_and_a_link_reopens_it(page, url, data, browser):
    long = data / "long"
    if not long.exists():
        long.mkdir()
        for i in range(4):
            encode_mp4(np.tile(coded_clip(shift=i), (10 if i == 1 else 1, 1, 1, 1)), 12, long / f"{i}.mp4")
    page.goto(f"{url}/evaluate?metrics=motion_smoothness_flow,warping_error,sharpness")
    page.wait_for_function("() => document.querySelector('#metrics .wb-count')?.innerText === '3 metrics chosen'")
    page.click("#sources button[role=tab]:has-text('Folder')")
    page.fill("#folder input, #folder textarea", "long")
    page.click("#run")
    page.wait_for_function("() => /Clip 2 of 4/.test(document.querySelector('#status').innerText)")
    page.click("#cancel:not([disabled])")
    page.wait_for_function("() => document.querySelector('#status').innerText.startsWith('Stopped')", timeout=15_000)
    page.wait_for_selector(f"{PLAYER}[data-state=ready]")
    page.wait_for_function("() => /run=[0-9a-f]{16}/.test(location.search)")
    assert page.is_enabled("#run")
    page.goto(page.evaluate("() => location.href"))
    page.wait_for_selector("#go-on")
    page.click("#go-on")
    page.wait_for_selector("#status [data-state=done]")
    assert "4 clips" in page.inner_text("#status")


def test_no_cell_of_a_table_is_a_formula_and_numbers_stay(tmp_path):
    table = pd.DataFrame(
        {"clip": ["=1+1", "a", None], "value": [-1.5, 2.0, float("nan")], "skipped": ["@x", "-2", ""]}
    )
    write_csv(table, tmp_path / "t.csv")
    kept = pd.read_csv(tmp_path / "t.csv", dtype=str, keep_default_na=False)
    assert kept.to_dict("list") == {
        "clip": ["'=1+1", "a", ""],
        "value": ["-1.5", "2.0", ""],
        "skipped": ["'@x", "'-2", ""],
    }
