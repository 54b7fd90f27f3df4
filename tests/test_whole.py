import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.whole import write_whole


def test_a_file_is_replaced_with_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    write_whole(file, b"new", 0o640)
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["file"]


class TestOnAFullDisk:
    @pytest.fixture(autouse=True)
    def full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fsync(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", fsync)

    def test_what_was_there_stays_and_nothing_is_left_beside_it(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("old")
        with pytest.raises(OSError, match="No space left") as failed:
            write_whole(file, b"new", 0o640, ready=lambda: pytest.fail("it is not ready"))
        assert failed.value.filename == str(file)
        assert file.read_text() == "old"
        assert os.listdir(tmp_path) == ["file"]

    def test_init_leaves_no_empty_configuration(self, tmp_path: Path) -> None:
        """One that was empty was a good one, which the second try then would not touch."""
        file = tmp_path / "config.toml"
        made = CliRunner().invoke(main, ["init", "--config", str(file), "--broker", "mqtt://127.0.0.1:1"])
        assert (made.exit_code, made.output) == (1, f"sensor-gateway: {file}: No space left on device\n")
        assert os.listdir(tmp_path) == []

    def test_certificates_leave_no_half_file_that_a_backup_would_take_along(self, tmp_path: Path) -> None:
        made = CliRunner().invoke(main, ["certificate", "new", "localhost", "--folder", str(tmp_path)])
        assert (made.exit_code, made.output) == (1, f"sensor-gateway: {tmp_path / 'ca.pem'}: No space left on device\n")
        assert os.listdir(tmp_path) == []
