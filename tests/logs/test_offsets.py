import pytest

from gateway.errors import GatewayError
from gateway.logs import offsets as module
from gateway.logs.offsets import RESERVE, Offsets, read, renew


@pytest.fixture
def offsets(tmp_path, machine_id):
    """A function that begins a run, at which the one before it ends."""
    made = []

    def make():
        for before in made:
            before.release()
        made.append(Offsets(tmp_path, machine_id=machine_id))
        return made[-1]

    yield make
    for each in made:
        each.release()


def test_the_first_run_begins_at_one_and_has_a_block_reserved(offsets, tmp_path):
    run = offsets()
    resumed = run.resume(0, exact=True)
    assert (resumed.newest, resumed.skipped) == (0, None)
    assert run.reserved == RESERVE
    assert read(tmp_path / "offsets").mark == RESERVE


def test_after_a_clean_stop_no_offset_is_skipped(offsets):
    run = offsets()
    epoch = run.resume(0, exact=True).epoch
    run.stop(123, epoch)
    assert offsets().resume(123, exact=True) == (epoch, 123, None, True)


def test_after_an_unclean_stop_everything_reserved_is_skipped(offsets):
    run = offsets()
    epoch = run.resume(0, exact=True).epoch
    run.reserve(RESERVE, epoch, RESERVE)
    assert offsets().resume(70_000, exact=True) == (epoch, 2 * RESERVE, (70_001, 2 * RESERVE), True)
    # Twice in a row, with nothing stored in between.
    assert offsets().resume(70_000, exact=True) == (epoch, 3 * RESERVE, (70_001, 3 * RESERVE), True)


def test_a_torn_record_leaves_the_one_before(offsets, tmp_path):
    run = offsets()
    epoch = run.resume(0, exact=True).epoch
    run.reserve(RESERVE, epoch, RESERVE)
    file = tmp_path / "offsets"
    data = bytearray(file.read_bytes())
    newest = read(file).number % 2 * 512
    data[newest + 30] ^= 1
    file.write_bytes(data)
    assert read(file).mark == RESERVE
    assert offsets().resume(0, exact=True).epoch == epoch


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 1024])
def test_a_lost_file_means_a_new_epoch_above_what_is_stored(offsets, tmp_path, content):
    epoch = offsets().resume(0, exact=True).epoch
    (tmp_path / "offsets").write_bytes(content)
    resumed = offsets().resume(500, exact=True)
    assert resumed.epoch != epoch
    assert resumed.newest > 500


def test_another_machine_means_a_new_epoch(offsets, machine_id):
    run = offsets()
    epoch = run.resume(0, exact=True).epoch
    run.stop(10, epoch)
    machine_id.write_text("clone")
    assert offsets().resume(10, exact=True).epoch != epoch


def test_a_machine_without_an_id_keeps_its_epoch(offsets, machine_id):
    machine_id.unlink()
    run = offsets()
    epoch = run.resume(0, exact=True).epoch
    run.stop(10, epoch)
    assert offsets().resume(10, exact=True).epoch == epoch


def test_renew_changes_the_epoch_and_nothing_else(offsets, tmp_path):
    run = offsets()
    epoch = run.resume(0, exact=True).epoch
    run.stop(10, epoch)
    run.release()
    renew(tmp_path)
    resumed = offsets().resume(10, exact=True)
    assert resumed.epoch != epoch
    assert resumed.newest == 10


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path, machine_id):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Offsets(tmp_path / "file" / "state", machine_id=machine_id).resume(0, exact=True)


def test_two_gateways_cannot_share_a_folder(offsets, tmp_path, machine_id, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    offsets().resume(0, exact=True)
    with pytest.raises(GatewayError, match="another gateway is running"):
        Offsets(tmp_path, machine_id=machine_id).resume(0, exact=True)
    with pytest.raises(GatewayError, match="another gateway is running"):
        renew(tmp_path)


def test_a_run_that_handed_on_what_it_had_not_stored_is_not_exact(offsets):
    run = offsets()
    epoch = run.resume(0, exact=True).epoch
    run.inexact()
    resumed = offsets().resume(0, exact=True)
    assert (resumed.epoch, resumed.exact) == (epoch, False)
    assert offsets().resume(0, exact=False).exact
    assert not offsets().resume(0, exact=True).exact
