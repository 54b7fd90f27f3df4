"""What one client has been sent and has not acknowledged yet (MQTT QoS 1, STOMP's ack modes). Pure."""

from collections.abc import Callable, Hashable

Stamp = Callable[[bytes], tuple[bytes, tuple[Hashable, ...]]]


class Window:
    """Frames in flight to one client.

    `stamp` makes the shared bytes of a message this client's own (it gives them a packet identifier, say) and tells
    under which keys they will be acknowledged; none for what nobody acknowledges. At most `count` keys are in flight,
    and nothing goes out once `limit` bytes are.
    """

    def __init__(self, stamp: Stamp, *, count: int) -> None:
        self.count = count
        self.limit = 0
        self.size = 0
        self.unacknowledged: dict[Hashable, int] = {}
        self._stamp = stamp

    @property
    def room(self) -> tuple[int, int]:
        """How many more messages may go out now, and about how many bytes."""
        return self.count - len(self.unacknowledged), self.limit - self.size

    def send(self, frame: bytes) -> bytes:
        """The frame as it goes to this client; it is in flight from now on."""
        frame, keys = self._stamp(frame)
        for key in keys:
            share = len(frame) // len(keys)
            self.size += share - self.unacknowledged.get(key, 0)
            self.unacknowledged[key] = share
        return frame

    def acknowledge(self, key: Hashable) -> bool:
        """The client has the frame; False where none is in flight under this key."""
        size = self.unacknowledged.pop(key, None)
        if size is None:
            return False
        self.size -= size
        return True
