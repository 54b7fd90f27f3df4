"""What the gateway says to a client, in no dialect yet (docs/protocol.md, "From the gateway")."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.hub.ledger import Ledger


class Event(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of all events; the tag is the native protocol's `type`."""


class AuthRequired(Event, tag="auth-required", frozen=True):
    """Credentials are missing; nothing else is sent before them. `deadline` in seconds."""

    methods: list[str]
    deadline: float


class Welcome(Event, tag="welcome", frozen=True):
    """The first word. `timestamp` is the gateway's Unix time, `heartbeat` in seconds.

    `subscribe` are the filters that the role may have: a page that shows everything asks for these.
    """

    version: int
    gateway: str
    build: str
    session: str
    epoch: str
    offset: int
    timestamp: float
    clock: str
    role: str
    heartbeat: float
    limits: dict[str, int]
    upstreams: list[dict[str, Any]]
    subscribe: list[str] | UnsetType = UNSET


class Ok(Event, tag="ok", frozen=True):
    """A command was carried out; the fields beside `id` are its result."""

    id: str | int | None
    subscribed: list[dict[str, Any]] | UnsetType = UNSET
    unsubscribed: list[str] | UnsetType = UNSET
    published: str | UnsetType = UNSET
    role: str | UnsetType = UNSET
    expires: float | UnsetType = UNSET
    series: list[list[float]] | UnsetType = UNSET
    complete: bool | UnsetType = UNSET


class Error(Event, tag="error", frozen=True):
    """A command was refused, or something the client sent could not be understood."""

    id: str | int | None
    code: str
    message: str


class Replayed(Event, tag="replayed", frozen=True):
    """A replay has ended; live messages follow."""

    id: str | int | None
    count: int
    complete: bool
    offset: int


class Gap(Event, tag="gap", frozen=True):
    """Messages that this client did not get. Offsets inclusive; `count` None where nobody can know."""

    from_: int = msgspec.field(name="from")
    to: int
    count: int | None
    topics: dict[str, int]
    reason: str


class Upstream(Event, tag="upstream", frozen=True):
    """A link to a broker changed its state."""

    name: str
    state: str
    since: float
    retry_in: float | None = None
    host: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class Stale(Event, tag="stale", frozen=True):
    """A topic went silent; times in seconds."""

    topic: str
    age: float
    stale_after: float


class Fresh(Event, tag="fresh", frozen=True):
    """A stale topic speaks again."""

    topic: str
    age: float
    stale_after: float


class Device(Event, tag="device", frozen=True):
    """A device came or went."""

    device: str
    state: str
    since: float


class Rate(Event, tag="rate", frozen=True):
    """The interval now in force for this client's `latest` subscriptions, in seconds."""

    interval: float
    reason: str


class Heartbeat(Event, tag="heartbeat", frozen=True):
    """Still here; `offset` is the resume mark: all that matched up to it was sent or named in a gap."""

    timestamp: float
    offset: int


class Pong(Event, tag="pong", frozen=True):
    """The answer to a ping command."""

    id: str | int | None
    timestamp: float


class Closing(Event, tag="closing", frozen=True):
    """The connection is about to end; `retry_after` in seconds, different for every client."""

    reason: str
    retry_after: float


def gap_of(ledger: Ledger) -> Gap:
    """The gap that a ledger adds up to."""
    return Gap(from_=ledger.first, to=ledger.last, count=ledger.count, topics=ledger.topics, reason=ledger.reason)
