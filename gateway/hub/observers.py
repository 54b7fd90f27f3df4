"""Several who want to see the hub's messages, as one."""

from gateway.hub.message import Message
from gateway.hub.ports import Observer


class Observers:
    """Is an Observer; the first one's generation is that of all."""

    def __init__(self, *observers: Observer) -> None:
        self.all = list(observers)

    @property
    def generation(self) -> int:
        return self.all[0].generation

    def observe(self, message: Message) -> bool:
        """Let everyone see the message; False where nobody wants the next one of its topic."""
        wanted = False
        for observer in self.all:
            wanted |= observer.observe(message)
        return wanted
