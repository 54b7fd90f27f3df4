"""One listening socket in trouble: it goes on, by the rules of the day."""

import asyncio
import errno
import socket
from types import SimpleNamespace

import pytest
from support.sleeper import until

from gateway.edge import listener as room
from gateway.edge.descriptors import Shortage
from gateway.edge.doors import Door
from gateway.edge.endpoints import Endpoint, as_bound, listening
from gateway.edge.listener import Listener


class Troubled:
    """A real listening socket that fails first as it is told to."""

    def __init__(self, sock: socket.socket, troubles: list[int]) -> None:
        self.real, self.troubles = sock, troubles

    def accept(self):
        if self.troubles:
            raise OSError(self.troubles.pop(0), "trouble")
        return self.real.accept()

    def fileno(self):
        return self.real.fileno()

    def close(self):
        self.real.close()


class Doorkeeper:
    def __init__(self):
        self.received = asyncio.Queue()

    def receive(self, sock, peer, entrance):
        sock.close()
        self.received.put_nowait((peer, entrance.endpoint))


@pytest.fixture
async def made():
    doorkeeper, counts, opened, faults = Doorkeeper(), [], [], []

    def make(*troubles: int) -> SimpleNamespace:
        asked = Endpoint("127.0.0.1", 0)
        sock = listening(asked, 30.0)
        loop = asyncio.get_running_loop()
        listener = Listener(
            Troubled(sock, list(troubles)),
            as_bound(sock, asked),
            passed_on=False,
            loop=loop,
            clock=loop.time,
            doorkeeper=doorkeeper,
            shortage=Shortage(),
            short=lambda: counts.append("file-descriptors"),
        )
        opened.append(listener)
        listener.start()
        client = socket.create_connection(("127.0.0.1", listener.endpoint.port))
        opened.append(client)
        return SimpleNamespace(listener=listener, client=client, doorkeeper=doorkeeper, counts=counts)

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    yield make
    for each in opened:
        each.close()
    assert faults == []


@pytest.mark.parametrize("trouble", [errno.ECONNABORTED, errno.EHOSTUNREACH, errno.EPROTO, errno.ENETDOWN])
async def test_what_befell_one_connection_on_its_way_is_no_fault_and_the_next_one_is_taken(made, trouble):
    """accept(2) hands on what the network says of the new connection; that was logged as a fault of the gateway's."""
    one = made(trouble)
    peer, _ = await asyncio.wait_for(one.doorkeeper.received.get(), 5)
    assert peer == "127.0.0.1"
    assert one.counts == []


async def test_rules_that_change_while_there_are_no_descriptors_hold_afterwards(made, monkeypatch):
    """The listener went on by the rules of before the reload, until the next one."""
    monkeypatch.setattr(room, "PAUSE", 0.05)
    one = made(errno.EMFILE)
    await until(lambda: bool(one.counts))
    before = one.listener.endpoint
    one.listener.endpoint = renewed = Endpoint(before.address, before.port, door=Door(anonymous=""))
    assert (await asyncio.wait_for(one.doorkeeper.received.get(), 5))[1] is renewed


async def test_a_listener_that_closes_while_there_are_no_descriptors_stays_closed(made, monkeypatch):
    monkeypatch.setattr(room, "PAUSE", 0.1)
    one = made(errno.EMFILE)
    await until(lambda: bool(one.counts))
    one.listener.close()
    await asyncio.sleep(0.15)
    assert one.doorkeeper.received.empty()
