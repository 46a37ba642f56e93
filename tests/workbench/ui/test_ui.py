"""The application from outside: endpoints with gradio_client, routes with HTTP."""

import io
import json
import warnings
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from models.types import RequestError
from models.worlds.tabletop.grammar import parse_prompt
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.clips.media import decode_mp4, encode_mp4
from workbench.requests.comparison import format_sides, parse_sides, recipe_difference, sides_from_json
from workbench.requests.links.compare import compare_link, read_compare
from workbench.requests.links.generate import generate_link, read_generate
from workbench.requests.systems import System
from workbench.settings import Settings
from workbench.ui.api.media import MediaTokens
from workbench.ui.app import build_app
from workbench.ui.components.updates import holding
from workbench.ui.context import EXAMPLE_PROMPTS
from workbench.ui.live import live_app
from workbench.ui.pages import PAGES
from workbench.ui.selftest import BITS, BLOCK, FRAMES, coded_clip

PROMPT = EXAMPLE_PROMPTS[0]
SIDES = [
    {"model": "shapes-self-forcing", "steps": 1},
    {"model": "shapes-asd", "steps": 1, "ffe": True, "first_steps": 4},
]


def tiny_service(folder: Path) -> GenerationService:
    """The registry's names with random weights behind them."""
    pipelines = {"shapes-asd": tiny_pipeline(0), "shapes-self-forcing": tiny_pipeline(1)}
    return GenerationService(folder, pipelines=pipelines)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    with live_app(tiny_service(folder), Settings(data_dir=folder)) as address:
        yield address


@pytest.fixture(scope="module")
def client(url, tmp_path_factory):
    return Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def query_of(link: str) -> dict[str, str]:
    return dict(httpx.URL(link).params)


# the app as a whole


def test_app_builds_without_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", DeprecationWarning)
        build_app(tiny_service(tmp_path), Settings(data_dir=tmp_path))


def test_health_and_openapi(url):
    assert httpx.get(f"{url}/api/v1/health").json()["status"] == "ok"
    paths = httpx.get(f"{url}/api/v1/openapi.json").json()["paths"]
    assert {"/api/v1/health", "/api/v1/media/{token}", "/media/{token}", "/api/v1/selftest"} <= set(paths)


def test_pages_have_no_footer_and_keep_no_history(url):
    config = httpx.get(f"{url}/config").json()
    assert config["footer_links"] == [] and not config.get("run_history") and not config["analytics_enabled"]
    assert [page[1] for page in config["pages"]][1:] == [page.title for page in PAGES][1:]


def test_only_the_workbench_endpoints_are_public(client):
    named = set(client.view_api(return_format="dict")["named_endpoints"])
    assert named == {"/models", "/generate", "/compare", "/evaluate", "/leaderboard"}


def test_another_site_gets_no_access(url):
    headers = {"Origin": "https://elsewhere.example", "Host": "workbench.example"}
    answers = [httpx.get(url + path, headers=headers) for path in ("/config", "/api/v1/health", "/")]
    assert not [
        name for answer in answers for name in answer.headers if name.startswith("access-control-allow-origin")
    ]


def test_plotly_is_served_from_here(url):
    answer = httpx.get(f"{url}/vendor/plotly.min.js")
    assert answer.status_code == 200 and len(answer.content) > 1_000_000


def test_example_prompts_are_in_the_grammar():
    assert all(parse_prompt(prompt) for prompt in EXAMPLE_PROMPTS)


# media


def test_media_answers_ranges_and_tells_no_names(url, tmp_path):
    spec = httpx.get(f"{url}/api/v1/selftest").json()
    whole = httpx.get(url + spec["videos"][0])
    part = httpx.get(url + spec["videos"][0], headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == whole.content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    told = " ".join([spec["videos"][0], *map(str, whole.headers.values())])
    assert "coded" not in told and "mp4" not in told.replace("video/mp4", "")
    assert whole.headers["last-modified"].endswith("1970 00:00:00 GMT")
    path = tmp_path / "again.mp4"
    path.write_bytes(whole.content)
    assert len(decode_mp4(path)[0]) == spec["frames"]


def test_an_unknown_token_is_refused(url):
    assert httpx.get(f"{url}/media/{'x' * 22}").status_code == 404
    assert httpx.get(f"{url}/media/..%2f..%2fetc%2fpasswd").status_code == 404


def test_a_sheet_holds_the_frames_without_loss():
    media, frames = MediaTokens(), np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), np.uint8)
    token = media.sheet(frames).rpartition("/")[2]
    sheet = np.asarray(Image.open(io.BytesIO(media.get(token).content)))
    assert np.array_equal(sheet.reshape(frames.shape), frames)


def test_old_media_are_forgotten():
    media = MediaTokens(max_tokens=3, max_bytes=10_000)
    tokens = [media.sheet(np.zeros((1, 8, 8, 3), np.uint8)).rpartition("/")[2] for _ in range(5)]
    assert [media.get(token) is not None for token in tokens] == [False, False, True, True, True]


def test_the_coded_clip_survives_encoding(tmp_path):
    encode_mp4(coded_clip(), 12, tmp_path / "coded.mp4")
    frames, _ = decode_mp4(tmp_path / "coded.mp4")
    centres = frames[:, BLOCK // 2, BLOCK // 2 :: BLOCK, 1][:, :BITS] > 127
    assert [int(row @ (1 << np.arange(BITS))) for row in centres] == list(range(FRAMES))


# endpoints


def test_models_lists_the_registry(client):
    rows = client.predict(api_name="/models")
    assert {"shapes-teacher", "shapes-self-forcing", "shapes-asd"} <= {row["name"] for row in rows}
    assert all(row["available"] == (row["reason"] is None) for row in rows)


def test_generate_returns_clip_and_manifest_and_repeats_itself(client):
    call = dict(model="shapes-asd", prompt=PROMPT, steps=1, ffe=True, first_steps=4, frames=13, seed=7)
    (clip, manifest), (again, _) = [client.predict(**call, api_name="/generate") for _ in range(2)]
    frames, fps = decode_mp4(Path(clip))
    assert frames.shape == (13, 64, 64, 3) and fps == 12
    assert Path(clip).read_bytes() == Path(again).read_bytes()
    assert manifest["model"] and (manifest["seed"], manifest["steps"], manifest["ffe"]) == (7, 1, True)
    assert [len(sigmas) for sigmas in manifest["sigmas"]] == [4, 1]


def test_generate_from_a_picture(client, tmp_path, world_clip):
    Image.fromarray(world_clip[0]).save(tmp_path / "first.png")
    picture = handle_file(str(tmp_path / "first.png"))
    _, manifest = client.predict("shapes-asd", PROMPT, 1, False, 4, 13, 0, picture, api_name="/generate")
    assert (manifest["image"]["width"], manifest["image"]["height"]) == (64, 64)


BAD = {
    "unknown model": ({"model": "nope"}, "shapes-asd"),
    "empty prompt": ({"prompt": " "}, "empty"),
    "long prompt": ({"prompt": "x" * 10_000}, "10000|10,000"),
    "no steps": ({"steps": 0}, "steps"),
    "half a step": ({"steps": 1.5}, "1.5"),
    "negative seed": ({"seed": -1}, "-1"),
    "no frames": ({"frames": 0}, "frames"),
}


@pytest.mark.parametrize("change, told", BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_one_sentence(client, change, told):
    call = dict(model="shapes-asd", prompt=PROMPT, steps=1, ffe=False, first_steps=4, frames=13, seed=0) | change
    with pytest.raises(AppError, match=told) as error:
        client.predict(**call, api_name="/generate")
    assert "Traceback" not in str(error.value) and "\n" not in str(error.value)


def test_a_text_file_named_png_is_refused_without_server_paths(client, tmp_path):
    (tmp_path / "fake.png").write_text("not a picture")
    with pytest.raises(AppError, match=r"fake\.png' is not a picture") as error:
        client.predict(
            "shapes-asd", PROMPT, 1, False, 4, 13, 0, handle_file(str(tmp_path / "fake.png")), api_name="/generate"
        )
    assert "/" not in str(error.value)


def test_compare_uses_one_seed_and_returns_a_curve_a_side(client):
    results, files = client.predict(PROMPT, SIDES, 5, 13, api_name="/compare")
    assert [result["side"] for result in results] == ["A", "B"] and len(files) == 2
    assert {result["manifest"]["seed"] for result in results} == {5}
    for result in results:
        assert result["flicker"][0] is None and len(result["flicker"]) == len(result["sharpness"]) == 13
    assert results[1]["manifest"]["forwards"] > results[0]["manifest"]["forwards"]


def test_compare_agrees_with_generate(client):
    _, files = client.predict(PROMPT, SIDES, 5, 13, api_name="/compare")
    clip, _ = client.predict("shapes-asd", PROMPT, 1, True, 4, 13, 5, None, api_name="/generate")
    assert Path(files[1]).read_bytes() == Path(clip).read_bytes()


@pytest.mark.parametrize(
    "sides, told", [([SIDES[0]], "2 to 4"), ([*SIDES] * 3, "2 to 4"), ({"a": 1}, "list of objects")]
)
def test_compare_refuses_what_is_no_comparison(client, sides, told):
    with pytest.raises(AppError, match=told):
        client.predict(PROMPT, sides, 5, 13, api_name="/compare")


def test_compare_names_the_side_that_is_wrong(client):
    with pytest.raises(AppError, match="Side B: steps is 9"):
        client.predict(PROMPT, [SIDES[0], {"model": "shapes-asd", "steps": 9}], 5, 13, api_name="/compare")


def test_a_read_only_server_makes_nothing(tmp_path):
    with live_app(tiny_service(tmp_path), Settings(data_dir=tmp_path, read_only=True)) as address:
        client = Client(address, verbose=False)
        with pytest.raises(AppError, match="read-only"):
            client.predict(PROMPT, SIDES, 5, 13, api_name="/compare")
        assert client.predict(api_name="/models")
    assert not list(tmp_path.rglob("*.mp4"))


# links and comparisons


def test_links_open_what_they_were_made_from():
    sides = (System("shapes-self-forcing", 2), System("shapes-asd", 1, 3))
    prompt = 'a "red" circle & <b>, 50% ${x}'
    opened = read_compare(query_of(compare_link(sides, prompt, 5, 25)))
    assert opened == {"sides": sides, "prompt": prompt, "seed": 5, "frames": 25}
    assert format_sides(opened["sides"]) == "shapes-self-forcing:2;shapes-asd:3,1"
    single = read_generate(query_of(generate_link(sides[1], prompt, 5, 25)))
    expected = {
        "model": "shapes-asd",
        "prompt": prompt,
        "steps": 1,
        "ffe": True,
        "first_steps": 3,
        "seed": 5,
        "frames": 25,
    }
    assert single == expected


@pytest.mark.parametrize(
    "sides", ["", "shapes-asd:1:0", "shapes-asd:x:0,shapes-asd:1:0", "shapes-asd,shapes-asd", "no:1:0,no:2:0"]
)
def test_a_broken_link_is_told(sides):
    with pytest.raises(RequestError):
        parse_sides(sides)


def test_a_link_cannot_ask_for_steps_that_are_not_offered():
    with pytest.raises(RequestError, match="9"):
        read_generate({"model": "shapes-asd", "steps": "9"})


def test_sides_refuse_unknown_keys():
    with pytest.raises(RequestError, match="stepps"):
        sides_from_json(json.dumps([{"model": "shapes-asd", "stepps": 1}, SIDES[0]]))


def test_recipe_difference_shows_only_what_differs():
    recipes = [{"model": "a", "steps": 1, "ffe": False}, {"model": "b", "steps": 1, "ffe": True}]
    assert recipe_difference(recipes) == [("model", ["a", "b"]), ("ffe", [False, True])]


def test_updates_that_arrive_together_lose_nothing():
    """Whichever of them the browser drops, the ones after it say the same."""
    said = list(holding(iter([{"a": 1}, {"b": 2}, {"a": 3}]), {"end": True}))
    assert said == [{"a": 1}, {"a": 1, "b": 2}, {"a": 3, "b": 2}, {"a": 3, "b": 2, "end": True}]
    assert list(holding(iter([]), {"end": True})) == [{"end": True}]
