from support.conformance import LogConformance, asked, everything, message

from gateway.hub.log import MemoryLog


class TestMemoryLog(LogConformance):
    def make(self, taken):
        return MemoryLog(taken.extend, epoch="e", limit=1 << 30, age=600.0, clock=lambda: 0.0)


async def test_bytes_are_bounded_and_what_went_is_named():
    log = MemoryLog(lambda messages: None, epoch="e", limit=100_000, age=600.0, clock=lambda: 0.0)
    for _ in range(100):
        log.append([message(payload=b"x" * 100) for _ in range(50)])
        assert log.size <= 100_000
    found, [gap] = await everything(log)
    assert gap.gone == (1, log.oldest - 1)
    assert gap.reason == "history-expired"
    assert [m.offset for m in found] == list(range(log.oldest, 5001))


async def test_age_is_bounded_and_a_replay_by_age_begins_there():
    now = [0.0]
    log = MemoryLog(lambda messages: None, epoch="e", limit=1 << 30, age=60.0, clock=lambda: now[0])
    for _ in range(200):
        now[0] += 1.0
        log.append([message()])
    assert 138 <= log.oldest <= 141
    after = await asked(lambda take: log.offset_before(10.0, take))
    assert 187 <= after <= 190
    assert await asked(lambda take: log.offset_before(1e6, take)) == log.oldest - 1


async def test_messages_are_shared_not_copied():
    log = MemoryLog(lambda messages: None, epoch="e", limit=1 << 30, age=60.0, clock=lambda: 0.0)
    mine = message()
    log.append([mine])
    found, _ = await everything(log)
    assert found[0] is mine
