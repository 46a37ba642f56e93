"""`doctor`, `backup` and `restore`: a fault of each kind is told, what is safe is mended, and all comes back."""

import io
import os
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from tests.workbench.store.test_clip_store import CLIP
from workbench.__main__ import main
from workbench.settings import Settings
from workbench.store import open_store, schema
from workbench.store.records import Value

CASES = Path(__file__).parents[2] / "cases"


@pytest.fixture
def data(tmp_path):
    """A data folder with one clip and its value."""
    folder = tmp_path / "data"
    (folder / "clips").mkdir(parents=True)
    shutil.copyfile(CASES / "base.mp4", folder / CLIP.path)
    store = open_store(Settings(data_dir=folder))
    store.add_clip(CLIP)
    store.add_values(CLIP.id, {"sharpness": Value(0.1 + 0.2)})
    store.close()
    return folder


def run(capsys, *argv):
    code = main([str(word) for word in argv])
    found = capsys.readouterr()
    return code, found.out + found.err


def rows(folder):
    store = open_store(Settings(data_dir=folder))
    try:
        return store.leaderboard_rows()
    finally:
        store.close()


# --- doctor


def test_nothing_is_wrong_with_good_data(capsys, data):
    assert run(capsys, "doctor", "--data-dir", data) == (0, "all is well\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: (data / CLIP.path).unlink(), "clip clip-0 is in the database"),
        (lambda data: (data / CLIP.path).write_bytes(b"no video"), "cannot be read as a video"),
        (lambda data: (data / CLIP.path).with_suffix(".json").write_text("{"), "is not a manifest"),
        (lambda data: (data / "workbench.db").write_bytes(b"no database" * 1000), "put a backup back with `restore`"),
    ],
)
def test_what_a_person_has_to_decide_is_told_and_left_alone(capsys, data, spoil, said):
    spoil(data)
    for repair in ([], ["--repair"]):
        code, text = run(capsys, "doctor", "--data-dir", data, *repair)
        assert code == 1 and said in text and "1 things are wrong" in text


def test_a_folder_that_is_not_there_is_wrong_input(capsys, tmp_path):
    code, text = run(capsys, "doctor", "--data-dir", tmp_path / "gone")
    assert code == 2 and "is not there" in text


def test_what_is_safe_is_mended(capsys, data):
    before = rows(data)
    left = data / "clips" / ".x.mp4.0a.tmp"
    left.write_bytes(b"half")
    os.utime(left, (time.time() - 7200,) * 2)
    young = data / "clips" / ".y.mp4.0b.tmp"
    young.write_bytes(b"being written")
    store = open_store(Settings(data_dir=data))
    with store.database.write() as connection:
        connection.execute(schema.metric_sum.update().values(total=9.0))
    store.close()
    code, text = run(capsys, "doctor", "--data-dir", data)
    assert code == 1 and text.count("--repair mends it") == 2 and left.exists()
    assert run(capsys, "doctor", "--data-dir", data, "--repair")[0] == 0
    assert not left.exists() and young.exists()
    assert run(capsys, "doctor", "--data-dir", data) == (0, "all is well\n")
    assert rows(data).equals(before)


# --- backup and restore


def test_a_restored_folder_is_the_same_to_the_last_digit(capsys, data, tmp_path):
    out, there = tmp_path / "b.tar", tmp_path / "elsewhere" / "data"
    store = open_store(Settings(data_dir=data))  # as an app that goes on: its last rows are in the log beside the file
    store.add_values(CLIP.id, {"contrast": Value(1 / 3)})
    assert run(capsys, "backup", "--data-dir", data, "--out", out)[0] == 0
    store.close()
    assert run(capsys, "restore", out, "--data-dir", there)[0] == 0
    assert len(rows(there)) == 2 and rows(there).equals(rows(data))
    assert (there / CLIP.path).read_bytes() == (data / CLIP.path).read_bytes()
    assert run(capsys, "doctor", "--data-dir", there) == (0, "all is well\n")


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_backup_makes_no_folder(capsys, data, tmp_path, place):
    out = tmp_path / "b.tar"
    run(capsys, "backup", "--data-dir", data, "--out", out)
    with tarfile.open(out) as archive:
        member = archive.getmember("workbench.db")
    content = bytearray(out.read_bytes())
    content[member.offset_data + int(place * member.size)] ^= 1
    out.write_bytes(content)
    code, text = run(capsys, "restore", out, "--data-dir", tmp_path / "new")
    assert code == 2 and "is damaged" in text and text.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "data"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_backup_that_was_cut_short_is_refused(capsys, data, tmp_path, share):
    out = tmp_path / "b.tar"
    run(capsys, "backup", "--data-dir", data, "--out", out)
    out.write_bytes(out.read_bytes()[: int(share * out.stat().st_size)])
    code, text = run(capsys, "restore", out, "--data-dir", tmp_path / "new")
    assert code == 2 and "b.tar" in text and not (tmp_path / "new").exists()


def test_a_member_that_would_leave_the_folder_is_refused(capsys, tmp_path):
    out = tmp_path / "b.tar"
    with tarfile.open(out, "w") as archive:
        member = tarfile.TarInfo("../evil")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    code, text = run(capsys, "restore", out, "--data-dir", tmp_path / "new")
    assert code == 2 and "would leave the folder" in text and not (tmp_path / "evil").exists()


def test_nothing_is_replaced(capsys, data, tmp_path):
    out = tmp_path / "b.tar"
    assert run(capsys, "backup", "--data-dir", data, "--out", data / "b.tar")[0] == 2
    assert run(capsys, "backup", "--data-dir", tmp_path / "none", "--out", out)[0] == 2
    assert run(capsys, "backup", "--data-dir", data, "--out", out)[0] == 0
    code, text = run(capsys, "backup", "--data-dir", data, "--out", out)
    assert code == 2 and "exists" in text
    code, text = run(capsys, "restore", out, "--data-dir", data)
    assert code == 2 and "holds something already" in text
    assert run(capsys, "restore", tmp_path / "gone.tar", "--data-dir", tmp_path / "new")[0] == 2
