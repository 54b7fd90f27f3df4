"""A disk that does not answer, as a card that dies or a server that is away: nobody on the loop waits for it."""

import asyncio
import os
import shutil
import time

import pytest
from support.conformance import everything, message
from support.history import publish, publish_noise, until

from gateway.logs import offsets as offsets_module
from gateway.logs import reserve as reserve_module
from gateway.logs.offsets import RESERVE, WITHOUT_END, Offsets, read
from gateway.logs.reserve import Reserve


def use_up(log, disk, count=RESERVE):
    for _ in range(count // 256 + 2):
        publish(log, 256)
    assert disk.hangs, "the loop waited for the disk"


def as_it_lies(folder):
    """A copy of the state as a power cut would leave it now."""
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    return kept


def put_back(kept, folder):
    shutil.rmtree(folder)
    kept.rename(folder)


async def test_a_disk_that_hangs_never_holds_up_the_loop_though_no_offset_is_left(make_log, hanging):
    """The loop waited for the next block, for as long as the disk did not answer: nothing reached anybody any more."""
    log = make_log()
    hanging.hang()
    use_up(log, hanging)
    assert log.newest > RESERVE
    assert len(log.taken) == log.newest


@pytest.mark.parametrize("hangs", [True, False])
async def test_offsets_that_could_not_be_reserved_are_of_another_epoch_than_those_before(
    make_log, stored, monkeypatch, hanging, hangs
):
    parted = []
    log = make_log(parted=lambda: parted.append((log.epoch, log.newest)))
    before = log.epoch

    def broken(*_):
        raise OSError(5, "Input/output error")

    if hangs:
        hanging.hang()
    else:
        monkeypatch.setattr("gateway.logs.offsets.os.pwrite", broken)
    for number in range(5 * RESERVE // 256):
        publish(log, 256)
        if not hangs and number % 64 == 0:
            await stored(log)  # what is stored does not mean that an offset can be
    [(epoch, last)] = parted
    assert log.epoch == epoch != before
    assert RESERVE - 256 <= last <= RESERVE
    # Whoever was told of the one before may go on from what was handed on under it, and from nothing else.
    assert log.names(before, last)
    assert not log.names(before, last + 1)
    assert log.names(epoch, log.newest)


async def test_after_a_power_cut_on_a_disk_that_hung_no_name_is_given_again(make_log, crash, hanging, tmp_path):
    log = make_log()
    first = log.epoch
    hanging.hang()
    use_up(log, hanging)
    given, second = log.newest, log.epoch
    kept = as_it_lies(tmp_path / "state")
    hanging.answer()
    crash(log)
    put_back(kept, tmp_path / "state")
    log = make_log()
    # Up to the mark the first epoch's names were in use, and none of them above it.
    assert (log.epoch, log.newest) == (first, RESERVE)
    assert given > RESERVE
    assert second != first


async def test_once_the_disk_answers_the_epoch_is_written_down_and_history_goes_on(
    make_log, stored, crash, hanging, tmp_path
):
    log = make_log(retry=0.02, limit=1 << 26)
    before = log.epoch
    hanging.hang()
    use_up(log, hanging)
    hanging.answer()
    async with asyncio.timeout(10):
        while log._reserve.limit == WITHOUT_END or log._reserve._asking:
            publish(log, 1)
            await stored(log)
    assert not log.degraded
    record = read(tmp_path / "state" / "offsets")
    assert (record.epoch, record.exact) == (log.epoch, False)
    assert record.mark >= log.newest
    epoch, newest = log.epoch, log.newest
    crash(log)
    log = make_log(limit=1)
    assert log.epoch == epoch != before
    assert log.newest >= newest
    found, gaps = await everything(log)
    assert [m.offset for m in found] == list(range(1, newest + 1))
    assert [gap.reason for gap in gaps] == ["restart"]


async def test_an_epoch_that_a_run_has_of_its_own_outlives_a_clean_end(make_log, hanging):
    log = make_log()
    hanging.hang()
    use_up(log, hanging)
    epoch, newest = log.epoch, log.newest
    hanging.answer()
    log.close()
    log = make_log()
    assert (log.epoch, log.newest) == (epoch, newest)


async def test_with_durable_the_stream_waits_for_a_disk_that_hangs_no_longer_than_it_may(
    make_log, stored, hanging, tmp_path
):
    """It waited for ever: the disk had not failed, it had only not answered."""
    parted = []
    log = make_log(durable=True, patience=0.2, retry=0.02, parted=lambda: parted.append(log.newest))
    publish(log, 10)
    await stored(log)
    hanging.hang()
    told = []
    log.append([message() for _ in range(10)], lambda: told.append(True))
    assert log.newest == 10
    await until(lambda: told)
    assert hanging.hangs
    assert (log.newest, parted) == (20, [10])
    assert "has not answered" in log.degraded
    log.append([message() for _ in range(10)], lambda: told.append(True))
    assert (log.newest, told) == (30, [True, True])
    hanging.answer()
    await stored(log)
    assert not log.degraded
    log.close()
    found, gaps = await everything(make_log(limit=1))
    assert ([m.offset for m in found], gaps) == (list(range(1, 31)), [])


async def test_after_a_power_cut_nobody_is_told_that_what_was_handed_on_unstored_was_nothing(
    make_log, stored, crash, hanging, tmp_path
):
    """With `durable` the skipped range counts 0, since all is stored before; on a disk that hangs it was not."""
    log = make_log(durable=True, patience=0.2)
    publish(log, 10)
    await stored(log)
    before = log.epoch
    hanging.hang()
    publish(log, 10)
    await until(lambda: log.newest == 20)
    kept = as_it_lies(tmp_path / "state")
    hanging.answer()
    crash(log)
    put_back(kept, tmp_path / "state")
    log = make_log(durable=True)
    found, [gap] = await everything(log)
    assert (log.epoch, gap.gone, gap.empty) == (before, (11, RESERVE), True)
    assert [m.offset for m in found] == list(range(1, 11))  # the only ones that were handed on in this epoch


async def test_where_the_offsets_can_be_written_a_history_that_hangs_costs_no_epoch(
    make_log, stored, crash, disk, tmp_path
):
    log = make_log(durable=True, patience=0.2)
    epoch = log.epoch
    publish(log, 10)
    await stored(log)
    log.store.write = disk.through(log.store.write)
    disk.hang()
    publish(log, 10)
    await until(lambda: log.newest == 20)
    kept = as_it_lies(tmp_path / "state")
    disk.answer()
    crash(log)
    put_back(kept, tmp_path / "state")
    log = make_log(durable=True)
    _, [gap] = await everything(log)
    assert (log.epoch, gap.gone, gap.empty) == (epoch, (11, RESERVE), False)


async def test_a_page_that_the_disk_does_not_give_is_named_as_gone_and_read_once_it_does(make_log, stored, disk):
    log = make_log(limit=20_000, patience=0.2)
    for _ in range(20):
        publish_noise(log, 200, 500)
        await stored(log)
    real = log.shelf.span_at
    log.shelf.span_at = disk.through(real)
    disk.hang()
    found, gaps = await everything(log)
    assert disk.hangs
    named = {offset for gap in gaps for offset in range(gap.gone[0], gap.gone[1] + 1)}
    assert {m.offset for m in found} | named == set(range(1, 4001))
    # And whoever comes while it hangs is not kept waiting either.
    again, _ = await everything(log)
    assert len(again) == len(found)
    disk.answer()
    await until(lambda: not log.reader.stuck)
    found, gaps = await everything(log)
    assert (len(found), gaps) == (4000, [])


async def test_an_end_on_a_disk_that_hangs_takes_no_longer_than_it_may(make_log, hanging):
    log = make_log()
    publish(log, 10)
    hanging.hang()
    begin = time.monotonic()
    threads = [log.writer._thread, log.reader._thread]
    log.close(0.4)
    assert time.monotonic() - begin < 5.0
    assert hanging.hangs
    hanging.answer()
    for thread in threads:
        if thread is not None:
            thread.join(10)


async def test_free_room_is_never_asked_for_on_the_loop(make_log, disk, monkeypatch):
    log = make_log()
    free = log.free
    assert free > 0
    await until(lambda: not log.reader.waiting)
    monkeypatch.setattr("gateway.logs.sqlite.os.statvfs", disk.through(os.statvfs))
    disk.hang()
    assert log.free == log.free == free
    await asyncio.to_thread(disk.held.acquire)
    disk.answer()


async def test_a_burst_is_faster_than_a_disk_that_works_and_waits_for_it_a_moment(tmp_path, machine_id, monkeypatch):
    parted = []
    offsets = Offsets(tmp_path, machine_id=machine_id)
    resumed = offsets.resume(0, exact=False)
    loop = asyncio.get_running_loop()
    reserve = Reserve(
        offsets, hand_back=loop.call_soon_threadsafe, later=loop.call_later, parted=lambda: parted.append(True)
    )
    reserve.begin(resumed.epoch, 0, offsets.reserved)
    real = offsets_module.os.fsync

    def slow(number):
        time.sleep(0.05)
        real(number)

    monkeypatch.setattr("gateway.logs.offsets.os.fsync", slow)
    reserve.ask(2 * RESERVE)
    assert reserve.limit >= 3 * RESERVE
    assert not parted
    reserve.worker.stop(5)
    offsets.release()


@pytest.mark.parametrize(("rate", "size"), [(20, RESERVE), (1000, 600_000), (1e9, reserve_module.MOST)])
async def test_minutes_are_reserved_ahead_at_whatever_rate_offsets_go(tmp_path, machine_id, clock, rate, size):
    offsets = Offsets(tmp_path, machine_id=machine_id)
    resumed = offsets.resume(0, exact=False)
    loop = asyncio.get_running_loop()
    reserve = Reserve(
        offsets, hand_back=loop.call_soon_threadsafe, later=loop.call_later, parted=lambda: None, clock=clock
    )
    reserve.begin(resumed.epoch, 0, offsets.reserved)
    used = reserve.ask_at + 1
    clock.advance(used / rate)
    reserve.ask(used)
    await until(lambda: not reserve._asking)
    assert reserve.limit == pytest.approx(used + size, rel=0.001)
    assert reserve.ask_at == pytest.approx(used + size / 2, rel=0.001)
    reserve.worker.stop(5)
    offsets.release()
