"""The properties of an incoming MQTT 5 PUBLISH, as far as the gateway needs them (MQTT 5.0, 2.2.2 and 3.3.2.3)."""

_BYTE, _U16, _U32, _VARINT, _STRING, _PAIR = range(6)

_PUBLISH = {
    0x01: _BYTE,  # payload format indicator
    0x02: _U32,  # message expiry interval
    0x03: _STRING,  # content type
    0x08: _STRING,  # response topic
    0x09: _STRING,  # correlation data: binary, but of the same shape
    0x0B: _VARINT,  # subscription identifier
    0x23: _U16,  # topic alias
    0x26: _PAIR,  # user property
}

_TOPIC_ALIAS = 0x23


def varint(data: bytes, position: int) -> tuple[int, int]:
    """A variable byte integer and the position behind it (MQTT 5.0, 1.5.5).

    Raises IndexError where `data` ends first, ValueError where a fifth byte would follow.
    """
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value += (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
        if shift > 21:
            raise ValueError("a length of more than four bytes")


def topic_alias(data: bytes, position: int, stop: int) -> int:
    """The topic alias among the properties in `data[position:stop]`; 0 where there is none.

    Raises ValueError for a property that a PUBLISH cannot have, an alias given twice, and one that does not end by
    `stop`; IndexError at the end of `data`.
    """
    alias = 0
    while position < stop:
        identifier = data[position]
        position += 1
        kind = _PUBLISH.get(identifier)
        if kind is None:
            raise ValueError(f"a PUBLISH has no property 0x{identifier:02X}")
        if kind == _U16:
            if alias:
                raise ValueError("two topic aliases")
            alias = (data[position] << 8) + data[position + 1]
            if not alias:
                raise ValueError("topic alias 0")
            position += 2
        elif kind == _VARINT:
            _, position = varint(data, position)
        elif kind in (_STRING, _PAIR):
            for _ in range(2 if kind == _PAIR else 1):
                position += 2 + (data[position] << 8) + data[position + 1]
        else:
            position += 1 if kind == _BYTE else 4
    if position != stop:
        raise ValueError("a property longer than the properties")
    return alias
