"""Who is in the volley, and that nothing is lost, doubled or sent to another by it."""

import asyncio
import logging
import random
import resource
import socket
from array import array
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest
from support.edge import Edge, receive
from support.sleeper import Sleeper, objects_in, until
from support.uring import rings

from gateway.edge import uring
from gateway.edge.volley import MANY, Volley
from gateway.hub.outbox import Bounds
from gateway.hub.volley import MOST, NOWHERE


class Member:
    """A socket that remembers how often it was told that it has a slot."""

    def __init__(self) -> None:
        self.slot = NOWHERE
        self.told = 0
        self._ours, self._theirs = socket.socketpair()

    def fileno(self) -> int:
        return self._ours.fileno()

    def placed(self) -> None:
        self.told += 1

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


@pytest.fixture
def members() -> Iterator[list[Member]]:
    members = [Member() for _ in range(MANY + 4)]
    yield members
    for member in members:
        member.close()


def refused(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "one by one" in record.getMessage()]


def test_a_handful_is_in_none(members):
    before = rings()
    volley = Volley(100)
    for member in members[: MANY - 1]:
        volley.enter(member)
    volley.leave(members[0])
    volley.enter(members[0])
    assert {(member.slot, member.told) for member in members} == {(NOWHERE, 0)}
    assert rings() == before


@pytest.mark.io_uring
def test_when_there_are_many_those_who_were_here_before_are_in_it_too(members):
    volley = Volley(100)
    for member in members:
        volley.enter(member)
    assert len({member.slot for member in members} - {NOWHERE}) == len(members)
    assert {member.told for member in members} == {1}
    volley.close()


@pytest.mark.io_uring
def test_a_slot_that_was_given_back_is_the_last_to_be_given_again(members):
    volley = Volley(100)
    for member in members:
        volley.enter(member)
    slot = members[3].slot
    volley.leave(members[3])
    assert members[3].slot == NOWHERE
    given = []
    for _ in range(300):
        volley.enter(members[3])
        given.append(members[3].slot)
        volley.leave(members[3])
    assert given.index(slot) > 200
    volley.close()


@pytest.mark.io_uring
def test_whoever_finds_no_room_is_served_alone(members):
    volley = Volley(MANY)
    room = 255  # the next power of two behind what goes out at a time, less the slot that is nobody's
    assert len(members) < room
    many = [Member() for _ in range(room)]
    for member in many:
        volley.enter(member)
    volley.enter(members[0])
    assert members[0].slot == NOWHERE
    volley.leave(members[0])
    volley.leave(many[0])
    volley.enter(members[1])
    assert members[1].slot != NOWHERE
    volley.close()
    for member in many:
        member.close()


@pytest.mark.io_uring
def test_where_hardly_anybody_may_come_those_who_are_told_so_have_room_too(members):
    """More connections than the limit are let in, to be told 1013."""
    volley = Volley(2)
    for member in members[:MANY]:
        volley.enter(member)
    assert NOWHERE not in {member.slot for member in members[:MANY]}
    assert list(volley.fire(array("I", [NOWHERE] * (MOST - 1) + [members[0].slot]), b"one of many")) == []
    volley.close()


def test_without_a_ring_everybody_is_served_alone_and_the_log_says_why_once(members, caplog):
    caplog.set_level(logging.INFO, "gateway.edge")
    volley = Volley(100)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # whatever the kernel allows, there is no descriptor for it
    try:
        for member in members:
            volley.enter(member)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {member.slot for member in members} == {NOWHERE}
    assert len(refused(caplog)) == 1
    for member in members:
        volley.leave(member)
        volley.enter(member)
    volley.close()


@pytest.mark.io_uring
def test_a_kernel_that_takes_a_part_for_all_is_not_trusted(members, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "gateway.edge")
    monkeypatch.setattr(uring, "_FLAGS", uring._FLAGS & ~socket.MSG_WAITALL)  # a part is a success then
    before = rings()
    volley = Volley(100)
    for member in members:
        volley.enter(member)
    assert {member.slot for member in members} == {NOWHERE}
    assert refused(caplog) == [
        "viewers without TLS are served one by one: this kernel's io_uring counts what it sent otherwise"
    ]
    assert rings() == before


async def test_those_who_read_get_everything_and_those_who_sleep_are_told_what_they_did_not_get():
    async with Edge(bounds=Bounds(soft=16_384)) as edge:
        clients = [await edge.connect("?topic=%23&replay=none") for _ in range(MANY + 10)]
        for client in clients:
            await receive(client, "welcome")
        sleepers = [Sleeper(edge.port, "?topic=%23&replay=none") for _ in range(5)]
        await until(lambda: len(edge.server.connections) == len(clients) + 5)
        payload = b'"%b"' % (b"x" * 2048)
        heard: list[list[int]] = [[] for _ in clients]
        for number in range(1, 601):
            edge.publish(f"t/{number % 7}", payload)
            if number % 20 == 0:
                for got, client in zip(heard, clients, strict=True):
                    got += [(await receive(client))["offset"] for _ in range(20)]
        assert heard == [list(range(1, 601))] * len(clients)
        assert edge.server.lost > 0
        for sleeper in sleepers:
            got, told = b"", []
            async with asyncio.timeout(20):
                while not told or told[-1].get("offset") != 600:
                    await asyncio.sleep(0.001)
                    got += sleeper.read()
                    told = objects_in(got) if b"600" in got[-8192:] else []
            offsets = [each["offset"] for each in told if each["type"] == "message"]
            lost = sum(each["count"] for each in told if each["type"] == "gap")
            assert offsets == sorted(set(offsets))
            assert len(offsets) + lost == 600
            sleeper.close()
        await asyncio.gather(*(client.close() for client in clients))


@pytest.mark.parametrize("crowd", [False, True], ids=["each alone", "one crowd"])
async def test_whoever_comes_next_gets_nothing_that_was_meant_for_the_one_before(crowd):
    """Slots go from hand to hand while messages are under way."""
    draw = random.Random(7)
    async with Edge() as edge:
        seen: Counter[str] = Counter()

        async def visit(number: int) -> None:
            topics = "all" if crowd else f"own/{number}&topic=all"
            async with edge.connect(f"?topic={topics}&replay=none") as client:
                await receive(client, "welcome")
                newest = 0
                for _ in range(draw.randrange(1, 12)):
                    told = await receive(client, "message")
                    assert told["topic"] in ("all", f"own/{number}")
                    assert told["offset"] > newest
                    newest = told["offset"]
                    seen[told["topic"].partition("/")[0]] += 1
                if draw.random() < 0.5:
                    client.transport.abort()

        async def visits(number: int) -> None:
            for turn in range(6):
                await visit(number * 10 + turn)

        async def talk() -> None:
            while True:
                edge.publish("all", msgspec.json.encode(edge.log.newest))
                for number in draw.sample(range(400), 40):
                    edge.publish(f"own/{number}")
                await asyncio.sleep(0.002)

        talking = asyncio.create_task(talk())
        async with asyncio.timeout(60):
            await asyncio.gather(*(visits(number) for number in range(40)))
        talking.cancel()
        assert seen["all"] > 240
        assert crowd or seen["own"]
