"""Plain HTTP on the same port: the API, CORS, security headers, and what nobody gets through."""

import ipaddress
import socket
import struct
import time

import msgspec
import pytest
from support.edge import Edge, receive

from gateway.edge.doors import Door
from gateway.edge.http import Reply
from gateway.edge.proxy_protocol import SIGNATURE
from gateway.edge.roles import VIEWER, Role
from gateway.edge.tokens import Tokens
from gateway.edge.visits import Resource

NARROW = Role("viewer", subscribe=("open/#",), deny=("open/secret",))


def request(path: str, *headers: str, method: str = "GET", host: str = "localhost") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


def parts(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = [line.split(": ", 1) for line in lines[1:]]
    assert len({name.lower() for name, _ in headers} - {"vary"}) == len([n for n, _ in headers if n.lower() != "vary"])
    return int(lines[0].split()[1]), {name.lower(): value for name, value in headers}, body


async def get(edge, path, *headers, **options):
    return parts(await edge.raw(request(path, *headers, **options)))


class TestTopics:
    async def test_last_values_of_what_the_role_may_see(self):
        async with Edge(roles=[NARROW]) as edge:
            for topic in ("open/b", "open/a", "open/secret", "closed"):
                edge.publish(topic, '{"v":1}')
            status, headers, body = await get(edge, "/api/topics")
            assert (status, headers["content-type"]) == (200, "application/json")
            told = msgspec.json.decode(body)
            assert [t["topic"] for t in told["topics"]] == ["open/a", "open/b"]
            assert told["topics"][0]["data"] == {"v": 1}
            assert (told["epoch"], told["offset"], told["complete"]) == ("e1", 4, True)

    async def test_it_is_narrowed_and_paged(self):
        async with Edge() as edge:
            for number in range(25):
                edge.publish(f"t/{number:02}", str(number))
            seen, after = [], ""
            while True:
                _, _, body = await get(edge, f"/api/topics?topic=t/%23&limit=10&after={after}")
                told = msgspec.json.decode(body)
                seen += [t["topic"] for t in told["topics"]]
                if told["complete"]:
                    break
                after = seen[-1]
            assert seen == [f"t/{number:02}" for number in range(25)]
            assert msgspec.json.decode((await get(edge, "/api/topics?topic=none"))[2])["topics"] == []

    async def test_what_comes_behind_the_request_is_no_second_one(self):
        async with Edge() as edge:
            edge.publish("t", "1")
            data = await edge.raw(request("/api/topics") + request("/api/version"))
            assert data.count(b"HTTP/1.1 ") == 1
            assert parts(data)[0] == 200
            head = await edge.raw(request("/api/topics", method="HEAD"))
            assert parts(head)[2] == b""

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=99999", "topic=a%23"])
    async def test_a_bad_wish_is_400(self, query):
        async with Edge() as edge:
            status, headers, _ = await get(edge, f"/api/topics?{query}")
            assert (status, bool(headers["sensor-gateway-reason"])) == (400, True)


class TestRights:
    async def test_nothing_without_a_credential(self):
        async with Edge(anonymous="") as edge:
            for path in ("/api/topics", "/api/version", "/api/status", "/api/clients", "/events?topic=a"):
                status, headers, _ = await get(edge, path)
                assert status == 401
                assert headers["www-authenticate"].startswith("Bearer ")
            for path in ("/", "/healthz", "/readyz"):
                assert (await get(edge, path))[0] == 200

    async def test_the_gateway_itself_is_for_whoever_has_the_right(self):
        admin = Role("viewer", subscribe=("#",), rights=("gateway",))
        for role, expected in ((VIEWER, 403), (admin, 200)):
            async with Edge(roles=[role]) as edge, edge.connect("?topic=a/%23"):
                for path in ("/api/status", "/api/clients"):
                    status, _, body = await get(edge, path)
                    assert status == expected
                    if status == 200:
                        told = msgspec.json.decode(body)
                        if "clients" in told:
                            [client] = told["clients"]
                            assert (client["subscriptions"], client["role"]) == (["a/#"], "viewer")
                        else:
                            assert told["connections"]["sessions"] == 1

    async def test_a_client_is_told_with_its_queue_its_round_trip_and_what_went_to_it(self):
        admin = Role("viewer", subscribe=("#",), rights=("gateway",))

        async def told(edge):
            [client] = msgspec.json.decode((await get(edge, "/api/clients"))[2])["clients"]
            return client

        async with Edge(roles=[admin]) as edge, edge.connect("?topic=a/%23") as viewer:
            await receive(viewer)
            before = await told(edge)
            assert (before["queue"], before["interval"], before["address"]) == (0, None, "127.0.0.1")
            assert 0 < before["rtt"] < 1, "the kernel's own, as long as nobody was pinged"
            edge.publish("a/1", "1" * 50_000)
            await receive(viewer)
            assert (await told(edge))["sent"] - before["sent"] >= 50_000

    async def test_rejected_origins_are_told_with_the_line_that_would_let_them_in(self):
        admin = Role("viewer", subscribe=("#",), rights=("gateway",))
        async with Edge(roles=[admin]) as edge:
            await edge.raw(request("/api/topics", "Origin: https://panel.example"))
            told = msgspec.json.decode((await get(edge, "/api/status"))[2])
            [rejected] = told["rejected_origins"]
            assert rejected["remedy"] == '[origins] allow = ["https://panel.example"]'
            assert told["connections"]["refused"]["origin"] == 1

    async def test_figures_need_the_right_or_an_open_listener(self):
        figures = Resource("metrics", lambda who, target: Reply(200, b"up 1\n"))
        reader = Role("viewer", rights=("metrics",))
        for role, door, expected in (
            (VIEWER, Door(), 403),
            (reader, Door(), 200),
            (VIEWER, Door(metrics=True), 200),
        ):
            async with Edge(roles=[role], door=door) as edge:
                assert (await get(edge, "/metrics"))[0] == 404
                edge.front.resources["/metrics"] = figures
                assert (await get(edge, "/metrics"))[0] == expected
        async with Edge(anonymous="", door=Door(metrics=True)) as edge:
            edge.front.resources["/metrics"] = figures
            assert (await get(edge, "/metrics"))[0] == 200
            assert (await get(edge, "/metrics", host="evil.example"))[0] == 421

    async def test_a_token_opens_what_its_role_may_see(self, tmp_path):
        tokens = Tokens(tmp_path / "tokens.json")
        text = tokens.new("ann", "home", now=time.time())
        tokens.refresh()
        role = Role("home", subscribe=("home/%u/#",))
        async with Edge(anonymous="", roles=[role], judge={"methods": ["token"], "tokens": tokens}) as edge:
            edge.publish("home/ann/t", "1")
            edge.publish("home/bob/t", "2")
            _, _, body = await get(edge, "/api/topics", f"Authorization: Bearer {text}")
            assert [t["topic"] for t in msgspec.json.decode(body)["topics"]] == ["home/ann/t"]
            status, headers, _ = await get(edge, "/api/topics", "Authorization: Bearer gw_x")
            assert (status, "invalid_token" in headers["www-authenticate"]) == (401, True)


class TestRate:
    async def test_data_is_given_ten_times_a_second_and_fifty_at_once(self):
        async with Edge() as edge:
            now = 1000.0
            edge.front.credentials.clock = lambda: now
            for _ in range(50):
                assert (await get(edge, "/api/version"))[0] == 200
            status, headers, _ = await get(edge, "/api/version")
            assert (status, headers["retry-after"]) == (429, "1")
            assert edge.server.counts["request-rate"] == 1
            # Health and page are no data.
            assert (await get(edge, "/healthz"))[0] == 200
            now += 0.1
            assert (await get(edge, "/api/version"))[0] == 200


class TestCors:
    async def test_an_allowed_origin_is_echoed_and_credentials_are_never(self):
        async with Edge(origins=["https://panel.example"]) as edge:
            status, headers, _ = await get(edge, "/api/topics", "Origin: https://panel.example")
            assert (status, headers["access-control-allow-origin"]) == (200, "https://panel.example")
            assert headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in headers
            status, headers, _ = await get(edge, "/api/topics", "Origin: https://evil.example")
            assert (status, "access-control-allow-origin" in headers) == (403, False)
            status, headers, _ = await get(edge, "/api/topics")
            assert (status, headers["vary"]) == (200, "Origin")
            assert "access-control-allow-origin" not in headers

    async def test_a_page_may_read_why_it_was_refused(self):
        async with Edge(origins=["https://panel.example"], anonymous="") as edge:
            status, headers, _ = await get(edge, "/api/topics", "Origin: https://panel.example")
            assert (status, headers["access-control-allow-origin"]) == (401, "https://panel.example")

    async def test_the_preflight(self):
        async with Edge(origins=["https://panel.example"]) as edge:
            asked = ("Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization")
            status, headers, body = await get(
                edge, "/api/topics", "Origin: https://panel.example", *asked, method="OPTIONS"
            )
            assert (status, body) == (204, b"")
            assert headers["access-control-allow-headers"] == "Authorization, Last-Event-ID"
            assert headers["access-control-allow-methods"] == "GET, HEAD"
            status, _, _ = await get(edge, "/api/topics", "Origin: https://evil.example", *asked, method="OPTIONS")
            assert status == 403


class TestHeaders:
    async def test_every_answer_is_closed_plain_and_framed_by_nobody(self):
        async with Edge() as edge:
            for path in ("/", "/healthz", "/api/topics", "/none", "/stream"):
                _, headers, _ = await get(edge, path)
                assert headers["connection"] == "close"
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["referrer-policy"] == "no-referrer"
                assert headers["cross-origin-resource-policy"] == "same-origin"
                assert "content-security-policy" in headers
                assert "server" not in headers
                assert "set-cookie" not in headers

    async def test_head_is_get_without_its_body(self):
        async with Edge() as edge:
            for path in ("/", "/api/version", "/healthz", "/none"):
                status, headers, body = await get(edge, path)
                bare_status, bare_headers, bare = await get(edge, path, method="HEAD")
                assert (bare_status, bare, len(body)) == (status, b"", int(headers["content-length"]))
                assert bare_headers["content-length"] == headers["content-length"]

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH", "BREW"])
    async def test_other_methods_are_405(self, method):
        async with Edge() as edge:
            status, headers, _ = await get(edge, "/", method=method)
            assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS")


class TestNobodyGetsThrough:
    @pytest.mark.parametrize(
        "path",
        ["/../etc/passwd", "/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "//etc/passwd", "/static/", "/.git/config",
         "/client.js/..", "/%00", "/index.html", "/page/main.js"],
    )  # fmt: skip
    async def test_there_are_no_files_but_those_that_are_listed(self, path):
        async with Edge() as edge:
            assert (await get(edge, path))[0] == 404

    @pytest.mark.parametrize(
        "raw",
        [
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nGET /",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nabcde",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n X: y\r\n\r\n",
            b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /a\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: local host\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
            b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
            b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /api/topics?topic=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ],
    )  # fmt: skip
    async def test_what_two_readers_could_read_differently_is_400(self, raw):
        async with Edge() as edge:
            answer = await edge.raw(raw)
            assert answer.startswith(b"HTTP/1.1 400 "), answer
            assert answer.count(b"\r\nContent-Length: ") == 1

    async def test_a_second_request_on_the_connection_is_not_answered(self):
        async with Edge() as edge:
            answer = await edge.raw(request("/healthz") + request("/api/topics"))
            assert answer.count(b"HTTP/1.1 ") == 1


class TestProxyProtocol:
    DOOR = Door(proxies=(ipaddress.ip_network("127.0.0.0/8"),), proxy_protocol=True)

    def header(self, address: str = "192.0.2.7") -> bytes:
        rest = socket.inet_aton(address) + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 443)
        return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(rest)) + rest

    async def test_the_client_is_whom_the_proxy_speaks_for_and_never_local(self):
        async with Edge(door=self.DOOR, anonymous="local") as edge:
            answer = await edge.raw(self.header("127.0.0.1") + request("/api/topics"))
            assert answer.startswith(b"HTTP/1.1 401 ")
        async with Edge(door=self.DOOR) as edge:
            answer = await edge.raw(self.header() + request("/api/topics", host="127.0.0.1"))
            assert answer.startswith(b"HTTP/1.1 200 ")
            edge.server.front.judge = lambda request, peer: Reply(200, peer.address.encode())
            assert (await edge.raw(self.header() + request("/"))).endswith(b"192.0.2.7")

    async def test_one_that_does_not_say_it_is_turned_away(self):
        async with Edge(door=self.DOOR) as edge:
            with pytest.raises(ConnectionResetError):
                await edge.raw(request("/healthz"))
            assert edge.server.counts["proxy-protocol"] == 1

    async def test_from_anybody_else_it_is_no_request(self):
        async with Edge(door=Door(proxy_protocol=True)) as edge:
            assert (await edge.raw(self.header() + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
            assert (await edge.raw(request("/healthz"))).startswith(b"HTTP/1.1 200 ")
