"""Sockets that systemd opened for us (sd_listen_fds(3)): they stay open in its hands while we are restarted."""

import os
import socket
from collections.abc import MutableMapping
from typing import NamedTuple

FIRST = 3


class Inherited(NamedTuple):
    """A listening socket, and the name that its unit gave it (`FileDescriptorName=`)."""

    name: str
    socket: socket.socket


def inherited(environ: MutableMapping[str, str] = os.environ, *, first: int = FIRST) -> list[Inherited]:
    """The listening sockets that were passed to this process, none where none were. Takes the variables away.

    `first` is the number of the first descriptor. Descriptors that are no listening stream sockets are left alone.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    found = []
    for number in range(int(count)):
        descriptor = first + number
        os.set_inheritable(descriptor, False)
        try:
            sock = socket.socket(fileno=descriptor)
        except OSError:
            continue  # a FIFO, a file: for somebody else
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.append(Inherited(names[number] if number < len(names) else "", sock))
        else:
            sock.detach()
    return found
