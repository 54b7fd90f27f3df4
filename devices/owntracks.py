"""OwnTracks: `owntracks/<user>/<device>` with JSON told apart by `_type` (owntracks.org/booklet/tech/json)."""

import re
from collections.abc import Sequence

from devices.numbers import epoch, is_number, load_object
from devices.reading import DecodeError, DeviceState, Reading

# element of a location: (quantity, unit)
_LOCATION: dict[str, tuple[str, str | None]] = {
    "lat": ("latitude", "°"),
    "lon": ("longitude", "°"),
    "alt": ("altitude", "m"),
    "acc": ("accuracy", "m"),
    "vac": ("vertical_accuracy", "m"),
    "batt": ("battery", "%"),
    "vel": ("speed", "km/h"),
    "cog": ("course", "°"),
    "p": ("pressure", "kPa"),
    "dist": ("distance", "m"),
    "trip": ("trip", "m"),
    "odometer": ("odometer", "km"),
    "ubatt": ("voltage", "V"),
    "uext": ("external_voltage", "V"),
    "aiv": ("input_voltage", "V"),
    "rpm": ("rotation", "rpm"),
    "flvl": ("fuel_level", "%"),
}
_TRUTHS = ("ign", "motion", "tow")
_NOT_KNOWN = {"batt": -1, "vel": -1, "cog": -1, "vac": -1, "steps": -1}
_RANGES = {"lat": 90.0, "lon": 180.0}
_BY_TYPE = re.compile(rb'"_type"\s*:\s*"(?:location|steps|transition|waypoints?|lwt|card|encrypted)"')
_SUFFIXES = frozenset(("event", "cmd", "info", "step", "beacon", "dump", "waypoint", "waypoints", "status", "request"))


class OwnTracks:
    """Decoder of phones and trackers; a device is user/device. No state."""

    family = "owntracks"

    def recognises(self, topic: str, payload: bytes) -> bool:
        return topic.startswith("owntracks/") or _BY_TYPE.search(payload, 0, 80) is not None

    def claims(self, topic: str) -> bool:
        return topic.startswith("owntracks/") and topic.count("/") == 2

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        """A last will takes the device offline, a location brings it back. Raises DecodeError for what is no JSON."""
        if not payload:
            return []
        kind = load_object(payload).get("_type")
        if kind == "lwt":
            return [DeviceState(_device(topic), False)]
        # A retained location says where the device was, not that it is there now.
        return [DeviceState(_device(topic), True)] if kind == "location" and not retained else []

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """Readings of a location or a step count; all other types are none. Raises DecodeError for what is no JSON."""
        if not payload:
            return []
        body = load_object(payload)
        kind = body.get("_type")
        if kind not in ("location", "steps"):
            return []
        tst = body.get("tst")
        time = epoch(tst, now) if is_number(tst) else None  # type: ignore[arg-type]
        device = _device(topic)
        if kind == "steps":
            return [Reading(device, None, "steps", body["steps"], None, time)] if _known(body, "steps") else []  # type: ignore[arg-type]
        for key, limit in _RANGES.items():
            value = body.get(key)
            if not is_number(value) or abs(value) > limit:  # type: ignore[arg-type]
                raise DecodeError(f"a location needs {key} within ±{limit:.0f}°")
        readings = [
            Reading(device, None, what, body[key], unit, time)  # type: ignore[arg-type]
            for key, (what, unit) in _LOCATION.items()
            if _known(body, key)
        ]
        for key in _TRUTHS:
            flag = body.get(key)
            if isinstance(flag, bool):
                readings.append(Reading(device, None, key, flag, None, time))
        return readings


def _device(topic: str) -> str:
    levels = topic.split("/")
    if len(levels) > 3 and levels[-1] in _SUFFIXES:
        levels.pop()
    return "/".join(levels[-2:])


def _known(body: dict[str, object], key: str) -> bool:
    value = body.get(key)
    return is_number(value) and value != _NOT_KNOWN.get(key)
