"""The least that serves viewers over TLS: a loop that takes from a broker's socket and writes to every viewer's.

usage: barewire.py PORT BROKER-PORT CERTIFICATE KEY VIEWERS

Nothing is parsed or encoded. What it costs is what the kernel, OpenSSL and Python cost on this machine at this time.
"""

import socket
import ssl
import struct
import sys

MESSAGE = b'{"type":"message"'.ljust(200, b" ")
FRAME = b"\x81\x7e" + struct.pack("!H", 200) + MESSAGE
CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04bare"
SUBSCRIBE = b"\x82\x06\x00\x01\x00\x01#\x00"


def main() -> None:
    port, broker_port, viewers = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[5])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    served: list[ssl.SSLSocket] = []
    with socket.create_server(("127.0.0.1", port)) as listener:
        while len(served) < viewers:
            client, _ = listener.accept()
            try:
                secure = context.wrap_socket(client, server_side=True)
            except OSError:
                client.close()  # somebody only looked whether the port is open
                continue
            secure.recv(4096)
            served.append(secure)
    broker = socket.create_connection(("127.0.0.1", broker_port))
    broker.sendall(CONNECT)
    broker.recv(4)
    broker.sendall(SUBSCRIBE)
    broker.recv(5)
    while broker.recv(65536):
        for each in served:
            each.send(FRAME)


if __name__ == "__main__":
    main()
