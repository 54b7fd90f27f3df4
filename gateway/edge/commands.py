"""What a client asks for, in no dialect any more (protocol.md, "Client to server")."""

from typing import Any, Literal

import msgspec

Id = str | int | None


class ReplayFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Resume after `offset` of `epoch`; with `points`, thinned to so many a topic."""

    epoch: str
    offset: int
    points: int | None = None


class ReplayCount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last `count` messages."""

    count: int


class ReplayAge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The messages of the last `age` seconds."""

    age: float


Replay = Literal["last", "none"] | ReplayFrom | ReplayCount | ReplayAge


class Subscribe(msgspec.Struct, frozen=True):
    """Have messages of these filters. `interval` in seconds: at most one value per topic in that time, the newest."""

    topics: list[str]
    id: Id = None
    mode: Literal["all", "latest"] = "all"
    interval: float = 0.0
    readings: bool = False
    data: bool = True
    replay: Replay = "last"


class Unsubscribe(msgspec.Struct, frozen=True):
    """Have them no more."""

    topics: list[str]
    id: Id = None


class Publish(msgspec.Struct, frozen=True):
    """Send a message to the broker."""

    topic: str
    payload: bytes
    id: Id = None
    qos: int = 0
    retain: bool = False


class Auth(msgspec.Struct, frozen=True):
    """Present or renew a credential."""

    token: str
    id: Id = None


class History(msgspec.Struct, frozen=True):
    """Ask for a thinned series of numbers; `since` and `until` are Unix seconds."""

    since: float
    until: float
    points: int = 500
    id: Id = None
    topic: str | None = None
    path: str | None = None
    device: str | None = None
    channel: str | None = None
    quantity: str | None = None


class Ping(msgspec.Struct, frozen=True):
    """Ask for a pong."""

    id: Id = None


Command = Subscribe | Unsubscribe | Publish | Auth | History | Ping


def replay_of(value: Any) -> Replay:
    """A replay in the native protocol's form. Raises ValueError."""
    if value in ("last", "none"):
        return value  # type: ignore[no-any-return]
    if isinstance(value, dict):
        for kind, key in ((ReplayFrom, "epoch"), (ReplayCount, "count"), (ReplayAge, "age")):
            if key in value:
                try:
                    return msgspec.convert(value, kind)
                except msgspec.ValidationError as error:
                    raise ValueError(f"replay: {error}") from None
    raise ValueError('replay is "last", "none", {"epoch", "offset"}, {"count"} or {"age"}')


def replay_in(text: str) -> Replay:
    """A replay as one word: last, none, count:N, age:SECONDS or EPOCH:OFFSET. Raises ValueError."""
    if text == "last" or text == "none":
        return text  # type: ignore[return-value]
    kind, _, rest = text.partition(":")
    try:
        if kind == "count":
            return ReplayCount(int(rest))
        if kind == "age":
            return ReplayAge(float(rest))
        return ReplayFrom(kind, int(rest))
    except ValueError:
        raise ValueError("replay is last, none, count:N, age:SECONDS or EPOCH:OFFSET") from None
