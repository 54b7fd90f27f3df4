"""The raw limit: send the same bytes to N sockets, RATE times a second, and do nothing else.

usage: raw.py CLIENTS RATE SECONDS [CERTIFICATE KEY]

Prints the CPU microseconds per send. With a certificate each socket is a non-blocking `ssl.SSLSocket`.
"""

import os
import select
import signal
import socket
import ssl
import sys
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
    clients, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    context = None
    if len(sys.argv) > 4:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[4], sys.argv[5])
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
        start, before = time.monotonic(), time.process_time()
        for turn in range(int(rate * seconds)):
            time.sleep(max(0.0, start + turn / rate - time.monotonic()))
            for sock in socks:
                sock.send(block)
        print(round((time.process_time() - before) / (int(rate * seconds) * clients) * 1e6, 2))
    finally:
        os.kill(reader, signal.SIGKILL)
        os.waitpid(reader, 0)


if __name__ == "__main__":
    main()
