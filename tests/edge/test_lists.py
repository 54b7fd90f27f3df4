"""Long lists leave everybody their turn: what a step looks at or encodes is bounded."""

import json
import time

from support.edge import Edge

from devices.registry import Registry
from gateway.edge.credentials import Identity
from gateway.edge.http import parse_target
from gateway.edge.lists import ENCODED, LOOKED_AT, clients, devices, topics
from gateway.edge.roles import VIEWER
from gateway.hub.readings import Readings


async def test_last_values_are_found_and_encoded_in_steps():
    async with Edge() as edge:
        for number in range(2000):
            edge.publish(f"t/{number * 7919 % 2000:04}", "1")
        pending = topics(edge.room, Identity(VIEWER), parse_target("/api/topics?limit=1500"))
        *pauses, reply = pending.steps
        assert set(pauses) == {None}
        assert len(pauses) >= 2000 / LOOKED_AT + 1500 // ENCODED
        told = json.loads(reply.body)
        assert [each["topic"] for each in told["topics"]] == [f"t/{number:04}" for number in range(1500)]
        assert told["complete"] is False


async def test_a_topic_that_speaks_meanwhile_is_told_once():
    async with Edge() as edge:
        for number in range(LOOKED_AT + 10):
            edge.publish(f"t/{number:04}", "1")
        steps = topics(edge.room, Identity(VIEWER), parse_target("/api/topics?limit=10000")).steps
        assert next(steps) is None
        edge.publish("t/0000", "2")
        edge.publish(f"t/{LOOKED_AT + 5:04}", "2")
        *_, reply = steps
        told = json.loads(reply.body)
        assert [each["topic"] for each in told["topics"]] == [f"t/{n:04}" for n in range(LOOKED_AT + 10)]
        assert told["complete"] is True


async def test_devices_are_decoded_and_shown_in_steps():
    async with Edge() as edge:
        for number in range(300):
            edge.publish(f"sensors/d{number}/temperature", "21.5")
        *pauses, reply = devices(edge.room, Readings(Registry(), wall=time.time), Identity(VIEWER)).steps
        assert len(pauses) >= 2 * (300 // ENCODED) + 1
        assert len(json.loads(reply.body)["devices"]) == 300


async def test_clients_are_told_in_steps():
    *pauses, reply = clients([], 0.0).steps
    assert (pauses, json.loads(reply.body)) == ([], {"clients": []})
