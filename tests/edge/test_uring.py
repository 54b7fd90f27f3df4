"""One blob into many sockets: all of it to whoever takes it, and a word about everybody else."""

import errno
import socket
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.uring import rings

from gateway.edge.uring import Uring

pytestmark = pytest.mark.io_uring

SIZE = 64 * 1024


def slots(*numbers: int) -> "array[int]":
    return array("I", numbers)


@pytest.fixture
def ring() -> Iterator[Uring]:
    ring = Uring(10, SIZE)
    yield ring
    ring.close()


@pytest.fixture
def pairs(ring: Uring) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Our end, which is in the slot of its number + 1, and theirs."""
    pairs = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for slot in range(1, 6):
            theirs = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
            ours.setblocking(False)
            ring.fill(slot, ours.fileno())
            pairs.append((ours, theirs))
    yield pairs
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


def silent(sock: socket.socket) -> bool:
    """Whether nothing has come."""
    try:
        sock.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    return False


def test_everybody_gets_everything_in_order_however_often_it_goes_round(ring, pairs):
    assert ring.most == 15
    blobs = [b"%04d" % number * (number % 7 + 1) for number in range(200)]
    for blob in blobs:
        assert list(ring.fire(slots(5, 0, 1, 2, 4, 3), blob)) == []
    expected = b"".join(blobs)
    for _, theirs in pairs:
        assert theirs.recv(len(expected), socket.MSG_WAITALL) == expected
        assert silent(theirs)


def test_who_takes_a_part_or_nothing_is_named_with_what_it_took(ring, pairs):
    full, theirs = pairs[2]
    taken, results = 0, []
    while not results or results[-1] != (3, -errno.EAGAIN):
        results += ring.fire(slots(1, 3), bytes(SIZE))
        taken += SIZE
        assert pairs[0][1].recv(SIZE, socket.MSG_WAITALL) == bytes(SIZE)
    assert [slot for slot, _ in results] == [3] * len(results)
    lacking = sum(SIZE - max(result, 0) for _, result in results)
    full.close()
    got = 0
    while data := theirs.recv(SIZE):
        got += len(data)
    assert got == taken - lacking


def test_who_is_gone_is_named_and_nobody_else_is_disturbed(ring, pairs):
    pairs[1][1].close()
    ours = pairs[3][0]
    ours.close()
    found = dict(ring.fire(slots(1, 2, 3, 4, 5), b"one")) | dict(ring.fire(slots(1, 2, 3, 4, 5), b"two"))
    assert found.pop(4) == -errno.EBADF
    assert found.pop(2) in (-errno.EPIPE, -errno.ECONNRESET)
    assert found == {}
    for number in (0, 2, 4):
        assert pairs[number][1].recv(6, socket.MSG_WAITALL) == b"onetwo"


def test_a_slot_reaches_whoever_is_in_it_now(ring, pairs):
    ring.empty(1)
    assert list(ring.fire(slots(1), b"nobody")) == []
    ring.fill(1, pairs[1][0].fileno())
    assert list(ring.fire(slots(1), b"second")) == []
    assert pairs[1][1].recv(100) == b"second"
    assert silent(pairs[0][1])


def test_what_the_kernel_did_not_take_up_goes_to_nobody_later(ring, pairs):
    """From another thread it takes up nothing (IORING_SETUP_SINGLE_ISSUER)."""
    with ThreadPoolExecutor(1) as thread:
        assert list(thread.submit(ring.fire, slots(1, 0, 2), b"lost").result()) == [(1, 0), (2, 0)]
    assert list(ring.fire(slots(2, 3), b"next")) == []
    assert silent(pairs[0][1])
    assert [pairs[number][1].recv(100) for number in (1, 2)] == [b"next", b"next"]


def test_more_than_the_kernel_allows_is_refused_in_words():
    with pytest.raises(OSError, match="Invalid argument"):
        Uring(1 << 20, SIZE)


def test_it_gives_everything_back():
    before = rings()
    ring = Uring(100, SIZE)
    assert rings() > before
    ring.close()
    assert rings() == before
