"""What encoding and framing a message costs, dialect by dialect: once per message and variant, however many clients.

usage: encode.py [--rounds N]

A payload of 120 bytes of JSON. The best of the rounds, which take turns; beside it the ratio to the native protocol.
"""

import argparse
import secrets
import time
from collections.abc import Callable

from gateway.edge.dialects.mqtt_reader import V3, V5
from gateway.edge.dialects.mqtt_writer import MqttVariant
from gateway.edge.dialects.mqtt_writer import Row as MqttRow
from gateway.edge.dialects.msgpack import MsgpackVariant
from gateway.edge.dialects.native import JsonVariant
from gateway.edge.dialects.socketio_packets import SocketIoVariant
from gateway.edge.dialects.sse import SseVariant
from gateway.edge.dialects.stomp_messages import Row as StompRow
from gateway.edge.dialects.stomp_messages import StompVariant, Style
from gateway.hub.message import Message
from gateway.hub.subscription import Variant, View

TOPIC = "sensors/kitchen/temperature"
MESSAGES = 1000  # a round is short: one that nobody interrupts is among many
EPOCH = secrets.token_hex(4)
PAYLOAD = (
    b'{"temperature": 21.53, "humidity": 44.1, "battery": 97, "linkquality": 120, "voltage": 3015, "name": "kitchen 1"}'
)

VARIANTS: dict[str, Variant] = {
    "native, JSON": JsonVariant(),
    "native, MessagePack": MsgpackVariant(),
    "Server-Sent Events": SseVariant(EPOCH, JsonVariant(), marks=True),
    "Socket.IO": SocketIoVariant(EPOCH, JsonVariant()),
    "STOMP 1.2, ack auto": StompVariant("1.2", EPOCH, (StompRow("sensors/#", "sub-0", Style("/topic/", "."), False),)),
    "STOMP 1.2, ack client": StompVariant("1.2", EPOCH, (StompRow("sensors/#", "sub-0", Style(), True),)),
    "MQTT 3.1.1, QoS 0": MqttVariant(V3),
    "MQTT 3.1.1, QoS 1": MqttVariant(V3, (MqttRow("sensors/#", 1, 0, False),)),
    "MQTT 5, an identifier": MqttVariant(V5, (MqttRow("sensors/#", 0, 7, False),)),
}


def messages() -> list[Message]:
    """Messages as they come: some in a turn, with one timestamp."""
    now = time.time()
    return [
        Message(TOPIC, PAYLOAD, round(now + number // 8 * 0.001, 3), "site", False, 0, number)
        for number in range(MESSAGES)
    ]


def microseconds(encode: Callable[[Message], bytes], made: list[Message]) -> float:
    start = time.perf_counter()
    for message in made:
        encode(message)
    return (time.perf_counter() - start) / len(made) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    made = messages()
    encoders = {name: variant.encoder(TOPIC, View()) for name, variant in VARIANTS.items()}
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, encode in encoders.items():
            best[name] = min(best.get(name, 1e9), microseconds(encode, made))
    native = best["native, JSON"]
    for name, cost in best.items():
        print(f"{name:24} {cost:6.2f} µs  {cost / native:5.2f} × native  {len(encoders[name](made[0])):4} bytes")


if __name__ == "__main__":
    main()
