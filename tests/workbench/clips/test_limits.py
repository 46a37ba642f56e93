"""What is read from users is bounded before the work begins: text, YAML, manifests, prompts, weights."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors.torch import load_file, save_file

from eval.video.limits import VARIABLE
from eval.video.text_files import parse_json, read_text, read_yaml
from models.networks.text_encoder import ShapesTextEncoder
from models.prompt_text import LONGEST, character_fault
from models.registry import ASSETS, get_spec, weight_folders
from models.types import GenerationRequest, RequestError
from models.wan.files import to_network
from models.weights import check_digests, check_finite, load_model
from tests.helpers.wan_data import original_state, transformer
from workbench.__main__ import main
from workbench.clips.manifest import is_manifest, read_manifest
from workbench.lab.voting_server import build_voting_app
from workbench.settings import Settings
from workbench.sweeps.plan import read_plan_file
from workbench.ui.access.uploads import BadCall, Uploads
from workbench.votes.studies import read_study

PROMPT = "a red circle moving right on a black background"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{to}: &{to} [{', '.join([f'*{of}'] * 9)}]\n" for of, to in zip("abcdefgh", "bcdefghi", strict=True)
)


def refused(call, *argv, **more) -> str:
    with pytest.raises((RequestError, ValueError)) as caught:
        call(*argv, **more)
    assert "\n" not in str(caught.value) or not isinstance(caught.value, RequestError)
    return str(caught.value)


# --- YAML


@pytest.mark.parametrize("read", [read_study, read_plan_file])
@pytest.mark.parametrize(
    "text, word",
    [
        (LAUGHS, "yaml values"),
        ("a: &a [*a]\n", "holds itself by an alias"),
        ("a: &a {b: *a}\n", "holds itself by an alias"),
        ("a: " + "[" * 3000 + "]" * 3000, "levels"),
        ("a: " + "[" * 80 + "]" * 80, "levels"),
        ("? [a, b]\n: c\n", "key"),
        ("id: " + "9" * 5000, "digits"),
        ("a: 'x\0'", "special characters"),
    ],
)
def test_yaml_that_unfolds_without_end_is_refused_at_once(tmp_path, read, text, word):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    assert word in refused(read, path)


def test_aliases_within_reason_are_read(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(f"prompts: &p [{PROMPT}]\nmodels: [shapes-asd]\nagain: *p\n")
    values, node = read_yaml(path)
    assert values["again"] == values["prompts"] == [PROMPT] and len(node.value) == 3


def test_limits_are_those_of_the_environment(tmp_path, monkeypatch):
    path = tmp_path / "long.yaml"
    path.write_text("prompts: [" + "x, " * 100 + "x]\n")
    assert len(read_yaml(path)[0]["prompts"]) == 101
    for limit, found in (("yaml_bytes=200", "313 yaml bytes"), ("yaml_values=50", "104 yaml values")):
        monkeypatch.setenv(VARIABLE, limit)
        said = refused(read_yaml, path)
        assert found in said and f"{VARIABLE}={limit.partition('=')[0]}=N allows more" in said
    monkeypatch.setenv(VARIABLE, "text_bytes=10")
    assert "at most 10 are read" in refused(read_text, path)


# --- JSON


def test_depth_is_counted(monkeypatch):
    monkeypatch.setenv(VARIABLE, "levels=3")
    for text in ("1", "[]", "[[1, {}]]", '{"a": [[2]]}'):
        assert parse_json(text) == json.loads(text)
    assert "4 levels, and at most 3" in refused(parse_json, '{"a": [[{}]]}')
    assert "100,000 levels" in refused(parse_json, "[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"format": "' + b"x" * 5000, b"\xff\xfe", b"1" * 5000, b"NaN"])
def test_no_manifest_is_any_of_these(tmp_path, monkeypatch, content):
    monkeypatch.setenv(VARIABLE, "text_bytes=200000")
    path = tmp_path / "clip.json"
    path.write_bytes(content)
    assert not is_manifest(path) and "is not a manifest" in refused(read_manifest, path)


def test_a_manifest_is_bounded_before_it_is_parsed(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "text_bytes=1000")
    (tmp_path / "clip.json").write_text(" " * 5000 + "{}")
    assert "5,002 text bytes, and at most 1,000" in refused(read_manifest, tmp_path / "clip.json")


# --- prompts


@pytest.mark.parametrize(
    "text, fault",
    [
        (PROMPT, None),
        ("two\nlines\tand ünïcode, 猫, \U0001f468‍\U0001f469", None),
        ("half \ud83d", "holds half a character (U+D83D) at place 6"),
        ("zero\0", "holds a control character (U+0000) at place 5"),
        ("esc \x1b[31m", "holds a control character (U+001B) at place 5"),
        ("so\x85so", "holds a control character (U+0085) at place 3"),
    ],
)
def test_characters_of_a_prompt(tiny, text, fault):
    assert character_fault(text) == fault
    if fault is None:
        tiny.check(GenerationRequest(text, steps=1))
    else:
        assert fault in refused(tiny.check, GenerationRequest(text, steps=1))


@pytest.mark.parametrize("argv", [["generate", "--out", "x.mp4"], ["sweep", "--models", "shapes-asd"]])
def test_bytes_that_are_no_text_end_in_one_sentence(tmp_path, monkeypatch, capsys, argv):
    monkeypatch.chdir(tmp_path)
    Path("p.txt").write_bytes(b"caf\xe9\n")
    flag = "--prompts"
    extra = ["--out-dir", "made"] if argv[0] == "generate" else []
    argv = argv[:1] if argv[0] == "generate" else argv
    assert main([*argv, flag, "p.txt", *extra]) == 2
    assert "UTF-8" in capsys.readouterr().err


def test_a_prompt_that_judges_is_bounded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(Path(__file__).parents[2] / "cases" / "base.mp4", "a.mp4")
    for prompt, word in (("\udcff", "half a character"), ("x" * (LONGEST + 1), "20,001 characters")):
        assert main(["evaluate", "a.mp4", "--metrics", "sharpness", "--prompt", prompt]) == 2
        assert word in capsys.readouterr().err
    Path("p.json").write_text('{"a.mp4": "\\ud800"}')
    assert main(["evaluate", "a.mp4", "--metrics", "sharpness", "--prompt-file", "p.json"]) == 2
    assert "half a character" in capsys.readouterr().err


# --- weights


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_numbers_that_are_none_are_found(bad, dtype):
    state = {"fine": torch.ones(3, 4), "count": torch.tensor([3]), "none": torch.ones(0)}
    check_finite(state, "x")
    if dtype != torch.float8_e4m3fn or math.isnan(bad):  # that kind has no infinity
        spoilt = torch.ones(5)
        spoilt[3] = bad
        assert "'w'" in refused(check_finite, state | {"w": spoilt.to(dtype)}, "x")


def test_spoilt_weights_are_refused_in_one_sentence(tmp_path):
    source = ASSETS / "shapes-text-encoder"
    kind, folder = ShapesTextEncoder, tmp_path / "weights"
    shutil.copytree(source, folder)
    file = folder / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    name = next(iter(state))
    save_file(state | {name: state[name] * float("nan")}, file)
    assert "is not the file of its card" in refused(load_model, kind, folder)
    (folder / "card.json").unlink()
    assert f"numbers that are none in '{name}'" in refused(load_model, kind, folder)
    file.write_bytes(file.read_bytes()[:1000])
    assert "cannot be read" in refused(load_model, kind, folder)


def test_all_shipped_weights_are_those_of_their_cards():
    for folder in {folder for name in ("shapes-asd", "shapes-teacher") for folder in weight_folders(get_spec(name))}:
        card = json.loads((folder / "card.json").read_text())
        assert set(card["sha256"]) == {path.name for path in folder.glob("*.safetensors")}
        check_digests(folder)


def test_a_checkpoint_of_ones_own_with_nan_is_refused():
    state = original_state(transformer())
    name = next(iter(state))
    state[name] = torch.full_like(state[name], float("nan"))
    assert f"'x.pt' holds numbers that are none in {name!r} (NaN or infinity)" in refused(
        to_network, state, source="x.pt"
    )


def test_half_characters_in_a_call_end_in_one_sentence(tmp_path):
    """JSON's escapes can say what no file, database or answer can hold."""
    with pytest.raises(BadCall, match="null character"):
        Uploads().checked("", b'{"data": [{"deep": ["\\u0000"]}]}')
    body = b'{"name": "half \\ud800"}'
    with pytest.raises(BadCall, match="half a character"):
        Uploads().checked("", body)
    with TestClient(build_voting_app(Settings(data_dir=tmp_path))) as client:
        for path in ("session", "next-pair", "votes"):
            answer = client.post(f"/api/v1/{path}", content=body, headers={"content-type": "application/json"})
            assert answer.status_code in (401, 422) and answer.json()["error"]
