"""Who fails to sign in too often: ten failures a minute and address, and nothing is looked at for a minute. Pure.

Tokens of 256 bits cannot be guessed; this keeps the trying cheap, and makes it seen.
"""

import ipaddress
from collections import OrderedDict

FAILURES = 10
WINDOW = 60.0
PENALTY = 60.0
ADDRESSES = 10_000  # remembered; the longest silent is forgotten first


class _Record:
    __slots__ = ("blocked_until", "count", "since")

    def __init__(self, now: float) -> None:
        self.since = now
        self.count = 0
        self.blocked_until = 0.0


class Failures:
    """Counts by address; of IPv6 by /64, which is one household. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def blocked_for(self, address: str, now: float) -> float:
        """Seconds for which credentials from `address` are refused unseen; 0 where they are not."""
        record = self._records.get(_household(address))
        return max(0.0, record.blocked_until - now) if record is not None else 0.0

    def failed(self, address: str, now: float) -> None:
        """One more failure from `address`."""
        key = _household(address)
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = _Record(now)
            if len(self._records) > ADDRESSES:
                self._records.popitem(last=False)
        self._records.move_to_end(key)
        if now - record.since >= WINDOW:
            record.since, record.count = now, 0
        record.count += 1
        if record.count >= FAILURES:
            record.blocked_until = now + PENALTY
            record.since, record.count = now, 0


def _household(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else address
