"""Blocks of messages as they lie on disk: MessagePack, column by column, deflated. Pure.

Columns deflate to a quarter of what rows do, and the checksum at zlib's end tells a damaged block.
"""

import zlib
from typing import NamedTuple

import msgspec

from gateway.hub.message import Message

LEVEL = 1


class DamagedBlock(Exception):
    """A block that does not read back as it was written."""


class _Columns(msgspec.Struct, array_like=True, gc=False):
    """`topic` and `upstream` are indices into the block's names; `special` holds what is rare, by place: retained,
    size, packet identifier."""

    upstreams: list[str]
    upstream: list[int]
    topic: list[int]
    payload: list[bytes]
    timestamp: list[float | None]
    special: dict[int, tuple[bool, int, int]]


class Packed(NamedTuple):
    """A block ready to be stored: offsets `first` to `last`, Unix times of its oldest and newest message."""

    first: int
    last: int
    since: float
    until: float
    topics: bytes
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_columns = msgspec.msgpack.Decoder(_Columns)
_names = msgspec.msgpack.Decoder(list[str])


def pack(messages: list[Message]) -> Packed:
    """Pack messages of consecutive offsets."""
    topics: dict[str, int] = {}
    upstreams: dict[str, int] = {}
    special: dict[int, tuple[bool, int, int]] = {}
    topic, upstream = [], []
    since, until = float("inf"), float("-inf")
    for place, message in enumerate(messages):
        topic.append(topics.setdefault(message.topic, len(topics)))
        upstream.append(upstreams.setdefault(message.upstream, len(upstreams)))
        stamp = message.timestamp
        if stamp is not None:
            since, until = min(since, stamp), max(until, stamp)
        if message.retained or message.size or message.mid:
            special[place] = message.retained, message.size, message.mid
    columns = _Columns(
        list(upstreams), upstream, topic, [m.payload for m in messages], [m.timestamp for m in messages], special
    )
    return Packed(
        messages[0].offset,
        messages[-1].offset,
        since,
        until,
        zlib.compress(_encode(list(topics)), LEVEL),
        zlib.compress(_encode(columns), LEVEL),
    )


def topics_of(data: bytes) -> list[str]:
    """The names of a block's topics. Raises DamagedBlock."""
    try:
        return _names.decode(zlib.decompress(data))
    except (zlib.error, msgspec.DecodeError) as error:
        raise DamagedBlock(str(error)) from None


def unpack(first: int, topics: list[str], body: bytes) -> list[Message]:
    """The messages of a block. Raises DamagedBlock."""
    try:
        columns = _columns.decode(zlib.decompress(body))
        messages = [
            Message(topics[topic], payload, stamp, columns.upstreams[upstream], offset=first + place)
            for place, (topic, upstream, payload, stamp) in enumerate(
                zip(columns.topic, columns.upstream, columns.payload, columns.timestamp, strict=True)
            )
        ]
        for place, (retained, size, mid) in columns.special.items():
            message = messages[place]
            message.retained, message.size, message.mid = retained, size, mid
    except (zlib.error, msgspec.DecodeError, IndexError, ValueError) as error:
        raise DamagedBlock(str(error)) from None
    return messages
