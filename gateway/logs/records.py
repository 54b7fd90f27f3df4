"""Messages as the stream holds them: payload, subject, and one header with what NATS has no place for. Pure.

`Sensor-Gateway: TIME;FLAGS;MID;SIZE;UPSTREAM` and, for a topic too long for a subject, `;LENGTH`: so many bytes of
topic stand before the payload (a server takes 64 KiB of headers, a topic may have as much). `Nats-Msg-Id` is
`UPSTREAM:TERM:COUNTER`: TERM is the revision of the lease under which the message was taken in, so that a repeated
publish is known, and so is the publish of a gateway that has lost its lease without knowing it yet.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gateway.hub.message import Message
from gateway.logs.subjects import Subjects, subject_of, topic_of

HEADER = "Sensor-Gateway"
MESSAGE_ID = "Nats-Msg-Id"
MQTT = "Nmqtt-Pub"
BARRIER = "/term"
GAP = "/gap"
ROOM = 512
"""Bytes of headers that a message takes at most."""


class Identity(NamedTuple):
    """Who put a message into the stream: the upstream, the term of its lease (0: without one), and the counter."""

    upstream: str
    term: int
    counter: int


def message_id(upstream: str, term: int, counter: int) -> str:
    return f"{upstream}:{term}:{counter}"


def identity(headers: Mapping[str, str] | None) -> Identity | None:
    """Of a message that a gateway put into the stream."""
    parts = headers.get(MESSAGE_ID, "").rsplit(":", 2) if headers else ()
    if len(parts) != 3 or not parts[2].isdecimal():
        return None
    return Identity(parts[0], int(parts[1]) if parts[1].isdecimal() else 0, int(parts[2]))


class Records:
    """Writes and reads the records of a stream whose subjects begin with `prefix`.

    `upstream` is the name that messages get which devices published to NATS themselves.
    """

    def __init__(self, prefix: str, *, upstream: str = "") -> None:
        self.subjects = Subjects(prefix)
        self._lead = f"{prefix}." if prefix else ""
        self.upstream = upstream
        self._barriers = f"{self._lead}{BARRIER}."
        self._gaps = f"{self._lead}{GAP}."

    def held(self, filters: tuple[str, ...]) -> list[str]:
        """The subjects of a stream that holds these topics, and what the gateways tell each other in it."""
        subjects = self.subjects.held(filters)
        return subjects if self._lead and "#" in filters else [*subjects, f"{self._barriers}>", f"{self._gaps}>"]

    def barrier(self, upstream: str) -> str:
        """The subject of the first record of a term."""
        return self._barriers + subject_of(upstream)

    def gap(self, upstream: str) -> str:
        """The subject of a record that says: messages of this upstream were lost, nobody can know how many."""
        return self._gaps + subject_of(upstream)

    def barrier_of(self, subject: str) -> str:
        """The upstream of which a new term begins, "" where none does."""
        return topic_of(subject[len(self._barriers) :]) if subject.startswith(self._barriers) else ""

    def gap_of(self, subject: str) -> str:
        """The upstream of which messages were lost, "" where none were."""
        return topic_of(subject[len(self._gaps) :]) if subject.startswith(self._gaps) else ""

    def write(self, message: Message) -> tuple[str, str, bytes]:
        """Subject, header and payload of a message."""
        subject = self.subjects[message.topic]
        time = "" if message.timestamp is None else repr(message.timestamp)
        header = f"{time};{'r' if message.retained else ''};{message.mid};{message.size};{message.upstream}"
        if not self.subjects.is_long(subject):
            return subject, header, message.payload
        topic = message.topic.encode()
        return subject, f"{header};{len(topic)}", topic + message.payload

    def read(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None, *, offset: int, stored: float
    ) -> Message | None:
        """The message of a record; None where it is no message of a topic. `stored` is the stream's Unix time."""
        header = headers.get(HEADER) if headers else None
        if header is None:
            topic = self.subjects.topic(subject)
            return Message(topic, payload, stored, self.upstream, offset=offset) if topic else None
        time, flags, mid, size, upstream, *long = header.split(";", 5)
        if long:
            length = int(long[0])
            topic, payload = payload[:length].decode(), payload[length:]
        else:
            topic = self.subjects.topic(subject)
        if not topic:
            return None
        return Message(
            topic, payload, float(time) if time else None, upstream, "r" in flags, int(size), offset, int(mid)
        )
