"""What a client asks for, in no dialect any more (docs/protocol.md, "From the client")."""

import re
from typing import Annotated, Any, Literal

import msgspec

Id = str | int | None


class ReplayFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Resume after `offset` of `epoch`; with `points`, thinned to so many a topic."""

    epoch: str
    offset: int
    points: int | None = None


class ReplayCount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last `count` messages."""

    count: Annotated[int, msgspec.Meta(ge=0)]


class ReplayAge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The messages of the last `age` seconds."""

    age: Annotated[float, msgspec.Meta(ge=0)]


Replay = Literal["last", "none"] | ReplayFrom | ReplayCount | ReplayAge


class Subscribe(msgspec.Struct, frozen=True):
    """Have messages of these filters. `interval` in seconds: at most one value per topic in that time, the newest.

    `copy` names the subscription in a dialect where several to the same filter each have their own copy of a message.
    """

    topics: list[str]
    id: Id = None
    mode: Literal["all", "latest"] = "all"
    interval: float = 0.0
    readings: bool = False
    data: bool = True
    replay: Replay = "last"
    copy: str = ""


class Unsubscribe(msgspec.Struct, frozen=True):
    """Have them no more; `copy` as in Subscribe."""

    topics: list[str]
    id: Id = None
    copy: str = ""


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
    """Ask for a thinned series of numbers; `since` and `until` are Unix seconds, `from` and `to` over the wire."""

    since: float = msgspec.field(name="from")
    until: float = msgspec.field(name="to")
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


_WORDS = "replay is last, none, count:N, age:SECONDS or EPOCH:OFFSET"

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
    if kind == "age":
        return ReplayAge(_age(rest))
    if not re.fullmatch("[0-9]{1,30}", rest):
        raise ValueError(_WORDS)
    return ReplayCount(int(rest)) if kind == "count" else ReplayFrom(kind, int(rest))


def _age(text: str) -> float:
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not age >= 0:  # which nan is not either
        raise ValueError(_WORDS)
    return age
