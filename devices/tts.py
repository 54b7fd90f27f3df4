"""The Things Stack v3: `v3/<app>[@tenant]/devices/<device>/up` (thethingsindustries.com/docs, "Data Formats")."""

import re
from collections.abc import Iterator, Sequence

from devices.lorawan import decoded
from devices.numbers import is_number, load_object, timestamp
from devices.reading import DeviceState, Reading

MAX_ID = 64  # characters; the stack itself allows 36
_TOPIC = re.compile(r"v3/[^/]+/(?:devices|as|gateways)/.+")
_UPLINK = re.compile(r"v3/[^/]+/devices/([^/]+)/up")

# The normalized payload's schema fixes its units.
_NORMALIZED: dict[tuple[str, str], tuple[str, str | None]] = {
    ("air", "temperature"): ("temperature", "°C"),
    ("air", "relativeHumidity"): ("humidity", "%"),
    ("air", "pressure"): ("pressure", "hPa"),
    ("air", "co2"): ("carbon_dioxide", "ppm"),
    ("air", "lightIntensity"): ("illuminance", "lx"),
    ("wind", "speed"): ("wind_speed", "m/s"),
    ("wind", "direction"): ("wind_direction", "°"),
    ("rain", "intensity"): ("precipitation_intensity", "mm/h"),
    ("rain", "cumulative"): ("precipitation", "mm"),
    ("soil", "temperature"): ("temperature", "°C"),
    ("soil", "moisture"): ("moisture", "%"),
    ("soil", "ec"): ("conductivity", "dS/m"),
    ("soil", "pH"): ("ph", None),
    ("water", "leak"): ("water_leak", None),
    ("water", "temperature"): ("temperature", "°C"),
    ("action", "contactState"): ("contact_state", None),
}


class TheThingsStack:
    """Decoder of uplinks; joins, downlinks and service messages have no readings. No state."""

    family = "tts"

    def recognises(self, topic: str, payload: bytes) -> bool:
        return _TOPIC.fullmatch(topic) is not None

    def claims(self, topic: str) -> bool:
        return False

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        return []

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """One uplink's readings, once, however many gateways heard it. Raises DecodeError for what is no JSON."""
        place = _UPLINK.fullmatch(topic)
        if place is None or not payload:
            return []
        body = load_object(payload)
        uplink = body.get("uplink_message")
        if not isinstance(uplink, dict):
            return []
        identifiers = body.get("end_device_ids")
        identifier = identifiers.get("device_id") if isinstance(identifiers, dict) else None
        device = identifier if isinstance(identifier, str) and 0 < len(identifier) <= MAX_ID else place[1]
        time = timestamp(body.get("received_at"), now)
        normalized = list(_normalized(device, uplink.get("normalized_payload"), time, now))
        readings = decoded(device, uplink.get("decoded_payload"), time, now)
        if readings:
            # The same values twice: the decoded names stay, the normalized payload lends them its units.
            units = {(reading.quantity, reading.value): reading.unit for reading in normalized}
            readings = [
                reading._replace(unit=units.get((reading.quantity, reading.value))) if reading.unit is None else reading
                for reading in readings
            ]
        else:
            readings = normalized
        return readings + _battery(device, uplink.get("last_battery_percentage"), now)


def _normalized(device: str, document: object, time: float | None, now: float) -> Iterator[Reading]:
    for record in document if isinstance(document, list) else [document]:
        if not isinstance(record, dict):
            continue
        at = timestamp(record.get("time"), now) or time
        volts = record.get("battery")
        if is_number(volts):
            yield Reading(device, "battery", "voltage", volts, "V", at)  # type: ignore[arg-type]
        for (group, key), (what, unit) in _NORMALIZED.items():
            held = record.get(group)
            value = held.get(key) if isinstance(held, dict) else None
            if is_number(value) or isinstance(value, bool):
                yield Reading(device, group, what, value, unit, at)  # type: ignore[arg-type]


def _battery(device: str, status: object, now: float) -> list[Reading]:
    """The last LoRaWAN device status, which may be older than the uplink and says when it came."""
    if not isinstance(status, dict):
        return []
    value, time = status.get("value"), timestamp(status.get("received_at"), now)
    if not is_number(value) or time is None:
        return []
    return [Reading(device, "last_battery_percentage", "battery", value, "%", time)]  # type: ignore[arg-type]
