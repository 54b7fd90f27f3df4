import asyncio
import io
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from gateway.commands.watch import Watch
from gateway.commands.watch_text import Printer
from gateway.errors import GatewayError

Script = Callable[[ServerConnection], Awaitable[None]]


class Gateway:
    """A stand-in for a gateway: each connection is played by the next of `scripts`, the last one again and again."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.subscribes: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.subscribed = asyncio.Event()

    async def __call__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        assert connection.subprotocol == "sensor-gateway.v1.json"
        self.headers.append(dict(connection.request.headers))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        await script(connection)

    @asynccontextmanager
    async def served(self, **options: Any) -> AsyncIterator[str]:
        async with serve(self, "127.0.0.1", 0, subprotocols=["sensor-gateway.v1.json"], **options) as server:  # type: ignore[list-item]
            port = server.sockets[0].getsockname()[1]
            yield f"{'wss' if 'ssl' in options else 'ws'}://localhost:{port}/stream"

    async def welcome(self, connection: ServerConnection, epoch: str = "e1") -> None:
        await send(connection, type="welcome", gateway="test", role="viewer", epoch=epoch, offset=0, upstreams=[])
        subscribe = await connection.recv()
        assert isinstance(subscribe, str), "the JSON dialect speaks in text frames"
        self.subscribes.append(json.loads(subscribe))
        await send(connection, type="ok", id=1, subscribed=[])
        await send(connection, type="replayed", id=1, count=0, complete=True, offset=7)


async def send(connection: ServerConnection, **fields: Any) -> None:
    await connection.send(json.dumps(fields))


async def message(connection: ServerConnection, offset: int, data: Any) -> None:
    await send(connection, type="message", topic="a/b", data=data, timestamp=None, offset=offset)


def viewer(url: str, **options: Any) -> tuple[Watch, io.StringIO, io.StringIO]:
    out, notes = io.StringIO(), io.StringIO()
    return Watch(["a/#"], url, Printer(out, notes), pick=lambda low, high: 0.01, **options), out, notes


async def watch_until(watch: Watch, event: asyncio.Event) -> None:
    task = asyncio.create_task(watch.run())
    waiter = asyncio.create_task(event.wait())
    await asyncio.wait({task, waiter}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if task.done():
        await task
    assert event.is_set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
def serving(certificate: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


async def test_after_a_lost_connection_it_resumes_after_the_last_offset() -> None:
    done = asyncio.Event()

    async def first(connection: ServerConnection) -> None:
        await gateway.welcome(connection)
        await message(connection, 8, 1)
        await send(connection, type="gap", **{"from": 9, "to": 12}, count=4, topics={}, reason="slow-consumer")
        connection.transport.abort()

    async def second(connection: ServerConnection) -> None:
        await gateway.welcome(connection)
        await message(connection, 13, 2)
        await send(connection, type="heartbeat", timestamp=0, offset=20)
        await send(connection, type="closing", reason="restart", retry_after=0.02)
        await connection.close(1012)

    async def third(connection: ServerConnection) -> None:
        await gateway.welcome(connection, "e2")
        await message(connection, 3, 3)
        await connection.ping()
        done.set()
        await connection.wait_closed()

    gateway = Gateway(first, second, third)
    async with gateway.served() as url:
        watch, out, notes = viewer(url)
        await watch_until(watch, done)
    assert [each["replay"] for each in gateway.subscribes] == [
        "last",
        {"epoch": "e1", "offset": 12},
        {"epoch": "e1", "offset": 20},
    ]
    assert gateway.subscribes[0]["topics"] == ["a/#"]
    assert [line.split()[-1] for line in out.getvalue().splitlines()][:2] == ["1", "2"]
    assert "4 messages not delivered" in notes.getvalue()
    assert "1012" in notes.getvalue()


async def test_a_number_of_any_size_is_shown() -> None:
    done = asyncio.Event()

    async def script(connection: ServerConnection) -> None:
        await gateway.welcome(connection)
        for number in ("1e400", "9" * 400, "9" * 5000, "-" + "9" * 5000, "7"):
            await connection.send(
                f'{{"type":"message","topic":"a/b","data":{number},"timestamp":null,"offset":1,"retained":true}}'
            )
        await connection.ping()
        done.set()
        await connection.wait_closed()

    gateway = Gateway(script)
    async with gateway.served() as url:
        watch, out, _ = viewer(url)
        await watch_until(watch, done)
    values = [line.split()[-1] for line in out.getvalue().splitlines()]
    assert values == ["Infinity", "9" * 400, "Infinity", "-Infinity", "7"]


async def test_the_marks_of_a_snapshot_are_not_the_mark_to_resume_from() -> None:
    done = asyncio.Event()

    async def cut_in_the_snapshot(connection: ServerConnection) -> None:
        await send(connection, type="welcome", gateway="test", role="viewer", epoch="e1", offset=9, upstreams=[])
        await connection.recv()
        await message(connection, 9, 1)
        connection.transport.abort()

    async def again(connection: ServerConnection) -> None:
        await gateway.welcome(connection)
        done.set()
        await connection.wait_closed()

    gateway = Gateway(cut_in_the_snapshot, again)
    async with gateway.served() as url:
        await watch_until(viewer(url)[0], done)
    assert gateway.subscribes[-1]["replay"] == "last"


@pytest.mark.parametrize(
    ("code", "text"), [(4403, "role forbids it"), (4401, "--token-file"), (1009, "message too big")]
)
async def test_a_close_code_that_forbids_to_come_back_ends_it(code: int, text: str) -> None:
    async def refuse(connection: ServerConnection) -> None:
        await connection.close(code)

    gateway = Gateway(refuse)
    async with gateway.served() as url:
        with pytest.raises(GatewayError, match=text):
            await asyncio.wait_for(viewer(url)[0].run(), 10)
    assert len(gateway.headers) == 1


async def test_a_refusal_by_status_ends_it_with_the_gateways_own_sentence() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(403, "no\n")
        response.headers["Sensor-Gateway-Reason"] = 'origin "x" is not allowed'
        return response

    async with Gateway().served(process_request=refuse) as url:
        with pytest.raises(GatewayError, match='refuses: 403 origin "x" is not allowed'):
            await asyncio.wait_for(viewer(url)[0].run(), 10)


async def test_a_passing_refusal_is_tried_again() -> None:
    done = asyncio.Event()
    tries = 0

    def refuse_once(connection: ServerConnection, request: Request) -> Response | None:
        nonlocal tries
        tries += 1
        return connection.respond(503, "full\n") if tries == 1 else None

    async def serve_it(connection: ServerConnection) -> None:
        await gateway.welcome(connection)
        done.set()
        await connection.wait_closed()

    gateway = Gateway(serve_it)
    async with gateway.served(process_request=refuse_once) as url:
        watch, _, notes = viewer(url)
        await watch_until(watch, done)
    assert "refuses: 503" in notes.getvalue()


async def test_nobody_there_is_said_once_and_tried_on(free_port: Callable[[], int]) -> None:
    done = asyncio.Event()
    port = free_port()
    tries: list[float] = []

    def pick(low: float, high: float) -> float:
        tries.append(high)
        if len(tries) == 5:
            done.set()
        return 0.01

    notes = io.StringIO()
    await watch_until(Watch(["#"], f"ws://127.0.0.1:{port}/stream", Printer(io.StringIO(), notes), pick=pick), done)
    assert notes.getvalue() == f"-- cannot reach ws://127.0.0.1:{port}/stream: connection refused; trying again\n"


async def test_the_wrong_kind_of_address_is_named_with_the_right_one(serving: ssl.SSLContext) -> None:
    async with Gateway().served(ssl=serving) as url:
        assert f"; is it {url}?; trying again" in await complaint(url.replace("wss://", "ws://"))

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # what the gateway's plain port says to TLS
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"ws://localhost:{server.sockets[0].getsockname()[1]}/stream"
        assert f"it does not speak TLS; is it {url}?; trying again" in await complaint(url.replace("ws://", "wss://"))


async def complaint(url: str) -> str:
    """What is said of a first try that fails."""
    tried = asyncio.Event()

    def pick(low: float, high: float) -> float:
        tried.set()
        return 10.0

    notes = io.StringIO()
    await watch_until(Watch(["#"], url, Printer(io.StringIO(), notes), insecure=True, pick=pick), tried)
    return notes.getvalue()


async def test_a_token_goes_into_the_header_and_is_read_at_every_connect(tmp_path: Path) -> None:
    done = asyncio.Event()
    token = tmp_path / "token"
    token.write_text("gw_1_one\n")

    async def first(connection: ServerConnection) -> None:
        token.write_text("gw_1_two\n")
        connection.transport.abort()

    async def second(connection: ServerConnection) -> None:
        done.set()
        await connection.wait_closed()

    gateway = Gateway(first, second)
    async with gateway.served() as url:
        await watch_until(viewer(url, token_file=token)[0], done)
    assert [each["authorization"] for each in gateway.headers] == ["Bearer gw_1_one", "Bearer gw_1_two"]


async def test_credentials_wanted_and_none_given_is_said() -> None:
    async def want(connection: ServerConnection) -> None:
        await send(connection, type="auth-required", methods=["token"], deadline=10)
        await connection.wait_closed()

    async with Gateway(want).served() as url:
        with pytest.raises(GatewayError, match="wants credentials: give --token-file FILE"):
            await asyncio.wait_for(viewer(url)[0].run(), 10)


async def test_something_else_on_the_port_is_told_apart() -> None:
    async def echo(connection: ServerConnection) -> None:
        await connection.send("hello")
        await connection.wait_closed()

    async with Gateway(echo).served() as url:
        with pytest.raises(GatewayError, match=r"does not speak sensor-gateway\.v1\.json"):
            await asyncio.wait_for(viewer(url)[0].run(), 10)


async def test_a_reader_that_goes_away_ends_it_without_an_error() -> None:
    """`watch … | head -1` took the broken pipe for the gateway's and tried again for ever."""

    async def talk(connection: ServerConnection) -> None:
        await gateway.welcome(connection)
        for offset in range(8, 100_000):
            await message(connection, offset, "x" * 1000)

    gateway = Gateway(talk)
    read, write = os.pipe()
    async with gateway.served() as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "watch", "a/#", "--url", url),
            stdout=write,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(write)
        await asyncio.to_thread(os.read, read, 1)
        os.close(read)
        _, error = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, error) == (0, b"-- connected to test as viewer\n")


async def test_a_disk_that_is_full_ends_it_and_is_not_taken_for_the_connection() -> None:
    async def talk(connection: ServerConnection) -> None:
        await gateway.welcome(connection)
        await message(connection, 8, "x")
        await connection.wait_closed()

    gateway = Gateway(talk)
    async with gateway.served() as url:
        with open("/dev/full", "wb") as full:  # noqa: ASYNC230
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "watch", "a/#", "--url", url),
                stdout=full,
                stderr=asyncio.subprocess.PIPE,
            )
        _, error = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 1
    assert error.splitlines()[1:] == [b"sensor-gateway: what comes cannot be written: No space left on device"]


class TestCertificates:
    async def test_one_that_nobody_vouches_for_is_refused_and_the_way_out_named(self, serving: ssl.SSLContext) -> None:
        async with Gateway().served(ssl=serving) as url:
            with pytest.raises(GatewayError, match=r"certificate not trusted .*: give --ca FILE or --insecure"):
                await asyncio.wait_for(viewer(url)[0].run(), 10)

    @pytest.mark.parametrize("how", ["ca", "insecure"])
    async def test_ca_and_insecure_let_it_in(self, serving: ssl.SSLContext, certificate: Any, how: str) -> None:
        done = asyncio.Event()

        async def serve_it(connection: ServerConnection) -> None:
            done.set()
            await connection.wait_closed()

        options = {"ca": certificate.ca} if how == "ca" else {"insecure": True}
        async with Gateway(serve_it).served(ssl=serving) as url:
            await watch_until(viewer(url, **options)[0], done)

    def test_a_file_without_certificates_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(GatewayError, match=r"nothing\.pem"):
            viewer("wss://localhost:1/stream", ca=tmp_path / "nothing.pem")


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:8880/", "ws://localhost:99999/stream", "ws://[::1", "wss:///x", ""),
        *("wss://box:8443/stream#token=x", "ws://gateway..lan/stream", "ws://localhost/\udcff"),
    ],
)
def test_an_address_that_is_no_stream_is_refused(url: str) -> None:
    with pytest.raises(GatewayError, match="expected ws://"):
        viewer(url)


@pytest.mark.parametrize("content", [b"", b"two tokens", b"gw_1_a\r\nX-Evil: 1", "gw_1_ü".encode()])
async def test_a_file_that_holds_no_token_is_named_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(GatewayError, match="it does not hold one token") as refused:
        await viewer("ws://localhost:1/stream", token_file=tmp_path / "token")[0].run()
    assert "gw_" not in str(refused.value)


async def test_a_welcome_that_is_said_again_tells_of_the_clock_and_is_not_answered() -> None:
    async def play(connection: ServerConnection) -> None:
        await gateway.welcome(connection)
        for clock in ("suspect", "ok"):
            await send(
                connection,
                type="welcome",
                gateway="test",
                role="viewer",
                epoch="e1",
                offset=7,
                upstreams=[],
                clock=clock,
            )
        await message(connection, 8, 1)
        pong = await connection.ping()
        await pong
        gateway.subscribed.set()
        await connection.wait_closed()

    gateway = Gateway(play)
    async with gateway.served() as url:
        watch, out, notes = viewer(url)
        await watch_until(watch, gateway.subscribed)

    assert len(gateway.subscribes) == 1
    assert out.getvalue() == "--:--:--.--- a/b 1\n"
    assert notes.getvalue().splitlines() == [
        "-- connected to test as viewer",
        "-- the gateway's clock may be wrong, and all times with it",
        "-- the gateway's clock is right again",
    ]
