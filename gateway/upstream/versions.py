"""Which version of MQTT a broker is spoken to in: 5 first, 3.1.1 at once where that is refused."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from gateway.upstream.session import VersionRefused

FORGET = 3600.0
"""Seconds after which 5 is tried again where a broker did not say that it refuses it, but closed. So do proxies whose
broker is not up yet, and for one of those a gateway would keep to 3.1.1 for the rest of its life."""

Result = TypeVar("Result")


class Versions:
    """What is known of the brokers of one link, by url. `clock` is monotonic seconds."""

    def __init__(self, protocol: Literal["auto", "5", "3.1.1"], clock: Callable[[], float]) -> None:
        self._protocol = protocol
        self._clock = clock
        self._older: dict[str, float] = {}  # url → until when 3.1.1 comes first there

    async def speak(self, url: str, connect: Callable[[bool], Awaitable[Result]]) -> Result:
        """What `connect` brings; it is told whether to speak MQTT 5. Raises what it raises."""
        version_5 = self._protocol != "3.1.1" and self._older.get(url, 0.0) <= self._clock()
        try:
            return await connect(version_5)
        except VersionRefused as refused:
            if self._protocol != "auto" or not version_5:
                raise
            result = await connect(False)
            self._older[url] = float("inf") if refused.certain else self._clock() + FORGET
            return result
