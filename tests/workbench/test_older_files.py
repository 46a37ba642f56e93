"""Manifests, databases and links of an older version open to what they were there; see `tests/cases/older`."""

import gzip
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from eval.video.reader import inspect_video
from workbench.clips.library import Library
from workbench.clips.manifest import digest_pixels, read_manifest, request_from_manifest
from workbench.requests.links.compare import read_compare
from workbench.requests.links.dashboard import read_dashboard
from workbench.requests.links.evaluate import read_evaluate
from workbench.requests.links.generate import KEYS, read_generate
from workbench.requests.links.grid import read_grid_link
from workbench.requests.links.insight import read_insight
from workbench.settings import Settings
from workbench.store import open_store
from workbench.votes.preferences import study_report
from workbench.votes.studies import study_from_json

OLDER = Path(__file__).parents[1] / "cases" / "older"
TOLD = json.loads((OLDER / "told.json").read_text())


def plain(value):
    """As JSON brings it back; pictures and videos by their digest."""
    return json.loads(json.dumps(value, default=digest_pixels))


def rows(table, older: list[dict]) -> list[dict]:
    """A table as the older version wrote it: its columns, in its order of rows and no others."""
    return json.loads(table[list(older[0])].to_json(orient="records"))


@pytest.fixture
def store(tmp_path):
    shutil.copytree(OLDER / "store", tmp_path, dirs_exist_ok=True)
    (tmp_path / "workbench.db").write_bytes(gzip.decompress((tmp_path / "workbench.db.gz").read_bytes()))
    store = open_store(Settings(data_dir=tmp_path))
    yield store
    store.close()


@pytest.mark.parametrize("name", TOLD["requests"])
def test_a_manifest_gives_the_same_request(name):
    model, request = request_from_manifest(OLDER / "clips" / f"{name}.json")
    older = TOLD["requests"][name]
    assert model == older["model"]
    assert older["request"].items() <= plain(asdict(request)).items()


@pytest.mark.parametrize("name", TOLD["requests"])
def test_a_clip_is_what_its_manifest_says(name):
    manifest = read_manifest(OLDER / "clips" / f"{name}.json")
    facts = inspect_video(OLDER / "clips" / f"{name}.mp4")
    shape = (facts.frames, facts.width, facts.height, facts.fps)
    assert shape == (manifest.frames, manifest.width, manifest.height, manifest.fps)


def test_a_study_is_asked_by_the_same_protocol(store):
    record = store.studies.get("first")
    study = study_from_json(record.definition)
    assert json.loads(TOLD["store"]["study"]).items() <= plain(asdict(study)).items()
    assert study.protocol_hash() == record.protocol_hash == TOLD["store"]["hash"]


def test_votes_and_flags_are_the_same(store, tmp_path):
    for table, name in ((store.votes("first"), "votes"), (store.flags("first"), "flags")):
        older = TOLD["store"][name]
        assert sorted(rows(table, older), key=str) == sorted(older, key=str)
    for clip in store.studies.clips("first"):
        assert (tmp_path / clip.file).stat().st_size == clip.bytes
    assert study_report(store.votes("first"), store.flags("first")).votes == 2


@pytest.mark.parametrize("name", ["clips", "leaderboard", "values"])
def test_the_dashboard_has_the_same_rows(store, name):
    read = {"clips": store.clip_table, "leaderboard": store.leaderboard_rows, "values": store.value_table}
    older = TOLD["store"][name]
    assert rows(read[name](), older) == older


def test_sweeps_and_the_clips_of_the_store_are_there(store, tmp_path):
    assert [asdict(sweep) for sweep in store.sweeps.all()] == TOLD["store"]["sweeps"]
    count, clips = Library(tmp_path).listing()
    assert count == 3
    assert {clip["id"] for clip in TOLD["store"]["clips"]} < {clip.id for clip in clips}


def opened(path: str, query: dict[str, str]) -> dict:
    """What a page makes of a link, in the words of the older version."""
    if path == "/":
        assert KEYS & query.keys()  # leads to Generate
        return read_generate(query)
    if path == "/compare":
        found = read_compare(query)
        return found | {"sides": [[side.model, side.steps, side.first_steps] for side in found["sides"]]}
    if path == "/grid":
        return query | {"axes": read_grid_link(query)["axes"]}
    if path == "/dashboard":
        return asdict(read_dashboard(query))
    return {"/evaluate": read_evaluate, "/insight": read_insight, "/results": dict}[path](query)


@pytest.mark.parametrize("link", TOLD["links"], ids=lambda link: link["link"][:40])
def test_a_link_opens_the_same(link):
    path, _, query = link["link"].partition("?")
    assert plain(opened(path, dict(parse_qsl(query)))) == link["opens"]
