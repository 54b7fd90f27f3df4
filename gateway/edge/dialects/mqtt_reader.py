"""Primitives and properties of MQTT packets, read (MQTT 3.1.1 and 5.0; clauses are those of 5.0). Pure."""

from enum import IntEnum

from gateway.errors import GatewayError

V3, V5 = 4, 5


class Reason(IntEnum):
    """Reason codes of MQTT 5.0, 2.4, as far as they are used here."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    NO_SUBSCRIPTION_EXISTED = 0x11
    UNSPECIFIED = 0x80
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC = 0x83
    UNSUPPORTED_VERSION = 0x84
    CLIENT_ID_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    QOS_NOT_SUPPORTED = 0x9B
    SHARED_NOT_SUPPORTED = 0x9E


class Property(IntEnum):
    """Property identifiers of MQTT 5.0, 2.2.2.2."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


Value = int | bytes | str
Properties = dict[int, Value]

_FLAGS = (Property.PAYLOAD_FORMAT, Property.REQUEST_PROBLEM_INFORMATION, Property.REQUEST_RESPONSE_INFORMATION)
_TWO = (Property.RECEIVE_MAXIMUM, Property.TOPIC_ALIAS_MAXIMUM, Property.TOPIC_ALIAS)
_FOUR = (Property.MESSAGE_EXPIRY, Property.SESSION_EXPIRY, Property.WILL_DELAY, Property.MAXIMUM_PACKET_SIZE)
_TEXTS = (
    Property.CONTENT_TYPE,
    Property.RESPONSE_TOPIC,
    Property.AUTHENTICATION_METHOD,
    Property.REASON_STRING,
)
_NEVER_ZERO = (
    Property.SUBSCRIPTION_IDENTIFIER,
    Property.RECEIVE_MAXIMUM,
    Property.MAXIMUM_PACKET_SIZE,
)

# Which packet may carry what (MQTT 5.0, table 2-4); a user property may stand everywhere.
CONNECT_PROPERTIES = frozenset(
    {
        Property.SESSION_EXPIRY,
        Property.AUTHENTICATION_METHOD,
        Property.AUTHENTICATION_DATA,
        Property.REQUEST_PROBLEM_INFORMATION,
        Property.REQUEST_RESPONSE_INFORMATION,
        Property.RECEIVE_MAXIMUM,
        Property.TOPIC_ALIAS_MAXIMUM,
        Property.MAXIMUM_PACKET_SIZE,
    }
)
WILL_PROPERTIES = frozenset(
    {
        Property.PAYLOAD_FORMAT,
        Property.MESSAGE_EXPIRY,
        Property.CONTENT_TYPE,
        Property.RESPONSE_TOPIC,
        Property.CORRELATION_DATA,
        Property.WILL_DELAY,
    }
)
PUBLISH_PROPERTIES = frozenset(
    {
        Property.PAYLOAD_FORMAT,
        Property.MESSAGE_EXPIRY,
        Property.CONTENT_TYPE,
        Property.RESPONSE_TOPIC,
        Property.CORRELATION_DATA,
        Property.TOPIC_ALIAS,
    }
)
SUBSCRIBE_PROPERTIES = frozenset({Property.SUBSCRIPTION_IDENTIFIER})
DISCONNECT_PROPERTIES = frozenset({Property.SESSION_EXPIRY, Property.REASON_STRING})
ACKNOWLEDGE_PROPERTIES = frozenset({Property.REASON_STRING})


class Violation(GatewayError):
    """The client broke the standard: the connection ends, with `reason` where the version has reason codes."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return self.text


class Reader:
    """Reads one packet's body from its beginning. Every method raises Violation where the bytes are not there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise Violation(Reason.MALFORMED, "a packet ends before its fields do")
        part = self._data[self._at : end]
        self._at = end
        return part

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self._data) - self._at)

    def integer(self, size: int) -> int:
        """A big-endian integer of `size` bytes (1.5.2, 1.5.3)."""
        return int.from_bytes(self.take(size), "big")

    def variable(self) -> int:
        """A variable byte integer in its shortest form (1.5.5)."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    raise Violation(Reason.MALFORMED, "a variable byte integer is longer than it need be")
                return value
        raise Violation(Reason.MALFORMED, "a variable byte integer has at most four bytes")

    def binary(self) -> bytes:
        """Binary data behind its length (1.5.6)."""
        return self.take(self.integer(2))

    def text(self) -> str:
        """A UTF-8 string behind its length, without NUL (1.5.4)."""
        try:
            text = self.binary().decode()
        except UnicodeDecodeError:
            raise Violation(Reason.MALFORMED, "a string is not UTF-8") from None
        if "\0" in text:
            raise Violation(Reason.MALFORMED, "a string holds no NUL character")
        return text

    def properties(self, allowed: frozenset[Property]) -> Properties:
        """The properties of a packet that may carry `allowed` (2.2.2); user properties are passed over."""
        inner = Reader(self.take(self.variable()))
        found: Properties = {}
        while inner.more:
            identifier = inner.variable()
            if identifier == Property.USER_PROPERTY:
                inner.text()
                inner.text()
                continue
            if identifier not in allowed:
                raise Violation(Reason.PROTOCOL_ERROR, f"property {identifier} does not belong into this packet")
            if identifier in found:
                raise Violation(Reason.PROTOCOL_ERROR, f"property {identifier} stands twice in a packet")
            found[identifier] = value = inner._value(identifier)
            if identifier in _FLAGS and value not in (0, 1):
                raise Violation(Reason.PROTOCOL_ERROR, f"property {identifier} is 0 or 1")
            if identifier in _NEVER_ZERO and not value:
                raise Violation(Reason.PROTOCOL_ERROR, f"property {identifier} is not 0")
        return found

    def _value(self, identifier: int) -> Value:
        if identifier in _FLAGS:
            return self.integer(1)
        if identifier in _TWO:
            return self.integer(2)
        if identifier in _FOUR:
            return self.integer(4)
        if identifier in _TEXTS:
            return self.text()
        if identifier == Property.SUBSCRIPTION_IDENTIFIER:
            return self.variable()
        return self.binary()
