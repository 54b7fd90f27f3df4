import asyncio
import os
import sqlite3
import time
from contextlib import closing

import pytest
from support.conformance import message

from gateway.hub.log import MemoryLog
from gateway.hub.series import Query, Source, path_source
from gateway.logs.diskhistory import DiskHistory
from gateway.logs.history import LIMIT, WAITING, MemoryHistory
from gateway.logs.shelf import Shelf


async def ask(history, source, since, until, points=100):
    answer = asyncio.get_running_loop().create_future()
    assert history.query(Query(source, since, until, points), answer.set_result)
    return await asyncio.wait_for(answer, 10)


def fill(log, start, count, every=1.0, topic="t", others=0):
    """A value each `every` seconds: its number within the series."""
    batch = []
    for number in range(count):
        stamp = start + number * every
        batch.append(message(topic, b'{"v": %d}' % number, stamp))
        batch += [message(f"other/{n}", b'{"v": -1}', stamp) for n in range(others)]
        if len(batch) >= 500:
            log.append(batch)
            batch = []
    if batch:
        log.append(batch)


async def rolled(history):
    """Wait until all rows by the minute are there."""
    async with asyncio.timeout(30):
        while history._due or history._rolling or not all(c.complete for c in history._covered.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
async def memory():
    log = MemoryLog(lambda messages: None, epoch="e", limit=1 << 26, age=1e9, clock=lambda: 0.0)
    history = MemoryHistory(log, loop=asyncio.get_running_loop())
    yield log, history
    history.close()


@pytest.fixture
async def disk(make_log):
    made = []

    async def make(every=3600.0, **options):
        log = make_log(limit=200_000, **options)
        history = DiskHistory(log, loop=asyncio.get_running_loop(), every=every)
        history.start()
        made.append(history)
        while history._known is None:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return log, history

    yield make
    for each in made:
        each.close()


async def test_memory_answers_thinned(memory):
    log, history = memory
    fill(log, 1000.0, 1000)
    series = await ask(history, path_source("t", "v"), 1000.0, 2000.0, 10)
    assert series.complete
    assert len(series.rows) == 10
    assert series.rows[0] == [1099.0, 0.0, 99.0, 99.0]
    assert series.rows[-1] == [1999.0, 900.0, 999.0, 999.0]


async def test_a_few_values_come_as_they_are(memory):
    log, history = memory
    fill(log, 1000.0, 5)
    series = await ask(history, path_source("t", "v"), 900.0, 1100.0, 500)
    assert series.rows == [[1000.0 + n, float(n), float(n), float(n)] for n in range(5)]


async def test_memory_that_has_lost_the_beginning_is_not_complete(memory):
    log, history = memory
    log.ring.limit = 100_000
    fill(log, 1000.0, 3000)
    assert not (await ask(history, path_source("t", "v"), 1000.0, 5000.0)).complete
    assert (await ask(history, path_source("t", "v"), 3900.0, 5000.0)).complete


async def test_a_question_takes_no_longer_than_its_time(memory):
    log, history = memory
    fill(log, 1000.0, 2000)
    slow = Source("slow", ("t",), lambda message: time.sleep(0.001) or (1.0,))
    started = time.monotonic()
    series = await ask(history, slow, 0.0, 1e9)
    assert not series.complete
    assert series.rows
    # One block more than the limit at most.
    assert time.monotonic() - started < LIMIT + 1.5


async def test_only_so_many_questions_wait(memory):
    log, history = memory
    fill(log, 1000.0, 100)
    answers = []
    query = Query(path_source("t", "v"), 0.0, 1e9, 10)
    taken = [history.query(query, answers.append) for _ in range(WAITING + 10)]
    assert taken == [True] * WAITING + [False] * 10
    async with asyncio.timeout(10):
        while len(answers) < WAITING:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_disk_and_memory_answer_together(disk, stored):
    log, history = await disk()
    fill(log, 1000.0, 3000)
    await stored(log)
    fill(log, 4000.0, 100)
    assert log.ring.oldest > 1000
    series = await ask(history, path_source("t", "v"), 1000.0, 4100.0, 3100)
    assert series.complete
    assert [row[0] for row in series.rows] == [1000.0 + n for n in range(3100)]


@pytest.mark.slow
async def test_a_day_of_a_value_each_second_is_complete_once_it_was_asked_for(disk, stored):
    log, history = await disk(disk_limit=1 << 30)
    day = 86_400
    start = 1_700_000_000.0 - 1_700_000_000.0 % 60
    for number in range(day):
        stamp = start + number
        log.append([message(f"other/{n}", b'{"v": -1}', stamp) for n in range(2)])
        log.append([message("t", b'{"v": %d}' % number, stamp)])
        if number % 4000 == 0:
            await stored(log)
    await stored(log)
    source = path_source("t", "v")
    await ask(history, source, start, start + day)
    await rolled(history)
    started = time.monotonic()
    series = await ask(history, source, start, start + day, 288)
    assert time.monotonic() - started < 1.0
    assert series.complete
    assert len(series.rows) == 288
    assert series.rows[0][1] == 0.0
    assert series.rows[-1][2:] == [day - 1.0, day - 1.0]
    for (_, low, high, last), before in zip(series.rows[1:], series.rows, strict=False):
        assert low == before[2] + 1
        assert high == last == low + 299


async def test_rows_by_the_minute_go_on_with_the_stream_and_over_a_restart(disk, stored, tmp_path):
    log, history = await disk(every=0.05)
    start = 1_700_000_040.0
    fill(log, start, 7200)
    await stored(log)
    source = path_source("t", "v")
    await ask(history, source, start, start + 7200)
    await rolled(history)
    fill(log, start + 7200, 7200)
    await stored(log)
    async with asyncio.timeout(10):
        while history._covered[source.name].high < log.newest:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    history.close()
    log.close()
    db = sqlite3.connect(tmp_path / "state" / "history.db")
    [(minutes, samples)] = db.execute("SELECT count(*), sum(samples) FROM minute").fetchall()
    db.close()
    assert (minutes, samples) == (240, 14_400)
    log, history = await disk(every=0.05)
    assert source.name in history._covered
    series = await ask(history, source, start, start + 14_400, 240)
    assert series.complete
    assert [row[3] for row in series.rows] == [float((n * 60 + 59) % 7200) for n in range(240)]


async def test_rows_that_could_not_be_read_at_the_start_are_not_merged_twice(disk, stored, tmp_path, monkeypatch):
    log, history = await disk()
    start = 1_700_000_040.0
    fill(log, start, 7200)
    await stored(log)
    source = path_source("t", "v")
    await ask(history, source, start, start + 7200)
    await rolled(history)
    history.close()
    log.close()
    real, failures = Shelf.series, iter([OSError(5, "Input/output error")])

    def series(shelf):
        for failure in failures:
            raise failure
        return real(shelf)

    monkeypatch.setattr(Shelf, "series", series)
    log, history = await disk(every=0.05)
    await ask(history, source, start, start + 7200)
    await rolled(history)
    history.close()
    log.close()
    with closing(sqlite3.connect(tmp_path / "state" / "history.db")) as db:
        assert db.execute("SELECT sum(samples) FROM minute").fetchone() == (7200,)


async def test_what_was_deleted_makes_an_answer_incomplete(disk, stored):
    log, history = await disk(disk_limit=2 << 20)
    for number in range(60):
        log.append([message("t", os.urandom(1000), 1000.0 + number) for _ in range(100)])
        await stored(log)
    log.append([message("t", b'{"v": 1}', 1060.0)])
    series = await ask(history, path_source("t", "v"), 1000.0, 2000.0)
    assert series.rows == [[1060.0, 1.0, 1.0, 1.0]]
    assert not series.complete


async def test_what_a_full_disk_never_took_makes_an_answer_incomplete(disk, stored):
    log, history = await disk()
    fill(log, 1000.0, 100)
    await stored(log)
    for number in range(200):
        # More at once than memory may hold while it waits for the disk.
        log.append([message("t", os.urandom(1000), 1200.0 + number) for _ in range(100)])
    fill(log, 1500.0, 100)
    await stored(log)
    assert not (await ask(history, path_source("t", "v"), 1000.0, 1600.0)).complete
    assert (await ask(history, path_source("t", "v"), 1500.0, 1600.0)).complete


async def test_without_its_disk_memory_answers(disk, stored):
    log, history = await disk()
    fill(log, 1000.0, 10)
    await stored(log)

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    log.store.write = full
    fill(log, 1010.0, 10)
    async with asyncio.timeout(5):
        while not log.degraded:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    series = await ask(history, path_source("t", "v"), 1000.0, 1100.0)
    assert len(series.rows) == 20
    assert not series.complete
