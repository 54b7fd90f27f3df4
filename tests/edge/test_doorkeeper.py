"""Who is let in at the door, and what a proxy's header says about it."""

import asyncio
import ipaddress
import socket
import struct

import pytest
from support.edge import Edge
from support.plainhttp import request
from support.sleeper import until

from gateway.edge.admission import SPARE_PER_ADDRESS, ServerLimits
from gateway.edge.doors import Door
from gateway.edge.http import Reply
from gateway.edge.proxy_protocol import SIGNATURE

DOOR = Door(proxies=(ipaddress.ip_network("127.0.0.0/8"),), proxy_protocol=True)


def header(address: str = "192.0.2.7") -> bytes:
    rest = socket.inet_aton(address) + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 443)
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(rest)) + rest


async def test_the_client_is_whom_the_proxy_speaks_for_and_never_local():
    async with Edge(door=DOOR, anonymous="local") as edge:
        answer = await edge.raw(header("127.0.0.1") + request("/api/topics"))
        assert answer.startswith(b"HTTP/1.1 401 ")
    async with Edge(door=DOOR) as edge:
        answer = await edge.raw(header() + request("/api/topics", host="127.0.0.1"))
        assert answer.startswith(b"HTTP/1.1 200 ")
        edge.server.front.judge = lambda request, peer: Reply(200, peer.address.encode())
        assert (await edge.raw(header() + request("/"))).endswith(b"192.0.2.7")


async def test_one_that_does_not_say_it_is_turned_away():
    async with Edge(door=DOOR) as edge:
        with pytest.raises(ConnectionResetError):
            await edge.raw(request("/healthz"))
        assert edge.server.counts["proxy-protocol"] == 1


async def test_from_anybody_else_it_is_no_request():
    async with Edge(door=Door(proxy_protocol=True)) as edge:
        assert (await edge.raw(header() + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert (await edge.raw(request("/healthz"))).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (ServerLimits(per_address=2), "connections-per-address"),
        (ServerLimits(accepts=(2 + SPARE_PER_ADDRESS) // 5), "accept-rate"),
    ],
    ids=["how many", "how fast"],
)
async def test_whom_a_proxy_speaks_for_is_bounded_as_if_it_came_itself(limits, reason):
    """One client behind the proxy could hold every place with connections on which it never said a word."""
    allowed = 2 + SPARE_PER_ADDRESS
    async with Edge(door=DOOR, limits=limits) as edge:
        silent = []

        async def arrive(address: str):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            silent.append(writer)
            before = edge.server.accepted + sum(edge.server.counts.values())
            writer.write(header(address))
            await until(lambda: edge.server.accepted + sum(edge.server.counts.values()) > before)
            return reader

        for _ in range(allowed):
            await arrive("192.0.2.7")
        assert len(edge.server.connections) == allowed
        past = await arrive("192.0.2.7")
        assert await asyncio.wait_for(past.read(1), 5) == b""
        assert edge.server.counts == {reason: 1}
        await arrive("192.0.2.8")
        assert len(edge.server.connections) == allowed + 1, "another one behind the same proxy"
        for writer in silent:
            writer.close()


async def test_who_comes_while_the_rules_change_goes_by_the_new_ones():
    """Whoever was still behind its proxy's header at a reload kept the rules from before for as long as it stayed."""
    async with Edge(door=DOOR) as edge:
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        doorkeeper = edge.server.listeners._doorkeeper
        await until(lambda: len(doorkeeper._prefaces) == 1)
        [endpoint] = edge.server.listeners.endpoints
        renewed = Door(anonymous="", proxies=DOOR.proxies, proxy_protocol=True)
        edge.server.listeners.replace([type(endpoint)(endpoint.address, endpoint.port, door=renewed)])
        writer.write(header())
        await until(lambda: bool(edge.server.connections))
        [connection] = edge.server.connections.values()
        assert connection.door is renewed
        writer.close()
