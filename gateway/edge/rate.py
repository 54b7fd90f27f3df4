"""How many new connections an address may open a second: a token bucket each. Pure."""

import ipaddress

BURST_SECONDS = 5.0


class Rate:
    """`per_second` tokens an address (of IPv6 a /64), five seconds' worth saved up at most."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._burst = per_second * BURST_SECONDS
        self._buckets: dict[str, tuple[float, float]] = {}

    def pace(self, per_second: float) -> None:
        """Another rate from now on."""
        self.per_second = per_second
        self._burst = per_second * BURST_SECONDS

    def take(self, address: str, now: float) -> bool:
        """Whether `address` may open one more; `now` is monotonic seconds."""
        key = _network(address)
        left, at = self._buckets.get(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self.per_second)
        if left < 1.0:
            self._buckets[key] = left, now
            return False
        self._buckets[key] = left - 1.0, now
        return True

    def forget(self, now: float) -> None:
        """Let those go whose bucket is full again."""
        full = [key for key, (_, at) in self._buckets.items() if now - at >= BURST_SECONDS]
        for key in full:
            del self._buckets[key]


def _network(address: str) -> str:
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
