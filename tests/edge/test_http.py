"""Plain HTTP on the same port: the API, CORS, security headers, and what nobody gets through."""

from types import SimpleNamespace

import msgspec
import pytest
from support.edge import Edge
from support.plainhttp import get, parts, request

from gateway.edge.roles import Role

NARROW = Role("viewer", subscribe=("open/#",), deny=("open/secret",))


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

    async def test_with_several_upstreams_each_says_where_it_came_from(self):
        async with Edge() as edge:
            edge.publish("t", "1")
            for count in (1, 2):
                edge.room.upstreams = SimpleNamespace(states=lambda count=count: edge.upstreams.states() * count)
                [told] = msgspec.json.decode((await get(edge, "/api/topics"))[2])["topics"]
                assert told.get("upstream") == (None if count == 1 else "test")

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
