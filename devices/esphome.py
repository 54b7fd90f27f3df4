"""ESPHome: `<topic_prefix>/<component>/<object_id>/state`, plain text.

Source: esphome.io "MQTT client component". Neither unit nor class is on the wire; Home Assistant's discovery, where it
was heard, adds them (see the registry).
"""

from collections.abc import Sequence

from devices import numbers, quantities
from devices.reading import DecodeError, DeviceState, Reading

_COMPONENTS = frozenset({
    "sensor", "binary_sensor", "text_sensor", "switch", "number", "light", "fan", "cover", "select", "climate", "lock",
    "button", "event", "valve", "update", "text", "date", "time", "datetime", "alarm_control_panel",
})  # fmt: skip


class EspHome:
    """Decodes sensors, binary sensors, switches and lights; keeps no state."""

    family = "esphome"

    def recognises(self, topic: str, payload: bytes) -> bool:
        if topic.endswith("/debug"):
            return payload[:2] == b"\x1b["  # the log, coloured
        levels = topic.rsplit("/", 3)
        if len(levels) < 4 or levels[3] not in ("state", "command") or levels[1] not in _COMPONENTS:
            return False
        # Others keep states below the discovery prefix, and JSON in them; ESPHome sends JSON for lights and the like.
        if levels[0].startswith("homeassistant"):
            return False
        return payload[:1] != b"{" or levels[1] not in ("sensor", "binary_sensor")

    def claims(self, topic: str) -> bool:
        return topic.endswith("/status") and not topic.startswith("shellies/")

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        online = {b"online": True, b"offline": False}.get(payload)
        return () if online is None else (DeviceState(topic.removesuffix("/status"), online),)

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        levels = topic.rsplit("/", 3)
        if len(levels) < 4 or levels[3] != "state" or not payload:
            return []
        device, component, name, _ = levels
        if component == "light":
            on = numbers.truth(numbers.load_object(payload).get("state"))
            return [] if on is None else [Reading(device, name, "switch", on, None, None)]
        try:
            text = payload.decode() if len(payload) <= numbers.MAX_TEXT else None
        except UnicodeDecodeError:
            text = None
        if text is None:
            raise DecodeError("a plain value of at most 256 bytes was expected")
        if component == "sensor":
            value = numbers.number(text)
            # Text sensors publish below sensor/ as well: text is no error.
            return [] if value is None else [Reading(device, None, quantities.quantity(name), value, None, None)]
        if component in ("binary_sensor", "switch"):
            on = {"ON": True, "OFF": False}.get(text.strip())
            if on is None:
                return []
            if component == "switch":
                return [Reading(device, name, "switch", on, None, None)]
            return [Reading(device, None, quantities.quantity(name), on, None, None)]
        return []
