"""Simulated devices of plant, field and pocket: plain topics, Sparkplug B, SenML, OwnTracks."""

import random

from devices.simulator.device import Device, Publication, document
from devices.simulator.home import ROOMS
from devices.simulator.signals import Battery, Daily, Flag, Load


class Plain(Device):
    """No family at all: sensors/<room>/<quantity> with a JSON object of value and unit."""

    family = "plain"
    period = 1.0

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        suffix = f"-{number // len(ROOMS) + 1}" if number >= len(ROOMS) else ""
        self.room = ROOMS[number % len(ROOMS)] + suffix
        self._signals = (
            ("temperature", "°C", Daily(rng, rng.uniform(17.0, 23.0), 2.0, 0.04, digits=2)),
            ("humidity", "%", Daily(rng, 47.0, 6.0, 0.2, peak=4.0, low=5.0, high=100.0)),
            ("carbon_dioxide", "ppm", Daily(rng, 700.0, 250.0, 12.0, peak=21.0, digits=0, low=400.0)),
            ("illuminance", "lx", Daily(rng, 180.0, 320.0, 9.0, peak=13.0, digits=0, low=0.0)),
        )

    def sample(self, now: float) -> list[Publication]:
        return [
            document(f"sensors/{self.room}/{quantity}", {"value": signal.at(now), "unit": unit})
            for quantity, unit, signal in self._signals
        ]


class SparkplugNode(Device):
    """An edge node with one pump: births that name aliases and units, data by alias only, sequence numbers."""

    family = "sparkplug"
    period = 3.0
    _group = "Plant1"

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.node = f"Edge{number}"
        self.device = f"Pump{number}"
        self._flow = Daily(rng, 12.5, 2.0, 0.2, peak=11.0, digits=2, low=0.0)
        self._level = Daily(rng, 640.0, 180.0, 4.0, peak=5.0, digits=0)
        self._motor = Load(rng, 5500.0, hold=240.0)
        self._alarm = Flag(rng, busy=15.0, idle=900.0)
        self._births = 0
        self._sequence = 0

    def births(self, now: float) -> list[Publication]:
        self._sequence = -1
        node = self._payload(now)
        # As the last will was registered before the birth, both carry the same number (Sparkplug 3.0, section 6.4.19).
        number = node.metrics.add(name="bdSeq", datatype=4, timestamp=int(now * 1000))
        number.long_value = self._births % 256
        rebirth = node.metrics.add(name="Node Control/Rebirth", datatype=11, timestamp=int(now * 1000))
        rebirth.boolean_value = False
        device = self._payload(now)
        for alias, (name, datatype, unit) in enumerate(self._table(), start=1):
            metric = device.metrics.add(name=name, alias=alias, datatype=datatype, timestamp=int(now * 1000))
            self._set(metric, alias, now)
            if unit:
                metric.properties.keys.append("engUnit")
                metric.properties.values.add(type=12, string_value=unit)
        return [
            Publication(f"spBv1.0/{self._group}/NBIRTH/{self.node}", node.SerializeToString()),
            Publication(f"spBv1.0/{self._group}/DBIRTH/{self.node}/{self.device}", device.SerializeToString()),
        ]

    def sample(self, now: float) -> list[Publication]:
        payload = self._payload(now)
        for alias in range(1, 5):
            self._set(payload.metrics.add(alias=alias, timestamp=int(now * 1000)), alias, now)
        topic = f"spBv1.0/{self._group}/DDATA/{self.node}/{self.device}"
        return [Publication(topic, payload.SerializeToString())]

    def deaths(self, now: float) -> list[Publication]:
        from devices.sparkplug_schema import payload_class

        payload = payload_class()(timestamp=int(now * 1000))
        payload.metrics.add(name="bdSeq", datatype=4).long_value = self._births % 256
        self._births += 1
        return [Publication(f"spBv1.0/{self._group}/NDEATH/{self.node}", payload.SerializeToString(), qos=1)]

    @staticmethod
    def _table() -> tuple[tuple[str, int, str], ...]:
        return (
            ("Inputs/Flow", 10, "m³/h"),
            ("Inputs/Level", 3, "mm"),
            ("Motor/Power", 9, "W"),
            ("Alarm", 11, ""),
        )

    def _payload(self, now: float):  # type: ignore[no-untyped-def]  # built at run time
        from devices.sparkplug_schema import payload_class

        self._sequence = (self._sequence + 1) % 256
        return payload_class()(timestamp=int(now * 1000), seq=self._sequence)

    def _set(self, metric, alias: int, now: float) -> None:  # type: ignore[no-untyped-def]
        if alias == 1:
            metric.double_value = self._flow.at(now)
        elif alias == 2:
            metric.int_value = int(self._level.at(now)) & 0xFFFFFFFF
        elif alias == 3:
            metric.float_value = self._motor.at(now)
        else:
            metric.boolean_value = self._alarm.at(now)


class SenMl(Device):
    """A greenhouse node that sends one SenML pack (RFC 8428) per period."""

    family = "senml"
    period = 6.0

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self._name = f"urn:dev:mac:{self.mac().lower()}:"
        self._celsius = Daily(rng, 24.0, 6.0, 0.1, digits=2)
        self._humidity = Daily(rng, 72.0, 12.0, 0.4, peak=4.0, low=5.0, high=100.0)
        self._lux = Daily(rng, 9000.0, 14000.0, 300.0, peak=12.5, digits=0, low=0.0)

    def sample(self, now: float) -> list[Publication]:
        pack = [
            {"bn": self._name, "bt": round(now, 3), "n": "temperature", "u": "Cel", "v": self._celsius.at(now)},
            {"n": "humidity", "u": "%RH", "v": self._humidity.at(now)},
            {"n": "illuminance", "u": "lx", "v": self._lux.at(now)},
        ]
        return [document(f"greenhouse/{self.number}/senml", pack)]


class OwnTracks(Device):
    """A phone that walks about the town."""

    family = "owntracks"
    period = 10.0

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.topic = f"owntracks/demo/phone{number}"
        self._place = [52.516 + rng.uniform(-0.05, 0.05), 13.377 + rng.uniform(-0.05, 0.05)]
        self._battery = Battery(rng)

    def sample(self, now: float) -> list[Publication]:
        self._place = [degrees + self.rng.gauss(0, 0.0003) for degrees in self._place]
        body = {
            "_type": "location",
            "tid": f"p{self.number % 10}",
            "tst": int(now),
            "lat": round(self._place[0], 6),
            "lon": round(self._place[1], 6),
            "acc": self.rng.randrange(4, 30),
            "alt": 34,
            "vel": self.rng.randrange(0, 7),
            "batt": self._battery.at(now),
            "conn": "m",
            "t": "u",
        }
        return [document(self.topic, body, retain=True, qos=1)]

    def deaths(self, now: float) -> list[Publication]:
        return [document(self.topic, {"_type": "lwt", "tst": int(now)})]
