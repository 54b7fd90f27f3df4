"""What the history writes a day: flash memory lasts for so many writes, and an SD card for few. Pure.

Measured with SQLite 3.40 on ext4 (bytes that reach the block device): a commit costs 13 KB whatever is in it, the pages
of its tables once in the write-ahead log and once in the file; a message four fifths of its size, deflated and twice.
"""

DAY = 86_400.0
COMMIT = 13_000
SHARE = 0.8
FASTEST = 0.005  # seconds of a commit: a durable one for every message, but no more than that


def bytes_per_day(rate: float, size: float, *, commit: float, durable: bool) -> float:
    """Bytes written a day at `rate` messages a second of `size` bytes, topic included; `commit` is in seconds."""
    commits = min(rate, 1 / FASTEST) if durable else min(rate, 1 / commit)
    return DAY * (commits * COMMIT + rate * size * SHARE)
