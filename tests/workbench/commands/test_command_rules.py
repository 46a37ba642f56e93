"""All commands by the same rules: nothing that is there is lost, and wrong input is exit code 2 and one line."""

import io
import math
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from eval.evaluator import Source, evaluate
from eval.metrics import create_metrics
from models.types import RequestError
from workbench.commands import COMMANDS
from workbench.commands import words as words_of
from workbench.commands.lab.bad_input_trials import NEEDED, WRONG, kind_of, needed, parsers
from workbench.commands.lab.timing.bench_evaluate import FPS, FRAMES, _scene, weight_free
from workbench.commands.line import build_parser, main
from workbench.people.accounts import add_account, read_accounts, remove_account
from workbench.requests.arguments import READERS
from workbench.requests.prompt_files import read_prompts

# what is read, kept up to date in place, or a place for data: every other option with a path names an output
NO_OUTPUTS = {
    "accounts": {"file", "data_dir"},
    "app": {"data_dir", "auth", "clips"},
    "autoencoder-check": {"weights"},
    "backup": {"data_dir"},
    "bench-evaluate": {"folder"},
    "bench-reference": {"references"},
    "bench-vbench": {"vbench", "dino", "pyiqa"},
    "claims": {"data_dir"},
    "doctor": {"data_dir"},
    "embed-prompts": {"prompts", "weights"},
    "evaluate": {"paths", "prompt_file", "weights", "vbench_suite", "vbench_info"},
    "few-steps": {"data_dir"},
    "ablation": {"data_dir"},
    "generate": {"image", "video", "prompts", "manifest"},
    "insight": {"prompts"},
    "jobs": {"data_dir"},
    "leak-check": {"data_dir"},
    "publish": {"source", "onto"},
    "readme": {"file"},
    "restore": {"file", "data_dir"},
    "screenshots": {"measured"},
    "store-load": {"data_dir"},
    "tabletop-oracle": {"weights"},
    "teacher-check": {"folder"},
    "studies": {"file", "data_dir"},
    "sweep": {"plan", "weights", "data_dir"},
    "votes": {"data_dir", "file"},
}
# outputs whose names depend on what is read, or that a run goes on with: their commands ask `check_outputs` themselves
OWN_CHECK = {("evaluate", "out"), ("evaluate", "vbench_out"), ("generate", "out"), ("generate", "out_dir")}
OWN_CHECK |= {("train", "out"), ("chaos", "journal")}
CLIP = Path(__file__).parents[2] / "cases" / "base.mp4"
ALL = [(words, parser) for command in COMMANDS for words, parser in parsers(command)]
OPTIONS = [(words, parser, action) for words, parser in ALL for action in parser._actions if action.nargs != 0]


def refused(capsys, argv: list[str]) -> str:
    name, others = argv[:1], argv[1:]
    argv = [*(words_of(*name) if name and name[0] in COMMANDS else name), *map(str, others)]
    code, told = main(argv), capsys.readouterr()
    assert code == 2, (argv, code, told.err)
    assert told.err.count("\n") == 1 and told.err.startswith("error: ") and "Traceback" not in told.err, told.err
    return told.err


# --- outputs


def test_every_option_with_a_path_is_an_input_or_a_guarded_output():
    unguarded = [
        (words[0], action.dest)
        for words, parser, action in OPTIONS
        if action.type is Path
        and action.dest not in NO_OUTPUTS.get(words[0], ())
        and action.dest not in {output.dest for output in parser.get_default("outputs") or ()}
    ]
    assert set(unguarded) == OWN_CHECK


GUARDED = [(words, parser, output) for words, parser in ALL for output in parser.get_default("outputs") or ()]


@pytest.mark.parametrize(
    "words, parser, output", GUARDED, ids=lambda value: "-".join(value) if type(value) is list else ""
)
def test_no_output_replaces_what_is_there_unless_asked(capsys, tmp_path, monkeypatch, words, parser, output):
    monkeypatch.chdir(tmp_path)
    action = next(action for action in parser._actions if action.dest == output.dest)
    target = tmp_path / ("out" if output.folder else "out.json")
    given = [action.option_strings[0], str(target)] if action.option_strings else [str(target)]
    argv = [*words, *needed(parser, words, action), *given]
    options = build_parser(words[0]).parse_args(argv)
    files = list(output.files(target, options))
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
        said = refused(capsys, argv)
        assert repr(str(file)) in said and "--overwrite" in said and file.read_text() == "mine"
        file.unlink()
    default = output.default(options)
    assert default is None or not default.is_absolute() or not str(default).startswith(str(tmp_path))


@pytest.mark.parametrize(
    "words, parser, output", GUARDED, ids=lambda value: "-".join(value) if type(value) is list else ""
)
def test_an_output_that_cannot_be_is_refused_before_any_work(capsys, tmp_path, monkeypatch, words, parser, output):
    monkeypatch.chdir(tmp_path)
    action = next(action for action in parser._actions if action.dest == output.dest)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    places = ["file/out.json"] + (["folder"] if output.folder is False else ["file"] if output.folder else [])
    for place in places:
        given = [action.option_strings[0], place] if action.option_strings else [place]
        refused(capsys, [*words, *needed(parser, words, action), *given])
    assert (tmp_path / "file").read_text() == "mine" and not list((tmp_path / "folder").iterdir())


@pytest.mark.parametrize("make", [os.mkfifo, lambda place: socket.socket(socket.AF_UNIX).bind(place)])
@pytest.mark.parametrize(
    "words, parser, output", GUARDED, ids=lambda value: "-".join(value) if type(value) is list else ""
)
def test_no_output_replaces_a_pipe_or_a_socket(capsys, tmp_path, monkeypatch, words, parser, output, make):
    monkeypatch.chdir(tmp_path)
    action = next(action for action in parser._actions if action.dest == output.dest)
    given = [action.option_strings[0], "out.json"] if action.option_strings else ["out.json"]
    make("out.json")
    said = refused(capsys, [*words, *needed(parser, words, action), *given, "--overwrite"])
    assert "out.json" in said and not Path("out.json").is_file()


@pytest.mark.parametrize("command", ["evaluate", "generate"])
def test_a_link_that_leads_nowhere_is_kept(capsys, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    ending = {"evaluate": "json", "generate": "mp4"}[command]
    argv = {"evaluate": ["evaluate", CLIP, "--metrics", "sharpness"], "generate": ["generate", "--prompt", "p"]}[
        command
    ]
    Path(f"link.{ending}").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    assert "exists" in refused(capsys, [*argv, "--out", f"link.{ending}"])
    assert "a link that leads nowhere" in refused(capsys, [*argv, "--out", f"loop/x.{ending}"])
    assert sorted(os.listdir()) == [f"link.{ending}", "loop"] and Path(f"link.{ending}").is_symlink()


@pytest.mark.parametrize(
    "argv", [["train", "autoencoder", "--steps", "1", "--out"], ["few-steps", "--systems", "teacher:1", "--out"]]
)
def test_a_folder_of_results_is_no_pipe(capsys, tmp_path, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    assert "'pipe' is a pipe; name a folder" in refused(capsys, [*argv, "pipe"])


def test_accounts_are_not_written_in_place_of_a_link(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("people").symlink_to("nowhere")
    monkeypatch.setattr("sys.stdin", io.StringIO("a long password\n"))
    said = refused(capsys, ["accounts", "add", "people", "ann", "--role", "annotator"])
    assert "'people' is a link that leads nowhere" in said and Path("people").is_symlink()


@pytest.mark.parametrize("place", ["nowhere/people", "/proc/people", "."])
def test_accounts_need_a_place(capsys, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("a long password\n"))
    assert repr(place.removesuffix("/people")) in refused(
        capsys, ["accounts", "add", place, "ann", "--role", "annotator"]
    )


def test_accounts_that_are_changed_at_once_are_all_changed(tmp_path):
    path = tmp_path / "people"
    for name in ("gone", "root"):
        add_account(path, name, "admin", "a long password", cost=10)
    changes = [partial(remove_account, path, "gone")]
    changes += [partial(add_account, path, f"ann {n}", "annotator", "a long password", 10) for n in range(6)]
    changes += [partial(add_account, path, "root", "admin", "another password", 10)]
    with ThreadPoolExecutor(len(changes)) as pool:
        for change in [pool.submit(change) for change in changes]:
            change.result()
    assert sorted(each.name for each in read_accounts(path)) == [*(f"ann {n}" for n in range(6)), "root"]


def test_an_account_has_one_name_and_one_line(tmp_path):
    path = tmp_path / "people"
    add_account(path, "root", "admin", "a long password", cost=10)
    for name in ("root ", " root", "\u00a0root"):
        with pytest.raises(RequestError, match="without blanks around"):
            add_account(path, name, "annotator", "a long password", cost=10)
    path.write_text(path.read_text() * 2)
    with pytest.raises(RequestError, match="names 'root' a second time"):
        read_accounts(path)


@pytest.mark.parametrize("length", [232, 240, 248])
def test_a_name_too_long_for_a_file_is_refused_before_any_work(capsys, tmp_path, monkeypatch, length):
    monkeypatch.chdir(tmp_path)
    argv = ["evaluate", CLIP, "--metrics", "sharpness", "--out", "a" * length + ".csv"]
    assert "too long a name" in refused(capsys, argv) and not os.listdir()


def test_a_file_of_prompts_is_named_once(capsys):
    said = refused(capsys, ["sweep", "--models", "asd", "--prompts", "nope.txt"])
    assert said.count("--prompts") == 1 and "'nope.txt'" in said


def test_no_output_is_one_of_the_apps_own_files(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("workbench.db", "clips/a.mp4", "studies/b.mp4"):
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
        said = refused(capsys, ["backup", "--data-dir", "data", "--out", f"data/{name}", "--overwrite"])
        assert "own files" in said and file.read_text() == "mine"


@pytest.mark.parametrize(
    "argv",
    [
        ["evaluate", str(CLIP), "--metrics", "sharpness", "--out", "new.json", "--resume"],
        ["train", "autoencoder", "--preset", "smoke", "--out", "new", "--resume"],
        ["chaos", "--journal", "new.jsonl", "--resume"],
    ],
    ids=lambda argv: argv[0],
)
def test_going_on_with_nothing_is_refused_and_begins_nothing(capsys, tmp_path, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    assert "begin without" in refused(capsys, argv)
    assert not list(tmp_path.iterdir())


def test_a_damaged_clip_of_a_bench_is_named(capsys, tmp_path):
    clip = tmp_path / "000.mp4"
    for content, words in ((b"", "it is empty"), (CLIP.read_bytes(), "96x64, 36 frames")):
        clip.write_bytes(content)
        said = refused(capsys, ["bench-evaluate", "--clips", "1", "--minutes", "0", "--folder", str(tmp_path)])
        assert repr(str(clip)) in said and words in said and "remove 000.mp4" in said


def test_the_metrics_of_the_bench_score_its_clips():
    """They have no prompt."""
    frames = np.stack(list(islice(_scene(0, FRAMES), 12)))
    (scores,) = evaluate([Source("clip", frames=frames, fps=FPS)], create_metrics(weight_free()))
    assert len(scores.results) > 10 and not any(result.reason for result in scores.results.values())


# --- words


@pytest.mark.parametrize("words, parser", ALL, ids=[" ".join(words) for words, _ in ALL])
def test_no_option_takes_what_is_none_of_its_kind(capsys, words, parser):
    whole = build_parser(words[0])
    for action in parser._actions:
        if action.nargs == 0:
            continue
        for word in ("nonsense",) if action.choices else WRONG[kind_of(action)]:
            if action.option_strings:
                argv = [*needed(parser, words, action), f"{action.option_strings[0]}={word}"]
            elif word.startswith("-") or words[0] in NEEDED:
                continue
            else:
                argv = needed(parser, words, action, word)
            with pytest.raises(SystemExit) as stop:
                whole.parse_args([*words, *argv])
            told = capsys.readouterr().err
            assert stop.value.code == 2 and told.count("\n") == 1 and told.startswith("error: "), (argv, told)


def test_paths_are_no_text_and_names_and_prompts_are(capsys, tmp_path):
    folder = tmp_path / "dir\udcff"
    folder.mkdir()
    shutil.copyfile(CLIP, folder / "a.mp4")
    argv = ["evaluate", str(folder), "--metrics", "sharpness"]
    assert main(argv) == 0 and capsys.readouterr().out
    assert "argument --prompt:" in refused(capsys, [*argv, "--prompt", "a\udcff"])
    assert "argument NAME:" in refused(capsys, ["accounts", "add", folder / "people.txt", "a\udcff"])


def test_flags_that_do_not_exist_and_missing_commands(capsys):
    for argv in ([], ["nothing"], ["generate", "--prompts-file", "x"], ["votes"], ["votes", "expert"]):
        refused(capsys, argv)


def test_the_readers_take_what_they_should():
    assert (
        READERS[int]("0") == 0
        and READERS[float]("1e-3") == pytest.approx(0.001)
        and math.isfinite(READERS[float]("7"))
    )
    assert READERS[Path]("caf\udce9.mp4") == Path("caf\udce9.mp4") and READERS[None]("a\n猫") == "a\n猫"


# --- files


READ = [
    ("png", "generate --model shapes-aad1 --prompt p --out o.mp4 --image"),
    ("mp4", "generate --prompt p --out o.mp4 --video"),
    ("txt", "generate --out-dir made --prompts"),
    ("json", "generate --out o.mp4 --from"),
    ("pt", "convert"),
    ("safetensors", "convert"),
    ("txt", "embed-prompts"),
    ("yaml", "sweep"),
    ("txt", "sweep --models shapes-asd --dry-run --prompts"),
    ("json", "evaluate ok.mp4 --prompt-file"),
    ("json", "evaluate --vbench-suite folder --vbench-info"),
    ("txt", "insight --prompts"),
    ("json", "votes import"),
    ("csv", "votes import"),
    ("parquet", "votes import"),
    ("json", "votes stats --file"),
    ("yaml", "studies add"),
    ("txt", "accounts remove --name-comes-last"),
    ("tar", "restore --data-dir new"),
    ("txt", "app --port 0 --auth"),
    ("md", "readme --file"),
]
MODELS = [
    ("pt", "generate --prompt p --out o.mp4 --model"),
    ("pt", "sweep --prompts ok.txt --dry-run --models"),
]


@pytest.mark.parametrize("ending, line", READ)
def test_a_file_that_is_none_is_told_in_one_sentence(capsys, tmp_path, monkeypatch, ending, line):
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(Path(__file__).parents[2] / "cases" / "base.mp4", "ok.mp4")
    Path("folder").mkdir()
    Path(f"there.{ending}").mkdir()
    Path(f"empty.{ending}").touch()
    Path(f"noise.{ending}").write_bytes(bytes(range(256)) * 20)
    before = sorted(tmp_path.rglob("*"))
    for name in ("gone", "there", "noise", *(["empty"] if ending != "txt" or "prompts" in line else [])):
        words, file = line.replace(" --name-comes-last", ""), f"{name}.{ending}"
        refused(capsys, [*words.split(), file, *(["me"] if words != line else [])])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("ending, line", [*READ, *MODELS])
def test_a_pipe_is_waited_for_by_no_command(capsys, tmp_path, monkeypatch, ending, line):
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(CLIP, "ok.mp4")
    Path("ok.txt").write_text("a prompt\n")
    Path("folder").mkdir()
    os.mkfifo(f"pipe.{ending}")
    before = sorted(tmp_path.rglob("*"))
    words, file = line.replace(" --name-comes-last", ""), f"pipe.{ending}"
    given = f"path:{file}" if (ending, line) in MODELS else file
    said = refused(capsys, [*words.split(), given, *(["me"] if words != line else [])])
    assert f"pipe.{ending}" in said and "not there" not in said and "No such" not in said
    assert sorted(tmp_path.rglob("*")) == before


def test_a_device_without_end_is_not_read(capsys, tmp_path):
    for line in ("accounts list", "app --port 0 --auth", f"restore --data-dir {tmp_path / 'new'}"):
        assert "Is a device" in refused(capsys, [*line.split(), "/dev/zero"])


def test_what_a_shell_hands_over_is_read():
    reading, writing = os.pipe()
    os.write(writing, b"a cat\na dog\n")
    os.close(writing)
    try:
        assert read_prompts(Path(f"/dev/fd/{reading}")) == ["a cat", "a dog"]
    finally:
        os.close(reading)


def test_a_data_folder_that_is_a_pipe_is_called_one(capsys, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is a pipe" in refused(capsys, ["app", "--port", "0", "--data-dir", pipe])
    assert "is a pipe" in refused(capsys, ["jobs", "--data-dir", pipe])


@pytest.mark.parametrize(
    "line", ["votes stats", "votes export --out o.csv", "studies list", "doctor", "jobs", "backup --out o.tar"]
)
def test_looking_makes_no_data_folder(capsys, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    for place in ("gone", "file"):
        assert place in refused(capsys, [*line.split(), "--data-dir", place])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
