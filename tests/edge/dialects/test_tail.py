"""A message's frame is put together from parts that many messages share: it says of each what is its own."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.dialects import framing
from gateway.edge.dialects.native import JsonVariant
from gateway.hub.message import Message
from gateway.hub.subscription import View

OFFSETS = st.one_of(
    st.integers(1, 2**53), st.integers(1, 2100), st.sampled_from([999, 1000, 1001, 1999, 2000, 999_999, 1_000_000])
)
TIMES = st.sampled_from([0.0, 1.5, 1_732_842_342.123, 1_732_842_342.124])
PAYLOADS = st.one_of(
    st.sampled_from([b"21.5", b'{"a":"\xc3\xa9"}', b"text", b"\xff", b"", b" 1 "]),
    st.integers(0, 1500).map(lambda size: b'"' + b"x" * size + b'"'),
)
TOPICS = st.one_of(st.just("t/a"), st.integers(1, 1500).map(lambda size: "é" * size))


@given(st.lists(st.tuples(TOPICS, PAYLOADS, TIMES, OFFSETS), min_size=1, max_size=8))
def test_every_frame_says_its_own_timestamp_and_offset(told):
    variant = JsonVariant()
    encoders = {topic: variant.encoder(topic, View()) for topic, *_ in told}
    for topic, payload, timestamp, offset in told:
        message = Message(topic, payload, timestamp, "site", offset=offset)
        frame = encoders[topic](message)
        body = framing.body(frame)
        assert frame == framing.text(body)
        shown = json.loads(body)
        assert list(shown)[:3] == ["type", "topic", "data"]
        assert (shown["topic"], shown["timestamp"], shown["offset"]) == (topic, timestamp, offset)
        try:
            assert shown["data"] == json.loads(payload)
        except ValueError:
            assert shown["encoding"] in ("text", "base64")
