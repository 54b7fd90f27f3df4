import json
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from support.daemon import Daemon
from support.terminal import Terminal
from websockets.asyncio.client import connect

from gateway.commands.columns import cells
from gateway.commands.top import Look, as_screen, as_text, tables

NOBODY = '[[upstream]]\nname = "main"\nurls = ["mqtt://127.0.0.1:1"]\n'
LEFT = b"\x1b[?1049l"  # the screen that was there before is back
CURSOR = b"\x1b[?25h"


def client(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "session": f"{number:016x}",
        "address": "192.168.1.23",
        "dialect": "sensor-gateway.v1.json",
        "role": "viewer",
        "user": "",
        "age": 90_061.0,
        "queue": 0,
        "lost": 0,
        "rtt": 0.0123,
        "filters": ["sensors/+/temperature", "sensors/+/humidity"],
    } | fields


def look(clients: list[dict[str, Any]], links: int = 2) -> Look:
    status = {
        "name": "boiler-room",
        "version": "1.0.0",
        "now": 1000.0,
        "since": 100.0,
        "words": "2 upstreams, 1 down since 14:02 (barn: connection refused); 31 clients",
        "received": 123_456,
        "delivered": 1_234_567,
        "lost": 89,
        "topics": 114,
        "resident": 41 << 20,
        "budget": 256 << 20,
        "connections": len(clients),
        "connections_limit": 1000,
        "faults": {},
        "upstreams": [
            {
                "name": f"a-broker-with-quite-a-long-name-{number}",
                "state": "connected",
                "since": 100.0,
                "messages": 1,
                "reason": "connection refused",
            }
            for number in range(links)
        ],
    }
    return Look(0.0, status, clients)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (40, 10), (20, 5), (200, 60), (1, 1)])
@pytest.mark.parametrize("links", [1, 30])
def test_it_fits_a_screen_of_any_size(columns: int, rows: int, links: int) -> None:
    many = [client(number, address="2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", user="温度计" * 9) for number in range(50)]
    shown = as_screen(tables(look(many, links), look(many, links)), columns, rows)
    assert len(shown) <= rows
    assert max(cells(line) for line in shown) <= columns


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (40, 10)])
def test_who_is_behind_and_how_far_stands_on_every_screen(columns: int, rows: int) -> None:
    """Session, queue and filters: a long name or dialect once left them a column of an ellipsis each."""
    clients = [client(number) for number in range(50)]
    clients[30] |= {"queue": 2 << 20, "lost": 4352}
    shown = as_screen(tables(look(clients), None), columns, rows)
    names = next(line for line in shown if line.startswith("SESSION"))
    first = shown[shown.index(names) + 1]
    assert first.startswith(clients[30]["session"][:9])
    assert first[names.index("QUEUE") :].startswith("2 MiB")
    assert first[names.index("LOST") :].startswith("4,352")
    assert first[names.index("FILTERS") :].startswith("sensors/")


def test_rows_that_have_no_room_are_counted() -> None:
    shown = as_screen(tables(look([client(number) for number in range(50)], links=30), None), 80, 24)
    counted = [int(line.split()[1]) for line in shown if line.startswith("…")]
    assert sum(counted) + len(shown) - 2 - shown.index("") - 4 == 80


def test_what_clients_call_themselves_steers_no_terminal() -> None:
    shown = tables(look([client(1, user="x\x1b[2Jy", filters=["a/\x1b]0;title\x07", "b\u202e"])]), None)
    assert shown.clients[0][2] == "x\\u001b[2Jy"
    assert shown.clients[0][-1] == "a/\\u001b]0;title\\u0007, b\\u202e"
    assert "\x1b" not in as_text(shown)


def top(daemon: Daemon, **environ: str) -> Terminal:
    command = [sys.executable, "-m", "gateway", "top", "--config", str(daemon.config_file)]
    return Terminal(command, columns=120, environ=environ)


async def test_a_filter_with_escapes_leaves_the_screen_alone_and_ctrl_c_gives_it_back(
    gateway: Callable[[str], Daemon],
) -> None:
    daemon = gateway(NOBODY)
    async with connect(daemon.url, compression=None, proxy=None) as viewer:
        await viewer.send(json.dumps({"type": "subscribe", "id": 1, "topics": ["a/\x1b[2J\x07"]}))
        while json.loads(await viewer.recv())["type"] != "ok":
            pass
        with top(daemon) as terminal:
            terminal.await_text(b"a/\\u001b[2J\\u0007")
            assert b"\x1b[2J\x07" not in terminal.written
            terminal.type(b"\x03")
            assert terminal.ended() == 0
    assert terminal.written.endswith(CURSOR + LEFT)


def test_who_is_told_to_end_gives_the_screen_back(gateway: Callable[[str], Daemon]) -> None:
    with top(gateway(NOBODY)) as terminal:
        terminal.await_text(b"SESSION")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.ended() == 128 + signal.SIGTERM
    assert terminal.written.endswith(CURSOR + LEFT)


def test_a_gateway_that_ends_is_one_line_on_the_screen_of_before(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(NOBODY)
    with top(daemon) as terminal:
        terminal.await_text(b"SESSION")
        daemon.stop()
        assert terminal.ended() == 1
    assert terminal.written.rpartition(LEFT)[2].startswith(b"sensor-gateway: no running gateway answers")
    assert b"Traceback" not in terminal.written


def test_without_a_screen_it_prints_once(gateway: Callable[[str], Daemon]) -> None:
    """In a pipe, and on a terminal that has no screen to be drawn on, it once ran on and said nothing."""
    daemon = gateway(NOBODY)
    with top(daemon, TERM="dumb") as terminal:
        assert terminal.ended() == 0
    assert b"SESSION" in terminal.written
    assert b"\x1b" not in terminal.written
