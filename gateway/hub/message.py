"""A message on its way through the house."""

import msgspec


class Message(msgspec.Struct, gc=False):
    """One MQTT application message.

    `topic` is the very same str object for every message of a topic of one link, so that its hash is reckoned once.
    `timestamp` is the Unix time of arrival in seconds; None for a retained message first seen at connect, whose age
    nobody knows. `offset` is given by the log. `upstream` is the link's name. `size` is not 0 where the payload was
    above `[limits] payload`: the payload is then empty and `size` says how many bytes it had.
    `mid` is the packet identifier of one that came with QoS 1, by which its repetition is known after a restart.

    Not tracked by the garbage collector: it holds no containers, and a full ring would make every collection slow.
    """

    topic: str
    payload: bytes
    timestamp: float | None
    upstream: str
    retained: bool = False
    size: int = 0
    offset: int = 0
    mid: int = 0
