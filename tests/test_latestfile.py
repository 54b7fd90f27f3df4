"""A file with the newest state of something small: nobody waits for its disk."""

import os
from pathlib import Path

import pytest
from support.hangingdisk import HangingDisk

from gateway.latestfile import LatestFile


def test_what_was_written_last_is_read_by_the_next_run(tmp_path: Path) -> None:
    file = LatestFile(tmp_path / "file", "writer")
    assert file.read() == b""
    for number in range(100):
        file.write(b"%d" % number)
    file.write(b"100", wait=10)
    while (writer := file._writer) is not None:
        writer.join(10)
    assert LatestFile(tmp_path / "file", "writer").read() == b"100"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_hangs_holds_nobody_up_and_has_the_newest_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = HangingDisk()
    monkeypatch.setattr("gateway.latestfile.os.replace", disk.through(os.replace))
    file = LatestFile(tmp_path / "file", "writer")
    disk.hang()
    file.write(b"1", wait=0.05)
    file.write(b"2", wait=0.05)
    file.write(b"3")
    assert disk.hangs
    writer = file._writer
    assert writer is not None
    disk.answer()
    writer.join(10)
    assert file.read() == b"3"


def test_a_folder_that_cannot_be_written_is_nobodys_end(tmp_path: Path) -> None:
    file = LatestFile(tmp_path / "nowhere" / "file", "writer")
    file.write(b"1", wait=10)
    assert file.read() == b""
