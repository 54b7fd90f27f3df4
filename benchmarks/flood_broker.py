"""A stand-in broker that floods from memory: how fast can the gateway take in, when the broker costs nothing?

usage: flood_broker.py PORT COUNT

Serves one client at MQTT 3.1.1 or 5, whichever it speaks. Prints "subscribed" once it has subscribed, waits for a line
on standard input, then sends COUNT QoS 0 messages of 120 bytes over 100 topics as fast as the socket takes them, prints
the seconds that took, and answers pings until the client goes.
"""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

from mqtt_packets import payload, publish, topic

CONNECT, SUBSCRIBE, PINGREQ = 1, 8, 12
BLOCK = 1000  # messages in one call; built once, so their stamps are old and no latency is taken from them


def packets(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Type and body of each packet until the client goes."""
    while head := stream.read(1):
        size = shift = 0
        while True:
            (byte,) = stream.read(1)
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield head[0] >> 4, stream.read(size)


def flood(sock: socket.socket, version: int, count: int) -> None:
    block = b"".join(publish(topic(number, 100), payload(number), version=version) for number in range(BLOCK))
    print("subscribed", flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    for _ in range(count // BLOCK):
        sock.sendall(block)
    print(f"{time.monotonic() - start:.3f}", flush=True)


def serve(sock: socket.socket, count: int) -> None:
    version = 4
    flooding = None
    for kind, body in packets(sock.makefile("rb")):
        if kind == CONNECT:
            version = body[6]  # behind the length and the letters of "MQTT"
            sock.sendall(b"\x20\x03\0\0\0" if version == 5 else b"\x20\x02\0\0")
        elif kind == SUBSCRIBE:
            sock.sendall(b"\x90\x04" + body[:2] + b"\0\0" if version == 5 else b"\x90\x03" + body[:2] + b"\0")
            if flooding is None:
                flooding = threading.Thread(target=flood, args=(sock, version, count), daemon=True)
                flooding.start()
        elif kind == PINGREQ and (flooding is None or not flooding.is_alive()):
            sock.sendall(b"\xd0\0")  # during the flood its bytes are sign of life enough


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            sock, _ = listener.accept()
            with sock:
                serve(sock, count)


if __name__ == "__main__":
    main()
