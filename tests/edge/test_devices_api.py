"""/api/devices: what the sensors say, by device, and only what the caller's role may see."""

import json
import time

from support.edge import Edge

from devices.registry import Registry
from gateway.edge.api import devices
from gateway.edge.credentials import Identity
from gateway.edge.roles import VIEWER, Role
from gateway.hub.readings import Readings

SENSOR = '{"Time":"2021-09-23T18:26:49","DHT11":{"Temperature":20.5},"TempUnit":"C"}'


async def test_devices_have_names_values_units_and_ages_though_nobody_asked_before():
    async with Edge() as edge:
        readings = Readings(Registry(), wall=time.time)
        edge.publish("tele/boiler/SENSOR", SENSOR)
        edge.publish("sensors/hall/temperature", "21.5")
        shown = json.loads(devices(edge.room, readings, Identity(VIEWER)).body)["devices"]
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
        devices(edge.room, readings, Identity(VIEWER))
        narrow = Identity(Role("narrow", subscribe=("sensors/#",)))
        shown = json.loads(devices(edge.room, readings, narrow).body)["devices"]
        assert [device["device"] for device in shown] == ["sensors/hall"]
