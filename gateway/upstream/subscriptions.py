"""What a link asks the broker for, and what the broker grants."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.config import UpstreamTopic

_REFUSED = 0x80
_RETAIN_ALWAYS, _RETAIN_IF_NEW = 0, 1


class Grant(NamedTuple):
    """The broker's answer for one filter: a QoS, or None and its reason."""

    filter: str
    qos: int | None
    reason: str


def wanted(topics: Sequence[UpstreamTopic], *, durable: bool, own: str = "") -> list[tuple[str, int]]:
    """Filters with the QoS to ask for, each filter once, with its highest.

    `durable`: QoS 2 becomes 1, since paho answers PUBREC before anybody could store the message. `own` is the topic of
    the link's probe.
    """
    found: dict[str, int] = {}
    for topic in topics:
        qos = min(topic.qos, 1) if durable else topic.qos
        found[topic.filter] = max(found.get(topic.filter, 0), qos)
    if own:
        found.setdefault(own, 0)
    return list(found.items())


def request(filters: Sequence[tuple[str, int]], *, version_5: bool, session_present: bool) -> list[tuple[str, Any]]:
    """The filters in the shape that paho's `subscribe` takes.

    Retained values are asked for again where messages may have been lost meanwhile: always at QoS 0, which no session
    keeps; at QoS 1 and 2 only for a subscription that is new to the broker (MQTT 5.0, 3.8.3.1).
    """
    if not version_5:
        return list(filters)
    return [
        (
            filter,
            SubscribeOptions(qos=qos, retainHandling=_RETAIN_IF_NEW if session_present and qos else _RETAIN_ALWAYS),
        )
        for filter, qos in filters
    ]


def granted(filters: Sequence[tuple[str, int]], codes: Sequence[Any]) -> list[Grant]:
    """Pair the reason codes of a SUBACK with the filters. A filter without a code counts as refused."""
    grants = []
    for number, (filter, _) in enumerate(filters):
        code = codes[number] if number < len(codes) else None
        if code is None:
            grants.append(Grant(filter, None, "no answer for it"))
        elif code.value >= _REFUSED:
            grants.append(Grant(filter, None, str(code)))
        else:
            grants.append(Grant(filter, code.value, ""))
    return grants


def summary(grants: Sequence[Grant]) -> str:
    """What is followed, for the log: `following "a/#" (QoS 1), "b" (QoS 0)`."""
    followed = [f"{json.dumps(grant.filter)} (QoS {grant.qos})" for grant in grants if grant.qos is not None]
    more = f" and {len(followed) - 10} more" if len(followed) > 10 else ""
    return f"following {', '.join(followed[:10]) or 'nothing'}{more}"


def refusals(grants: Sequence[Grant]) -> str:
    """One sentence about the filters that were refused; empty where none was."""
    refused = [grant for grant in grants if grant.qos is None]
    if not refused:
        return ""
    shown = ", ".join(f"{json.dumps(grant.filter)} ({grant.reason})" for grant in refused[:5])
    more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
    return f"the broker refused {len(refused)} of {len(grants)} filters: {shown}{more}"
