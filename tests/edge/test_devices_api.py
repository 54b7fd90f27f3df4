"""/api/devices: what the sensors say, by device, and only what the caller's role may see."""

import json
import time

from support.edge import Edge

from devices.registry import Registry
from gateway.edge.credentials import Identity
from gateway.edge.lists import devices
from gateway.edge.roles import VIEWER, Role
from gateway.hub.readings import Readings


def asked(room, readings, who):
    """The answer, once all its steps have been taken."""
    *pauses, reply = devices(room, readings, who).steps
    assert set(pauses) == {None}
    return json.loads(reply.body)["devices"]


SENSOR = '{"Time":"2021-09-23T18:26:49","DHT11":{"Temperature":20.5},"TempUnit":"C"}'


async def test_devices_have_names_values_units_and_ages_though_nobody_asked_before():
    async with Edge() as edge:
        readings = Readings(Registry(), wall=time.time)
        edge.publish("tele/boiler/SENSOR", SENSOR)
        edge.publish("sensors/hall/temperature", "21.5")
        shown = asked(edge.room, readings, Identity(VIEWER))
        boiler = next(device for device in shown if device["device"] == "boiler")
        value = boiler["channels"]["DHT11"]["temperature"]
        assert (value["value"], value["unit"], value["topic"]) == (20.5, "°C", "tele/boiler/SENSOR")
        assert 0 <= value["age"] < 5
        assert {"sensors/hall", "boiler"} <= {device["device"] for device in shown}


async def test_a_role_sees_only_devices_of_its_topics():
    async with Edge() as edge:
        readings = Readings(Registry(), wall=time.time)
        edge.publish("tele/boiler/SENSOR", SENSOR)
        edge.publish("sensors/hall/temperature", "21.5")
        asked(edge.room, readings, Identity(VIEWER))
        narrow = Identity(Role("narrow", subscribe=("sensors/#",)))
        shown = asked(edge.room, readings, narrow)
        assert [device["device"] for device in shown] == ["sensors/hall"]
