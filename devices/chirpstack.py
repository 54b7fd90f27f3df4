"""ChirpStack v4 and v3: `application/<id>/device/<devEui>/event/<event>` (chirpstack.io docs, "Event types")."""

import re
from collections.abc import Sequence

from devices.lorawan import decoded
from devices.numbers import is_number, load_json, load_object, timestamp
from devices.reading import DeviceState, Reading

_TOPIC = re.compile(
    r"(?:[^/]+/)?application/[^/]+/device/([^/]+)/(?:event/([^/]+)|command/.+|rx|status|join|ack|error)"
)
# The gateway bridge's own topics carry protobuf about gateways and frames.
_BRIDGE = re.compile(r"(?:[^/]+/)?gateway/[0-9a-fA-F]{16}/(?:event|state|command)/[^/]+")


class ChirpStack:
    """Decoder of device events; a device is its EUI. No state."""

    family = "chirpstack"

    def recognises(self, topic: str, payload: bytes) -> bool:
        return _TOPIC.fullmatch(topic) is not None or _BRIDGE.fullmatch(topic) is not None

    def claims(self, topic: str) -> bool:
        return False

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        return []

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """Readings of up, status and location events. Raises DecodeError for what is no JSON object."""
        place = _TOPIC.fullmatch(topic)
        if place is None or not payload:
            return []
        event = place[2] or {"rx": "up"}.get(topic.rsplit("/", 1)[1], "")
        if event not in ("up", "status", "location"):
            return []
        body = load_object(payload)
        device = _device(body, place[1])
        time = timestamp(body.get("time"), now)
        if event == "up":
            document = body.get("object")
            text = body.get("objectJSON")
            if document is None and isinstance(text, str) and text:
                document = load_json(text.encode())
            return decoded(device, document, time, now)
        return _status(device, body, time) if event == "status" else _location(device, body, time)


def _device(body: dict[str, object], from_topic: str) -> str:
    info = body.get("deviceInfo")
    eui = info.get("devEui") if isinstance(info, dict) else body.get("devEUI")
    # Protobuf's JSON writes bytes as base64: then the topic's EUI is the readable one.
    return eui if isinstance(eui, str) and re.fullmatch(r"[0-9a-fA-F]{16}", eui) else from_topic


def _status(device: str, body: dict[str, object], time: float | None) -> list[Reading]:
    """Battery and link margin of a LoRaWAN device status (DevStatusAns)."""
    readings = []
    level, external = body.get("batteryLevel"), body.get("externalPowerSource")
    # On external power the level is zero for "none", not for empty.
    if is_number(level) and not body.get("batteryLevelUnavailable") and not (external is True and level == 0):
        readings.append(Reading(device, None, "battery", level, "%", time))  # type: ignore[arg-type]
    if is_number(body.get("margin")):
        readings.append(Reading(device, None, "margin", body["margin"], "dB", time))  # type: ignore[arg-type]
    if isinstance(external, bool):
        readings.append(Reading(device, None, "external_power_source", external, None, time))
    return readings


def _location(device: str, body: dict[str, object], time: float | None) -> list[Reading]:
    """The device's position as the server resolved it."""
    place = body.get("location")
    if not isinstance(place, dict):
        return []
    return [
        Reading(device, None, what, place[what], unit, time)
        for what, unit in (("latitude", "°"), ("longitude", "°"), ("altitude", "m"))
        if is_number(place.get(what))
    ]
