"""Where links put what they receive: the log, behind a hub that may be busy."""

from collections.abc import Callable

from gateway.hub.hub import Hub
from gateway.hub.log import Log
from gateway.hub.message import Message


class Feed:
    """The Publisher of every link."""

    def __init__(self, hub: Hub, log: Log) -> None:
        self._hub = hub
        self._log = log
        self._append = log.append
        self._at_once = hub.at_once

    @property
    def busy(self) -> bool:
        return self._hub.busy or self._log.busy

    def publish(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        # At an edge box's rates a turn of the loop of its own would cost more than the encoding.
        self._at_once(self._append, messages, durable)
