"""Readings are decoded where somebody asked, state is observed always."""

import json

from devices.registry import Registry
from gateway.edge.dialects.native import JsonVariant
from gateway.hub.hub import Hub
from gateway.hub.log import MemoryLog
from gateway.hub.message import Message
from gateway.hub.readings import Readings
from gateway.hub.subscription import View

SENSOR = b'{"Time":"2021-09-23T18:26:49","DHT11":{"Temperature":20.5},"TempUnit":"C"}'


def house():
    readings = Readings(Registry(), wall=lambda: 1000.0)
    hub = Hub(schedule=lambda turn: None, clock=lambda: 0.0, kept=readings.kept, observer=readings)
    log = MemoryLog(hub.take, epoch="e", limit=1 << 20, age=1e9, clock=lambda: 0.0)
    return readings, log


def test_a_message_is_decoded_once_however_many_want_its_readings():
    readings, _ = house()
    message = Message("tele/boiler/SENSOR", SENSOR, 5.0, "u")
    first = readings.of(message)
    assert [(r.device, r.channel, r.quantity, r.value, r.unit) for r in first] == [
        ("boiler", "DHT11", "temperature", 20.5, "°C")
    ]
    assert readings.of(message) is first


def test_availability_is_observed_though_nobody_watches():
    readings, log = house()
    heard = []
    readings.changed = lambda topic, state: heard.append((topic, state.device, state.online))
    log.append([Message("tele/boiler/LWT", b"Online", 1.0, "u"), Message("tele/boiler/LWT", b"Offline", 2.0, "u")])
    assert heard == [("tele/boiler/LWT", "boiler", True), ("tele/boiler/LWT", "boiler", False)]


def test_topics_that_no_family_claims_are_asked_about_once():
    readings, log = house()
    asked = []
    observe = readings.observe
    readings.observe = lambda message: asked.append(message.topic) or observe(message)
    log.append([Message("plant/speed", b"1", 1.0, "u") for _ in range(10)])
    assert asked == ["plant/speed"]


def test_readings_stand_in_the_message_where_asked_for():
    readings, _ = house()
    variant = JsonVariant(readings=readings.of)
    message = Message("tele/boiler/SENSOR", SENSOR, 5.0, "u")
    frame = variant.encoder(message.topic, View(readings=True, data=False))(message)
    told = json.loads(frame[frame.index(b"{") :])
    assert told["data"] is None
    [reading] = told["readings"]
    assert (reading["device"], reading["quantity"], reading["value"], reading["unit"]) == (
        "boiler",
        "temperature",
        20.5,
        "°C",
    )
    assert b"readings" not in variant.encoder(message.topic, View())(message)
