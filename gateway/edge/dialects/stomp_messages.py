"""How messages look in STOMP: destinations, and the MESSAGE frames of a client's subscriptions. Pure."""

from collections.abc import Callable
from typing import NamedTuple

from gateway.edge.dialects import framing
from gateway.edge.dialects.stomp_frames import escape, framed, unescape
from gateway.hub.message import Message
from gateway.hub.subscription import View
from gateway.topics import matches

DOTTED = ("/topic/", "/exchange/amq.topic/")
"""Prefixes of destinations in RabbitMQ's style: levels between dots, `*` (or `+`) for one level, `#` for the rest."""


class Style(NamedTuple):
    """How a client writes topics: behind which prefix, and with what between the levels."""

    prefix: str = ""
    separator: str = "/"

    def destination(self, topic: str) -> str:
        """A topic as this client knows it."""
        return self.prefix + topic.replace("/", self.separator)


def meaning_of(destination: str) -> tuple[str, Style]:
    """The topic filter or topic that a destination means: in RabbitMQ's style behind a prefix, else itself."""
    for prefix in DOTTED:
        if destination.startswith(prefix):
            name = destination.removeprefix(prefix)
            if "/" in name:
                return name, Style(prefix)
            return "/".join("+" if level == "*" else level for level in name.split(".")), Style(prefix, ".")
    return destination, Style()


_ACKNOWLEDGED = b"MESSAGE\nack:"


class Row(NamedTuple):
    """One subscription as far as it shows in the bytes of a message."""

    filter: str
    id: str
    style: Style
    acknowledged: bool


class StompVariant(NamedTuple):
    """Version, epoch, and the subscriptions: each has a MESSAGE of its own (1.2, MESSAGE: `subscription`)."""

    version: str
    epoch: str
    rows: tuple[Row, ...]
    show_upstream: bool = False

    def encoder(self, topic: str, view: View) -> Callable[[Message], bytes]:
        version = self.version
        name = escape(topic, version)
        fixed = f"\ntopic:{name}\nepoch:{self.epoch}" + ("\nreplay:true" if view.replay else "")
        heads = []
        for row in self.rows:
            if matches(row.filter, topic):
                id = escape(row.id, version)
                destination = escape(row.style.destination(topic), version)
                # The message-id tells the subscription too: 1.2 acknowledges by one header alone.
                mark = f"{id}@".replace("%", "%%")
                start = (
                    f"MESSAGE\nack:{mark}%d\nmessage-id:{mark}%d"
                    if row.acknowledged
                    else f"MESSAGE\nmessage-id:{mark}%d"
                )
                rest = f"\nsubscription:{id}\ndestination:{destination}{fixed}\noffset:".replace("%", "%%")
                heads.append((f"{start}{rest}%d%b\ncontent-length:%d\n\n".encode(), row.acknowledged))
        show_upstream, data = self.show_upstream, view.data

        def tail(message: Message) -> bytes:
            more = b"" if message.timestamp is None else b"\ntimestamp:%.3f" % message.timestamp
            if message.retained:
                more += b"\nretained:true"
            if show_upstream:
                more += b"\nupstream:" + escape(message.upstream, version).encode()
            if message.size:
                more += b"\ntoo-large:%d" % message.size
            return more

        def encode(message: Message) -> bytes:
            payload = message.payload if data else b""
            offset, more = message.offset, tail(message)
            frames = []
            for head, acknowledged in heads:
                marks = (offset, offset, offset) if acknowledged else (offset, offset)
                frames.append(framed(head % (*marks, more, len(payload)), payload))
            return frames[0] if len(frames) == 1 else b"".join(frames) or framing.NOTHING

        return encode


def acknowledgement(frame: bytes) -> tuple[str, ...]:
    """The `ack` headers, as they were meant, of the MESSAGE frames in one message's bytes."""
    found = []
    while frame:
        size, at = frame[1], 2
        if size == 126:
            size, at = int.from_bytes(frame[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(frame[2:10], "big"), 10
        if frame.startswith(_ACKNOWLEDGED, at):
            start = at + len(_ACKNOWLEDGED)
            found.append(unescape(frame[start : frame.index(b"\n", start)].decode(), "1.2"))
        frame = frame[at + size :]
    return tuple(found)
