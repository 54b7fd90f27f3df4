"""A stand-in broker that floods from memory: the ceiling of ingest without a real broker's own.

    python benchmarks/flood.py --port 1899 --count 1000000 [--topics 100] [--size 120]

Accepts CONNECT of MQTT 3.1.1 and 5, answers SUBSCRIBE, and then sends `count` QoS 0 PUBLISH packets, built before,
as fast as the socket takes them. The payload is JSON of about `size` bytes with a running number, as sensors send it.
After the last packet it answers pings until the client goes; prints the time that the flood took.
"""

import argparse
import socket
import time

CHUNK_MESSAGES = 20_000


def length(value: int) -> bytes:
    """A variable byte integer (MQTT 5.0, 1.5.5)."""
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (128 if value else 0))
        if not value:
            return bytes(out)


def publish(number: int, topics: int, size: int, version_5: bool) -> bytes:
    """One PUBLISH packet of QoS 0."""
    topic = f"sensors/{number % topics}/temperature".encode()
    at = time.time_ns()
    payload = f'{{"n":{number},"value":{20 + number % 100 / 10:.2f},"unit":"C","at":"t={at}"'.encode()
    pad = size - len(payload) - 10
    payload += (b',"pad":"' + b"x" * pad + b'"}') if pad > 0 else b"}"
    body = len(topic).to_bytes(2, "big") + topic + (b"\0" if version_5 else b"") + payload
    return b"\x30" + length(len(body)) + body


def flood(count: int, topics: int, size: int, version_5: bool) -> bytes:
    """`count` packets in a row."""
    return b"".join(publish(number, topics, size, version_5) for number in range(count))


class Peer:
    """One connected client, read packet by packet."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._buffer = b""

    def packet(self) -> tuple[int, bytes] | None:
        """First byte and body of the next packet; None at the end."""
        while True:
            shift = value = 0
            for position in range(1, len(self._buffer)):
                value |= (self._buffer[position] & 127) << shift
                shift += 7
                if self._buffer[position] < 128:
                    start, stop = position + 1, position + 1 + value
                    if len(self._buffer) >= stop:
                        head, body = self._buffer[0], self._buffer[start:stop]
                        self._buffer = self._buffer[stop:]
                        return head, body
                    break
            data = self.connection.recv(65536)
            if not data:
                return None
            self._buffer += data


def serve(peer: Peer, arguments: argparse.Namespace) -> bool:
    """Serve one client; whether it was flooded."""
    version_5 = flooded = False
    while True:
        got = peer.packet()
        if got is None:
            return flooded
        head, body = got
        kind = head >> 4
        if kind == 1:
            version_5 = body[6] == 5
            peer.connection.sendall(b"\x20\x03\x00\x00\x00" if version_5 else b"\x20\x02\x00\x00")
        elif kind == 8:
            filters = count_filters(body, version_5)
            codes = b"\0" * filters
            answer = body[:2] + (b"\0" if version_5 else b"") + codes
            peer.connection.sendall(b"\x90" + length(len(answer)) + answer)
            if not flooded:
                flooded = True
                send(peer.connection, arguments, version_5)
        elif kind == 12:
            peer.connection.sendall(b"\xd0\x00")
        elif kind == 14:
            return flooded


def count_filters(body: bytes, version_5: bool) -> int:
    """How many filters a SUBSCRIBE has."""
    position = 2
    if version_5:
        position += 1 + body[position]
    filters = 0
    while position < len(body):
        position += 2 + int.from_bytes(body[position : position + 2], "big") + 1
        filters += 1
    return filters


def send(connection: socket.socket, arguments: argparse.Namespace, version_5: bool) -> None:
    chunk_size = min(CHUNK_MESSAGES, arguments.count)
    chunk = flood(chunk_size, arguments.topics, arguments.size, version_5)
    rest = flood(arguments.count % chunk_size, arguments.topics, arguments.size, version_5)
    time.sleep(arguments.delay)
    begin = time.monotonic()
    for _ in range(arguments.count // chunk_size):
        connection.sendall(chunk)
    connection.sendall(rest)
    elapsed = time.monotonic() - begin
    version = "5" if version_5 else "3.1.1"
    rate = arguments.count / elapsed
    print(f"sent {arguments.count} at MQTT {version} in {elapsed:.3f} s: {rate:.0f}/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=1899, help="on 127.0.0.1; 0: any free one, printed")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--topics", type=int, default=100)
    parser.add_argument("--size", type=int, default=120, help="payload bytes, about")
    parser.add_argument("--delay", type=float, default=1.0, help="seconds between SUBSCRIBE and the flood")
    parser.add_argument("--once", action="store_true", help="end after the first client that was flooded")
    arguments = parser.parse_args()
    with socket.create_server(("127.0.0.1", arguments.port)) as server:
        print(f"listening on 127.0.0.1:{server.getsockname()[1]}", flush=True)
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                try:
                    done = serve(Peer(connection), arguments)
                except ConnectionError as error:
                    print(f"client gone: {error}", flush=True)
                    done = False
            if done and arguments.once:
                return


if __name__ == "__main__":
    main()
