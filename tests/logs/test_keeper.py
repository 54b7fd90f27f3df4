"""A disk that is full, out of reach or broken: the stream goes on, and the history heals and says what it lacks."""

import asyncio
import sqlite3

import pytest
from support.conformance import everything, message
from support.history import full, publish, publish_noise, until

from gateway.logs.offsets import RESERVE


async def test_a_broken_file_is_moved_aside_and_the_stream_goes_on(make_log, stored, tmp_path):
    log = make_log()
    publish(log, 500)
    log.close()
    file = tmp_path / "state" / "history.db"
    file.write_bytes(b"this is no database at all" * 1000)
    log = make_log()
    assert log.newest == 500
    publish(log, 5)
    await stored(log)
    assert not log.degraded
    [kept] = (tmp_path / "state").glob("history.db.broken-*")
    assert kept.read_bytes().startswith(b"this is no database")
    found, gaps = await everything(log)
    assert [m.offset for m in found] == list(range(501, 506))
    assert [gap.gone for gap in gaps] == [(1, 500)]


async def test_a_file_that_breaks_while_running_is_moved_aside(make_log, stored, tmp_path):
    log = make_log(limit=20_000)
    publish_noise(log, 200, 50)
    await stored(log)
    real = log.store.write
    log.store.write = full  # an error of the disk, and what it leaves behind is no database any more
    publish_noise(log, 200, 50)
    await until(lambda: log.degraded)
    file = tmp_path / "state" / "history.db"
    file.write_bytes(b"\xff" * file.stat().st_size)
    log.store.write = real
    await stored(log)
    assert list((tmp_path / "state").glob("history.db.broken-*"))
    assert not log.degraded
    found, gaps = await everything(log)
    named = {offset for gap in gaps for offset in range(gap.gone[0], gap.gone[1] + 1)}
    assert {m.offset for m in found} | named == set(range(1, 401))
    assert not {m.offset for m in found} & named


async def test_a_file_found_broken_by_a_reader_is_moved_aside_too(make_log, stored, tmp_path):
    log = make_log(limit=20_000)
    for _ in range(20):
        publish_noise(log, 200, 500)
        await stored(log)
    log.close()
    file = tmp_path / "state" / "history.db"
    with file.open("r+b") as data:
        data.seek(3 * 4096)
        data.write(b"\xff" * (file.stat().st_size - 8 * 4096))
    log = make_log(limit=20_000)
    await everything(log)
    publish_noise(log, 200, 500)
    await stored(log)
    assert list((tmp_path / "state").glob("history.db.broken-*"))
    assert not log.degraded
    found, gaps = await everything(log)
    named = {offset for gap in gaps for offset in range(gap.gone[0], gap.gone[1] + 1)}
    assert {m.offset for m in found} | named == set(range(1, log.newest + 1))
    assert {m.offset for m in found} >= set(range(log.newest - 199, log.newest + 1))


async def test_a_disk_that_cannot_be_written_leaves_the_stream_and_heals(make_log, stored, tmp_path):
    log = make_log(durable=True)
    publish(log, 10)
    await stored(log)
    real = log.store.write

    log.store.write = full
    told = []
    log.append([message() for _ in range(10)], lambda: told.append(True))
    await until(lambda: log.degraded)
    assert (log.newest, told) == (20, [True])
    publish(log, 5)
    assert log.newest == 25
    log.store.write = real
    await stored(log)
    assert not log.degraded
    log.close()
    log = make_log(limit=1)
    found, gaps = await everything(log)
    assert [m.offset for m in found] == list(range(1, 26))
    assert gaps == []


async def test_what_outgrew_memory_while_the_disk_was_full_is_named(make_log, stored):
    log = make_log(limit=1 << 20)
    real = log.store.write

    log.store.write = full
    for _ in range(100):
        publish_noise(log, 100, 1000)
        await asyncio.sleep(0)
    await until(lambda: log.degraded)
    assert log._backlog.ring.size <= log._backlog.limit
    log.store.write = real
    await stored(log)
    found, gaps = await everything(log)
    named = {offset for gap in gaps for offset in range(gap.gone[0], gap.gone[1] + 1)}
    assert len(found) + len(named) == 10_000
    assert len(found) > 1000
    assert len(named) > 1000
    assert log.dropped == len(named)


@pytest.mark.parametrize("durable", [False, True])
async def test_a_disk_that_fails_before_the_first_message_is_tried_again_with_it(make_log, stored, durable, tmp_path):
    """With `durable` nothing was ever stored in such a run: the only other attempt came while nothing waited yet."""
    (tmp_path / "state" / "history.db").mkdir(parents=True)
    log = make_log(durable=durable)
    assert log.degraded
    await until(lambda: log._timer is None)
    (tmp_path / "state" / "history.db").rmdir()
    publish(log, 10)
    await stored(log)
    assert not log.degraded
    log.close()
    found, gaps = await everything(make_log(limit=1))
    assert ([m.offset for m in found], gaps) == (list(range(1, 11)), [])


@pytest.mark.parametrize("fails", ["begin_run", "write"])
async def test_what_the_last_run_left_out_is_named_a_restart_though_the_disk_is_full_at_the_start(
    make_log, stored, crash, monkeypatch, fails
):
    """It was called expired: it is written down once, and had been forgotten when that failed."""
    log = make_log(durable=True)
    publish(log, 5)
    await stored(log)
    crash(log)
    with monkeypatch.context() as broken:
        broken.setattr(f"gateway.logs.store.Store.{fails}", full)
        log = make_log(durable=True)
        assert log.degraded
    publish(log, 3)
    await stored(log)
    found, [gap] = await everything(log)
    assert (gap.gone, gap.reason, gap.empty) == ((6, RESERVE), "restart", True)
    assert len(found) == 8


async def test_a_commit_that_stands_though_the_disk_said_it_failed_is_not_made_twice(make_log, stored):
    """Its offsets were taken, at every attempt from then on: nothing more was stored until a restart."""
    log = make_log()
    real = log.store.write

    def answered_by_an_error(*arguments):
        real(*arguments)
        raise sqlite3.OperationalError("disk I/O error")

    log.store.write = answered_by_an_error
    publish(log, 10)
    await until(lambda: log.degraded)
    log.store.write = real
    publish(log, 5)
    await stored(log)
    assert not log.degraded
    log.close()
    found, gaps = await everything(make_log(limit=1))
    assert ([m.offset for m in found], gaps) == (list(range(1, 16)), [])


async def test_a_file_that_holds_what_this_run_has_yet_to_give_is_moved_aside(make_log, stored, tmp_path):
    """It is another history's: its offsets would name other messages, and could not be written."""
    state = tmp_path / "state"
    log = make_log()
    publish(log, 500)
    log.close()
    (state / "offsets").unlink()
    kept = (state / "history.db").rename(tmp_path / "history.db")
    (state / "history.db").mkdir()
    log = make_log()
    assert log.degraded
    (state / "history.db").rmdir()
    kept.rename(state / "history.db")
    publish(log, 10)
    await stored(log)
    assert list(state.glob("history.db.broken-*"))
    found, gaps = await everything(log)
    assert ([m.offset for m in found], gaps) == (list(range(1, 11)), [])


async def test_a_reader_that_is_stuck_holds_up_the_end_for_no_longer_than_it_may(make_log):
    """The file was closed all the same, for which SQLite waits until the reader has done."""
    log = make_log()
    publish(log, 10)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    begun = asyncio.Event()

    def read():
        log._loop.call_soon_threadsafe(begun.set)
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            log.shelf.db.execute(endless)

    log.on_shelf(read, lambda result, failure: None)
    await begun.wait()
    thread = log.reader._thread
    log.close(0.4)
    assert thread.is_alive()
    log.shelf.db.interrupt()
    thread.join(5)
    log.shelf.close()
