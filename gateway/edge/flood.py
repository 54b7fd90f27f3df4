"""How much one client may send, whatever it is: bytes, and the frames that cost more than they carry. Pure."""

import msgspec


class Flood(msgspec.Struct, frozen=True):
    """How much a client may send: `frames` are control frames and fragments; each a second, and saved up at most."""

    frames: float = 50.0
    frames_burst: float = 1000.0
    bytes: float = 1024 * 1024.0
    bytes_burst: float = 4 * 1024 * 1024.0


class Allowance:
    """One client's two token buckets; `now` is monotonic seconds."""

    __slots__ = ("_at", "_bytes", "_flood", "_frames")

    def __init__(self, flood: Flood, now: float) -> None:
        self._flood = flood
        self._frames = flood.frames_burst
        self._bytes = flood.bytes_burst
        self._at = now

    def take(self, size: int, now: float) -> bool:
        """Whether `size` bytes more may come; frames are credited by the same clock."""
        flood, passed = self._flood, now - self._at
        self._bytes = min(self._bytes + passed * flood.bytes, flood.bytes_burst) - size
        self._frames = min(self._frames + passed * flood.frames, flood.frames_burst)
        self._at = now
        return self._bytes >= 0

    def take_frame(self) -> bool:
        """Whether a control frame or a fragment more may come."""
        self._frames -= 1
        return self._frames >= 0
