"""Every dialect under the same model: a client whose socket takes now more, now less.

Messages of a subscription come in order, none twice; the newest value of every topic comes in the end; what came and
what was named missing add up to everything (in STOMP and MQTT for whoever follows the gateway's own events).
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.conversation import ROLE, House, unframe

from gateway.edge.commands import Subscribe
from gateway.edge.credentials import Identity
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.sse import NAME as SSE
from gateway.edge.dialects.sse import Sse
from gateway.edge.events import gap_of
from gateway.edge.session import Session
from gateway.hub.batch import Batch
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds, Outbox, Policy
from gateway.hub.rate import Pressure
from gateway.hub.row import Places, held
from gateway.hub.volley import NOWHERE

TOPICS = [f"t/{number}" for number in range(5)]
Told = tuple[str, int]  # "message" and the number in its payload, or "gap" and how many


def frames_in(data: bytes) -> tuple[list[bytes], bytes]:
    """The bodies of the whole WebSocket frames in `data`, and the rest."""
    whole = _whole(data)
    return [frame for _, frame in unframe(data[:whole])], data[whole:]


def events_in(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole Server-Sent Events in `data`, and the rest."""
    *whole, rest = data.split(b"\n\n")
    return whole, rest


class Tongue(NamedTuple):
    """How a dialect says hello, subscribes to everything below `t`, acknowledges, and what its frames mean.

    What has no words for it subscribes in its address.
    """

    token: str
    hello: list[bytes | str]
    subscribe: bytes | str
    told: Callable[[bytes], list[Told]]
    acknowledge: Callable[[bytes], bytes | str | None] = lambda frame: None
    cut: Callable[[bytes], tuple[list[bytes], bytes]] = frames_in


def _object(fields: dict[str, Any]) -> list[Told]:
    if fields["type"] == "message":
        return [("message", int(fields["data"]))]
    return [("gap", fields["count"])] if fields["type"] == "gap" else []


def _stomp(frame: bytes) -> list[Told]:
    head, _, body = frame.removesuffix(b"\0").partition(b"\n\n")
    if not head.startswith(b"MESSAGE"):
        return []
    return _object(json.loads(body)) if b"\ndestination:/gateway/events\n" in head + b"\n" else [("message", int(body))]


def _stomp_ack(frame: bytes) -> str | None:
    found = re.match(rb"MESSAGE\nack:(.*)\n", frame)
    return None if found is None else f"ACK\nid:{found[1].decode()}\n\n\0"


def _sse(event: bytes) -> list[Told]:
    return _object(json.loads(event[event.index(b"data: ") + 6 :]))


def _socketio(frame: bytes) -> list[Told]:
    return _object(json.loads(frame[2:])[1]) if frame.startswith(b'42["') else []


def _mqtt(frame: bytes) -> list[Told]:
    if frame[0] & 0xF0 != 0x30:
        return []
    if b"$gateway/events" in frame:
        return _object(json.loads(frame[frame.index(b"{") :]))
    return [("message", int(frame[(9 if frame[0] & 2 else 7) :]))]


def _mqtt_ack(frame: bytes) -> bytes | None:
    return b"\x40\x02" + frame[7:9] if frame[0] & 0xF6 == 0x32 else None


CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a\x82\x14\x00\x09\x00\x0f$gateway/events\x00"
STOMP = "CONNECT\naccept-version:1.2\n\n\0SUBSCRIBE\nid:e\ndestination:/gateway/events\n\n\0"
TONGUES = {
    "native": Tongue(
        "",
        [],
        '{"type":"subscribe","topics":["t/#"],"replay":"none"}',
        lambda frame: _object(json.loads(frame)),
    ),
    "msgpack": Tongue(
        "sensor-gateway.v1.msgpack",
        [],
        msgspec.msgpack.encode({"type": "subscribe", "topics": ["t/#"], "replay": "none"}),
        lambda frame: _object(msgspec.msgpack.decode(frame)),
    ),
    "stomp": Tongue("v12.stomp", [STOMP], "SUBSCRIBE\nid:0\ndestination:t/#\nreplay:none\n\n\0", _stomp),
    "stomp, acknowledged": Tongue(
        "v12.stomp",
        [STOMP],
        "SUBSCRIBE\nid:0\ndestination:t/#\nreplay:none\nack:client-individual\n\n\0",
        _stomp,
        acknowledge=_stomp_ack,
    ),
    "socketio": Tongue("/socket.io/", ["40"], '42["subscribe",{"topics":["t/#"],"replay":"none"}]', _socketio),
    "SSE": Tongue(SSE, [], "", _sse, cut=events_in),
    "mqtt, QoS 0": Tongue("mqtt", [CONNECT], b"\x82\x08\x00\x01\x00\x03t/#\x00", _mqtt),
    "mqtt, QoS 1": Tongue("mqtt", [CONNECT], b"\x82\x08\x00\x01\x00\x03t/#\x01", _mqtt, acknowledge=_mqtt_ack),
}


class Trickle:
    """A Line whose socket takes what `take` allows, through a real outbox."""

    slot = NOWHERE

    def __init__(self, house: House, dialect: Dialect, bounds: Bounds) -> None:
        self._house = house
        self._bounds = bounds
        self._gap = lambda ledger: dialect.event(gap_of(ledger))
        self._outbox = self.backlog()
        self.data = b""
        self.open = True

    @property
    def queued(self) -> bool:
        return not self.open or bool(self._outbox)

    def stand(self, sends: Places, place: int) -> None:
        sends[place] = lambda data: held(data) if self.queued else self.send(data)

    def send(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def push(self, batch: Batch) -> None:
        self._outbox.push(batch, now=None if batch.messages is None else self._house.now)
        if self.open:
            self.take(1 << 30)

    def short(self, batch: Batch, taken: int) -> None:
        raise AssertionError("send takes everything")

    def failed(self, batch: Batch, error: OSError) -> None:
        raise error

    def deliver(self, frame: bytes) -> None:
        self._outbox.solo(frame)
        if self.open:
            self.take(1 << 30)

    def take(self, limit: int) -> None:
        """The socket takes up to `limit` bytes."""
        while limit > 0 and (chunk := self._outbox.chunk(min(limit, 700))) is not None:
            self.data += bytes(chunk)
            limit -= len(chunk)
            self._outbox.took(len(chunk))

    def pressure(self) -> Pressure:
        return Pressure(behind=False)

    def finish(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed: {code} {reason}")

    def abort(self, reason: str) -> None:
        raise AssertionError(f"aborted: {reason}")

    def backlog(self) -> Outbox:
        return Outbox(self._bounds, self._gap)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.lists(st.integers(0, len(TOPICS) - 1), min_size=1, max_size=12)),
        st.tuples(st.just("take"), st.integers(1, 3000)),
        st.tuples(st.just("shut"), st.none()),
        st.tuples(st.just("open"), st.none()),
    ),
    max_size=40,
)


@pytest.mark.parametrize("policy", [Policy.LATEST, Policy.DROP_OLDEST], ids=lambda policy: policy.value)
@pytest.mark.parametrize("name", TONGUES)
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_order_and_gaps(name: str, policy: Policy, steps: list[tuple[str, Any]]) -> None:
    tongue = TONGUES[name]
    house = House()
    house.room.limits = msgspec.structs.replace(house.room.limits, commands_per_second=1e9)
    dialect: Dialect = Sse(house.log.epoch) if tongue.token == SSE else house.factories[tongue.token]()
    line = Trickle(house, dialect, Bounds(policy=policy, soft=900, hard=1800))
    identity = Identity(ROLE, credential="", method="anonymous")
    session = Session(id="s", wire=line, dialect=dialect, room=house.room, role=ROLE, identity=identity)
    session.start(None if tongue.subscribe else Subscribe(topics=["t/#"], replay="none"))
    for word in filter(None, (*tongue.hello, tongue.subscribe)):
        session.receive(word.encode() if isinstance(word, str) else word, text=isinstance(word, str))
    house.turn()
    told: list[Told] = []
    rest = b""
    newest: dict[int, int] = {}
    count = 0

    def listen() -> None:
        nonlocal rest
        frames, rest = tongue.cut(rest + line.data)
        line.data = b""
        for frame in frames:
            told.extend(tongue.told(frame))
            answer = tongue.acknowledge(frame)
            if answer is not None:
                session.receive(answer.encode() if isinstance(answer, str) else answer, text=isinstance(answer, str))

    for step, value in (*steps, ("open", None)):
        if step == "publish":
            for topic in value:
                count += 1
                newest[topic] = count
                house.log.append([_message(TOPICS[topic], count)])
            house.turn()
        elif step == "shut":
            line.open = False
        elif step == "open":
            line.open = True
            line.take(1 << 30)
        elif not line.open:
            line.take(value)
        if line.open and not line.queued:
            session.drained()
        listen()
        house.turn()
    while line.data:
        line.take(1 << 30)
        session.drained()
        listen()

    numbers = [number for kind, number in told if kind == "message"]
    assert numbers == sorted(set(numbers))
    if policy is Policy.LATEST:
        assert set(newest.values()) <= set(numbers)
    assert len(numbers) + sum(number for kind, number in told if kind == "gap") == count


def _message(topic: str, number: int) -> Message:
    return Message(topic, str(number).encode(), 1.0, "site")


def _whole(data: bytes) -> int:
    """How many bytes of `data` are whole frames."""
    at = 0
    while len(data) - at >= 2:
        size, head = data[at + 1], 2
        if size == 126:
            size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
        if len(data) < at + head + size:
            break
        at += head + size
    return at
