"""What the load generators publish: QoS 0 PUBLISH packets of MQTT 3.1.1 and 5 (section 3.3 of both)."""

import time


def remaining_length(size: int) -> bytes:
    """A length as MQTT writes it (section 2.2.3): seven bits a byte, low first."""
    out = bytearray()
    while True:
        size, low = divmod(size, 128)
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out)


def payload(number: int, size: int = 120) -> bytes:
    """JSON of about `size` bytes: a running number, a value, the publish time where `viewers.py` looks for it."""
    body = f'{{"n":{number},"value":{20 + number % 100 / 10:.1f},"unit":"C","at":"t={time.time_ns()}","pad":"'
    return f'{body}{"x" * (size - len(body) - 2)}"}}'.encode()


def publish(topic: bytes, body: bytes, *, version: int = 4) -> bytes:
    """A QoS 0 PUBLISH; version 5 has an empty property list."""
    properties = b"\0" if version == 5 else b""
    size = 2 + len(topic) + len(properties) + len(body)
    return b"\x30" + remaining_length(size) + len(topic).to_bytes(2, "big") + topic + properties + body


def topic(number: int, topics: int) -> bytes:
    """The topic of message `number` where `topics` take turns."""
    return b"sensors/%d/temperature" % (number % topics)
