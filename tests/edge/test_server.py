"""Real clients against the real server: the native protocol over sockets."""

import asyncio
import ssl

import pytest
from support.edge import Edge, receive, say
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.edge.admission import ServerLimits
from gateway.edge.roles import Role
from gateway.edge.tls import server_context
from gateway.hub.freshness import Change
from gateway.hub.ports import CONNECTED, UpstreamState


@pytest.fixture
def contexts(certificate):
    client = ssl.create_default_context(cafile=str(certificate.ca))
    return server_context(certificate.certificate, certificate.key), client


async def test_bare_client_gets_welcome_snapshot_and_live_values():
    async with Edge() as edge:
        edge.publish("sensors/a", "21.5")
        async with edge.connect("?topic=sensors/%23") as client:
            assert (await receive(client))["type"] == "welcome"
            first = await receive(client)
            assert (first["topic"], first["data"], first["replay"]) == ("sensors/a", 21.5, True)
            assert await receive(client) == {
                "type": "replayed",
                "id": None,
                "count": 1,
                "complete": True,
                "offset": 1,
            }
            edge.publish("sensors/b", '{"on":true}')
            live = await receive(client)
            assert (live["topic"], live["data"], live["offset"]) == ("sensors/b", {"on": True}, 2)
            assert "replay" not in live


async def test_everything_works_over_tls(contexts):
    server, client_context = contexts
    async with Edge(context=server) as edge, edge.connect("?topic=%23&replay=none", ssl=client_context) as client:
        await receive(client, "welcome")
        for number in range(2000):
            edge.publish(f"t/{number % 7}", str(number))
        got = [(await receive(client, "message"))["data"] for _ in range(2000)]
        assert got == list(range(2000))


async def test_large_payload_crosses_tls_whole(contexts):
    server, client_context = contexts
    async with Edge(context=server) as edge:
        async with edge.connect("?topic=%23&replay=none", ssl=client_context, max_size=None) as client:
            await receive(client, "welcome")
            body = "x" * 250_000
            edge.publish("big", f'"{body}"')
            edge.publish("after", "1")
            assert (await receive(client, "message"))["data"] == body
            assert (await receive(client, "message"))["topic"] == "after"


async def test_payload_of_any_bytes_is_delivered():
    async with Edge() as edge, edge.connect("?topic=%23&replay=none") as client:
        await receive(client, "welcome")
        for payload, data, encoding in (
            (b"\xff\x00", "/wA=", "base64"),
            (b"hello", "hello", "text"),
            (b"", "", "text"),
            (b"NaN", "NaN", "text"),
            (b"[" * 600 + b"]" * 600, "[" * 600 + "]" * 600, "text"),
            (b'{"a":[1,2]}', {"a": [1, 2]}, None),
        ):
            edge.publish("t", payload)
            message = await receive(client, "message")
            assert (message["data"], message.get("encoding")) == (data, encoding)


async def test_too_large_payload_is_announced_without_its_data():
    async with Edge() as edge, edge.connect("?topic=%23&replay=none") as client:
        await receive(client, "welcome")
        edge.publish("t", b"", size=300_000)
        message = await receive(client, "message")
        assert (message["data"], message["size"], message["too_large"]) == (None, 300_000, True)


async def test_subscribe_unsubscribe_and_errors_keep_the_connection():
    async with Edge() as edge, edge.connect() as client:
        await receive(client, "welcome")
        await say(client, type="subscribe", id=1, topics=["a/+"], replay="none")
        ok = await receive(client)
        assert ok == {
            "type": "ok",
            "id": 1,
            "subscribed": [{"filter": "a/+", "granted": True, "reason": None}],
        }
        await client.send("{nonsense")
        assert (await receive(client))["code"] == "bad-json"
        await say(client, type="dance", id="x")
        assert await receive(client) | {"message": ""} == {
            "type": "error",
            "id": "x",
            "code": "unknown-type",
            "message": "",
        }
        await say(client, type="subscribe", id=2, topics=["a/#/b"])
        assert (await receive(client))["code"] == "bad-filter"
        edge.publish("a/1")
        assert (await receive(client))["topic"] == "a/1"
        await say(client, type="unsubscribe", id=3, topics=["a/+"])
        assert (await receive(client))["unsubscribed"] == ["a/+"]
        edge.publish("a/1")
        await say(client, type="ping", id=4)
        assert (await receive(client))["type"] == "pong"


async def test_overlapping_subscriptions_deliver_once():
    async with Edge() as edge, edge.connect() as client:
        await receive(client, "welcome")
        await say(client, type="subscribe", id=1, topics=["a/#", "a/b", "+/b"], replay="none")
        await receive(client, "ok")
        edge.publish("a/b", "1")
        edge.publish("a/b", "2")
        assert [(await receive(client))["data"] for _ in range(2)] == [1, 2]


async def test_a_role_limits_what_a_viewer_sees():
    role = Role("viewer", subscribe=("plant/#",), deny=("plant/secret/#",))
    async with Edge(roles=[role]) as edge, edge.connect() as client:
        await receive(client, "welcome")
        await say(client, type="subscribe", id=1, topics=["#"])
        assert (await receive(client))["code"] == "forbidden"
        await say(client, type="subscribe", id=2, topics=["plant/#"], replay="none")
        assert (await receive(client))["subscribed"][0]["reason"] == "without plant/secret/#"
        edge.publish("plant/secret/x")
        edge.publish("plant/open")
        assert (await receive(client))["topic"] == "plant/open"


async def test_resume_continues_after_the_offset():
    async with Edge() as edge:
        for number in range(1000):
            edge.publish("t", str(number))
        async with edge.connect("?topic=t&replay=e1:400") as client:
            await receive(client, "welcome")
            got = [(await receive(client, "message"))["offset"] for _ in range(600)]
            assert got == list(range(401, 1001))
            assert (await receive(client))["count"] == 600


async def test_resume_in_another_epoch_is_a_gap_and_a_snapshot():
    async with Edge() as edge:
        edge.publish("t", "1")
        async with edge.connect("?topic=t&replay=other:400") as client:
            await receive(client, "welcome")
            assert (await receive(client))["reason"] == "restart"
            assert (await receive(client))["data"] == 1
            assert (await receive(client))["complete"] is False


async def test_replays_by_count_and_age():
    async with Edge() as edge:
        for number in range(500):
            edge.publish(f"t/{number % 2}", str(number))
        async with edge.connect("?topic=t/0&replay=count:3") as client:
            await receive(client, "welcome")
            assert [(await receive(client, "message"))["data"] for _ in range(3)] == [494, 496, 498]
            assert (await receive(client))["type"] == "replayed"
        async with edge.connect("?topic=t/0&replay=age:60") as client:
            await receive(client, "welcome")
            assert [(await receive(client, "message"))["data"] for _ in range(250)] == list(range(0, 500, 2))


async def test_wrong_origin_is_refused_by_name():
    async with Edge() as edge:
        with pytest.raises(InvalidStatus) as refusal:
            await edge.connect(origin="https://evil.example").__aenter__()
        assert refusal.value.response.status_code == 403
        assert "https://evil.example" in refusal.value.response.headers["Sensor-Gateway-Reason"]


async def test_same_origin_is_allowed():
    async with Edge() as edge, edge.connect(origin=f"http://localhost:{edge.port}") as client:
        await receive(client, "welcome")


async def test_nobody_gets_in_without_a_role_and_is_told_by_code():
    async with Edge(anonymous="") as edge, edge.connect() as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd.code == 4401


async def test_connection_limit_is_told_by_code():
    async with Edge(limits=ServerLimits(connections=1)) as edge, edge.connect() as first:
        await receive(first, "welcome")
        async with edge.connect() as second:
            with pytest.raises(ConnectionClosed) as closed:
                await second.recv()
            assert closed.value.rcvd.code == 1013


async def test_message_too_big_closes_with_1009():
    async with Edge(limits=ServerLimits(message_size=1024)) as edge, edge.connect() as client:
        await receive(client, "welcome")
        await client.send("x" * 2000)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82\0\0\0\0\xff\xfe", 1007),
        (b"\x81\x02{}", 1002),
        (b"\xf1\x82\0\0\0\0{}", 1002),
        (b"\x82\x82\0\0\0\0{}", 1003),
    ],
    ids=["bad UTF-8", "unmasked", "reserved bits", "binary"],
)
async def test_bad_frames_close_with_their_code_and_are_counted(frame, code):
    async with Edge() as edge:
        wanted = code.to_bytes(2, "big")
        assert wanted in await edge.raw(UPGRADE + frame, until=wanted)
        assert edge.server.counts == {f"closed-{code}": 1}


UPGRADE = (
    b"GET /stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\nHost: localhost\n\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
        b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
    ],
    ids=["body", "chunked", "bare LF", "folded", "http2", "1.0", "absolute", "no host", "two hosts", "bad key"],
)
async def test_malformed_requests_get_400_with_a_reason(request_bytes):
    async with Edge() as edge:
        answer = await edge.raw(request_bytes)
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b"Sensor-Gateway-Reason: " in answer


async def test_plain_requests_are_answered_and_closed():
    async with Edge() as edge:
        for path, status in (("/", b"200"), ("/healthz", b"200"), ("/readyz", b"200"), ("/nope", b"404")):
            answer = await edge.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert answer.split()[1] == status
        answer = await edge.raw(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.split()[1] == b"426"
        answer = await edge.raw(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.endswith(b"\r\n\r\n")
        answer = await edge.raw(b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.split()[1] == b"405"


async def test_unknown_subprotocols_are_refused_with_the_list():
    async with Edge() as edge:
        answer = await edge.raw(UPGRADE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: soap\r\n\r\n"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"sensor-gateway.v1.json" in answer


@pytest.mark.parametrize(
    "query", ["topic=t&status=yes", "topic=t&readings=2", "topic=t&mode=newest", "topic=t&replay=x"]
)
async def test_a_parameter_that_means_nothing_is_refused(query):
    async with Edge() as edge:
        events = f"GET /events?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        for request in (UPGRADE.replace(b"/stream", f"/stream?{query}".encode()), events):
            assert (await edge.raw(request)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("query", "code"), [("?EIO=3", 1002), ("?EIO=4", None), ("", None)])
async def test_a_client_of_another_socketio_is_told_which_to_take(query, code):
    """One of Engine.IO 3 waited for the gateway's word as the gateway did for its, and heard of the time after 45 s."""
    async with Edge() as edge, edge.connect(query, path="/socket.io/") as client:
        if code is None:
            assert (await client.recv()).startswith("0{")
            return
        with pytest.raises(ConnectionClosed) as caught:
            await client.recv()
        assert (caught.value.rcvd.code, "socket.io-client 3 and 4" in caught.value.rcvd.reason) == (code, True)


async def test_a_client_that_sends_nothing_is_dropped_after_the_handshake_time():
    async with Edge(limits=ServerLimits(handshake=0.3)) as edge:
        assert await edge.raw(b"GET / HT") == b""
        assert edge.server.counts["handshake-timeout"] == 1


async def test_a_client_that_answers_no_ping_is_closed_with_4408():
    async with Edge(limits=ServerLimits(interval=0.3, timeout=0.3)) as edge:
        wanted = (4408).to_bytes(2, "big")
        assert wanted in await edge.raw(UPGRADE, until=wanted)


async def test_a_silent_stream_has_heartbeats():
    async with Edge(limits=ServerLimits(interval=1.0)) as edge, edge.connect("?topic=t") as client:
        await receive(client, "welcome")
        beat = await receive(client, "heartbeat")
        assert beat["offset"] == 0


async def test_drain_tells_every_client_and_closes_with_1001():
    async with Edge() as edge, edge.connect() as one, edge.connect() as other:
        for client in (one, other):
            await receive(client, "welcome")
        drained = asyncio.create_task(edge.server.drain(2.0))
        retries = set()
        for client in (one, other):
            closing = await receive(client, "closing")
            retries.add(closing["retry_after"])
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd.code == 1001
        assert len(retries) == 2
        await drained


async def test_nothing_is_said_behind_the_close_frame():
    """A client that was slow to answer its close frame was still told of links and devices (RFC 6455, 5.5.1)."""
    async with Edge() as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(UPGRADE)
        await reader.readuntil(b'"welcome"')
        [connection] = edge.server.connections.values()
        connection.finish(1001, "gateway is stopping")
        edge.server.announcer.upstream_changed(UpstreamState("test", CONNECTED, 1.0))
        edge.server.announcer.upstream_gap("test")
        writer.write(b"\x88\x80\0\0\0\0")
        rest = await reader.read()
        assert rest.endswith(b"\x88\x15\x03\xe9gateway is stopping")
        writer.close()


async def test_a_loss_upstream_is_told_to_who_is_there_and_to_who_comes_back():
    async with Edge() as edge:
        async with edge.connect("?topic=t&replay=none") as client:
            await receive(client, "welcome")
            edge.publish("t")
            seen = (await receive(client, "message"))["offset"]
            edge.server.announcer.upstream_gap("test")
            here = await receive(client, "gap")
        edge.publish("t")
        async with edge.connect(f"?topic=t&replay=e1:{seen}") as client:
            await receive(client, "welcome")
            assert await receive(client, "gap") == here
            assert (await receive(client, "message"))["offset"] == seen + 1


async def test_too_many_commands_end_with_4429():
    async with Edge() as edge, edge.connect() as client:
        await receive(client, "welcome")
        for number in range(400):
            await say(client, type="ping", id=number)
        codes = set()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                codes.add((await receive(client)).get("code"))
        assert "too-fast" in codes
        assert closed.value.rcvd.code == 4429


async def test_a_ping_flood_is_ended_and_costs_nobody_else():
    async with Edge() as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(UPGRADE + b"\x89\x80\0\0\0\0" * 200_000)
        async with edge.connect("?topic=t&replay=none") as client:
            await receive(client, "welcome")
            edge.publish("t")
            await receive(client, "message", 1.0)
        assert edge.server.counts["flood"] == 1
        writer.close()
        del reader


async def test_followers_of_a_topic_learn_that_it_went_silent_and_others_do_not():
    async with Edge() as edge, edge.connect() as follower, edge.connect() as other:
        for client, topics in ((follower, ["a/#"]), (other, ["b/#"])):
            await receive(client, "welcome")
            await say(client, type="subscribe", id=1, topics=topics, replay="none")
            await receive(client, "ok")
        edge.server.announcer.freshness_changed(Change("a/x", True, 31.2345, 30.0))
        edge.server.announcer.freshness_changed(Change("a/x", False, 33.0, 30.0))
        stale = {"type": "stale", "topic": "a/x", "age": 31.235, "stale_after": 30.0}
        assert await receive(follower) in (stale, stale | {"age": 31.234})
        assert (await receive(follower))["type"] == "fresh"
        edge.publish("b/y")
        assert (await receive(other))["type"] == "message"


async def test_when_the_clock_loses_and_wins_its_trust_welcome_says_so_once_more():
    async with Edge() as edge, edge.connect() as client:
        first = await receive(client, "welcome")
        assert first["clock"] == "ok"
        for suspect in (True, True, False):
            edge.server.announcer.clock_judged(suspect)
        for clock in ("suspect", "ok"):
            again = await receive(client)
            assert again == first | {"clock": clock, "timestamp": again["timestamp"]}
