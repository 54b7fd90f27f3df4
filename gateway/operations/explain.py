"""Why a panel is empty: one answer from what is known about a topic and a client. Pure.

Facts come in as they are read; each step of a message's way is judged, and the first that fails is the reason.
"""

from collections.abc import Sequence
from typing import Any

import msgspec


class ClientFacts(msgspec.Struct, kw_only=True):
    """One client, as far as this topic is concerned. Times are seconds ago; None: never, or unknown.

    `matching` are its filters that match the topic, `modes` how each is served; `granted` what its role says of the
    topic: "" where it may see it, else the sentence that refuses.
    """

    session: str
    address: str
    dialect: str
    role: str
    state: str
    matching: list[str]
    filters: list[str]
    modes: list[str]
    granted: str
    queued_bytes: int
    lost: int
    sent_ago: float | None
    heard_ago: float
    rtt: float | None
    alone: bool = False


class TopicFacts(msgspec.Struct, kw_only=True):
    """The topic: when it was last seen (seconds ago), its offset, its upstream and whether that is connected.

    `age` is by the gateway's receipt; None with `seen` for a retained message whose age nobody knows.
    """

    topic: str
    seen: bool
    age: float | None
    offset: int
    size: int
    retained: bool
    upstreams: list[tuple[str, str, str]]
    followed_by: list[str]
    similar: list[str]
    decode_failure: str


def explain(topic: TopicFacts, clients: Sequence[ClientFacts]) -> dict[str, Any]:
    """`lines` to print, and `reason`: why nothing is shown, or "" where all is well."""
    lines, reason = _about_topic(topic)
    for client in clients:
        told, why = _about_client(client)
        lines += ["", *told]
        reason = reason or why
    if not clients:
        lines += ["", "clients: none is connected that this is asked about"]
        reason = reason or "no client is connected"
    lines += ["", f"so: {reason}" if reason else "so: all is well: it was seen, it is granted, and it was sent"]
    return {"lines": lines, "reason": reason}


def _about_topic(facts: TopicFacts) -> tuple[list[str], str]:
    lines = [f"topic {facts.topic}"]
    down = [
        f"{name} is {state}{f' ({why})' if why else ''}"
        for name, state, why in facts.upstreams
        if state != "connected" and name in facts.followed_by
    ]
    if facts.seen:
        when = "retained, its age is unknown" if facts.age is None else f"{_ago(facts.age)}"
        lines.append(f"  last seen   {when}, offset {facts.offset}, {facts.size} bytes")
    else:
        lines.append("  last seen   never since the gateway started (or so long ago that it was forgotten)")
    lines.append(
        f"  followed by {', '.join(facts.followed_by) or 'no upstream: no [[upstream]] topics filter matches'}"
    )
    lines += [f"  upstream    {each}" for each in down]
    if facts.decode_failure:
        lines.append(f"  readings    {facts.decode_failure}")
    if facts.seen:
        return lines, ""
    if not facts.followed_by:
        return lines, "no upstream subscribes to it: add a filter to [[upstream]] topics"
    if down:
        return lines, f"the broker is away: {'; '.join(down)}"
    if facts.similar:
        lines.append(f"  similar     {', '.join(facts.similar)}")
        return lines, f"nothing was ever published there; did you mean {facts.similar[0]}?"
    return lines, "nothing was ever published there: look at the device and at the topic's spelling"


def _about_client(facts: ClientFacts) -> tuple[list[str], str]:
    who = f"client {facts.session} from {facts.address} ({facts.dialect}, role {facts.role or 'not signed in'})"
    lines = [who]
    if facts.matching:
        served = (f"{name} ({mode})" for name, mode in zip(facts.matching, facts.modes, strict=True))
        lines.append(f"  filter      {', '.join(served)}")
    else:
        lines.append(f"  filter      none matches; it has {', '.join(facts.filters) or 'no subscription'}")
    lines.append(f"  granted     {'yes' if not facts.granted else 'no: ' + facts.granted}")
    lines.append(f"  queued      {facts.queued_bytes:,} bytes; {facts.lost:,} messages merged or dropped so far")
    lines.append(f"  last sent   {_ago(facts.sent_ago)}")
    rtt = "" if facts.rtt is None else f", round trip {facts.rtt * 1000:.1f} ms"
    lines.append(f"  last heard  {_ago(facts.heard_ago)}{rtt}")
    if facts.granted:
        return lines, f"client {facts.session}: {facts.granted}"
    if not facts.matching:
        return lines, f"client {facts.session} has not subscribed to it"
    if facts.queued_bytes:
        return lines, f"client {facts.session} is behind: {facts.queued_bytes:,} bytes wait for it"
    return lines, ""


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    if seconds < 90:
        return f"{max(0.0, seconds):.1f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 5400 else f"{seconds / 3600:.1f} h ago"
