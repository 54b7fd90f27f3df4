"""A start that finds no disk to reserve offsets on: all is kept in memory, and stored once there is one."""

import asyncio
import os
import sqlite3
from contextlib import closing

import pytest
from support.conformance import everything, message
from support.history import publish, until

from gateway.logs.offsets import RESERVE, WITHOUT_END, read


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("gateway.logs.sqlite.BEGIN", 0.2)


async def written_down(log, stored):
    """Wait until the epoch of its own is on disk, as it is a few commits after the first that works."""
    async with asyncio.timeout(10):
        while log._reserve.limit == WITHOUT_END or log._reserve._asking:
            publish(log, 1)
            await stored(log)


async def test_a_start_on_a_disk_that_hangs_leaves_a_log_in_memory(make_log, hanging, impatient):
    hanging.hang()
    log = make_log(durable=True)
    begin = log.newest
    assert hanging.hangs
    assert "has not answered" in log.degraded
    told = []
    log.append([message() for _ in range(500)], lambda: told.append(True))
    assert (log.newest, told) == (begin + 500, [True])
    found, gaps = await everything(log, begin)
    assert (len(found), gaps) == (500, [])
    thread = log.writer._thread
    hanging.answer()
    log.close()
    thread.join(10)


@pytest.mark.parametrize("durable", [False, True])
async def test_once_the_disk_answers_all_is_stored_behind_what_was_there(
    make_log, stored, hanging, impatient, tmp_path, durable
):
    log = make_log()
    publish(log, 300)
    log.close()
    hanging.hang()
    log = make_log(durable=durable)
    epoch, begin = log.epoch, log.newest
    publish(log, 500)
    hanging.answer()
    await stored(log)
    assert log.degraded == ""
    await written_down(log, stored)
    newest = log.newest
    found, gaps = await everything(log)
    assert [m.offset for m in found] == [*range(1, 301), *range(begin + 1, newest + 1)]
    # Nobody ever gave what lies between the two.
    assert [(gap.gone, gap.reason, gap.empty) for gap in gaps] == [((301, begin), "restart", True)]
    log.close()
    assert not list(tmp_path.rglob("*.broken*"))
    log = make_log(durable=durable)
    assert (log.epoch, log.newest) == (epoch, newest)
    assert [m.offset for m in log.recent.last] == [newest]


async def test_what_a_run_before_may_have_given_and_not_stored_is_named_all_the_same(
    make_log, stored, crash, hanging, impatient
):
    log = make_log(commit=60.0)
    publish(log, 300)
    crash(log)
    hanging.hang()
    log = make_log()
    begin = log.newest
    publish(log, 10)
    hanging.answer()
    await stored(log)
    found, gaps = await everything(log)
    assert [m.offset for m in found] == list(range(begin + 1, begin + 11))
    assert [(gap.gone, gap.reason, gap.empty) for gap in gaps] == [
        ((1, RESERVE), "restart", False),
        ((RESERVE + 1, begin), "restart", True),
    ]


async def test_what_outgrew_memory_before_there_was_a_disk_is_named(make_log, stored, hanging, impatient):
    hanging.hang()
    log = make_log(limit=1 << 20)
    begin = log.newest
    for _ in range(300):
        publish(log, 100, payload=b"x" * 200)
    hanging.answer()
    await stored(log)
    assert log.dropped > 0
    found, gaps = await everything(log, begin)
    assert [gap.gone for gap in gaps] == [(begin + 1, found[0].offset - 1)]
    assert found[-1].offset == begin + 30_000
    assert log.dropped == found[0].offset - 1 - begin


async def test_a_folder_that_cannot_be_written_at_the_start_is_tried_again(make_log, stored, monkeypatch, tmp_path):
    """As a new one on a full disk, or a card that came up read-only."""
    real = os.pwrite

    def refused(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("gateway.logs.offsets.os.pwrite", refused)
    log = make_log()
    assert log.degraded == "[Errno 30] Read-only file system"
    publish(log, 10)
    await until(lambda: not log._writing and log.writer.waiting == 0)
    monkeypatch.setattr("gateway.logs.offsets.os.pwrite", real)
    await stored(log)
    await written_down(log, stored)
    assert log.degraded == ""
    file = tmp_path / "state" / "offsets"
    assert (read(file).epoch, file.stat().st_size) == (log.epoch, 1024)


async def test_after_a_power_cut_no_name_is_given_again(make_log, stored, crash, hanging, impatient):
    log = make_log()
    publish(log, 10)
    log.close()
    hanging.hang()
    log = make_log()
    second = log.epoch
    publish(log, 10)
    hanging.answer()
    await stored(log)
    newest = log.newest
    crash(log)  # its epoch may be written down, or not yet
    log = make_log()
    assert log.newest >= newest
    assert log.epoch != second or log.newest == newest + RESERVE


async def test_with_a_clock_that_is_behind_nothing_is_put_aside_and_the_stream_goes_on(
    make_log, hanging, impatient, tmp_path
):
    """Its offsets would lie below those that are stored."""
    log = make_log()
    publish(log, 10)
    log.close()
    hanging.hang()
    log = make_log(wall=lambda: 0.0)
    publish(log, 10)
    hanging.answer()
    await until(lambda: "the clock was wrong" in log.degraded)
    publish(log, 10)
    assert len(log.taken) == 20
    log.close()
    log = make_log()
    found, _ = await everything(log)
    assert [m.offset for m in found] == list(range(1, 11))
    assert not list(tmp_path.rglob("*.broken*"))
    with closing(sqlite3.connect(tmp_path / "state" / "history.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
