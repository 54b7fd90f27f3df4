"""Every limit, at it and one past it, and what a hostile client can do about it."""

import asyncio
import socket
import ssl
import time

import pytest
from support.edge import Edge, receive, say
from websockets.exceptions import ConnectionClosed

from gateway.edge.admission import SPARE, SPARE_PER_ADDRESS, ServerLimits
from gateway.edge.flood import Flood
from gateway.edge.http import MAX_REQUEST
from gateway.edge.room import SessionLimits
from gateway.edge.tls import TlsFiles
from gateway.topics import MAX_BYTES, MAX_LEVELS

UPGRADE = (
    b"GET /stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
EMPTY = b"\x80\0\0\0\0"  # length and mask of an empty frame; the opcode goes before


async def code_of(client) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await asyncio.wait_for(client.recv(), 10)
    return caught.value.rcvd.code if caught.value.rcvd else 1006


async def opened(edge, count):
    return [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(count)]


async def ended(reader) -> bool:
    """Whether the server has ended the connection, or does soon."""
    try:
        return await asyncio.wait_for(reader.read(1), 1.0) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


async def close(pairs) -> None:
    for _, writer in pairs:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass  # the server was first


class TestConnections:
    async def test_in_all(self):
        async with Edge(limits=ServerLimits(connections=3)) as edge:
            async with edge.connect() as a, edge.connect() as b, edge.connect() as c:
                for client in (a, b, c):
                    await receive(client, "welcome")
                async with edge.connect() as past:
                    assert await code_of(past) == 1013
                assert edge.server.counts["connections"] == 1
                await say(a, type="ping", id=1)
                await receive(a, "pong")

    async def test_of_one_address(self):
        async with Edge(limits=ServerLimits(per_address=2)) as edge:
            async with edge.connect() as a, edge.connect() as b:
                await receive(a, "welcome")
                await receive(b, "welcome")
                async with edge.connect() as past:
                    assert await code_of(past) == 1013
                assert edge.server.counts["connections-per-address"] == 1

    async def test_silent_sockets_of_one_address_do_not_fill_the_house(self):
        allowed = 2 + SPARE_PER_ADDRESS
        async with Edge(limits=ServerLimits(per_address=2)) as edge:
            pairs = await opened(edge, allowed)
            assert not await ended(pairs[-1][0])
            [past] = await opened(edge, 1)
            assert await ended(past[0])
            assert edge.server.counts["connections-per-address"] == 1
            await close([*pairs, past])

    async def test_silent_sockets_in_all_are_bounded_too(self):
        async with Edge(limits=ServerLimits(connections=1, per_address=1000)) as edge:
            pairs = await opened(edge, 1 + SPARE)
            [past] = await opened(edge, 1)
            assert await ended(past[0])
            assert not await ended(pairs[-1][0])
            await close([*pairs, past])

    async def test_the_rate_at_which_they_come(self):
        async with Edge(limits=ServerLimits(accepts=1)) as edge:
            pairs = await opened(edge, 5)
            assert not await ended(pairs[-1][0])
            pairs += await opened(edge, 3)
            assert await ended(pairs[-1][0])
            assert edge.server.counts["accept-rate"] >= 1
            await close(pairs)


class TestHandshake:
    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    async def test_slow_loris_is_dropped_in_time_and_costs_nobody_else(self, tls, certificate):
        files = TlsFiles(certificate.certificate, certificate.key) if tls else None
        context = ssl.create_default_context(cafile=str(certificate.ca)) if tls else None
        # A ClientHello's first bytes, or a request's.
        bait = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" if tls else b"GET / HTTP/1.1\r\nHost"
        async with Edge(tls=files, limits=ServerLimits(handshake=1.5, accepts=1000)) as edge:
            pairs = await opened(edge, 60)
            began = time.monotonic()

            async def drip(writer) -> None:
                for byte in bait:
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(0.25)

            drips = [asyncio.create_task(drip(writer)) for _, writer in pairs]
            async with edge.connect(ssl=context) as client:
                await receive(client, "welcome", 1.0)
                async with asyncio.timeout(6):
                    for reader, _ in pairs:
                        try:
                            assert await reader.read() == b""
                        except ConnectionError:
                            pass  # we were still talking when it ended
                assert 1.0 < time.monotonic() - began < 4.0
                assert edge.server.counts["handshake-timeout"] == 60
            for task in drips:
                task.cancel()
            await close(pairs)

    async def test_a_stalled_tls_handshake_of_a_finished_hello_ends_too(self, certificate):
        files = TlsFiles(certificate.certificate, certificate.key)
        async with Edge(tls=files, limits=ServerLimits(handshake=0.5)) as edge:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            hello = ssl.create_default_context(cafile=str(certificate.ca)).wrap_bio(
                incoming, outgoing, server_hostname="localhost"
            )
            with pytest.raises(ssl.SSLWantReadError):
                hello.do_handshake()
            [(reader, writer)] = await opened(edge, 1)
            writer.write(outgoing.read())
            async with asyncio.timeout(5):
                assert len(await reader.read()) > 100  # the server's answer, then the end
            await close([(reader, writer)])

    async def test_bytes_of_headers(self):
        room = MAX_REQUEST - len(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        padding = b"".join(b"A%03d: %b\r\n" % (n, b"x" * 993) for n in range(room // 1001))
        padding += b"B: " + b"x" * (room - len(padding) - 5) + b"\r\n"
        async with Edge() as edge:
            at = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + padding + b"\r\n"
            assert len(at) == MAX_REQUEST
            assert (await edge.raw(at)).startswith(b"HTTP/1.1 200 ")
            past = at.replace(b"B: ", b"B: x")
            assert (await edge.raw(past)).startswith(b"HTTP/1.1 431 ")
            assert edge.server.counts["header-size"] == 1

    async def test_headers_without_an_end_are_cut_off(self):
        async with Edge() as edge:
            answer = await edge.raw(b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(3000)))
            assert answer.startswith(b"HTTP/1.1 431 ")

    @pytest.mark.parametrize(("line", "status"), [(b"GET /" + b"x" * 8100, b"404"), (b"GET /" + b"x" * 9000, b"414")])
    async def test_length_of_the_request_line(self, line, status):
        async with Edge() as edge:
            answer = await edge.raw(line + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer.split()[1] == status


class TestMessages:
    async def test_size(self):
        async with Edge(limits=ServerLimits(message_size=1024)) as edge, edge.connect() as client:
            await receive(client, "welcome")
            at = '{"type":"ping","id":"' + "x" * (1024 - len('{"type":"ping","id":""}')) + '"}'
            await client.send(at)
            await receive(client, "pong")
            await client.send(at + " ")
            assert await code_of(client) == 1009
            assert edge.server.counts["closed-1009"] == 1

    async def test_size_of_fragments_together(self):
        async with Edge(limits=ServerLimits(message_size=1024)) as edge, edge.connect() as client:
            await receive(client, "welcome")
            await client.send(["x" * 512, "y" * 512])
            assert (await receive(client))["code"] == "bad-json"
            await client.send(["x" * 512, "y" * 513])
            assert await code_of(client) == 1009

    async def test_commands_a_second(self):
        limits = SessionLimits(commands_per_second=2)
        async with Edge(session=limits) as edge, edge.connect() as client:
            await receive(client, "welcome")
            for number in range(11):
                await say(client, type="ping", id=number)
            kinds = [(await receive(client))["type"] for _ in range(11)]
            assert kinds == ["pong"] * 10 + ["error"]
            assert edge.server.room.refused == {"too-fast": 1}
            await asyncio.sleep(0.6)
            await say(client, type="ping", id="later")
            assert (await receive(client))["type"] == "pong"

    async def test_a_subscribe_among_many_topics_is_dearer(self):
        async with Edge(session=SessionLimits(commands_per_second=2)) as edge, edge.connect() as client:
            await receive(client, "welcome")
            for number in range(10_000):
                edge.publish(f"t/{number}")
            # A burst of ten; with ten thousand topics each subscribe takes two of it.
            for number in range(6):
                await say(client, type="subscribe", id=number, topics=[f"none/{number}"], replay="none")
            kinds = [(await receive(client))["type"] for _ in range(6)]
            assert kinds == ["ok"] * 5 + ["error"]

    async def test_subscriptions(self):
        async with Edge(session=SessionLimits(subscriptions=3)) as edge, edge.connect() as client:
            await receive(client, "welcome")
            await say(client, type="subscribe", id=1, topics=["a", "b", "c"], replay="none")
            assert len((await receive(client, "ok"))["subscribed"]) == 3
            await say(client, type="subscribe", id=2, topics=["c"], replay="none")
            await receive(client, "ok")
            await say(client, type="subscribe", id=3, topics=["d"])
            assert (await receive(client))["code"] == "too-many-subscriptions"
            assert edge.server.room.refused == {"too-many-subscriptions": 1}

    async def test_subscriptions_in_an_address(self):
        """More than a client may have were told as a fault of the gateway's own, 1011."""
        query = "?topic=a&topic=b"
        async with Edge(session=SessionLimits(subscriptions=1)) as edge:
            async with edge.connect(query) as client:
                with pytest.raises(ConnectionClosed) as caught:
                    await receive(client, "message")
                assert caught.value.rcvd.code == 4403
                assert caught.value.rcvd.reason.startswith("at most 1 subscriptions a client: ")
            answer = await edge.raw(f"GET /events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert b'"code":"forbidden","message":"at most 1 subscriptions a client: ' in answer
            assert edge.server.counts["fault"] == 0

    async def test_length_and_depth_of_filters(self):
        limits = ServerLimits(message_size=1 << 20)
        async with Edge(limits=limits) as edge, edge.connect() as client:
            await receive(client, "welcome")
            for filter, granted in (
                ("x" * MAX_BYTES, True),
                ("x" * (MAX_BYTES + 1), False),
                ("/".join("x" * MAX_LEVELS), True),
                ("/".join("x" * (MAX_LEVELS + 1)), False),
            ):
                await say(client, type="subscribe", id=1, topics=[filter], replay="none")
                answer = await receive(client)
                assert (answer["type"] == "ok") is granted
                assert granted or answer["code"] == "bad-filter"


class TestFloods:
    @pytest.mark.parametrize("opcode", [0x89, 0x8A], ids=["ping", "pong"])
    async def test_control_frames_at_the_limit_and_past_it(self, opcode):
        flood = Flood(frames=0.0, frames_burst=50.0)
        async with Edge(flood=flood) as edge:
            at = await edge.raw(UPGRADE + (bytes((opcode,)) + EMPTY) * 50 + b"\x88" + EMPTY)
            assert b"\x03\xf0" not in at
            past = await edge.raw(UPGRADE + (bytes((opcode,)) + EMPTY) * 51, until=b"\x03\xf0")
            assert b"\x03\xf0" in past
            assert edge.server.counts["flood"] == 1

    async def test_empty_fragments(self):
        flood = Flood(frames=0.0, frames_burst=50.0)
        async with Edge(flood=flood) as edge:
            at = await edge.raw(UPGRADE + b"\x01" + EMPTY + (b"\x00" + EMPTY) * 49 + b"\x88" + EMPTY)
            assert b"\x03\xf0" not in at
            past = await edge.raw(UPGRADE + b"\x01" + EMPTY + (b"\x00" + EMPTY) * 50, until=b"\x03\xf0")
            assert b"\x03\xf0" in past
            assert edge.server.counts["flood"] == 1

    async def test_bytes(self):
        flood = Flood(bytes=0.0, bytes_burst=10_000.0)
        async with Edge(flood=flood) as edge, edge.connect() as client:
            await receive(client, "welcome")
            await client.send("[" + " " * 8_000 + "]")
            assert (await receive(client))["code"] == "bad-json"
            await client.send("[" + " " * 4_000 + "]")
            assert await code_of(client) == 1008

    async def test_pings_of_whoever_does_not_read_the_pongs_are_bounded(self):
        async with Edge(flood=Flood(frames=1e9, frames_burst=1e9, bytes=1e9, bytes_burst=1e9)) as edge:
            with socket.create_connection(("127.0.0.1", edge.port)) as sock:
                sock.setblocking(False)
                loop = asyncio.get_running_loop()
                ping = b"\x89\xfd\0\0\0\0" + b"x" * 125

                async def pour() -> None:
                    await loop.sock_sendall(sock, UPGRADE)
                    while True:
                        await loop.sock_sendall(sock, ping * 1000)

                with pytest.raises((ConnectionError, BrokenPipeError)):
                    await asyncio.wait_for(pour(), 10)
            assert edge.server.counts["slow-consumer"] == 1


async def test_a_slow_reader_of_a_plain_answer_is_aborted():
    async with Edge() as edge:
        for number in range(200):
            edge.publish(f"t/{number}", b'"' + b"x" * 40_000 + b'"')
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", edge.port))
            sock.sendall(b"GET /api/topics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(10):
                await _until(lambda: any(c._closing_at is not None for c in edge.server.connections.values()))
                [connection] = edge.server.connections.values()
                # A byte a time is no way to hold memory: the whole answer has its time, by its size.
                assert 100 < connection._closing_at - time.monotonic() < 140
                connection._closing_at = time.monotonic()
                await _until(lambda: not edge.server.connections)


async def _until(condition) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.02)
