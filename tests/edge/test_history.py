import asyncio

import pytest
from support.edge import Edge, receive, say

from devices.registry import Registry
from gateway.edge.history import Archive
from gateway.edge.roles import Role
from gateway.hub.pastreadings import reading_source
from gateway.hub.readings import Readings
from gateway.logs.history import MemoryHistory

ROLE = Role("viewer", subscribe=("plant/#",), deny=("plant/secret/#",))


class Past(Edge):
    """An edge that has a memory of numbers."""

    def __init__(self, **options):
        super().__init__(roles=[ROLE], **options)
        self.reader = MemoryHistory(self.log, loop=asyncio.get_running_loop())
        self.readings = Readings(Registry(), wall=lambda: 0.0)
        locate = lambda *reading: reading_source(self.readings.registry, *reading)  # noqa: E731
        self.room.archive = Archive(self.reader, locate)

    async def __aexit__(self, *reason):
        self.reader.close()
        await super().__aexit__(*reason)


async def test_a_series_is_the_answer_to_a_history_command():
    async with Past() as edge, edge.connect() as client:
        welcome = await receive(client, "welcome")
        assert welcome["limits"]["history"] == 600
        for number in range(5):
            edge.publish("plant/a", b'{"t": {"value": %d}}' % number)
        since = welcome["timestamp"] - 60
        await say(client, type="history", id="h", topic="plant/a", path="t.value", **{"from": since, "to": since + 120})
        answer = await receive(client, "ok")
        assert answer["id"] == "h"
        assert answer["complete"] is True
        assert [row[3] for row in answer["series"]][-1] == 4.0


async def test_a_reading_is_asked_for_by_its_device():
    async with Past() as edge, edge.connect() as client:
        since = (await receive(client, "welcome"))["timestamp"] - 60
        topic = "plant/tele/boiler/SENSOR"
        for number in (20, 21, 22):
            payload = b'{"Time":"2026-01-01T00:00:00","DS18B20":{"Temperature":%d.5},"TempUnit":"C"}'
            edge.publish(topic, payload % number)
            [message] = edge.hub.values.last(lambda name: name == topic)
            readings = edge.readings.of(message)
        reading = next(r for r in readings if r.quantity == "temperature")
        await say(
            client,
            type="history",
            id=1,
            device=reading.device,
            channel=reading.channel,
            quantity="temperature",
            points=1,
            **{"from": since, "to": since + 120},
        )
        [row] = (await receive(client, "ok"))["series"]
        assert row[1:] == [20.5, 22.5, 22.5]


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"topic": "plant/secret/x"}, "forbidden"),
        ({"topic": "elsewhere"}, "forbidden"),
        ({"topic": "plant/#"}, "bad-filter"),
        ({"topic": "plant/a", "path": "a..b["}, "bad-filter"),
        ({"topic": "plant/a", "points": 0}, "unsupported"),
        ({"topic": "plant/a", "points": 10**9}, "unsupported"),
        ({"topic": "plant/a", "from": 20, "to": 10}, "unsupported"),
        ({"topic": "plant/a", "from": 1e300, "to": 2e300}, "unsupported"),
        ({"quantity": "temperature"}, "unsupported"),
        ({"device": "nobody", "quantity": "temperature"}, "no-history"),
    ],
)
async def test_what_makes_no_sense_or_is_not_allowed_is_refused(question, code):
    async with Past() as edge, edge.connect() as client:
        await receive(client, "welcome")
        await say(client, **({"type": "history", "id": 7, "from": 0, "to": 10} | question))
        answer = await receive(client, "error")
        assert (answer["id"], answer["code"]) == (7, code)


async def test_without_an_archive_there_is_no_history():
    async with Edge() as edge, edge.connect() as client:
        await receive(client, "welcome")
        await say(client, type="history", id=7, topic="t", **{"from": 0, "to": 10})
        assert (await receive(client, "error"))["code"] == "no-history"


async def test_a_span_from_the_beginning_to_the_end_of_time_is_answered():
    async with Past() as edge, edge.connect() as client:
        await receive(client, "welcome")
        edge.publish("plant/a", b"5")
        await say(client, type="history", id=7, topic="plant/a", **{"from": -1e300, "to": 1e300})
        answer = await receive(client, "ok")
        assert [row[3] for row in answer["series"]] == [5.0]


async def test_one_client_cannot_keep_everybody_waiting_for_answers():
    async with Past() as edge, edge.connect() as client:
        await receive(client, "welcome")
        for number in range(20):
            await say(client, type="history", id=number, topic="plant/a", **{"from": 0, "to": 10})
        answers = [await receive(client) for _ in range(20)]
        assert {answer.get("code") for answer in answers} <= {None, "too-fast"}
        await say(client, type="history", id="again", topic="plant/a", **{"from": 0, "to": 10})
        assert (await receive(client))["type"] == "ok"
