"""What all clients' replays share: turns of the loop, and the frames of what many of them are told. Pure."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Protocol

from gateway.hub.log import BLOCK
from gateway.hub.message import Message
from gateway.hub.subscription import Variant, View

SLICE = 0.004  # seconds of all replays together before live clients and ingest have their turn
MEMORY = 2 * 1024 * 1024
SLOTS = 8 * BLOCK  # bytes of an empty block


class Frames:
    """Frames of replayed messages, encoded once per variant, view and block of offsets; the oldest go first.

    `memory` is in bytes. When many clients come back at once, they resume over the same blocks.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self.memory = memory
        self.size = 0
        self.encoded = 0
        self._blocks: OrderedDict[Hashable, list[bytes | None]] = OrderedDict()

    def encode(self, variant: Variant, messages: list[tuple[Message, View]]) -> list[bytes]:
        """The frame of each message under its view."""
        frames: list[bytes] = []
        encoders: dict[tuple[str, View], Callable[[Message], bytes]] = {}
        slots: list[bytes | None] = []
        held: tuple[View, int] | None = None
        for message, view in messages:
            offset = message.offset
            place = view, offset // BLOCK
            if place != held:
                held = place
                slots = self._slots((variant, *place))
            frame = slots[offset % BLOCK]
            if frame is None:
                encode = encoders.get((message.topic, view))
                if encode is None:
                    encode = encoders[message.topic, view] = variant.encoder(message.topic, view)
                frame = slots[offset % BLOCK] = encode(message)
                self.size += len(frame)
                self.encoded += 1
            frames.append(frame)
        self._bound()
        return frames

    def _slots(self, key: Hashable) -> list[bytes | None]:
        slots = self._blocks.get(key)
        if slots is None:
            slots = self._blocks[key] = [None] * BLOCK
            self.size += SLOTS
        else:
            self._blocks.move_to_end(key)
        return slots

    def _bound(self) -> None:
        while self.size > self.memory and self._blocks:
            _, slots = self._blocks.popitem(last=False)
            self.size -= SLOTS + sum(len(frame) for frame in slots if frame is not None)


class Stepper(Protocol):
    """Somebody with replays under way."""

    def step(self) -> bool:
        """Take a step; whether another can be taken at once."""


class Desk:
    """Lets everybody's replays go on in turn, a few milliseconds a turn of the loop.

    `schedule` runs a function in the loop's next turn, `clock` is monotonic seconds.
    """

    def __init__(self, schedule: Callable[[Callable[[], None]], object], clock: Callable[[], float]) -> None:
        self.frames = Frames()
        self._schedule = schedule
        self._clock = clock
        self._ready: deque[Stepper] = deque()
        self._queued: set[Stepper] = set()
        self._scheduled = False

    def add(self, stepper: Stepper) -> None:
        """Let `stepper` have its turn."""
        if stepper not in self._queued:
            self._queued.add(stepper)
            self._ready.append(stepper)
            self._ask()

    def _turn(self) -> None:
        clock, ready = self._clock, self._ready
        deadline = clock() + SLICE
        try:
            while ready:
                stepper = ready.popleft()
                self._queued.discard(stepper)
                if stepper.step():
                    self.add(stepper)
                if clock() > deadline:
                    break
        finally:
            # Whatever went wrong for one client must not end the turns of all others.
            self._scheduled = False
            if ready:
                self._ask()

    def _ask(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self._turn)
