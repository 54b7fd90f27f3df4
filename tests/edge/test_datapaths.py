"""Who may ask for data, how often, and from which page."""

import time

import msgspec
from support.edge import Edge, receive
from support.plainhttp import get, request

from gateway.edge.doors import Door
from gateway.edge.http import Reply
from gateway.edge.roles import VIEWER, Role
from gateway.edge.tokens import Tokens
from gateway.edge.visits import Resource

NARROW = Role("viewer", subscribe=("open/#",), deny=("open/secret",))


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
                edge.front.data.resources["/metrics"] = figures
                assert (await get(edge, "/metrics"))[0] == expected
        async with Edge(anonymous="", door=Door(metrics=True)) as edge:
            edge.front.data.resources["/metrics"] = figures
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
