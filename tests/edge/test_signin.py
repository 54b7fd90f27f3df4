"""Who comes in, by every carrier, over real sockets; and what becomes of them when rules change."""

import asyncio
import base64
import ipaddress
import json
import logging
import socket
import ssl
import time

import jwt
import pytest
import trustme
from support.edge import Edge, receive, say
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.edge.admission import ServerLimits
from gateway.edge.credentials import Judge
from gateway.edge.doors import Door
from gateway.edge.incoming import BEFORE_SIGN_IN
from gateway.edge.jwts import Jwts
from gateway.edge.roles import VIEWER, Role
from gateway.edge.tls import TlsFiles
from gateway.edge.tokens import Tokens
from gateway.edge.visits import Access
from gateway.edge.watch import Watch
from gateway.hub.outbox import Bounds

HOME = Role("home", subscribe=("home/%u/#", "open"), publish=("cmd/%u",))
ADMIN = Role("admin", subscribe=("#",), rights=("gateway", "metrics"))
ROLES = [VIEWER, HOME, ADMIN]
SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path / "tokens.json")


def make(tokens, name="ann", role="home", **options):
    text = tokens.new(name, role, now=time.time(), **options)
    tokens.refresh()
    return text


def edge(tokens, **options) -> Edge:
    settings = {"anonymous": "", "roles": ROLES, "judge": {"methods": ["token"], "tokens": tokens}}
    return Edge(**(settings | options))


def bearer(token: str) -> str:
    return "bearer." + base64.urlsafe_b64encode(token.encode()).rstrip(b"=").decode()


async def closed(client) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await asyncio.wait_for(client.recv(), 5)
    return caught.value.rcvd.code, caught.value.rcvd.reason


class TestCarriers:
    async def test_the_authorization_header(self, tokens):
        async with edge(tokens) as e:
            headers = {"Authorization": f"Bearer {make(tokens)}"}
            async with e.connect(additional_headers=headers) as client:
                assert (await receive(client))["role"] == "home"

    async def test_the_subprotocol_which_is_never_echoed(self, tokens):
        async with edge(tokens) as e:
            offered = [bearer(make(tokens)), "sensor-gateway.v1.json"]
            async with e.connect(subprotocols=offered) as client:
                assert client.subprotocol == "sensor-gateway.v1.json"
                assert (await receive(client))["role"] == "home"

    async def test_the_subprotocol_alone_is_400_that_says_so(self, tokens):
        async with edge(tokens) as e:
            with pytest.raises(InvalidStatus) as refused:
                await e.connect(subprotocols=[bearer(make(tokens))]).__aenter__()
            assert refused.value.response.status_code == 400
            assert "never alone" in refused.value.response.headers["Sensor-Gateway-Reason"]

    async def test_the_auth_message_and_what_the_address_asked_for(self, tokens):
        async with edge(tokens) as e:
            e.publish("home/ann/t", "1")
            async with e.connect("?topic=home/ann/%23") as client:
                required = await receive(client)
                assert (required["type"], required["methods"]) == ("auth-required", ["token"])
                await say(client, type="subscribe", id=1, topics=["#"])
                assert (await receive(client))["code"] == "not-authenticated"
                await say(client, type="auth", id=2, token=make(tokens))
                assert (await receive(client))["role"] == "home"
                assert (await receive(client, "message"))["data"] == 1

    @pytest.mark.parametrize("carrier", ["header", "subprotocol", "message"])
    async def test_a_bad_one_is_accepted_and_closed_with_4401(self, tokens, carrier):
        async with edge(tokens, anonymous="viewer") as e:
            options = {}
            if carrier == "header":
                options["additional_headers"] = {"Authorization": "Bearer gw_nonsense"}
            elif carrier == "subprotocol":
                options["subprotocols"] = [bearer("gw_nonsense"), "sensor-gateway.v1.json"]
            async with e.connect(**options) as client:
                if carrier == "message":
                    await say(client, type="auth", token="gw_nonsense")
                code, reason = await closed(client)
            assert code == 4401
            assert "token" in reason
            assert "nonsense" not in reason

    async def test_a_jwt_is_told_from_a_token_and_ends_with_its_time(self, tokens, tmp_path):
        (tmp_path / "key").write_bytes(SECRET)
        jwts = Jwts(
            algorithm="HS256", key_file=tmp_path / "key", audience="", issuer="", role_claim="role", topics_claim="t"
        )
        claims = {"sub": "ann", "role": ["x", "viewer"], "t": ["a/#"], "exp": time.time() - 28.5}
        judge = {"methods": ["token", "jwt"], "tokens": tokens, "jwts": jwts}
        async with edge(tokens, judge=judge) as e:
            later = jwt.encode(claims | {"exp": time.time() + 600}, SECRET, "HS256")
            async with e.connect(additional_headers={"Authorization": f"Bearer {later}"}) as client:
                assert (await receive(client))["role"] == "viewer"
                await say(client, type="subscribe", id=1, topics=["a/b", "b"])
                assert [s["granted"] for s in (await receive(client))["subscribed"]] == [True, False]
            headers = {"Authorization": f"Bearer {make(tokens)}"}
            async with e.connect(additional_headers=headers) as client:
                assert (await receive(client))["role"] == "home"

    async def test_a_client_certificate(self, certificate, tmp_path, tokens):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "clients.pem")
        context = ssl.create_default_context(cafile=str(certificate.ca))
        authority.issue_cert("panel.lan").configure_cert(context)
        role = Role("panel", subscribe=("panel/#",), certificates=("panel.lan",))
        tls = TlsFiles(certificate.certificate, certificate.key, tmp_path / "clients.pem")
        judge = {"methods": ["certificate"]}
        async with edge(tokens, tls=tls, roles=[role], judge=judge) as e:
            async with e.connect(ssl=context) as client:
                assert (await receive(client))["role"] == "panel"
            async with e.connect(ssl=ssl.create_default_context(cafile=str(certificate.ca))) as client:
                assert (await closed(client))[0] == 4401

    async def test_a_declared_proxy_and_nobody_else(self, tokens):
        headers = {"Remote-User": "ann", "Remote-Groups": "home", "X-Forwarded-For": "192.0.2.7"}
        judge = {"methods": ["proxy"]}
        door = Door(proxies=(ipaddress.ip_network("127.0.0.1"),))
        async with edge(tokens, door=door, judge=judge) as e, e.connect(additional_headers=headers) as client:
            assert (await receive(client))["role"] == "home"
            [connection] = e.server.connections.values()
            assert (connection.session.identity.user, connection.peer) == ("ann", "192.0.2.7")
        async with edge(tokens, judge=judge) as e, e.connect(additional_headers=headers) as client:
            assert (await closed(client))[0] == 4401


class TestTime:
    async def test_whoever_does_not_sign_in_is_out_after_the_deadline(self, tokens):
        async with edge(tokens, auth_deadline=0.5) as e, e.connect() as client:
            assert (await receive(client))["deadline"] == 0.5
            assert await closed(client) == (4401, "no credential within 0.5 s")

    async def test_a_session_ends_with_its_credential_unless_it_is_renewed(self, tokens):
        short, renewed = make(tokens, expires=time.time() + 1.5), make(tokens, "ann2")
        async with edge(tokens) as e:
            one = e.connect(additional_headers={"Authorization": f"Bearer {short}"})
            other = e.connect(additional_headers={"Authorization": f"Bearer {short}"})
            async with one as ends, other as goes_on:
                await receive(ends, "welcome")
                await say(goes_on, type="auth", id=1, token=renewed)
                assert (await receive(goes_on, "ok"))["role"] == "home"
                assert (await closed(ends))[0] == 4401
                await say(goes_on, type="ping", id=2)
                assert (await receive(goes_on, "pong"))["id"] == 2

    async def test_ten_failures_shut_out_even_a_good_token_from_there(self, tokens):
        good = make(tokens)
        async with edge(tokens) as e:
            for _ in range(10):
                async with e.connect(additional_headers={"Authorization": "Bearer gw_x"}) as client:
                    await closed(client)
            async with e.connect(additional_headers={"Authorization": f"Bearer {good}"}) as client:
                code, reason = await closed(client)
            assert (code, reason) == (4401, "too many failed sign-ins from your address: wait a minute")
            answer = await e.raw(
                f"GET /api/version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {good}\r\n\r\n".encode()
            )
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"\r\nRetry-After: " in answer
            assert e.server.counts["request-rate"] == 1


class TestChange:
    async def test_a_revoked_token_ends_its_sessions_within_a_second(self, tokens):
        one, other = make(tokens), make(tokens, "bob")
        async with edge(tokens) as e:
            watch = asyncio.create_task(Watch(e.server).run())
            first = e.connect(additional_headers={"Authorization": f"Bearer {one}"})
            second = e.connect(additional_headers={"Authorization": f"Bearer {other}"})
            async with first as revoked, second as stays:
                await receive(revoked, "welcome")
                await receive(stays, "welcome")
                began = time.monotonic()
                Tokens(tokens.path).revoke("ann")
                assert await closed(revoked) == (4401, "your token was revoked")
                assert time.monotonic() - began < 1.0
                await say(stays, type="ping", id=1)
                await receive(stays, "pong")
            watch.cancel()

    async def test_what_still_waits_for_a_revoked_viewer_is_not_told(self, tokens):
        """A viewer that read slowly got megabytes after its token was revoked, for as long as closing may take."""
        text = make(tokens, role="admin")
        bounds = Bounds(soft=64 << 20, hard=64 << 20)
        async with edge(tokens, bounds=bounds) as e:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            sock.connect(("127.0.0.1", e.port))
            reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
            writer.write(
                "GET /stream?topic=%23 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                f"Authorization: Bearer {text}\r\n\r\n".encode()
            )
            got = await reader.readuntil(b'"replayed"')
            for number in range(400):
                e.publish("t", f"{number:03} " + "x" * 20_000)
            await asyncio.sleep(0)
            [connection] = e.server.connections.values()
            assert connection.queue_size > 4_000_000
            Tokens(tokens.path).revoke("ann")
            Watch(e.server).look()
            assert connection.queue_size < 300_000, "what the socket was offered already, at most"
            async with asyncio.timeout(5):
                while not got.endswith(b"\x88\x18\x11\x31your token was revoked"):
                    got += await reader.read(1 << 20)
            assert b"399 x" not in got
            writer.close()

    async def test_a_narrower_role_takes_away_live_what_it_no_longer_has(self, tokens):
        text = make(tokens, role="admin")
        async with edge(tokens) as e:
            async with e.connect(additional_headers={"Authorization": f"Bearer {text}"}) as client:
                await receive(client, "welcome")
                await say(client, type="subscribe", id=1, topics=["secret/#", "open/#"], replay="none")
                await receive(client, "ok")
                e.publish("secret/a", "1")
                assert (await receive(client))["topic"] == "secret/a"
                roles = {"admin": Role("admin", subscribe=("open/#",), deny=("open/not",))}
                judge = Judge(roles=roles, methods=["token"], tokens=tokens, clock=time.monotonic, wall=time.time)
                e.server.apply(Access([], "allow", ""), judge, e.server.listeners.endpoints)
                told = await receive(client)
                assert (told["type"], told["code"]) == ("error", "forbidden")
                assert "secret/#" in told["message"]
                for topic in ("secret/a", "open/not", "open/a"):
                    e.publish(topic, "2")
                assert (await receive(client))["topic"] == "open/a"

    async def test_a_role_that_is_gone_ends_its_sessions(self, tokens):
        text = make(tokens)
        async with edge(tokens) as e:
            async with e.connect(additional_headers={"Authorization": f"Bearer {text}"}) as client:
                await receive(client, "welcome")
                judge = Judge(roles={}, methods=["token"], tokens=tokens, clock=time.monotonic, wall=time.time)
                e.server.apply(Access([], "allow", ""), judge, e.server.listeners.endpoints)
                assert (await closed(client))[0] == 4401

    async def test_nobody_anonymous_stays_when_it_is_turned_off(self, tokens):
        async with edge(tokens, anonymous="local") as e, e.connect() as client:
            await receive(client, "welcome")
            e.server.apply(Access([], "allow", ""), e.front.credentials, e.server.listeners.endpoints)
            assert (await closed(client))[0] == 4401


class TestAnonymous:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Host": "evil.example"}, 421),
            ({"Host": "evil.example:8880"}, 421),
            ({"X-Forwarded-For": "127.0.0.1"}, 4401),
            ({"Forwarded": "for=127.0.0.1"}, 4401),
            ({"Host": "192.0.2.1"}, 4401),
            ({"Host": "127.0.0.1"}, 0),
        ],
    )
    async def test_local_is_this_machine_with_nobody_between(self, tokens, headers, status):
        async with Edge(anonymous="local") as e:
            request = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade"} | headers
            request |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
            lines = "".join(f"{name}: {value}\r\n" for name, value in request.items())
            wanted = {421: b"421", 4401: (4401).to_bytes(2, "big"), 0: b"welcome"}[status]
            assert wanted in await e.raw(f"GET /stream HTTP/1.1\r\n{lines}\r\n".encode(), until=wanted)

    async def test_a_rebound_name_reads_nothing_and_is_told_what_to_do(self):
        async with Edge(anonymous="viewer") as e:
            e.publish("t", "1")
            for path in ("/api/topics", "/events?topic=t"):
                answer = await e.raw(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
                assert answer.startswith(b"HTTP/1.1 421 ")
                assert b'Host "evil.example" is not ours: add it to [[listen]] hosts, or sign in' in answer
            assert e.server.counts["host"] == 2

    async def test_a_name_of_the_certificate_is_ours(self, certificate, tokens):
        tls = TlsFiles(certificate.certificate, certificate.key)
        tls.facts = tls.facts._replace(names=("panel.example",))
        context = ssl.create_default_context(cafile=str(certificate.ca))

        async def status(e, host: str) -> bytes:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", e.port, ssl=context, server_hostname="localhost"
            )
            writer.write(f"GET /api/topics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer.split()[1]

        async with Edge(tls=tls) as e:
            assert await status(e, "panel.example") == b"200"
            assert await status(e, "other.example") == b"421"


class TestAudit:
    async def test_sign_in_failure_refusal_and_publish_are_told_without_a_secret(self, tokens, caplog):
        text = make(tokens)
        with caplog.at_level(logging.INFO, "gateway.audit"):
            async with edge(tokens) as e:
                async with e.connect(additional_headers={"Authorization": f"Bearer {text}"}) as client:
                    await receive(client, "welcome")
                    await say(client, type="subscribe", id=1, topics=["other/#"])
                    await receive(client, "error")
                    await say(client, type="publish", id=2, topic="x", data=1)
                    await receive(client, "error")
                async with e.connect() as client:
                    await receive(client, "auth-required")
                    await say(client, type="auth", token=text[:-4] + "AAAA")
                    await closed(client)
        lines = "\n".join(caplog.messages)
        for expected in (
            "action=sign-in result=ok address=127.0.0.1 session=",
            "action=subscribe result=refused",
            "action=publish result=refused",
            "action=sign-in result=refused",
            "action=sign-out result=ok",
        ):
            assert expected in lines
        secret = text.split("_", 2)[2]
        assert secret[:20] not in lines


async def test_connections_of_one_user_are_limited(tokens):
    text = make(tokens)
    async with edge(tokens, limits=ServerLimits(per_user=2)) as e:
        headers = {"Authorization": f"Bearer {text}"}
        async with e.connect(additional_headers=headers) as one, e.connect(additional_headers=headers) as two:
            await receive(one, "welcome")
            await receive(two, "welcome")
            async with e.connect(additional_headers=headers) as third:
                assert (await closed(third))[0] == 1013
            async with e.connect() as fourth:
                await say(fourth, type="auth", token=text)
                assert (await closed(fourth))[0] == 4401
            assert e.server.counts["connections-per-user"] == 2
            async with e.connect(additional_headers={"Authorization": f"Bearer {make(tokens, 'bob')}"}) as other:
                await receive(other, "welcome")
        assert not e.server.admission._users or await _empties(e)


async def _empties(e) -> bool:
    async with asyncio.timeout(5):
        while e.server.admission._users:  # noqa: ASYNC110 - a socket's end has no event here
            await asyncio.sleep(0.01)
    return True


async def test_more_than_64_kib_before_signing_in_ends_it(tokens):
    for past, name in ((0, "at"), (1, "past")):
        async with edge(tokens) as e, e.connect() as client:
            await receive(client, "auth-required")
            word = json.dumps({"type": "auth", "token": make(tokens, name)})
            assert len(word) < 126
            # Frames count whole: 6 bytes around a short message of a client's, 8 around a longer one.
            rest = BEFORE_SIGN_IN - (len(word) + 6) - 8 + past
            await client.send("[" + " " * (rest - 2) + "]")
            assert (await receive(client))["code"] == "bad-json"
            await client.send(word)
            if past:
                assert (await closed(client))[0] == 4401
                assert e.server.counts["before-sign-in"] == 1
            else:
                assert (await receive(client, "welcome"))["role"] == "home"
