"""Short forms of readings, for tests that compare many."""

import json

from devices.reading import Decoder, Reading, Value

NOW = 1_795_450_000.0
Short = tuple[str | None, str, Value, str | None]


def short(readings: list[Reading]) -> list[Short]:
    """(channel, quantity, value, unit) of each."""
    return [(reading.channel, reading.quantity, reading.value, reading.unit) for reading in readings]


def decode(decoder: Decoder, topic: str, payload: object) -> list[Short]:
    """Decode text or a document to be sent as JSON."""
    return short(decoder.decode(topic, encode(payload), False, NOW))


def encode(payload: object) -> bytes:
    if isinstance(payload, bytes):
        return payload
    return payload.encode() if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False).encode()
