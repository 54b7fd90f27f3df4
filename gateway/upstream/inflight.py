"""QoS 1 and 2 messages on their way out, over connections: no more in flight than the broker takes.

paho ignores the broker's Receive Maximum, and sends all that is unanswered again at once after a reconnect.
"""

from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MessageState

IN_FLIGHT = 20
"""Sent and not answered: what brokers that announce nothing (MQTT 3.1.1) take by default."""


def hold_back(paho: mqtt.Client) -> None:
    """At CONNECT: what was sent and not answered waits for its turn, else paho sends it whatever the broker takes."""
    for message in paho._out_messages.values():
        if message.state == MessageState.MQTT_MS_PUBLISH:
            message.state = MessageState.MQTT_MS_QUEUED


def take_up(paho: mqtt.Client, properties: Any) -> bool:
    """At CONNACK: keep to the broker's Receive Maximum (MQTT 5.0, 3.2.2.3.3). True: `send_waiting` has work."""
    paho._max_inflight_messages = min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))
    messages = paho._out_messages
    for mid, message in reversed(list(messages.items())):
        # PUBRELs go first, since paho stops at the first message that waits.
        if message.state == MessageState.MQTT_MS_RESEND_PUBREL:
            messages.move_to_end(mid, last=False)
    return bool(messages)


def send_waiting(paho: mqtt.Client) -> None:
    """Send what waits, as far as it may be in flight. Not from within a callback of paho's: it holds a lock there."""
    paho._update_inflight()
