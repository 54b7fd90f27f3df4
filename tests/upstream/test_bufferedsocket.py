import errno
import socket
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import mqttpackets as packets

from gateway.hub.message import Message
from gateway.upstream import bufferedsocket
from gateway.upstream.acknowledgements import Acknowledgements
from gateway.upstream.bufferedsocket import (
    FOREIGN,
    MORE,
    OVERSIZE,
    SPENT,
    BufferedSocket,
    ProtocolBreach,
    Transport,
)
from gateway.upstream.counters import Counters
from gateway.upstream.names import TopicNames

LIMIT = 1000
PINGRESP = b"\xd0\x00"


class Wire:
    """A transport that gives one chunk a receive, then has nothing, then (`ended`) ends."""

    def __init__(self, chunks: Iterable[bytes], *, ended: bool = False, failure: OSError | None = None) -> None:
        self.chunks = list(chunks)
        self.ended = ended
        self.failure = failure

    def recv(self, size: int, /) -> bytes:
        if self.chunks:
            return self.chunks.pop(0)
        if self.failure is not None:
            raise self.failure
        if self.ended:
            return b""
        raise BlockingIOError

    def send(self, data: bytes, /) -> int:
        return len(data)

    def close(self) -> None: ...

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool, /) -> None: ...


class Read(NamedTuple):
    messages: list[Message]
    receipts: list[tuple[int, str, int]]
    foreign: list[bytes]
    socket: BufferedSocket


def make(wire: Transport, *, version_5: bool = False, limit: int = LIMIT, own: bytes = b"") -> BufferedSocket:
    return BufferedSocket(
        wire,
        upstream="main",
        version_5=version_5,
        names=TopicNames("main", "", [("#", ["excluded/#"])], own),
        acknowledgements=Acknowledgements(lambda mids: None),
        counters=Counters(),
        payload_limit=limit,
        own=own,
    )


def paho_reads(sock: BufferedSocket) -> bytes:
    """What paho would get of the packet that was left to it, asked for as paho asks."""
    got = b""
    for size in (1, 1, 1, 1, 1_000_000, 1_000_000):
        try:
            piece = sock.recv(size)
        except BlockingIOError:
            break
        if not piece:
            break
        got += piece
    return got


def read(sock: BufferedSocket, *, budget: int = 512, now: float = 5.0) -> Read:
    """Read until the wire has nothing more."""
    result = Read([], [], [], sock)
    rest = b""
    while True:
        reason, _ = sock.take(result.messages, result.receipts, now, budget)
        if reason == FOREIGN:
            piece = paho_reads(sock)
            rest += piece
            if sock._granted == 0 and rest:
                result.foreign.append(rest)
                rest = b""
            if not piece:
                break
        elif reason == MORE and (sock.ended or not sock.fill()):
            break
    return result


@st.composite
def published(draw: st.DrawFn, version_5: bool) -> tuple[bytes, Message | None]:
    """A packet, and the message that should come of it (None: it is for paho)."""
    topic = draw(st.sampled_from(["a", "a/b", "sensors/7/temperature", "excluded/x"]))
    payload = draw(st.binary(max_size=300) | st.binary(min_size=LIMIT - 2, max_size=LIMIT + 300))
    qos, retain = draw(st.integers(0, 2)), draw(st.booleans())
    properties = draw(st.sampled_from([b"", b"\x01\x01", b"\x26\x00\x01a\x00\x01b"])) if version_5 else None
    mid = draw(st.integers(1, 65535))
    packet = packets.publish(topic, payload, qos=qos, mid=mid, retain=retain, properties=properties)
    if qos == 2 or topic == "excluded/x":
        return packet, None
    over = len(payload) > LIMIT
    return packet, Message(
        topic,
        b"" if over else payload,
        None if retain else 5.0,
        "main",
        retain,
        len(payload) if over else 0,
        mid=mid if qos else 0,
    )


@pytest.mark.parametrize("version_5", [False, True])
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_packets_in_any_chunks_come_out_in_order(version_5: bool, data: st.DataObject) -> None:
    sequence = data.draw(st.lists(published(version_5) | st.just((PINGRESP, None)), max_size=12))
    stream = b"".join(packet for packet, _ in sequence)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]

    result = read(make(Wire(chunks), version_5=version_5), budget=data.draw(st.integers(1, 20)))

    assert result.messages == [message for _, message in sequence if message is not None]
    assert result.foreign == [packet for packet, _ in sequence if packet[0] >> 4 != 3 or packet[0] >> 1 & 3 == 2]


def test_qos_1_leaves_a_receipt_in_order_of_arrival() -> None:
    stream = b"".join(packets.publish("a", b"%d" % mid, qos=1, mid=mid) for mid in (7, 300, 5))

    result = read(make(Wire([stream])))

    assert [receipt[0] for receipt in result.receipts] == [7, 300, 5]


def test_what_is_excluded_at_qos_1_is_acknowledged_all_the_same() -> None:
    result = read(make(Wire([packets.publish("excluded/x", b"v", qos=1, mid=9)])))

    assert result.messages == []
    assert [receipt[0] for receipt in result.receipts] == [9]


def test_a_redelivered_message_is_acknowledged_and_not_published_again() -> None:
    sock = make(Wire([packets.publish("a", b"v", qos=1, mid=9)]))
    first = read(sock)
    sock._acknowledgements.take_in(first.receipts)
    again = make(Wire([packets.publish("a", b"v", qos=1, mid=9, dup=True)]))
    again._acknowledgements = sock._acknowledgements

    result = read(again)

    assert result.messages == []
    assert [receipt[0] for receipt in result.receipts] == [9]


def test_a_message_with_dup_that_was_never_seen_is_published() -> None:
    result = read(make(Wire([packets.publish("a", b"v", qos=1, mid=9, dup=True)])))

    assert [message.payload for message in result.messages] == [b"v"]


def test_messages_of_a_topic_share_its_name() -> None:
    result = read(make(Wire([packets.publish("a/b", b"1") + packets.publish("a/b", b"2")])))

    assert result.messages[0].topic is result.messages[1].topic


def test_a_turn_takes_no_more_than_its_budget() -> None:
    sock = make(Wire([packets.publish("a") * 10]))
    sock.fill()
    messages: list[Message] = []

    assert sock.take(messages, [], 5.0, 4) == (SPENT, 0)
    assert len(messages) == 4


def test_an_alias_stands_for_its_topic_until_it_means_another() -> None:
    stream = b"".join(
        packets.publish(topic, b"v", properties=packets.alias(number))
        for topic, number in [("one", 1), ("two", 2), ("", 1), ("", 2), ("three", 1), ("", 1)]
    )

    result = read(make(Wire([stream]), version_5=True))

    assert [message.topic for message in result.messages] == ["one", "two", "one", "two", "three", "three"]


def test_the_payload_of_an_oversize_message_is_never_held() -> None:
    big = packets.publish("a", bytes(5_000_000))
    wire = Wire([big[start : start + 65536] for start in range(0, len(big), 65536)] + [packets.publish("b", b"next")])
    sock = make(wire)
    held = 0
    messages: list[Message] = []
    while True:
        sock.take(messages, [], 5.0, 512)
        held = max(held, len(sock._data))
        if not sock.fill():
            break

    assert [(message.topic, message.size, message.payload) for message in messages] == [
        ("a", 5_000_000, b""),
        ("b", 0, b"next"),
    ]
    assert held <= 65536 + LIMIT


def test_probes_of_the_link_are_kept_from_the_viewers() -> None:
    result = read(make(Wire([packets.publish("canary", b"tweet")]), own=b"canary"))

    assert result.messages == []
    assert result.socket.probes == [b"tweet"]


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\x30\xff\xff\xff\xff\x01", "more than four bytes"),
        (b"\x30\xff\xff\xff\x7f", "packet of 268435455 bytes"),
        (b"\x20\xff\xff\xff\x7f", "packet of 268435455 bytes"),
        (b"\x30\x03\x00\x09a", "ends too soon"),
        (b"\x32\x04\x00\x02ab", "ends too soon"),
        (b"\x30\x02\x00\x00", "without a topic"),
    ],
)
def test_a_breach_of_the_protocol_is_named(stream: bytes, why: str) -> None:
    with pytest.raises(ProtocolBreach, match=why):
        read(make(Wire([stream + b"padding" * 3])))


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (packets.publish("", b"v", properties=packets.alias(3)), "alias 3 before saying"),
        (packets.publish("a", b"v", properties=packets.alias(129)), "alias 129; we allowed 128"),
        (packets.publish("", b"v", properties=b""), "without a topic"),
        (packets.publish("a", b"v", properties=b"\x7f"), "no property 0x7F"),
    ],
)
def test_a_breach_of_mqtt_5_is_named(packet: bytes, why: str) -> None:
    with pytest.raises(ProtocolBreach, match=why):
        read(make(Wire([packet]), version_5=True))


def test_the_largest_packet_taken_in_is_the_limit_and_16_mib() -> None:
    size = LIMIT + OVERSIZE + 1
    with pytest.raises(ProtocolBreach):
        read(make(Wire([b"\x30" + packets.length(size) + packets.text("a")])))


@given(st.binary(max_size=400), st.booleans())
@settings(max_examples=400, deadline=None)
def test_garbage_never_raises_anything_else(garbage: bytes, version_5: bool) -> None:
    try:
        read(make(Wire([garbage], ended=True), version_5=version_5))
    except ProtocolBreach:
        pass  # as it should


def test_a_large_payload_within_the_limit_is_joined_once() -> None:
    payload = bytes(range(256)) * 8000
    packet = packets.publish("a", payload, qos=1, mid=1) + packets.publish("b", b"next")
    wire = Wire([packet[start : start + 10_000] for start in range(0, len(packet), 10_000)])
    sock = make(wire, limit=4_000_000)
    held = []
    messages: list[Message] = []
    while True:
        sock.take(messages, [], 5.0, 512)
        held.append(len(sock._data))
        if not sock.fill():
            break

    assert [message.payload for message in messages] == [payload, b"next"]
    # Not a growing buffer that is copied at every receive.
    assert len(set(held)) < 5


def test_a_large_payload_that_is_cut_off_is_never_delivered() -> None:
    packet = packets.publish("a", bytes(2_000_000))
    result = read(make(Wire([packet[:300_000], packet[300_000:1_500_000]], ended=True), limit=4_000_000))

    assert result.messages == []
    assert result.socket.recv(1) == b""


def test_a_large_packet_for_paho_is_handed_over_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bufferedsocket, "PIECEMEAL", 100)
    packet = packets.publish("a", bytes(900), qos=2, mid=1)

    result = read(make(Wire([packet[:300], packet[300:500], packet[500:] + packets.publish("b", b"v")])))

    assert result.foreign == [packet]
    assert [message.topic for message in result.messages] == ["b"]


def test_the_end_of_the_connection_reaches_paho_behind_what_came_before() -> None:
    sock = make(Wire([packets.publish("a", b"last")], ended=True))

    result = read(sock)

    assert [message.payload for message in result.messages] == [b"last"]
    assert sock.ended
    assert sock.recv(1) == b""


def test_a_broken_connection_reaches_paho_as_its_error() -> None:
    sock = make(Wire([], failure=ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")))
    sock.fill()

    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    assert isinstance(sock.failure, ConnectionResetError)


def test_malformed_and_excluded_topics_are_counted() -> None:
    counters = Counters()
    sock = make(Wire([packets.publish(b"\xff") * 3 + packets.publish("excluded/x") * 2]))
    sock._counters = counters

    read(sock)

    assert (counters.malformed, counters.excluded) == (3, 2)


def test_a_socket_that_gave_all_it_had_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bufferedsocket, "RECEIVE", 8)
    monkeypatch.setattr(bufferedsocket, "TRICKLE", 8)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        sock = make(ours)
        theirs.sendall(packets.publish("a", b"123456"))  # 11 bytes
        assert sock.fill()
        assert not sock.drained
        assert sock.fill()
        assert sock.drained


def test_a_transport_in_records_is_asked_until_it_has_none() -> None:
    sock = make(Wire([packets.publish("a", b"1")]))
    assert sock.fill()
    assert not sock.drained
