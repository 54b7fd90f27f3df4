"""A hub over a memory ring, with viewers in memory, a loop of its own and a clock that the test moves."""

from support.row import InRow
from support.volley import Volley

from gateway.hub.hub import Hub
from gateway.hub.log import MemoryLog
from gateway.hub.message import Message
from gateway.hub.subscription import AudienceKey, Subscription


class Clock:
    """A clock that moves when looked at, by `step` seconds."""

    def __init__(self):
        self.now, self.step = 0.0, 0.0

    def __call__(self):
        self.now += self.step
        return self.now


class Variant:
    """Frames are `topic:offset;`; counts what it encodes."""

    def __init__(self):
        self.encoded = 0

    def encoder(self, topic, view):
        def encode(message):
            self.encoded += 1
            return f"{topic}:{message.offset};".encode()

        return encode


class Viewer(InRow):
    """Takes everything, or blocks."""

    def __init__(self):
        self.queued, self.got, self.sends, self.waiting = False, b"", 0, b""

    def send(self, data):
        self.sends += 1
        self.got += data
        return len(data)

    def push(self, batch):
        if self.queued:
            self.waiting += batch.blob
        else:
            self.send(batch.blob)

    def short(self, batch, taken):
        raise AssertionError

    failed = short

    def unblock(self):
        self.queued = False
        self.got += self.waiting
        self.waiting = b""

    @property
    def offsets(self):
        return [int(part.split(b":")[1]) for part in self.got.split(b";") if part]


class House:
    """`volleys` is whether two of three viewers are in a volley, in every house."""

    volleys = False

    def __init__(self, **options):
        self.clock, self.turns, self.variant = Clock(), [], Variant()
        self.volley = Volley() if self.volleys else None
        self.joined = 0
        self.hub = Hub(schedule=self.turns.append, clock=self.clock, volley=self.volley, **options)
        self.log = MemoryLog(self.hub.take, epoch="e", limit=1 << 30, age=1e9, clock=lambda: 0.0)

    def publish(self, *topics, payload=b"1"):
        self.log.append([Message(topic, payload, 0.0, "u") for topic in topics])

    def turn(self):
        turns, self.turns[:] = list(self.turns), []
        for function in turns:
            function()

    def at_once(self, *topics):
        self.hub.at_once(self.log.append, [Message(topic, b"1", 0.0, "u") for topic in topics], None)

    def settle(self):
        while self.turns:
            self.turn()

    def key(self, *filters, variant=None, denies=()):
        return AudienceKey(variant or self.variant, tuple(Subscription(f) for f in filters), denies)

    def join(self, *filters, **options):
        viewer = Viewer()
        self.joined += 1
        if self.volley is not None and self.joined % 3:
            self.volley.place(viewer)
        viewer.audience = self.hub.join(viewer, self.key(*filters, **options))
        return viewer
