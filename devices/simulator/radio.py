"""Simulated devices heard by radio: BLE (OpenMQTTGateway, Ruuvi), 433 MHz, LoRaWAN (The Things Stack, ChirpStack)."""

import random
import struct
from datetime import UTC, datetime

from devices.simulator.device import Device, Publication, document, text
from devices.simulator.signals import Battery, Counter, Daily, Flag


class Theengs(Device):
    """A BLE thermometer that OpenMQTTGateway hears and decodes."""

    family = "theengs"
    period = 5.0
    _gateway = "home/OpenMQTTGateway"

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.address = self.mac(":")
        self._celsius = Daily(rng, 5.0, 2.0, 0.05)
        self._humidity = Daily(rng, 70.0, 5.0, 0.3, peak=4.0, low=5.0, high=100.0)
        self._battery = Battery(rng)
        self._rssi = Daily(rng, -75.0, 0.0, 3.0, digits=0)

    @classmethod
    def common(cls, devices: list[Device]) -> list[Publication]:
        return [text(f"{cls._gateway}/LWT", "online", retain=True)]

    def sample(self, now: float) -> list[Publication]:
        celsius, battery = self._celsius.at(now), self._battery.at(now)
        body = {
            "id": self.address,
            "name": f"ATC_{self.address[-8:].replace(':', '')}",
            "rssi": int(self._rssi.at(now)),
            "brand": "Xiaomi",
            "model": "TH Sensor",
            "model_id": "LYWSD03MMC_ATC",
            "type": "THB",
            "tempc": celsius,
            "tempf": round(celsius * 1.8 + 32, 2),
            "hum": self._humidity.at(now),
            "batt": battery,
            "volt": round(2.2 + battery / 125, 3),
        }
        return [document(f"{self._gateway}/BTtoMQTT/{self.address.replace(':', '')}", body)]


class Ruuvi(Device):
    """A RuuviTag relayed by a Ruuvi Gateway: BLE advertisement with data format 5, in hex."""

    family = "ruuvi"
    period = 4.0
    _gateway = "02:5E:4D:FF:00:01"

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.address = self.mac(":")
        self._celsius = Daily(rng, 3.0, 1.0, 0.05, digits=2)
        self._humidity = Daily(rng, 62.0, 6.0, 0.3, peak=4.0, low=5.0, high=100.0)
        self._pascal = Daily(rng, 100900.0, 150.0, 6.0, peak=10.0, digits=0)
        self._moved = Counter(rng, 1.0, chance=0.02)
        self._sequence = rng.randrange(1000)

    @classmethod
    def common(cls, devices: list[Device]) -> list[Publication]:
        return [document(f"ruuvi/{cls._gateway}/gw_status", {"state": "online"}, retain=True)]

    def sample(self, now: float) -> list[Publication]:
        self._sequence = (self._sequence + 1) % 65535
        power = (2950 - 1600) << 5 | 22
        fields = (
            5,
            round(self._celsius.at(now) / 0.005),
            round(self._humidity.at(now) / 0.0025),
            round(self._pascal.at(now)) - 50000,
            round(self.rng.gauss(4, 3)),
            round(self.rng.gauss(-8, 3)),
            round(self.rng.gauss(1020, 3)),
            power,
            int(self._moved.at()) % 255,
            self._sequence,
        )
        frame = struct.pack(">BhHHhhhHBH", *fields) + bytes.fromhex(self.address.replace(":", ""))
        body = {
            "gw_mac": self._gateway,
            "rssi": round(self.rng.gauss(-66, 4)),
            "aoa": [],
            "gwts": str(int(now)),
            "ts": str(int(now)),
            "data": "0201061BFF9904" + frame.hex().upper(),
            "coords": "",
        }
        return [document(f"ruuvi/{self._gateway}/{self.address}", body)]


class Rtl433(Device):
    """A garden weather station heard at 433 MHz; as in the air, each message comes twice."""

    family = "rtl_433"
    period = 12.0

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self._id = rng.randrange(1, 4096)
        self._celsius = Daily(rng, 13.0, 6.5, 0.1)
        self._humidity = Daily(rng, 68.0, 15.0, 0.5, peak=4.0, digits=0, low=5.0, high=100.0)
        self._wind = Daily(rng, 3.0, 1.5, 0.4, peak=14.0, low=0.0)
        self._direction = Daily(rng, 220.0, 20.0, 8.0, digits=0, low=0.0, high=359.0)
        self._rain = Counter(rng, 0.3, chance=0.05, start=90.0)

    @classmethod
    def common(cls, devices: list[Device]) -> list[Publication]:
        return [text("rtl_433/shed/availability", "online", retain=True)]

    def sample(self, now: float) -> list[Publication]:
        wind = self._wind.at(now)
        body = {
            "time": datetime.fromtimestamp(int(now), UTC).isoformat(),
            "model": "Fineoffset-WH24",
            "id": self._id,
            "battery_ok": 1,
            "temperature_C": self._celsius.at(now),
            "humidity": int(self._humidity.at(now)),
            "wind_dir_deg": int(self._direction.at(now)),
            "wind_avg_m_s": wind,
            "wind_max_m_s": round(wind * self.rng.uniform(1.1, 1.8), 1),
            "rain_mm": self._rain.at(),
            "mic": "CRC",
        }
        message = document("rtl_433/shed/events", body)
        return [message, message]


class TheThingsStack(Device):
    """A soil sensor in a field; what it measures names its unit in the key."""

    family = "tts"
    period = 15.0

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self.name = f"soil-{number}"
        self._eui = f"70B3D57E{self.mac()[4:]}"
        self._celsius = Daily(rng, 11.0, 3.0, 0.05, digits=2)
        self._moisture = Daily(rng, 31.0, 2.0, 0.2, peak=6.0, digits=2, low=0.0, high=100.0)
        self._conductivity = Daily(rng, 240.0, 20.0, 3.0, digits=0, low=0.0)
        self._frames = 0

    def sample(self, now: float) -> list[Publication]:
        self._frames += 1
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        uplink = {
            "f_port": 2,
            "f_cnt": self._frames,
            "frm_payload": "DPY=",
            "decoded_payload": {
                "BatV": round(3.4 + self.rng.uniform(-0.01, 0.01), 3),
                "TempC_DS18B20": self._celsius.at(now),
                "water_SOIL": self._moisture.at(now),
                "conduct_SOIL": int(self._conductivity.at(now)),
            },
            "rx_metadata": [{"gateway_ids": {"gateway_id": "silo"}, "rssi": -97, "snr": 7.5}],
            "received_at": stamp,
        }
        body = {
            "end_device_ids": {
                "device_id": self.name,
                "application_ids": {"application_id": "demo-farm"},
                "dev_eui": self._eui,
            },
            "received_at": stamp,
            "uplink_message": uplink,
        }
        return [document(f"v3/demo-farm@ttn/devices/{self.name}/up", body)]


class ChirpStack(Device):
    """A parking or tank level sensor on a private LoRaWAN network."""

    family = "chirpstack"
    period = 15.0
    _application = "17c82e96-be03-4f38-aef3-f83d48582d97"

    def __init__(self, number: int, rng: random.Random) -> None:
        super().__init__(number, rng)
        self._eui = f"a840411b{self.mac()[4:].lower()}"
        self._distance = Daily(rng, 142.0, 25.0, 0.6, peak=22.0, digits=0, low=20.0)
        self._celsius = Daily(rng, 12.0, 5.0, 0.1, digits=1)
        self._tamper = Flag(rng, busy=20.0, idle=3600.0)
        self._frames = 0

    def sample(self, now: float) -> list[Publication]:
        self._frames += 1
        body = {
            "deduplicationId": f"{self.number:08x}-0000-4000-8000-{self._frames:012x}",
            "time": datetime.fromtimestamp(now, UTC).isoformat(),
            "deviceInfo": {
                "tenantName": "ChirpStack",
                "applicationId": self._application,
                "applicationName": "Tanks",
                "deviceName": f"tank-{self.number}",
                "devEui": self._eui,
            },
            "fCnt": self._frames,
            "fPort": 2,
            "object": {
                "distance_cm": self._distance.at(now),
                "temperature": self._celsius.at(now),
                "tamper": self._tamper.at(now),
            },
            "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -88, "snr": 9.2}],
        }
        return [document(f"application/{self._application}/device/{self._eui}/event/up", body)]
