"""Many WebSocket viewers on one epoll loop: counts messages and takes latencies.

usage: viewers.py --port P --clients N --count M [--path PATH | --mqtt FILTER | --pick K,TOPICS] [--tls] [--seconds S]

Prints "ready" once all are connected and subscribed, then, when every viewer has M messages or the time is over, one
JSON object: messages, least, most, short (viewers that did not get all), seconds between the first and the last, rate,
closed, p50_ms, p99_ms. With --pick each viewer follows K topics of its own out of TOPICS, and has all once it has what
is in them of M messages that went to the topics in turn.

A message is counted by its mark, `"at":"t=` and a publish time in nanoseconds, wherever it stands in the bytes: one
search at C speed per read, so that the generator is not what is measured. Latency is taken from the last message of
each read.
"""

import argparse
import json
import random
import resource
import select
import socket
import ssl
import struct
import sys
import time

MARK = b'"at":"t='
STAMP = 19  # digits of a Unix time in nanoseconds
READ = 1 << 18
BATCH = 100
# One buffer for all: a fresh one for each read would cost more than the read.
BUFFER = bytearray(READ)
FREE = [memoryview(BUFFER)[kept:] for kept in range(len(MARK) + STAMP)]  # what is free behind a tail of that length


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's WebSocket frame; the mask is zero, which is allowed and costs nothing (RFC 6455, 5.3)."""
    size = len(payload)
    head = (
        struct.pack("!BB", 0x80 | opcode, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
    )
    return head + bytes(4) + payload


def text(value: str) -> bytes:
    return struct.pack("!H", len(value)) + value.encode()


def mqtt_hello(number: int, topic_filter: str) -> bytes:
    """CONNECT (3.1.1, clean session) and SUBSCRIBE at QoS 0, each in a frame."""
    connect = text("MQTT") + bytes((4, 2, 0, 0)) + text(f"viewer{number}")
    subscribe = bytes((0, 1)) + text(topic_filter) + bytes(1)
    return frame(2, bytes((0x10, len(connect))) + connect) + frame(2, bytes((0x82, len(subscribe))) + subscribe)


class Viewer:
    """One connection: its socket, the bytes that a mark may begin in, and its count."""

    __slots__ = ("count", "sock", "tail", "wanted")

    def __init__(self, options: argparse.Namespace, number: int, context: ssl.SSLContext | None) -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", options.port), timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.sock = context.wrap_socket(self.sock)
        self.count = 0
        self.wanted = options.count
        self.tail = b""
        path = options.path
        if options.pick:
            many, topics = map(int, options.pick.split(","))
            mine = random.Random(number).sample(range(topics), many)
            self.wanted = sum(len(range(topic, options.count, topics)) for topic in mine)
            path = "/stream?replay=none" + "".join(f"&topic=sensors/{topic}/temperature" for topic in mine)
        protocol = "Sec-WebSocket-Protocol: mqtt\r\n" if options.mqtt else ""
        self.sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{options.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"{protocol}\r\n".encode()
        )

    def upgraded(self) -> None:
        """Read the answer to the handshake."""
        head = b""
        while b"\r\n\r\n" not in head:
            more = self.sock.recv(1)  # byte by byte: what comes behind the head belongs to the stream
            if not more:
                sys.exit(f"the handshake was cut off: {head!r}")
            head += more
        if not head.startswith(b"HTTP/1.1 101"):
            sys.exit(head.decode(errors="replace"))

    def subscribed(self) -> None:
        """Read CONNACK and SUBACK, each in a frame of its own: 2 + 4 and 2 + 5 bytes."""
        answer = b""
        while len(answer) < 13:
            answer += self.sock.recv(13 - len(answer))

    def read(self, latencies: list[int]) -> bool:
        """Take what is there; False where the connection is over."""
        while True:
            kept = len(self.tail)
            BUFFER[:kept] = self.tail
            try:
                size = self.sock.recv_into(FREE[kept])
            except (BlockingIOError, ssl.SSLWantReadError):
                return True
            except OSError:
                return False
            if not size:
                return False
            end = kept + size
            found = BUFFER.count(MARK, 0, end)
            # A mark and its stamp may be cut in two: what is behind the last whole one is looked at again.
            last = BUFFER.rfind(MARK, 0, end)
            if last >= 0 and end - last < len(MARK) + STAMP:
                found -= 1
                self.tail = bytes(BUFFER[last:end])
                last = BUFFER.rfind(MARK, 0, last)
            else:
                self.tail = bytes(BUFFER[max(0, end - len(MARK) + 1) : end])
            if last >= 0:
                stamp = BUFFER[last + len(MARK) : last + len(MARK) + STAMP]
                latencies.append(time.time_ns() - int(stamp))
            self.count += found
            if not isinstance(self.sock, ssl.SSLSocket):
                return True


def percentile(values: list[int], share: float) -> float:
    return round(values[min(len(values) - 1, int(len(values) * share))] / 1e6, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--mqtt", metavar="FILTER")
    parser.add_argument("--pick", metavar="K,TOPICS")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    viewers: list[Viewer] = []
    while len(viewers) < options.clients:
        # Step by step for many at once: Mosquitto 2.0 takes up to 0.1 s for each answer on a WebSocket.
        more = [Viewer(options, n, context) for n in range(len(viewers), min(len(viewers) + BATCH, options.clients))]
        for viewer in more:
            viewer.upgraded()
        if options.mqtt:
            for number, viewer in enumerate(more, len(viewers)):
                viewer.sock.sendall(mqtt_hello(number, options.mqtt))
            for viewer in more:
                viewer.subscribed()
        for viewer in more:
            viewer.sock.setblocking(False)
        viewers += more
    poll = select.epoll()
    by_fd = {viewer.sock.fileno(): viewer for viewer in viewers}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    print("ready", flush=True)

    latencies: list[int] = []
    closed = 0
    done: set[int] = set()
    first = last = 0.0
    end = time.monotonic() + options.seconds
    while len(done) + closed < len(viewers) and time.monotonic() < end:
        for fd, _ in poll.poll(0.2):
            viewer = by_fd[fd]
            before = viewer.count
            if not viewer.read(latencies):
                poll.unregister(fd)
                closed += 1
                done.discard(fd)
            if viewer.count > before:
                last = time.monotonic()
                first = first or last
                if options.count and viewer.count >= viewer.wanted:
                    done.add(fd)
    counts = [viewer.count for viewer in viewers]
    took = max(last - first, 1e-9)
    figure = {
        "messages": sum(counts),
        "least": min(counts),
        "most": max(counts),
        "short": sum(viewer.count < viewer.wanted for viewer in viewers),
        "seconds": round(took, 3),
        "rate": round(sum(counts) / took),
        "closed": closed,
    }
    if latencies:
        latencies.sort()
        figure |= {"p50_ms": percentile(latencies, 0.5), "p99_ms": percentile(latencies, 0.99)}
    print(json.dumps(figure))


if __name__ == "__main__":
    main()
