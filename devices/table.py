"""The devices heard of, for people: names, areas, availability, and the last value of every quantity."""

from collections.abc import Iterator
from typing import Any

from devices.bounded import MAX_KEY, Bounded
from devices.reading import Reading, Value

MAX_DEVICES = 5000
MAX_VALUES = 256  # quantities of one device, over all channels


class _Device:
    __slots__ = ("area", "family", "name", "online", "since", "values")

    def __init__(self) -> None:
        self.name: str | None = None
        self.area: str | None = None
        self.family: str | None = None
        self.online: bool | None = None
        self.since: float | None = None
        # (channel, quantity) → (value, unit, time, received, topic, flag)
        self.values: Bounded[tuple[str | None, str], tuple[Value, str | None, float | None, float, str, str | None]] = (
            Bounded(MAX_VALUES)
        )


class DeviceTable:
    """At most 5,000 devices of at most 256 values, none with a name over 512 characters; the oldest makes room."""

    def __init__(self) -> None:
        self._devices: Bounded[str, _Device] = Bounded(MAX_DEVICES)

    def __len__(self) -> int:
        return len(self._devices)

    def _device(self, name: str) -> _Device:
        device = self._devices.get(name)
        if device is None:
            device = self._devices[name] = _Device()
        return device

    def take(self, readings: list[Reading], topic: str, now: float, family: str) -> None:
        """Keep the last value of each reading; `now` is when the message was received."""
        device: _Device | None = None
        name = None
        if len(topic) > MAX_KEY:
            return
        for reading in readings:
            if len(reading.device) > MAX_KEY or len(reading.channel or "") > MAX_KEY:
                continue
            if device is None or reading.device != name:
                name = reading.device
                device = self._device(name)
                device.family = family
            device.values[reading.channel, reading.quantity] = (
                reading.value, reading.unit, reading.time, now, topic, reading.flag,
            )  # fmt: skip

    def topic_of(self, device: str, channel: str | None, quantity: str) -> str | None:
        """The topic that last brought a reading; None where none did."""
        entry = self._devices.get(device)
        found = entry.values.get((channel, quantity)) if entry is not None else None
        return found[4] if found is not None else None

    def name(self, device: str, name: str | None, area: str | None) -> None:
        """Give a device its name or area for people; None leaves either as it is."""
        if len(device) > MAX_KEY:
            return
        entry = self._device(device)
        entry.name = name or entry.name
        entry.area = area or entry.area

    def state(self, device: str, online: bool, now: float) -> bool:
        """Take in a device's availability; whether that is a change."""
        if len(device) > MAX_KEY:
            return False
        entry = self._device(device)
        if entry.online == online:
            return False
        entry.online, entry.since = online, now
        return True

    def forget(self, device: str) -> None:
        """Remove a device, as after its retained topics were cleared."""
        self._devices.pop(device, None)

    def snapshot(self, now: float) -> Iterator[dict[str, Any]]:
        """Each device of now, JSON-ready.

        device, name, area, family, state, since, channels → quantities → value, unit, age, time, topic.

        The channel of the device itself is "". Times are Unix seconds, `age` is seconds since receipt.
        """
        for name, device in list(self._devices.items()):
            yield _shown(name, device, now)


def _shown(name: str, device: _Device, now: float) -> dict[str, Any]:
    channels: dict[str, dict[str, object]] = {}
    for (channel, quantity), (value, unit, time, received, topic, flag) in device.values.items():
        channels.setdefault(channel or "", {})[quantity] = {
            "value": value, "unit": unit, "time": received if time is None else time,
            "age": max(0.0, round(now - received, 3)), "topic": topic, **({"flag": flag} if flag else {}),
        }  # fmt: skip
    return {
        "device": name,
        "name": device.name,
        "area": device.area,
        "family": device.family,
        "state": None if device.online is None else "online" if device.online else "offline",
        "since": device.since,
        "channels": channels,
    }
