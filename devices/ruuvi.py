"""RuuviTag and Ruuvi Air, relayed by a Ruuvi Gateway: `<prefix>/<gateway MAC>/<tag MAC>` with the advertisement in hex.

Source: docs.ruuvi.com, data formats 3 (RAWv1), 5 (RAWv2), 6 and E1; "Time-stamped data from Bluetooth-sensors". Not
available is the smallest number of a signed field and the largest of an unsigned one; format 3 has no such code.
"""

import math
import re
import struct
from collections.abc import Callable, Sequence

from devices.numbers import availability, is_number, load_object, timestamp
from devices.reading import DecodeError, DeviceState, Reading

_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{12}", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*", re.ASCII)
_MANUFACTURER = 0xFF  # AD type "manufacturer specific data" (Bluetooth Core Specification Supplement, part A, 1.4)
_COMPANY = b"\x99\x04"  # Ruuvi Innovations, little endian
_MAX_HEX = 2 * 255  # an extended advertisement
_LUX_STEP = math.log(65536) / 254

Field = tuple[str | None, str, int | float, str | None]  # channel, quantity, value, unit
Fields = list[Field]

# Keys that the gateway adds when it decodes by itself; the frame in `data` says the same and is preferred.
_DECODED: dict[str, tuple[str | None, str, str | None]] = {
    "temperature": (None, "temperature", "°C"),
    "humidity": (None, "humidity", "%"),
    "pressure": (None, "pressure", "Pa"),
    "accelX": ("x", "acceleration", "[g]"),
    "accelY": ("y", "acceleration", "[g]"),
    "accelZ": ("z", "acceleration", "[g]"),
    "movementCounter": (None, "movement_counter", None),
    "voltage": (None, "voltage", "V"),
    "txPower": (None, "tx_power", "dBm"),
    "measurementSequenceNumber": (None, "measurement_sequence", None),
}


class Ruuvi:
    """Decoder of a Ruuvi Gateway's messages. No state."""

    family = "ruuvi"

    def recognises(self, topic: str, payload: bytes) -> bool:
        """A gateway's and a tag's MAC as last levels, with a body that names the gateway; or gw_status behind one."""
        *_, gateway, last = ("", "", *topic.split("/"))
        if last == "gw_status":
            return _MAC.fullmatch(gateway) is not None
        return _MAC.fullmatch(last) is not None and b'"gw_mac"' in payload[:512]

    def claims(self, topic: str) -> bool:
        return topic.endswith("/gw_status")

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        """The gateway's own availability, its MAC being the device. Raises DecodeError for an unknown state."""
        if not payload:
            return []
        online = availability(payload)
        if online is None:
            raise DecodeError('a gateway\'s status needs "state": "online" or "offline"')
        return [DeviceState(topic.split("/")[-2], online)]

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """One advertisement's readings. Raises DecodeError for hex or a frame that is cut or broken."""
        if not payload or topic.endswith("/gw_status"):
            return []
        body = load_object(payload)
        device = topic.rsplit("/", 1)[-1]
        time = timestamp(body.get("ts"), now)
        data = body.get("data")
        if data is None:
            fields = _decoded(body)
        elif isinstance(data, str) and len(data) <= _MAX_HEX and _HEX.fullmatch(data):
            frame = _ruuvi_frame(bytes.fromhex(data))
            fields = [] if frame is None else parse(frame)
        else:
            raise DecodeError("data is not the hex of an advertisement")
        rssi = body.get("rssi")
        if is_number(rssi):
            fields.append((None, "signal_strength", rssi, "dBm"))  # type: ignore[arg-type]
        return [Reading(device, channel, what, value, unit, time) for channel, what, value, unit in fields]


def parse(frame: bytes) -> Fields:
    """The fields of a Ruuvi frame (behind the company id) that are available; an unknown format has none.

    Raises DecodeError for a frame that is shorter than its format.
    """
    length, reader = _FORMATS.get(frame[0] if frame else -1, (0, None))
    if reader is None:
        return []
    if len(frame) < length:
        raise DecodeError(f"a frame of format {frame[0]:X} has {length} bytes, not {len(frame)}")
    return reader(frame)


def _ruuvi_frame(advertisement: bytes) -> bytes | None:
    """The manufacturer data of Ruuvi within the AD structures; None if another company's beacon was relayed."""
    at = 0
    while at < len(advertisement) and advertisement[at]:
        length = advertisement[at]
        structure = advertisement[at + 1 : at + 1 + length]
        if len(structure) < length:
            raise DecodeError("an advertisement is shorter than its length byte says")
        if structure[0] == _MANUFACTURER and structure[1:3] == _COMPANY:
            return structure[3:]
        at += 1 + length
    return None


def _decoded(body: dict[str, object]) -> Fields:
    fields: Fields = []
    for key, (channel, what, unit) in _DECODED.items():
        value = body.get(key)
        if is_number(value):
            fields.append((channel, what, value, unit))  # type: ignore[arg-type]
    return fields


def _scaled(
    fields: Fields, raw: int, missing: int, what: str, unit: str | None, divisor: int = 1, offset: int = 0
) -> None:
    """Division by an integer rounds once: 5000 · 0.005 would drag binary fractions along."""
    if raw != missing:
        number = raw + offset
        fields.append((None, what, number if divisor == 1 else number / divisor, unit))


def _accelerations(fields: Fields, milli_g: Sequence[int]) -> None:
    for axis, raw in zip("xyz", milli_g, strict=True):
        if raw != -0x8000:
            fields.append((axis, "acceleration", raw / 1000, "[g]"))


def _format_3(frame: bytes) -> Fields:
    humidity, whole, hundredths, pressure, x, y, z, millivolts = struct.unpack_from(">BBBHhhhH", frame, 1)
    if hundredths > 99:
        raise DecodeError(f"{hundredths} hundredths of a degree in format 3")
    celsius = ((whole & 0x7F) * 100 + hundredths) / 100
    fields: Fields = [
        (None, "temperature", -celsius if whole & 0x80 else celsius, "°C"),
        (None, "humidity", humidity / 2, "%"),
        (None, "pressure", pressure + 50000, "Pa"),
    ]
    _accelerations(fields, (x, y, z))
    fields.append((None, "voltage", millivolts / 1000, "V"))
    return fields


def _climate(fields: Fields, frame: bytes) -> None:
    """The fields that formats 5, 6 and E1 share."""
    celsius, humidity, pressure = struct.unpack_from(">hHH", frame, 1)
    _scaled(fields, celsius, -0x8000, "temperature", "°C", 200)
    _scaled(fields, humidity, 0xFFFF, "humidity", "%", 400)
    _scaled(fields, pressure, 0xFFFF, "pressure", "Pa", offset=50000)


def _format_5(frame: bytes) -> Fields:
    fields: Fields = []
    _climate(fields, frame)
    x, y, z, power, movement, sequence = struct.unpack_from(">hhhHBH", frame, 7)
    _accelerations(fields, (x, y, z))
    _scaled(fields, power >> 5, 0x7FF, "voltage", "V", 1000, 1600)
    if power & 0x1F != 0x1F:
        fields.append((None, "tx_power", (power & 0x1F) * 2 - 40, "dBm"))
    _scaled(fields, movement, 0xFF, "movement_counter", None)
    _scaled(fields, sequence, 0xFFFF, "measurement_sequence", None)
    return fields


def _gases(fields: Fields, voc: int, nox: int, flags: int) -> None:
    """Nine bits each: the least significant one is in the flags."""
    _scaled(fields, voc << 1 | flags >> 6 & 1, 0x1FF, "voc_index", None)
    _scaled(fields, nox << 1 | flags >> 7, 0x1FF, "nox_index", None)


def _format_6(frame: bytes) -> Fields:
    fields: Fields = []
    _climate(fields, frame)
    dust, co2, voc, nox, light, sequence, flags = struct.unpack_from(">HHBBBxBB", frame, 7)
    _scaled(fields, dust, 0xFFFF, "pm25", "µg/m³", 10)
    _scaled(fields, co2, 0xFFFF, "carbon_dioxide", "ppm")
    _gases(fields, voc, nox, flags)
    if light != 0xFF:
        fields.append((None, "illuminance", round(math.exp(light * _LUX_STEP) - 1, 2), "lx"))
    fields.append((None, "measurement_sequence", sequence, None))
    return fields


def _format_e1(frame: bytes) -> Fields:
    fields: Fields = []
    _climate(fields, frame)
    *dust, co2, voc, nox = struct.unpack_from(">HHHHHBB", frame, 7)
    for what, raw in zip(("pm1", "pm25", "pm4", "pm10"), dust, strict=True):
        _scaled(fields, raw, 0xFFFF, what, "µg/m³", 10)
    _scaled(fields, co2, 0xFFFF, "carbon_dioxide", "ppm")
    _gases(fields, voc, nox, frame[28])
    _scaled(fields, int.from_bytes(frame[19:22], "big"), 0xFFFFFF, "illuminance", "lx", 100)
    _scaled(fields, int.from_bytes(frame[25:28], "big"), 0xFFFFFF, "measurement_sequence", None)
    return fields


_FORMATS: dict[int, tuple[int, Callable[[bytes], Fields] | None]] = {
    # first byte: (length in bytes, reader); 6 and E1 may come without the MAC at their end, which is not needed
    3: (14, _format_3),
    5: (18, _format_5),
    6: (17, _format_6),
    0xE1: (29, _format_e1),
}
