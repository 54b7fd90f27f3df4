"""The raw limit: send the same bytes to N sockets, RATE times a second, and do nothing else.

usage: raw.py CLIENTS RATE SECONDS [--pick N] [--tls CERTIFICATE KEY]

Prints the CPU microseconds per send. With --pick each turn goes to N of the sockets, others each time. With a
certificate each socket is a non-blocking `ssl.SSLSocket`.
"""

import argparse
import os
import random
import select
import signal
import socket
import ssl
import time

SIZE = 200  # bytes: a message of 120 with its envelope


def read_all(port: int, clients: int, *, tls: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    poll = select.epoll()
    kept = []
    for _ in range(clients):
        sock = socket.create_connection(("127.0.0.1", port))
        kept.append(context.wrap_socket(sock) if tls else sock)
        poll.register(kept[-1].fileno(), select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            os.read(fd, 1 << 18)  # of TLS too, undeciphered: only the sender is measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--pick", type=int)
    parser.add_argument("--tls", nargs=2)
    options = parser.parse_args()
    clients, rate = options.clients, options.rate
    turns = int(rate * options.seconds)
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    reader = os.fork()
    if reader == 0:
        read_all(listener.getsockname()[1], clients, tls=context is not None)
    try:
        socks = []
        for _ in range(clients):
            sock, _ = listener.accept()
            if context is not None:
                sock = context.wrap_socket(sock, server_side=True)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            socks.append(sock)
        time.sleep(0.5)  # the handshakes are not what is measured: let the reader come to rest
        for sock in socks:
            sock.setblocking(False)
        block = b"x" * SIZE
        some = random.Random(0)
        rows = [some.sample(socks, options.pick) for _ in range(500)] if options.pick else [socks]
        start, before = time.monotonic(), time.process_time()
        for turn in range(turns):
            time.sleep(max(0.0, start + turn / rate - time.monotonic()))
            for sock in rows[turn % len(rows)]:
                sock.send(block)
        print(round((time.process_time() - before) / (turns * len(rows[0])) * 1e6, 2))
    finally:
        os.kill(reader, signal.SIGKILL)
        os.waitpid(reader, 0)


if __name__ == "__main__":
    main()
