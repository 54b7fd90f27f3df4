"""Payload samples of device families as data, and the rules by which a decoder's readings are held against them."""

import base64
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devices import quantities, units
from devices.reading import DeviceState, Reading
from devices.registry import Registry

FOLDER = Path(__file__).parent.parent / "devices" / "samples"
NOW = 1_795_450_000.0  # after every time in the samples


def load(family: str) -> list[dict[str, Any]]:
    lines = (FOLDER / f"{family}.jsonl").read_text("utf-8").split("\n")
    return [{"family": family, **json.loads(line)} for line in lines if line]


def families() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def payload(message: dict[str, Any]) -> bytes:
    if "payload_b64" in message:
        return base64.b64decode(message["payload_b64"])
    return message["payload"].encode("utf-8", "surrogatepass")


def run(sample: dict[str, Any], registry: Registry) -> tuple[list[Reading], list[DeviceState], bool]:
    """Deliver context and sample; the sample's readings, availability changes, and whether it counted as a failure."""
    for message in sample.get("context", ()):
        registry.observe(message["topic"], payload(message), message["retained"], NOW)
    before = sum(registry.failures_by_family.values())
    body = payload(sample)
    states = registry.observe(sample["topic"], body, sample["retained"], NOW)
    readings = registry.decode(sample["topic"], body, sample["retained"], NOW)
    return readings, states, sum(registry.failures_by_family.values()) > before


def judge(sample: dict[str, Any], readings: list[Reading], states: list[DeviceState], failed: bool) -> str | None:
    """None if the sample is decoded as it should be, else what is wrong."""
    for reading in readings:
        if isinstance(reading.value, float) and not math.isfinite(reading.value):
            return f"not finite: {reading}"
    # `accept` names the outcome that the sample's note allows beside the expected one.
    if not readings and sample.get("accept") == ("error" if failed else "ignore"):
        return None
    expect = sample["expect"]
    required = expect if isinstance(expect, list) else []
    left = list(readings)
    for wanted in required:
        found = next((reading for reading in left if _same(wanted, reading, sample["family"])), None)
        if found is None:
            near = [r for r in left if r.quantity == wanted["quantity"]] or left
            return f"missing {_line(wanted)}, got {near[:4]}"
        left.remove(found)
    for reading in left:
        if not any(_same(wanted, reading, sample["family"]) for wanted in sample.get("optional", ())):
            return f"too much: {reading}"
    if expect == "error" and not failed:
        return "the failure was not counted"
    if expect == "ignore" and failed and "NaN" not in str(sample.get("payload")):
        return "counted as a failure"
    meta = sample.get("meta", {})
    if meta.get("kind") == "availability":
        wanted_state = DeviceState(meta["device"], meta["online"])
        if wanted_state not in states:
            return f"availability {wanted_state} not told, got {states}"
    return None


def _same(wanted: dict[str, Any], reading: Reading, family: str) -> bool:
    return (
        wanted["channel"] == reading.channel
        # In SenML the channel is the full resolved name, of which device and quantity are a free split.
        and (family == "senml" or (wanted["device"] == reading.device and wanted["quantity"] == reading.quantity))
        and _same_value(wanted, reading)
        and _same_time(wanted["time"], reading.time)
    )


def _same_value(wanted: dict[str, Any], reading: Reading) -> bool:
    value, unit = reading.value, reading.unit
    if isinstance(wanted["value"], str) or isinstance(value, str):
        return wanted["value"] == value
    if wanted["unit"] is None:
        if unit not in (None, quantities.QUANTITIES.get(reading.quantity), "lqi") and not _customary(reading):
            return False
    elif unit != wanted["unit"]:
        if unit is None:
            return False
        try:
            value = units.convert(float(value), unit, wanted["unit"])
        except ValueError:
            return False
    return math.isclose(float(value), float(wanted["value"]), rel_tol=1e-6, abs_tol=1e-12)


def _customary(reading: Reading) -> bool:
    """A second usual unit of a quantity, where the canonical table can name one only."""
    return (reading.quantity, reading.unit) in {("uptime", "s"), ("rssi", "dBm"), ("wind_speed", "m/s")}


def _same_time(wanted: str | None, time: float | None) -> bool:
    if wanted is None or not wanted.endswith("Z"):
        # A wall clock of an unknown zone: the time of receipt counts; SenML's relative times are reckoned from it.
        return time is None or abs(time - NOW) < 3600
    moment = datetime.fromisoformat(wanted.replace("Z", "+00:00")).astimezone(UTC).timestamp()
    return time is not None and abs(time - moment) <= 1


def _line(wanted: dict[str, Any]) -> str:
    return "{device} | {channel} | {quantity} = {value!r} {unit} @{time}".format(**wanted)
