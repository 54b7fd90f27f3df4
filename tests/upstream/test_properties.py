import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from support.mqttpackets import length

from gateway.upstream.properties import topic_alias, varint

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@given(st.integers(0, 268_435_455))
def test_a_length_is_read_as_it_is_written(value: int) -> None:
    written = length(value)

    assert varint(b"x" + written + b"y", 1) == (value, 1 + len(written))


def test_a_fifth_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="more than four bytes"):
        varint(b"\x80\x80\x80\x80\x01", 0)


@given(
    st.integers(1, 65535) | st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "PayloadFormatIndicator": st.integers(0, 1),
            "MessageExpiryInterval": st.integers(0, 2**32 - 1),
            "ContentType": TEXTS,
            "ResponseTopic": TEXTS,
            "CorrelationData": st.binary(max_size=40),
            "UserProperty": st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3),
            "SubscriptionIdentifier": st.integers(1, 268_435_455),
        },
    ),
)
def test_the_alias_is_found_among_whatever_else(alias: int | None, others: dict[str, object]) -> None:
    properties = Properties(PacketTypes.PUBLISH)
    for name, value in others.items():
        if name == "UserProperty":
            assert isinstance(value, list)
            for pair in value:
                properties.UserProperty = pair
        else:
            setattr(properties, name, value)
    if alias is not None:
        properties.TopicAlias = alias
    packed = bytes(properties.pack())
    size, start = varint(packed, 0)

    assert topic_alias(packed, start, start + size) == (alias or 0)


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        (b"\x7f", "no property 0x7F"),
        (b"\x23\x00\x00", "topic alias 0"),
        (b"\x23\x00\x01\x23\x00\x02", "two topic aliases"),
        (b"\x03\x00\x05ab", "longer than"),
    ],
)
def test_malformed_properties_are_refused(properties: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        topic_alias(properties + b"     ", 0, len(properties))
