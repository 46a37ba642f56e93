"""What the machine does to work is told in one sentence each."""

import errno
import os
import subprocess
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch

from workbench.__main__ import main
from workbench.common.faults import fault_sentence
from workbench.store import StoreUnavailable
from workbench.ui.context import sentence


@pytest.mark.parametrize(
    "error, words",
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "the disk is full at '/data/x'"),
        (OSError(errno.EROFS, "Read-only file system", "/data/x"), "can only be read at '/data/x'"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
        (OSError(errno.EIO, "Input/output error"), "the disk does not answer"),
        (MemoryError(), "the memory of this machine"),
        (BrokenProcessPool("terminated abruptly"), "a worker was killed"),
        (StoreUnavailable("the database is locked"), "the database is locked; try again"),
        (ValueError("no"), None),
        (OSError(errno.ENOENT, "No such file"), None),
    ],
)
def test_each_fault_has_its_sentence(error, words):
    found = fault_sentence(error)
    assert found is None if words is None else words in found
    shown = sentence(error)
    assert "/data/x" not in shown and "\n" not in shown and (words is None or "Your settings are unchanged" in shown)


def test_torch_without_memory_is_told():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert "the memory of this machine" in fault_sentence(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can be mounted by root only")
def test_a_full_disk_is_told_and_work_goes_on_after(tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        ballast = disk / "ballast"
        try:
            ballast.write_bytes(bytes(2**21))
        except OSError as error:
            assert error.errno == errno.ENOSPC
        argv = ["generate", "--prompt", "a red ball rolling right over grass", "--steps", "1"]
        argv += ["--frames", "13", "--out", str(disk / "out.mp4")]
        assert main(argv) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "the disk is full" in told
        assert [path.name for path in disk.iterdir()] == ["ballast"]
        ballast.unlink()
        assert main(argv) == 0 and Path(capsys.readouterr().out.strip()).stat().st_size > 0
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)
