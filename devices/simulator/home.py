"""Simulated devices of the home: Tasmota, Zigbee2MQTT, Shelly (both generations), ESPHome, Homie."""

import random
from datetime import UTC, datetime
from typing import Any

from devices.simulator.device import Device, Publication, document, text
from devices.simulator.signals import Battery, Daily, Flag, Load

ROOMS = ("kitchen", "livingroom", "bedroom", "office", "cellar", "garage", "bathroom", "attic")


class Tasmota(Device):
    """A plug with energy metering and a wired AM2301, full topic %prefix%/%topic%/."""

    family = "tasmota"
    period = 4.0

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.topic = f"tasmota_{self.mac()[-6:]}"
        self._load = Load(rng, rng.choice((60.0, 180.0, 900.0, 1800.0)))
        self._volts = Daily(rng, 231.0, 2.0, 0.4, peak=3.0, digits=0)
        self._celsius = Daily(rng, 21.0, 2.5, 0.05)
        self._humidity = Daily(rng, 48.0, 6.0, 0.2, peak=4.0, low=5.0, high=100.0)

    def births(self, now: float) -> list[Publication]:
        return [text(f"tele/{self.topic}/LWT", "Online", retain=True)]

    def sample(self, now: float) -> list[Publication]:
        watts, volts = self._load.at(now), self._volts.at(now)
        # Tasmota writes its local time without a zone.
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        body = {
            "Time": stamp,
            "AM2301": {"Temperature": self._celsius.at(now), "Humidity": self._humidity.at(now)},
            "ENERGY": {
                "Total": round(self._load.energy_wh / 1000.0, 3),
                "Power": round(watts),
                "Voltage": round(volts),
                "Current": round(watts / volts, 3),
                "Factor": 0.97 if watts else 0.0,
            },
            "TempUnit": "C",
        }
        state = {"Time": stamp, "POWER": "ON" if self._load.on else "OFF", "Wifi": {"RSSI": 74, "Signal": -63}}
        return [document(f"tele/{self.topic}/SENSOR", body), document(f"tele/{self.topic}/STATE", state)]

    def deaths(self, now: float) -> list[Publication]:
        return [text(f"tele/{self.topic}/LWT", "Offline", retain=True)]


class Zigbee2Mqtt(Device):
    """A climate sensor or a door contact behind one bridge that describes all of them."""

    family = "zigbee2mqtt"
    period = 6.0

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self._door = number % 2 == 1
        room = ROOMS[number % len(ROOMS)]
        # Real ones like to have spaces; NATS, the demo's broker, takes no topic with one.
        self.name = f"{room}_{'door' if self._door else 'climate'}" + (f"_{number}" if number >= len(ROOMS) else "")
        self.address = f"0x00{self.mac().lower()}{number & 0xFF:02x}"
        self._celsius = Daily(rng, 20.5, 2.0, 0.05, digits=2)
        self._humidity = Daily(rng, 50.0, 7.0, 0.3, peak=4.0, digits=2, low=5.0, high=100.0)
        self._pressure = Daily(rng, 1013.0, 1.5, 0.1, peak=10.0)
        self._contact = Flag(rng)
        self._battery = Battery(rng)
        self._link = Daily(rng, 120.0, 0.0, 8.0, digits=0, low=0.0, high=255.0)

    @classmethod
    def common(cls, devices: list[Device]) -> list[Publication]:
        described = [device.described() for device in devices if isinstance(device, Zigbee2Mqtt)]
        return [
            document("zigbee2mqtt/bridge/state", {"state": "online"}, retain=True),
            document("zigbee2mqtt/bridge/devices", described, retain=True),
        ]

    def described(self) -> dict[str, Any]:
        """The device's entry of bridge/devices."""

        def numeric(name: str, unit: str) -> dict[str, Any]:
            return {"type": "numeric", "name": name, "property": name, "access": 1, "unit": unit, "label": name}

        exposes = [numeric("battery", "%"), numeric("linkquality", "lqi")]
        if self._door:
            binary = {"type": "binary", "name": "contact", "property": "contact", "access": 1}
            exposes.append(binary | {"value_on": False, "value_off": True, "label": "Contact"})
        else:
            exposes += [numeric("temperature", "°C"), numeric("humidity", "%"), numeric("pressure", "hPa")]
        model = ("MCCGQ11LM", "Door and window sensor") if self._door else ("WSDCGQ11LM", "Climate sensor")
        definition = {"model": model[0], "vendor": "Aqara", "description": model[1], "exposes": exposes}
        return {
            "ieee_address": self.address,
            "friendly_name": self.name,
            "type": "EndDevice",
            "power_source": "Battery",
            "supported": True,
            "definition": definition,
        }

    def births(self, now: float) -> list[Publication]:
        return [document(f"zigbee2mqtt/{self.name}/availability", {"state": "online"}, retain=True)]

    def sample(self, now: float) -> list[Publication]:
        body: dict[str, Any] = {"battery": self._battery.at(now), "linkquality": int(self._link.at(now))}
        if self._door:
            body["contact"] = not self._contact.at(now)
        else:
            body["temperature"] = self._celsius.at(now)
            body["humidity"] = self._humidity.at(now)
            body["pressure"] = self._pressure.at(now)
        return [document(f"zigbee2mqtt/{self.name}", body)]

    def deaths(self, now: float) -> list[Publication]:
        return [document(f"zigbee2mqtt/{self.name}/availability", {"state": "offline"}, retain=True)]


class ShellyGen1(Device):
    """A metering plug with a topic for each value; energy in watt-minutes."""

    family = "shelly_gen1"
    period = 5.0

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.topic = f"shellies/shellyplug-s-{self.mac()[-6:]}"
        self._load = Load(rng, rng.choice((40.0, 250.0, 1200.0)))
        self._celsius = Daily(rng, 34.0, 3.0, 0.2, digits=2)

    def births(self, now: float) -> list[Publication]:
        return [text(f"{self.topic}/online", "true", retain=True)]

    def sample(self, now: float) -> list[Publication]:
        watts = self._load.at(now)
        return [
            text(f"{self.topic}/relay/0", "on" if self._load.on else "off"),
            text(f"{self.topic}/relay/0/power", f"{watts:.2f}"),
            text(f"{self.topic}/relay/0/energy", round(self._load.energy_wh * 60.0)),
            text(f"{self.topic}/temperature", f"{self._celsius.at(now):.2f}"),
        ]

    def deaths(self, now: float) -> list[Publication]:
        return [text(f"{self.topic}/online", "false", retain=True)]


class ShellyGen2(Device):
    """A switch with metering that reports by JSON-RPC notification."""

    family = "shelly_gen2"
    period = 5.0

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.prefix = f"shellyplus1pm-{self.mac().lower()}"
        self._load = Load(rng, rng.choice((15.0, 100.0, 2000.0)))
        self._volts = Daily(rng, 230.0, 2.0, 0.5, peak=3.0)
        self._celsius = Daily(rng, 41.0, 3.0, 0.2)

    def births(self, now: float) -> list[Publication]:
        return [text(f"{self.prefix}/online", "true", retain=True)]

    def sample(self, now: float) -> list[Publication]:
        watts, volts = self._load.at(now), self._volts.at(now)
        switch = {
            "id": 0,
            "output": self._load.on,
            "apower": watts,
            "voltage": volts,
            "current": round(watts / volts, 3),
            "aenergy": {"total": round(self._load.energy_wh, 3), "minute_ts": int(now // 60 * 60)},
            "temperature": {"tC": (celsius := self._celsius.at(now)), "tF": round(celsius * 1.8 + 32, 1)},
        }
        body = {
            "src": self.prefix,
            "dst": f"{self.prefix}/events",
            "method": "NotifyStatus",
            "params": {"ts": round(now, 2), "switch:0": switch},
        }
        return [document(f"{self.prefix}/events/rpc", body)]

    def deaths(self, now: float) -> list[Publication]:
        return [text(f"{self.prefix}/online", "false", retain=True)]


class EspHome(Device):
    """A node whose plain values get unit and class from Home Assistant discovery."""

    family = "esphome"
    period = 4.0
    _sensors = (
        ("temperature", "temperature", "°C"),
        ("humidity", "humidity", "%"),
        ("co2", "carbon_dioxide", "ppm"),
        ("pm_2_5", "pm25", "µg/m³"),
    )

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.node = f"esp-{ROOMS[number % len(ROOMS)]}-{number}"
        self._signals = (
            Daily(rng, 22.0, 2.0, 0.05, digits=2),
            Daily(rng, 45.0, 5.0, 0.2, peak=4.0, low=5.0, high=100.0),
            Daily(rng, 750.0, 220.0, 15.0, peak=20.0, digits=0, low=400.0),
            Daily(rng, 8.0, 4.0, 0.6, peak=19.0, digits=1, low=0.0),
        )
        self._motion = Flag(rng)

    def births(self, now: float) -> list[Publication]:
        described = {"identifiers": self.mac().lower(), "name": self.node, "manufacturer": "Espressif"}
        configs = [
            document(
                f"homeassistant/sensor/{self.node}/{name}/config",
                {
                    "name": name.replace("_", " "),
                    "dev_cla": device_class,
                    "unit_of_meas": unit,
                    "stat_cla": "measurement",
                    "stat_t": f"{self.node}/sensor/{name}/state",
                    "avty_t": f"{self.node}/status",
                    "uniq_id": f"{self.node}-{name}",
                    "dev": described,
                },
                retain=True,
            )
            for name, device_class, unit in self._sensors
        ]
        motion = {
            "name": "motion",
            "dev_cla": "motion",
            "stat_t": f"{self.node}/binary_sensor/motion/state",
            "avty_t": f"{self.node}/status",
            "uniq_id": f"{self.node}-motion",
            "dev": described,
        }
        configs.append(document(f"homeassistant/binary_sensor/{self.node}/motion/config", motion, retain=True))
        return [*configs, text(f"{self.node}/status", "online", retain=True)]

    def sample(self, now: float) -> list[Publication]:
        values = [
            text(f"{self.node}/sensor/{name}/state", signal.at(now), retain=True)
            for (name, _, _), signal in zip(self._sensors, self._signals, strict=True)
        ]
        motion = "ON" if self._motion.at(now) else "OFF"
        return [*values, text(f"{self.node}/binary_sensor/motion/state", motion, retain=True)]

    def deaths(self, now: float) -> list[Publication]:
        return [text(f"{self.node}/status", "offline", retain=True)]


class Homie(Device):
    """A Homie 4 weather station: attributes and values retained, one topic each."""

    family = "homie"
    period = 6.0
    _properties = (("temperature", "Temperature", "°C"), ("humidity", "Humidity", "%"), ("wind-speed", "Wind", "km/h"))

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.base = f"homie/station-{number}"
        self._signals = (
            Daily(rng, 14.0, 6.0, 0.1, digits=1),
            Daily(rng, 65.0, 15.0, 0.4, peak=4.0, low=5.0, high=100.0),
            Daily(rng, 12.0, 6.0, 1.5, peak=14.0, low=0.0),
        )

    def births(self, now: float) -> list[Publication]:
        attributes = {
            "$homie": "4.0.0",
            "$state": "init",
            "$name": f"Station {self.number}",
            "$nodes": "weather",
            "$extensions": "",
            "weather/$name": "Weather",
            "weather/$type": "station",
            "weather/$properties": ",".join(name for name, _, _ in self._properties),
        }
        for name, label, unit in self._properties:
            attributes |= {f"weather/{name}/$name": label, f"weather/{name}/$datatype": "float"}
            attributes[f"weather/{name}/$unit"] = unit
        messages = [text(f"{self.base}/{key}", value, retain=True, qos=1) for key, value in attributes.items()]
        return [*messages, text(f"{self.base}/$state", "ready", retain=True, qos=1)]

    def sample(self, now: float) -> list[Publication]:
        return [
            text(f"{self.base}/weather/{name}", signal.at(now), retain=True, qos=1)
            for (name, _, _), signal in zip(self._properties, self._signals, strict=True)
        ]

    def deaths(self, now: float) -> list[Publication]:
        return [text(f"{self.base}/$state", "lost", retain=True, qos=1)]
