import asyncio
import os
import random
import sqlite3

import pytest
from support.conformance import ALL, LogConformance, asked, everything, message, page
from support.history import publish, publish_noise

from gateway.errors import GatewayError
from gateway.hub.log import Selection
from gateway.logs import diskpages, offsets
from gateway.logs.offsets import RESERVE, renew


class Sqlite(LogConformance):
    durable = False

    @pytest.fixture(autouse=True)
    def _tools(self, make_log, stored):
        self.make_log = make_log
        self.settle = stored

    def make(self, taken):
        return self.make_log(taken, durable=self.durable)


class TestSqliteLog(Sqlite):
    pass


class TestSqliteLogInMemoryOfAFewMessages(Sqlite):
    """Nearly everything is read back from the file."""

    def make(self, taken):
        return self.make_log(taken, limit=20_000)


class TestDurableSqliteLog(Sqlite):
    durable = True


class TestDurableSqliteLogInMemoryOfAFewMessages(Sqlite):
    def make(self, taken):
        return self.make_log(taken, limit=20_000, durable=True)


async def test_a_message_is_handed_on_at_once_without_durable_and_after_its_commit_with(make_log, stored, crash):
    log = make_log()
    publish(log, 1)
    assert log.newest == 1
    crash(log)
    log = make_log(durable=True)
    newest = log.newest
    told = []
    log.append([message()], lambda: told.append(True))
    assert (log.newest, told) == (newest, [])
    await stored(log)
    assert (log.newest, told) == (newest + 1, [True])


async def test_rows_that_wait_for_their_commit_are_replayed_all_the_same(make_log):
    log = make_log(commit=3600.0, limit=20_000)
    for _ in range(30):
        publish(log, 100)
    assert log.ring.oldest > 1000
    found, gaps = await everything(log)
    assert [m.offset for m in found] == list(range(1, 3001))
    assert gaps == []


async def test_two_gateways_cannot_run_on_one_state_folder(make_log, monkeypatch, tmp_path):
    monkeypatch.setattr(offsets, "PATIENCE", 0.05)
    log = make_log()
    with pytest.raises(GatewayError, match="another gateway is running"):
        make_log()
    publish(log, 1)
    assert log.newest == 1


async def test_a_state_folder_that_cannot_be_written_leaves_a_log_in_memory(make_log, tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    log = make_log()
    begin = log.newest
    assert log.degraded
    publish(log, 500)
    found, gaps = await everything(log, begin)
    assert (len(found), gaps) == (500, [])


async def test_a_clean_restart_goes_on_without_a_gap(make_log):
    log = make_log()
    publish(log, 500)
    epoch = log.epoch
    log.close()
    log = make_log()
    assert (log.epoch, log.newest) == (epoch, 500)
    publish(log, 1)
    found, gaps = await everything(log)
    assert [m.offset for m in found] == list(range(1, 502))
    assert gaps == []


@pytest.mark.parametrize("durable", [False, True])
async def test_after_an_unclean_stop_offsets_go_on_above_the_reserved_mark(make_log, stored, crash, durable):
    log = make_log(durable=durable, commit=3600.0 if not durable else 10)
    publish(log, 300)
    if durable:
        await stored(log)
    epoch, newest = log.epoch, log.newest
    crash(log)
    log = make_log(durable=durable)
    assert log.epoch == epoch
    assert log.newest >= RESERVE > newest
    publish(log, 5)
    await stored(log)
    found, [gap] = await everything(log)
    # Without durable nobody knows how many of the range had been handed on; with it, none.
    expected = 300 if durable else 0
    assert gap.gone == (expected + 1, RESERVE)
    assert (gap.reason, gap.empty) == ("restart", durable)
    assert [m.offset for m in found] == [*range(1, expected + 1), *range(RESERVE + 1, RESERVE + 6)]


async def test_offsets_never_name_two_messages_over_many_crashes(make_log, crash, stored):
    seen = set()
    rng = random.Random(5)
    for _ in range(8):
        log = make_log(commit=rng.choice((0.001, 3600.0)), durable=rng.random() < 0.5)
        for _ in range(rng.randrange(5)):
            publish(log, rng.randrange(1, 400))
        if rng.random() < 0.5:
            await stored(log) if log._commit < 1 or log._durable else None
        mine = {(log.epoch, m.offset) for m in log.taken}
        assert not mine & seen
        seen |= mine
        crash(log)


async def test_a_block_of_offsets_is_reserved_before_it_is_used(make_log, crash):
    log = make_log()
    for _ in range(3 * RESERVE // 500):
        publish(log, 500)
        assert log.newest <= log._offsets.reserved
    newest = log.newest
    crash(log)
    assert make_log().newest >= newest


async def test_a_cloned_card_has_an_epoch_of_its_own(make_log, machine_id):
    log = make_log()
    publish(log, 10)
    epoch = log.epoch
    log.close()
    machine_id.write_text("another machine")
    log = make_log()
    assert log.epoch != epoch
    assert log.newest >= 10
    clone = log.epoch
    log.close()
    assert make_log().epoch == clone


async def test_a_restored_folder_has_an_epoch_of_its_own(make_log, tmp_path):
    log = make_log()
    publish(log, 10)
    epoch = log.epoch
    log.close()
    renew(tmp_path / "state")
    log = make_log()
    assert log.epoch != epoch
    found, _ = await everything(log)
    assert len(found) == 10


async def test_rows_beyond_the_mark_mean_a_new_epoch(make_log, tmp_path):
    log = make_log()
    publish(log, 10)
    old = (tmp_path / "state" / "offsets").read_bytes()
    log.close()
    log = make_log()
    for _ in range(200):
        publish(log, 500)
    epoch = log.epoch
    log.close()
    (tmp_path / "state" / "offsets").write_bytes(old)
    log = make_log()
    assert log.epoch != epoch
    assert log.newest >= 100_010


@pytest.mark.parametrize("seed", range(12))
async def test_a_write_ahead_log_cut_anywhere_loses_only_what_a_gap_names(make_log, stored, crash, tmp_path, seed):
    rng = random.Random(seed)
    log = make_log(durable=True)
    for _ in range(30):
        publish(log, rng.randrange(1, 30), payload=rng.randbytes(200))
        await stored(log)
    sent = {m.offset: m.payload for m in log.taken}
    crash(log)
    wal = tmp_path / "state" / "history.db-wal"
    size = wal.stat().st_size
    assert size > 100_000
    os.truncate(wal, rng.randrange(size))
    log = make_log(durable=True)
    publish(log, 3)
    await stored(log)
    found, gaps = await everything(log)
    named = {offset for gap in gaps for offset in range(gap.gone[0], gap.gone[1] + 1)}
    for m in found:
        if m.offset in sent:
            assert m.payload == sent[m.offset]
    assert {m.offset for m in found} | named == set(range(1, log.newest + 1))
    assert not {m.offset for m in found} & named
    lost = sent.keys() & named
    # A gap that says "none" would be a lie.
    assert not lost or not any(gap.empty for gap in gaps if lost & set(range(gap.gone[0], gap.gone[1] + 1)))


async def test_looking_for_what_is_rare_keeps_nobody_waiting(make_log, stored, monkeypatch):
    monkeypatch.setattr(diskpages, "SCAN", 0.0)
    log = make_log(limit=20_000)
    for number in range(20):
        log.append([message("rare" if number in (2, 5) and n == 0 else "often") for n in range(100)])
        await stored(log)
    after = asyncio.create_task(asked(lambda take: log.offset_of_last(2, Selection(("rare",)), take)))
    await asyncio.sleep(0)
    other = await page(log, 0, 5)
    assert len(other.messages) == 5
    assert not after.done()
    assert await after == 200


@pytest.mark.slow
async def test_disk_bytes_are_bounded(make_log, stored, tmp_path):
    log = make_log(disk_limit=2 << 20, limit=20_000)
    for _ in range(120):
        publish_noise(log, 100, 500)
        await stored(log)
        assert sum(f.stat().st_size for f in (tmp_path / "state").glob("history.db*")) < (2 << 20) + 65_536
    found, [gap] = await everything(log)
    assert gap.reason == "history-expired"
    assert len(found) > 1000
    assert [m.offset for m in found] == list(range(gap.gone[1] + 1, 12_001))


async def test_age_counts_on_the_monotonic_clock_and_a_step_of_the_wall_clock_deletes_nothing(make_log, stored, clock):
    log = make_log(disk_age=100.0, limit=20_000)
    for _ in range(10):
        publish(log, 100)
        await stored(log)
        clock.advance(5.0)
    clock.wall += 30 * 86400
    publish(log, 100)
    await stored(log)
    found, gaps = await everything(log)
    assert (len(found), gaps) == (1100, [])
    for _ in range(10):
        clock.advance(10.0)
        publish(log, 100)
        await stored(log)
    found, [gap] = await everything(log)
    assert gap.gone[1] >= 500


async def test_while_the_clock_is_suspect_age_deletes_nothing(make_log, stored, clock):
    log = make_log(disk_age=100.0, limit=20_000)
    log.suspect = True
    for _ in range(10):
        publish(log, 100)
        await stored(log)
        clock.advance(50.0)
    found, gaps = await everything(log)
    assert (len(found), gaps) == (1000, [])


async def test_the_time_between_two_runs_of_one_boot_counts_and_a_reboot_does_not(make_log, stored, clock):
    log = make_log(disk_age=100.0)
    publish(log, 100)
    await stored(log)
    log.close()
    clock.now = 5.0
    log = make_log(disk_age=100.0, boot="boot-2", limit=20_000)
    publish(log, 100)
    await stored(log)
    found, gaps = await everything(log)
    assert (len(found), gaps) == (200, [])
    log.close()
    clock.now = 5000.0
    log = make_log(disk_age=100.0, boot="boot-2", limit=20_000)
    publish(log, 100)
    await stored(log)
    found, gaps = await everything(log)
    assert [m.offset for m in found] == list(range(201, 301))


async def test_small_commits_are_merged_into_blocks(make_log, stored, tmp_path):
    log = make_log(durable=True, limit=20_000)
    for number in range(600):
        log.append([message(f"t/{number % 7}", str(number).encode())])
        await stored(log)
    log.close()
    with sqlite3.connect(tmp_path / "state" / "history.db") as db:
        [(spans,)] = db.execute("SELECT count(*) FROM span")
        [(blocks,)] = db.execute("SELECT count(*) FROM block")
    db.close()
    assert spans == blocks < 600 - 2 * 250
    log = make_log(limit=20_000)
    found, _ = await everything(log)
    assert [m.payload for m in found] == [str(n).encode() for n in range(600)]


async def test_a_start_takes_up_last_values_and_what_came_with_qos_1(make_log, stored):
    log = make_log(durable=True)
    log.append([message(f"t/{n % 5}", str(n).encode(), mid=n % 3) for n in range(400)])
    await stored(log)
    log.close()
    log = make_log(durable=True)
    assert {m.topic: m.payload for m in log.recent.last} == {f"t/{n % 5}": str(n).encode() for n in range(395, 400)}
    assert [m.offset for m in log.recent.acknowledged] == [n + 1 for n in range(400) if n % 3]


async def test_a_replay_by_age_reaches_back_to_the_disk(make_log, stored, clock):
    log = make_log(limit=20_000)
    for _ in range(60):
        clock.advance(10.0)
        publish(log, 50, timestamp=clock.wall)
        await stored(log)
    after = await asked(lambda take: log.offset_before(205.0, take))
    assert 60 * 50 - 23 * 50 <= after <= 60 * 50 - 20 * 50
    assert await asked(lambda take: log.offset_before(1e9, take)) == 0


async def test_a_source_waits_while_a_slow_disk_is_behind(make_log, stored):
    log = make_log(durable=True, limit=1 << 20)
    while not log.busy:
        publish(log, 500, payload=b"x" * 1000)
    assert log._backlog.ring.size < 3 * log._backlog.limit
    await stored(log)
    assert not log.busy


async def test_pages_from_disk_are_bounded_in_bytes(make_log, stored):
    log = make_log(limit=20_000)
    for _ in range(3):
        publish_noise(log, 20, 100_000)
        await stored(log)
    answer = await page(log, 0, log.newest, ALL)
    assert 1 <= len(answer.messages) <= 4
    found, gaps = await everything(log)
    assert (len(found), gaps) == (60, [])


@pytest.mark.parametrize("name", ["50 % of #1", "what?", "a%41b"])
async def test_a_folder_may_have_any_name(make_log, stored, tmp_path, name):
    """What means something in an address led the reader to another file, and every replay into a gap."""
    log = make_log(path=tmp_path / name / "history.db", limit=1)
    publish_noise(log, 300, 6000)
    await stored(log)
    assert log.ring.oldest > 1
    found, gaps = await everything(log)
    assert ([m.offset for m in found], gaps) == (list(range(1, 301)), [])
    assert [file.name for file in tmp_path.iterdir() if file.name not in ("machine-id", "state")] == [name]
