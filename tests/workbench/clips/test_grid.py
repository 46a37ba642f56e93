"""Grids of clips and their exports: places and values as asked, files that stand alone."""

import asyncio
import json
import re
import time
import tracemalloc

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from models.types import GenerationRequest, RequestError
from workbench.clips import exports
from workbench.clips.exports import contact_sheet, standalone_page
from workbench.clips.library import Library
from workbench.clips.media import Footage, decode_mp4, encode_mp4
from workbench.requests.grid import Cell, read_grid
from workbench.requests.links.grid import grid_query, read_grid_link
from workbench.ui.api import export_api
from workbench.ui.api.export_api import export_router

PROMPT = "a red circle moving right on a black background"
BASE = Cell("shapes-asd", 1, 0, 7, PROMPT)


def test_every_combination_is_one_cell_row_after_row():
    grid = read_grid(BASE, [("steps", "1, 2, 4"), ("first_steps", "0,4"), ("", "ignored")])
    cells = grid.cells()
    assert [place for place, _ in cells] == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    assert [(c.steps, c.first_steps) for _, c in cells] == [(1, 0), (2, 0), (4, 0), (1, 4), (2, 4), (4, 4)]
    assert {(c.model, c.seed, c.prompt) for _, c in cells} == {("shapes-asd", 7, PROMPT)}
    assert grid.labels() == [["1 step", "2 steps", "4 steps"], ["no FFE", "FFE 4"]]
    assert cells[3][1].request.ffe and not cells[0][1].request.ffe


def test_three_axes_and_ranges():
    grid = read_grid(BASE, [("seed", "0, 7-9"), ("prompt", "one|two"), ("model", "shapes-asd,shapes-self-forcing")])
    cells = grid.cells()
    assert len(cells) == len(set(cells)) == 16 and cells[-1][0] == (3, 1, 1)
    assert cells[-1][1] == Cell("shapes-self-forcing", 1, 0, 9, "two")


@pytest.mark.parametrize(
    "axes", [[("steps", "1,2"), ("seed", "3-4")], [("prompt", "a|b"), ("steps", "4"), ("model", "shapes-asd")]]
)
def test_a_link_reads_back_as_its_grid(axes):
    grid = read_grid(BASE, axes)
    query = {name: str(value) for name, value in grid_query(grid).items()}
    assert read_grid(BASE, read_grid_link(query)["axes"]) == grid


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ([("steps", "1")], "two or three axes"),
        ([("steps", "1"), ("steps", "2")], "Steps is on two axes"),
        ([("step", "1"), ("seed", "2")], "did you mean steps"),
        ([("steps", "x"), ("seed", "2")], "steps 'x' is no whole number"),
        ([("steps", "-1"), ("seed", "2")], "is no whole number"),
        ([("seed", "9-7"), ("steps", "2")], "counts down"),
        ([("seed", "0-99999999999"), ("steps", "2")], "holds over 1000"),
        ([("seed", "0-70"), ("steps", "2")], "71 cells"),
        ([("seed", " , "), ("steps", "2")], "has no values"),
        ([("model", "shapes-adf"), ("steps", "2")], "shapes-adf"),
    ],
)
def test_bad_grids_are_refused_in_a_sentence(axes, told):
    with pytest.raises(RequestError, match=re.escape(told)):
        read_grid(BASE, axes)


@pytest.fixture
def stored(service, tmp_path):
    """Two clips of different length in a store."""
    made = [
        service.generate("tiny-random", GenerationRequest(PROMPT, steps=1, frames=frames, seed=3))
        for frames in (13, 6)
    ]
    return Library(tmp_path / "data"), [clip.path.stem for clip in made]


def test_a_contact_sheet_shows_every_clip_and_holds_the_last_frame_of_short_ones(stored, tmp_path):
    library, ids = stored
    clips = [library.record(i) for i in ids]
    contact_sheet(clips, 2, tmp_path / "sheet.mp4")
    frames, fps = decode_mp4(tmp_path / "sheet.mp4")
    originals = [decode_mp4(clip.path)[0] for clip in clips]
    assert len(frames) == 13 and fps == decode_mp4(clips[0].path)[1]
    height, width = frames.shape[1:3]
    for side, original in enumerate(originals):
        for k in (0, 12):
            tile = frames[k, height - 192 :, side * width // 2 :][1::3, 1::3][:64, :64].astype(float)
            assert np.abs(tile - original[min(k, len(original) - 1)]).mean() < 12, (side, k)
    contact_sheet(clips, 1, tmp_path / "column.mp4")
    assert decode_mp4(tmp_path / "column.mp4")[0].shape[1:3] == (2 * height, width // 2)


def test_one_file_holds_clips_manifests_and_player_and_no_prompt_can_break_it(stored, service, tmp_path):
    library, ids = stored
    evil = service.generate("tiny-random", GenerationRequest("</script><script>alert(1)</script>", steps=1, frames=2))
    text = standalone_page([library.record(i) for i in [*ids, evil.path.stem]], "<b>title</b>")
    assert "<script>alert" not in text and "<b>title" not in text
    assert not re.search(r'(src|href)="(?!data:)', text.split("</style>")[1].split("<script>")[0])
    values = json.loads(re.search(r"^const values = (.*);$", text, re.MULTILINE)[1])
    assert [len(clip["sheets"]) for clip in values["player"]["clips"]] == [1, 1, 1] and values["chart"]["data"]
    assert text.count("weights_digest") == 3


def test_exports_are_served_and_refusals_are_sentences(stored):
    library, ids = stored
    app = FastAPI()
    app.include_router(export_router(library))
    client = TestClient(app)
    good = client.get("/api/v1/export/sheet.mp4", params={"clips": ",".join(ids), "columns": 2})
    assert (
        good.status_code == 200
        and good.content[4:8] == b"ftyp"
        and "attachment" in good.headers["content-disposition"]
    )
    for query, told in (
        ({"clips": "none"}, "not in the store"),
        ({"clips": ""}, "0 clips"),
        ({"clips": ids[0], "columns": 0}, "columns is 0"),
    ):
        answer = client.get("/api/v1/export/sheet.mp4", params=query)
        assert answer.status_code == 400 and told in answer.json()["detail"]
    assert client.get("/api/v1/export/page.html", params={"clips": ids[0]}).text.startswith("<!doctype html>")
    one = client.get("/api/v1/export/sheet.mp4", params={"clips": ids[0]})
    often = client.get("/api/v1/export/sheet.mp4", params={"clips": ",".join(ids[:1] * 64)})
    assert often.content == one.content  # a clip counts once


def test_exports_are_bounded_before_anything_is_decoded(stored, tmp_path, monkeypatch):
    """In one frame, in a side, and in all frames; each refusal says the number, the rule and the way out."""
    library, ids = stored
    clips = [library.record(i) for i in ids]
    path = tmp_path / "sheet.mp4"
    monkeypatch.setattr(Footage, "__iter__", lambda self: pytest.fail("a frame was decoded"))
    for name, most, many, told in (
        ("MOST_SHEET_PIXELS", 90_000, 2, "384 x 256 pixels, and a contact sheet has at most 90,000 pixels a frame"),
        ("MAX_SIDE", 380, 2, "and 380 a side; give fewer clips"),
        ("MOST_PIXELS", 600_000, 1, "pixels in 13 frames, and at most 600,000 are written; give fewer or shorter"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(exports, name, most)
            with pytest.raises(RequestError, match=re.escape(told)):
                contact_sheet(clips[:many], 2, path)
    monkeypatch.setattr(exports, "MOST_PAGE_PIXELS", 60_000)
    with pytest.raises(RequestError, match="77,824 pixels in all their frames, and one file holds 60,000; give fewer"):
        standalone_page(clips)
    assert not path.exists()


def test_a_contact_sheet_of_many_long_clips_takes_the_memory_of_a_few_frames(tmp_path, service):
    """Sixteen times as long takes as much."""
    library, most = Library(tmp_path / "data"), []
    made = service.generate("tiny-random", GenerationRequest(PROMPT, steps=1, frames=2, seed=3))
    clip = library.record(made.path.stem)
    for frames in (4, 64):
        encode_mp4(np.full((frames, 64, 64, 3), 100, np.uint8), 16.0, clip.path)
        tracemalloc.start()
        contact_sheet([clip] * 9, 3, tmp_path / f"{frames}.mp4")
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    whole_sheet = 64 * 9 * 192 * 256 * 3
    assert most[1] < 1.5 * most[0] < whole_sheet / 4


def test_one_export_is_written_at_a_time(stored, monkeypatch):
    """Others wait without a thread, for a while."""
    library, ids = stored
    running, seen = [], []

    def slow(clips, title):
        running.append(title)
        seen.append(len(running))
        time.sleep(0.3)
        running.remove(title)
        return "<!doctype html>"

    monkeypatch.setattr(export_api, "standalone_page", slow)
    app = FastAPI()
    app.include_router(export_router(library))

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", timeout=60) as client:
            asked = [client.get("/api/v1/export/page.html", params={"clips": ids[0], "title": k}) for k in range(4)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == [200] * 4 and seen == [1] * 4
    monkeypatch.setattr(export_api, "PATIENCE_SECONDS", 0.2)
    assert sorted(asyncio.run(ask())) == [200, 503, 503, 503]
