"""What the kernel counts of a TCP connection anyway: read when somebody asks, never on the way of a message."""

import socket
import struct
from typing import NamedTuple

_SIZE = 256
# struct tcp_info of linux/tcp.h, which only ever grows at its end: tcpi_rtt, tcpi_bytes_acked (Linux 4.1).
_RTT = struct.Struct("=68xI")
_ACKED = struct.Struct("=120xQ")


class Traffic(NamedTuple):
    """`sent` are the bytes that the other side has acknowledged, TLS and handshake included; `rtt` is in seconds."""

    sent: int
    rtt: float


def traffic_of(sock: socket.socket) -> Traffic | None:
    """What has gone over a socket; None where it is no TCP or closed already (tcp(7), TCP_INFO)."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:
        return None
    if len(info) < _ACKED.size:
        return None
    [rtt], [acked] = _RTT.unpack_from(info), _ACKED.unpack_from(info)
    return Traffic(acked, rtt / 1e6)
