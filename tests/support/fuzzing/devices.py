"""Decoders of devices: each family alone, and the registry with all of them.

An input is messages, `topic LF payload`, one behind the other with LF `--` LF between. Only DecodeError may be raised;
readings are numbers, and about what the message can be about.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from support.samples import NOW, families, load, payload

from devices.families import FALLBACKS, FAMILIES
from devices.families import load as decoder_of
from devices.reading import DecodeError, Reading
from devices.registry import Registry

BETWEEN = b"\n--\n"
MESSAGES = 8
_DECODERS = {**FAMILIES, **FALLBACKS}


def _messages(data: bytes) -> Iterable[tuple[str, bytes]]:
    for message in data.split(BETWEEN)[:MESSAGES]:
        topic, _, body = message.partition(b"\n")
        yield topic.decode(errors="replace"), body


def _check(readings: Iterable[Reading]) -> None:
    for reading in readings:
        value = reading.value
        assert isinstance(value, bool | int | float | str), reading
        assert not isinstance(value, float) or math.isfinite(value), reading
        assert reading.time is None or (math.isfinite(reading.time) and 0 < reading.time < 1e11), reading
        assert isinstance(reading.device, str), reading
        assert reading.channel is None or isinstance(reading.channel, str), reading
        assert isinstance(reading.quantity, str), reading
        assert reading.unit is None or (isinstance(reading.unit, str) and not isinstance(value, bool)), reading


def _alone(family: str) -> Callable[[bytes], None]:
    def decode(data: bytes) -> None:
        decoder = decoder_of(_DECODERS[family])
        for topic, body in _messages(data):
            decoder.recognises(topic, body)
            try:
                if decoder.claims(topic):
                    decoder.observe(topic, body, True, NOW)
                _check(decoder.decode(topic, body, False, NOW))
            except DecodeError:
                pass  # malformed, by the family's own rules: counted

    decode.__name__ = family
    return decode


def registry(data: bytes) -> None:
    """Every family, as the gateway asks them; what a decoder stumbled over is counted there, and a finding here."""
    found = Registry()
    for topic, body in _messages(data):
        for retained in (True, False):
            found.observe(topic, body, retained, NOW)
            _check(found.decode(topic, body, retained, NOW))
        found.keep_all(topic)
    found.devices(NOW)
    stumbled = [failure for failure in found.failures() if failure.reason.startswith("fault: ")]
    assert not stumbled, stumbled


def _seed(sample: dict[str, Any]) -> bytes:
    messages = [*sample.get("context", ()), sample]
    return BETWEEN.join(
        message["topic"].encode("utf-8", "surrogatepass") + b"\n" + payload(message) for message in messages
    )


_SAMPLES = [sample for family in families() for sample in load(family) if len(_seed(sample)) < 20_000]


def _seeds(family: str) -> list[bytes]:
    """Samples whose own message the family takes for its own, in a fresh decoder or behind their context."""
    seeds = []
    for sample in _SAMPLES:
        decoder = decoder_of(_DECODERS[family])
        for message in sample.get("context", ()):
            try:
                decoder.observe(message["topic"], payload(message), True, NOW)
            except DecodeError:
                pass  # another family's
        if decoder.recognises(sample["topic"], payload(sample)) or decoder.claims(sample["topic"]):
            seeds.append(_seed(sample))
    return seeds[:60]


TARGETS = (*(_alone(family) for family in _DECODERS), registry)

SEEDS = {
    **{family: _seeds(family) for family in _DECODERS},
    "registry": [_seed(sample) for family in families() for sample in load(family)[:8]],
}
