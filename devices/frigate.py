"""Frigate NVR: `<prefix>/<camera or zone>/<object>` holds how many of an object are seen (docs.frigate.video, MQTT).

Events, statistics, settings and pictures share the prefix and are no measurements.
"""

from collections.abc import Sequence

from devices.numbers import availability, number
from devices.reading import DecodeError, DeviceState, Reading

_ASIDE = frozenset(
    ("events", "stats", "reviews", "restart", "notifications", "camera_activity", "tracked_object_update", "onConnect")
)
_MAX_COUNT = 100_000


class Frigate:
    """Decoder of Frigate's counts. No state."""

    family = "frigate"

    def recognises(self, topic: str, payload: bytes) -> bool:
        return topic.startswith("frigate/")

    def claims(self, topic: str) -> bool:
        return topic == "frigate/available"

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        """Frigate's own availability. Raises DecodeError for an unknown word."""
        if not payload:
            return []
        online = availability(payload)
        if online is None:
            raise DecodeError("frigate/available is online or offline")
        return [DeviceState("frigate", online)]

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """A camera's or zone's count, or its motion. Raises DecodeError for a count that is no whole number."""
        levels = topic.split("/")
        if not payload or len(levels) < 3 or levels[1] in _ASIDE or levels[-1] in _ASIDE:
            return []
        device = "/".join(levels[:2])
        if levels[2:] == ["motion"]:
            moving = {b"ON": True, b"OFF": False}.get(payload)
            if moving is None:
                raise DecodeError("motion is ON or OFF")
            return [Reading(device, None, "motion", moving, None, None)]
        # <object>, <object>/active; everything else of three or more levels is a setting, a picture or a command.
        if len(levels) > 4 or (len(levels) == 4 and levels[3] != "active"):
            return []
        if payload[:1].isalpha() or payload[:1] == b"{":
            return []
        count = number(payload.decode("utf-8", "replace"))
        if not isinstance(count, int) or not 0 <= count <= _MAX_COUNT:
            raise DecodeError("an object's count is a whole number")
        what = levels[2] if len(levels) == 3 else f"{levels[2]}_active"
        return [Reading(device, None, what, count, None, None)]
