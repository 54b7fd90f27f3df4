"""What stands behind the payload in a message of the native protocol in JSON: timestamp and offset."""


class _Stamp:
    """The text of the newest timestamp: all messages of a turn have the same."""

    __slots__ = ("text", "value")

    def __init__(self) -> None:
        self.value = -1.0
        self.text = b"-1"


_stamp = _Stamp()


def timestamp_text(value: float | None) -> bytes:
    """Unix seconds as JSON has them."""
    if value is None:
        return b"null"
    if value != _stamp.value:
        _stamp.text = b"%.3f" % value
        _stamp.value = value
    return _stamp.text


class Tail:
    """What stands behind the payload, up to the last three digits of the offset: the same for up to a thousand
    messages of one timestamp."""

    __slots__ = ("base", "size", "text", "timestamp")

    def __init__(self) -> None:
        self.timestamp = -1.0
        self.base = 0
        self.text = b""
        self.size = 0

    def renew(self, timestamp: float, offset: int) -> None:
        """Take up another timestamp, or the thousand of `offset`."""
        thousand = offset // 1000
        self.timestamp, self.base = timestamp, thousand * 1000
        self.text = b',"timestamp":%b,"offset":%d' % (timestamp_text(timestamp), thousand)
        self.size = len(self.text) + len(ENDS[0])


ENDS = [b"%03d}" % number for number in range(1000)]
newest = Tail()
