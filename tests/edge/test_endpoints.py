"""Listening sockets: what is taken away for a Unix socket, and what never is."""

import os
import socket

import pytest
from support.edge import Edge

from gateway.edge.endpoints import Endpoint, listening
from gateway.errors import GatewayError


@pytest.fixture
async def edge():
    async with Edge() as edge:
        edge.server.listeners.stop()
        yield edge


def reached(path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


async def test_what_a_run_before_has_left_is_taken_away(edge, tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    edge.server.listen([Endpoint(f"unix:{path}", 0)])
    assert reached(path)
    edge.server.listeners.stop()
    assert not path.exists()


async def test_a_file_that_is_no_socket_is_left_alone(edge, tmp_path):
    """A slip in `address` had the gateway remove whatever stood there."""
    path = tmp_path / "precious"
    path.write_text("kept")
    with pytest.raises(GatewayError, match=f"cannot listen on unix:{path}: Address already in use"):
        edge.server.listen([Endpoint(f"unix:{path}", 0)])
    assert path.read_text() == "kept"


async def test_a_socket_that_somebody_listens_on_is_not_taken_from_them(edge, tmp_path):
    """A second gateway on the same configuration took the first one's viewers away, without a word."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(GatewayError, match="Address already in use"):
            edge.server.listen([Endpoint(f"unix:{path}", 0)])
        assert reached(path)


async def test_a_socket_that_somebody_else_has_put_there_since_stays_at_the_end(edge, tmp_path):
    """A gateway that ended late took the socket of the one that had been started in its place."""
    path = tmp_path / "s"
    edge.server.listen([Endpoint(f"unix:{path}", 0)])
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as successor:
        successor.bind(str(path))
        successor.listen()
        edge.server.listeners.stop()
        assert reached(path)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", ""])
def test_a_port_that_is_taken_leaves_no_descriptor_behind(address):
    with listening(Endpoint(address, 0), 30.0) as first:
        port = first.getsockname()[1]
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="in use"):
            listening(Endpoint(address, port), 30.0)
        assert len(os.listdir("/proc/self/fd")) == before
