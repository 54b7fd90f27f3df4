from support.conformance import message

from gateway.logs.backlog import TRANSACTION, Backlog
from gateway.logs.historyfile import Hole


def append(backlog, count, size=10):
    first = backlog.given + 1
    messages = [message(payload=b"x" * size, offset=first + number) for number in range(count)]
    backlog.append(messages, count * size, 0.0)


def offsets(chunk):
    messages, lost = chunk
    return [m.offset for m in messages], lost


def test_what_waits_is_stored_in_order_and_a_transaction_at_a_time():
    backlog = Backlog(limit=64 << 20, bounded=False)
    for _ in range(6):
        append(backlog, 256, 8192)
    found = []
    while (chunk := backlog.next_chunk()) is not None:
        messages, lost = chunk
        assert lost == []
        assert sum(len(m.payload) for m in messages) < 2 * TRANSACTION
        found += [m.offset for m in messages]
        backlog.stored(found[-1])
    assert found == list(range(1, 1537))
    assert not backlog.waits


def test_what_came_while_a_part_was_stored_follows_it():
    backlog = Backlog(limit=1 << 20, bounded=False)
    append(backlog, 10)
    messages, _ = backlog.next_chunk()
    append(backlog, 5)
    backlog.stored(messages[9].offset)
    assert offsets(backlog.next_chunk()) == ([11, 12, 13, 14, 15], [])


def test_after_a_restart_only_what_is_new_waits():
    backlog = Backlog(limit=1 << 20, bounded=False)
    backlog.begin(500)
    assert not backlog.waits
    assert backlog.next_chunk() is None
    append(backlog, 2)
    assert offsets(backlog.next_chunk()) == ([501, 502], [])


def test_bounded_the_oldest_go_unwritten_and_are_named():
    backlog = Backlog(limit=1 << 20, bounded=True)
    for _ in range(20):
        append(backlog, 256, 1000)
    assert not backlog.full
    found, [hole] = offsets(backlog.next_chunk())
    assert hole == Hole(1, found[0] - 1, "history-expired", False)
    assert found[0] > 1000


def test_unbounded_it_says_that_it_is_full_and_drops_nothing_until_the_disk_fails():
    backlog = Backlog(limit=1 << 20, bounded=False)
    for _ in range(20):
        append(backlog, 256, 1000)
    assert backlog.full
    assert offsets(backlog.next_chunk())[1] == []
    backlog.bound(0.0)
    assert not backlog.full
    assert offsets(backlog.next_chunk())[1] != []
