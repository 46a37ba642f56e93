"""The command line as a user meets it: exit codes, one-line errors, files."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.specs import MODELS
from tests.conftest import PROMPT, png_that_says
from workbench.__main__ import main
from workbench.clips.generation import GenerationService
from workbench.clips.manifest import image_path, read_manifest, request_from_manifest
from workbench.clips.media import decode_mp4, read_image, write_png
from workbench.commands import COMMANDS, words

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *argv):
    """(exit code, standard output, standard error) of one command."""
    code = main([str(word) for word in argv])
    output = capsys.readouterr()
    return code, output.out, output.err


def generate(capsys, *argv, model="shapes-asd", prompt=PROMPT, steps=1, out="out.mp4"):
    return run(capsys, "generate", "--model", model, "--prompt", prompt, "--steps", steps, "--out", out, *argv)


def refused(result, *words):
    """Exit code 2, nothing on standard output, one line on standard error that holds `words`."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and len(err) < 700
    assert not [word for word in words if word not in err], err
    return True


def process(*argv, cwd=ROOT, **options):
    command = [sys.executable, "-m", "workbench", *argv]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False, **options
    )


# --- help and flags


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_told_without_loading_torch(command):
    check = (
        "import sys; from workbench.__main__ import main; code = main([*sys.argv[1:], '--help']);"
        "assert not {'torch', 'gradio'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, *words(command)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m workbench {' '.join(words(command))}")


def test_help_lists_every_command(capsys):
    (code, out, _), (lab_code, lab_out, _) = run(capsys, "--help"), run(capsys, "lab", "--help")
    assert code == lab_code == 0 and re.search(r"^ +lab\s", out, re.M)
    for name, row in COMMANDS.items():
        here, elsewhere = (lab_out, out) if row.lab else (out, lab_out)
        assert re.search(rf"^ +{name}\s", here, re.M) and row.help in here
        assert not re.search(rf"^ +{name}\s", elsewhere, re.M)


def test_a_command_of_the_lab_is_known_by_its_former_name_too(capsys):
    code, out, err = run(capsys, "store-load", "--help")
    assert code == 0 and out.startswith("usage: python -m workbench lab store-load")
    assert err == "notice: `store-load` is `lab store-load` now\n"
    assert run(capsys, "lab", "store-load", "--help") == (0, out, "")
    assert refused(run(capsys, "lab", "generate"), "'generate'", "'store-load'")


def test_every_command_has_a_row():
    folder = ROOT / "workbench" / "commands"
    commands = [path for path in folder.rglob("*.py") if "def add_parser(" in path.read_text()]
    files = [path.relative_to(folder).with_suffix("") for path in commands]
    assert {row.module for row in COMMANDS.values()} == {".".join(file.parts) for file in files}


@pytest.mark.parametrize(
    "argv, words",
    [
        ([], ["COMMAND", "--help"]),
        (["generat"], ["'generat'", "'generate'"]),
        (["generate", "--stpes", "3"], ["'--stpes'", "did you mean --steps?"]),
        (["generate", "--steps", "two"], ["--steps", "'two'", "whole number"]),
        (["generate", "--steps"], ["--steps", "expected one argument"]),
        (["generate", "stray"], ["'stray'", "generate --help"]),
        (["models", "--jsn"], ["'--jsn'", "did you mean --json?"]),
    ],
)
def test_a_misspelt_command_line_is_answered_in_one_line(capsys, argv, words):
    assert refused(run(capsys, *argv), *words)


def test_a_process_ends_with_the_exit_code_and_no_traceback(tmp_path):
    done = process("generate", "--prompt", PROMPT, "--steps", "0", "--out", str(tmp_path / "out.mp4"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "steps is 0" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_reader_that_leaves_early_is_no_failure_to_shout_about(tmp_path):
    command = f"{sys.executable} -m workbench models --json | head -c 1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("[", "")


def test_an_unexpected_failure_is_one_line_and_a_traceback_on_request(capsys, here):
    broken = ["train", "autoencoder", "--preset", "smoke", "--steps", 1, "--resume", "--out", here / "run"]
    (here / "run").mkdir()
    (here / "run" / "run.json").write_text('{"recipe": "autoencoder", "preset": "smoke", "seed": 0}')
    (here / "run" / "state.pt").write_bytes(b"torn")
    code, out, err = run(capsys, *broken)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "--debug" in err and "Traceback" not in err
    assert "Traceback" in run(capsys, *broken, "--debug")[2]


# --- app


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--port", "99999"], ["--port 99999"]),
        (["--min-watch", "2"], ["--min-watch 2.0"]),
        (["--auth", "people.json"], ["--auth 'people.json'"]),
        (["--data-dir", "/dev/null/data"], ["--data-dir '/dev/null/data'", "Not a directory"]),
        (["--host", "no.such.host.invalid"], ["no.such.host.invalid", "--host"]),
        (["--port", "0", "--device", "tpu"], ["'tpu'", "choose cpu"]),
    ],
)
def test_the_app_refuses_settings_in_one_line(capsys, here, argv, words):
    assert refused(run(capsys, "app", *argv), *words)


def test_a_taken_port_is_told_at_once(capsys, here):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refused(run(capsys, "app", "--port", port), f"127.0.0.1:{port}", "choose another --port")


def test_the_app_serves_until_it_is_stopped(tmp_path):
    command = [sys.executable, str(ROOT / "app.py"), "--port", "0", "--data-dir", str(tmp_path / "data")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            url = re.search(r"http://127\.0\.0\.1:\d+", line).group()
            assert httpx.get(f"{url}/api/v1/health", timeout=30).json()["status"] == "ok"
            assert "ASD Workbench" in httpx.get(url, timeout=30).text
            with httpx.stream("GET", f"{url}/gradio_api/heartbeat/somebody", timeout=30) as page:
                assert page.status_code == 200  # an open page, whose stream never ends by itself
                server.send_signal(signal.SIGINT)
                _, err = server.communicate(timeout=60)
        finally:
            server.kill()
    assert (server.returncode, err) == (0, "")


# --- models


def test_models_as_json_and_as_a_table(capsys):
    code, out, _ = run(capsys, "models", "--json")
    rows = json.loads(out)
    assert code == 0 and [row["name"] for row in rows] == list(MODELS)
    for row in rows:
        assert row["available"] == (row["reason"] is None)
        assert set(row) >= {
            "name",
            "family",
            "paper",
            "tasks",
            "steps",
            "trained_steps",
            "license",
            "available",
            "reason",
        }
    code, out, _ = run(capsys, "models")
    assert code == 0 and all(name in out for name in MODELS)


# --- generate: what it makes


def test_a_clip_made_twice_and_again_from_its_manifest_is_the_same_clip(capsys, here):
    code, out, err = generate(capsys, "--ffe", "--seed", 7)
    assert (code, out, err) == (0, "out.mp4\n", "")
    first, frames = (here / "out.mp4").read_bytes(), decode_mp4(here / "out.mp4")[0]
    assert len(frames) >= 45 and min(frames.shape[1:3]) >= 64
    assert generate(capsys, "--ffe", "--seed", 7, out="second.mp4")[0] == 0
    assert run(capsys, "generate", "--from", "out.json", "--out", "third.mp4") == (0, "third.mp4\n", "")
    assert run(capsys, "generate", "--from", "out.json") == (0, "out.again.mp4\n", "")
    for name in ("second", "third", "out.again"):
        assert (here / f"{name}.mp4").read_bytes() == first
        assert read_manifest(here / f"{name}.json").frames_digest == read_manifest(here / "out.json").frames_digest


def test_the_command_line_makes_the_clip_that_the_app_makes(capsys, here):
    generate(capsys, "--seed", 3, "--frames", 13)
    model, request = request_from_manifest(here / "out.json")
    clip = GenerationService(here / "data").generate(model, request)
    assert clip.path.read_bytes() == (here / "out.mp4").read_bytes()


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_one_checkpoint_serves_every_number_of_steps(capsys, here, steps):
    for flag in ("--ffe", "--no-ffe"):
        assert generate(capsys, flag, "--frames", 13, "--overwrite", steps=steps)[0] == 0
        manifest = read_manifest(here / "out.json")
        first = 4 if flag == "--ffe" else steps
        assert [len(sigmas) for sigmas in manifest.sigmas] == [first, steps]


def test_a_picture_becomes_the_first_frame_and_the_manifest_keeps_it(capsys, here, world_clip):
    write_png(here / "start.png", world_clip[0])
    assert generate(capsys, "--image", "start.png", "--frames", 13)[0] == 0
    assert np.array_equal(read_image(image_path(here / "out.mp4")), world_clip[0])
    (here / "start.png").unlink()
    assert run(capsys, "generate", "--from", "out.json", "--out", "again.mp4")[0] == 0
    assert (here / "again.mp4").read_bytes() == (here / "out.mp4").read_bytes()
    image_path(here / "out.mp4").unlink()
    assert refused(run(capsys, "generate", "--from", "out.json", "--out", "more.mp4"), "out.input.png")
    assert not list(here.glob("more*"))


def test_flags_change_a_manifest(capsys, here):
    generate(capsys, "--seed", 7, "--frames", 13)
    run(capsys, "generate", "--from", "out.json", "--seed", 8, "--ffe", "--out", "other.mp4")
    other = read_manifest(here / "other.json")
    assert (other.seed, other.ffe, other.frames, other.prompt) == (8, True, 13, PROMPT)


def test_a_remake_that_differs_says_what_has_changed(capsys, here):
    generate(capsys, "--frames", 13)
    values = json.loads((here / "out.json").read_text())
    (here / "out.json").write_text(json.dumps(values | {"weights_digest": "0", "frames_digest": "0"}))
    code, _, err = run(capsys, "generate", "--from", "out.json", "--out", "again.mp4")
    assert code == 0 and "not the manifest's frames; changed since then: weights_digest" in err


def test_a_list_of_prompts_fills_a_folder_and_seeds_count_up(capsys, here):
    (here / "prompts.txt").write_text(f"{PROMPT}\n\n  a blue star moving up on a gray background\n{PROMPT}\n")
    argv = ["generate", "--prompts", "prompts.txt", "--out-dir", "clips", "--seed", 5, "--steps", 1, "--frames", 13]
    argv += ["--model", "shapes-asd"]
    code, out, _ = run(capsys, *argv, "--json")
    assert code == 0 and [row["seed"] for row in json.loads(out)] == [5, 6, 7]
    names = [f"{index:04d}.{kind}" for index in range(3) for kind in ("json", "mp4")]
    assert sorted(path.name for path in (here / "clips").iterdir()) == names
    assert read_manifest(here / "clips" / "0001.json").prompt == "a blue star moving up on a gray background"
    generate(capsys, "--seed", 7, "--frames", 13)
    assert (here / "out.mp4").read_bytes() == (here / "clips" / "0002.mp4").read_bytes()


def test_json_tells_where_the_clip_is_and_how_it_was_made(capsys, here):
    code, out, _ = generate(capsys, "--frames", 13, "--json")
    row = json.loads(out)
    assert code == 0 and Path(row["path"]).exists() and Path(row["manifest_path"]).exists()
    assert (row["model"], row["frames"], row["image"]) == ("shapes-asd", 13, None)


@pytest.mark.parametrize("frames", [20, 50])
def test_frames_are_rounded_up_to_whole_chunks_and_cut(capsys, here, frames):
    assert generate(capsys, "--frames", frames)[0] == 0
    assert len(decode_mp4(here / "out.mp4")[0]) == frames


def test_words_outside_the_world_are_a_notice(capsys, here):
    code, out, err = generate(capsys, "--frames", 13, prompt="a red zebra dancing on a black background")
    assert (code, out, err.count("\n")) == (0, "out.mp4\n", 1)
    assert err.startswith("notice: ") and "zebra, dancing" in err


# --- generate: what it refuses


@pytest.mark.parametrize(
    "options, words",
    [
        ({"prompt": ""}, ["prompt is empty"]),
        ({"prompt": " \n "}, ["prompt is empty"]),
        ({"prompt": "red " * 2500}, ["characters", "1000", "shorten"]),
        ({"steps": 0}, ["steps is 0"]),
        ({"steps": -1}, ["--steps", "'-1'"]),
        ({"steps": 5}, ["steps is 5", "1, 2, 3, 4"]),
        ({"model": "shapes-ast"}, ["'shapes-ast'", "shapes-self-forcing", "did you mean 'shapes-asd'"]),
        ({"out": "out.avi"}, ["'out.avi'", "name it out.mp4"]),
        ({"out": "/proc/out.mp4"}, ["'/proc/out.mp4'", "cannot be written"]),
        ({"out": "/dev/null/out.mp4"}, ["cannot be written"]),
    ],
)
def test_bad_values_are_refused_in_one_line_and_leave_nothing(capsys, here, options, words):
    assert refused(generate(capsys, **options), *words)
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--seed", "-1"], ["--seed", "'-1'"]),
        (["--seed", str(2**63)], ["--seed", "'9223372036854775808'"]),
        (["--frames", "0"], ["frames is 0"]),
        (["--frames", "100000"], ["frames is 100000"]),
        (["--ffe", "--first-steps", "9"], ["first steps is 9"]),
        (["--no-ffe", "--first-steps", "2"], ["--first-steps 2 counts only with --ffe"]),
        (["--guidance-scale", "nan"], ["--guidance-scale", "'nan'"]),
        (["--device", "tpu"], ["'tpu'", "choose cpu"]),
        (["--image", "none.png"], ["'none.png'", "No such file"]),
        (["--out-dir", "clips"], ["--out-dir 'clips'", "--prompts"]),
        (["--prompts", "p.txt"], ["--prompt and --prompts"]),
        (["--from", "none.json"], ["'none.json'", "No such file"]),
    ],
)
def test_bad_flags_are_refused_in_one_line_and_leave_nothing(capsys, here, argv, words):
    assert refused(generate(capsys, *argv), *words)
    assert not list(here.iterdir())


def test_what_to_make_has_to_be_said_once(capsys, here):
    (here / "p.txt").write_text("\n \n")
    assert refused(run(capsys, "generate", "--out", "o.mp4"), "--prompt is missing")
    assert refused(run(capsys, "generate", "--prompt", PROMPT), "--out is missing")
    assert refused(run(capsys, "generate", "--prompts", "p.txt", "--out", "o.mp4"), "--out-dir")
    assert refused(run(capsys, "generate", "--prompts", "p.txt", "--out-dir", "d"), "'p.txt' holds no prompt")
    assert refused(run(capsys, "generate", "--prompts", "no.txt", "--out-dir", "d"), "No such file")
    assert refused(run(capsys, "generate", "--prompts", "p.txt", "--from", "o.json", "--out", "o.mp4"), "give one")
    assert [path.name for path in here.iterdir()] == ["p.txt"]


def test_one_bad_prompt_in_a_list_is_found_before_the_first_clip(capsys, here):
    (here / "p.txt").write_text(f"{PROMPT}\n{'red ' * 2500}\n")
    assert refused(run(capsys, "generate", "--prompts", "p.txt", "--out-dir", "clips"), "characters")
    assert [path.name for path in here.iterdir()] == ["p.txt"]


@pytest.mark.parametrize(
    "content, words",
    [
        (b"I am text", ["'first.png'", "is not a picture", "give a PNG"]),
        (png_that_says(20_000, 20_000), ["'first.png'", "at most 64,000,000 pixels"]),
        (png_that_says(20_000, 2_000), ["is 20000x2000 pixels", "16,384"]),
        (png_that_says(64, 64), ["'first.png'", "cannot be read"]),
    ],
)
def test_bad_pictures_are_refused_in_one_line(capsys, here, content, words):
    (here / "first.png").write_bytes(content)
    assert refused(generate(capsys, "--image", "first.png"), *words)
    assert [path.name for path in here.iterdir()] == ["first.png"]


def test_a_file_of_someone_else_is_not_overwritten(capsys, here):
    (here / "package.json").write_text('{"name": "mine"}')
    assert refused(generate(capsys, out="package.mp4"), "package.json", "not a manifest")
    assert (here / "package.json").read_text() == '{"name": "mine"}'


# --- train


def test_recipes_are_listed(capsys):
    code, out, _ = run(capsys, "train", "--list", "--json")
    recipes = json.loads(out)
    assert code == 0 and "autoencoder" in recipes
    assert all(config["steps"] > 0 for presets in recipes.values() for config in presets.values())
    code, out, _ = run(capsys, "train", "--list")
    assert code == 0 and all(f"\n{name} " in f"\n{out}" for name in recipes)


def test_a_run_leaves_weights_and_is_not_overwritten(capsys, here):
    argv = ["train", "autoencoder", "--preset", "smoke", "--steps", 2, "--out", "run"]
    code, out, _ = run(capsys, *argv)
    assert (code, out) == (0, "run\n")
    assert {path.name for path in (here / "run").iterdir()} >= {"run.json", "log.jsonl", "state.pt", "export"}
    assert refused(run(capsys, *argv), "'run' already holds a run", "--resume")
    assert refused(run(capsys, *argv, "--resume", "--seed", 1), "seed 0, not 1")
    assert refused(run(capsys, *argv, "--resume", "--set", "batch=2"), "batch 4, not 2")
    assert run(capsys, *argv, "--resume")[0] == 0
    argv[argv.index("--steps") + 1] = 3
    for _ in range(2):  # asked twice, noted once
        assert run(capsys, *argv, "--resume", "--set", "lr=0.25")[0] == 0
    record = json.loads((here / "run/run.json").read_text())
    assert record["config"]["lr"] == 0.25
    assert [change | {"lr": change["lr"][1]} for change in record["changes"]] == [{"step": 2, "lr": 0.25}]
    (here / "run/run.json").write_text("")
    assert refused(run(capsys, *argv, "--resume"), "'run/run.json' is damaged", "delete it")


@pytest.mark.parametrize(
    "argv, words",
    [
        ([], ["recipe is missing", "autoencoder"]),
        (["autoencodr"], ["'autoencodr'", "autoencoder"]),
        (["autoencoder", "--preset", "none"], ["preset 'none'", "smoke"]),
        (["autoencoder", "--steps", "0"], ["--steps 0"]),
        (["autoencoder", "--seed", "-1"], ["--seed", "'-1'"]),
        (["autoencoder"], ["--out is missing"]),
        (["autoencoder", "--set", "lrr=1"], ["'lrr=1'", "lr"]),
        (["autoencoder", "--set", "lr"], ["'lr'", "NAME=VALUE"]),
        (["autoencoder", "--set", "batch=few"], ["batch=few", "whole number"]),
        (
            ["video-autoencoder", "--preset", "tabletop-sharper", "--set", "start=nowhere", "--out", "run"],
            ["start 'nowhere' is not here"],
        ),
        (["autoencoder", "--out", "/dev/null/run"], ["'/dev/null/run'", "is a device"]),
    ],
)
def test_bad_training_is_refused_in_one_line(capsys, here, argv, words):
    assert refused(run(capsys, "train", *argv), *words)
    assert not list(here.iterdir())
