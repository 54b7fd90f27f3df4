"""`top`: clients, rates, queues and links of the running gateway, live. Needs the library `rich` (extra `tui`)."""

import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from gateway.commands.columns import cells, padded, shortened
from gateway.commands.running import sockets
from gateway.commands.terminal import visible
from gateway.errors import GatewayError
from gateway.operations.control import ask
from gateway.units import format_size

PERIOD = 1.0


class Look(NamedTuple):
    """What the gateway said at one moment; `at` is monotonic seconds."""

    at: float
    status: dict[str, Any]
    clients: list[dict[str, Any]]


class Tables(NamedTuple):
    """What is shown: a heading of lines, links and clients as rows of text."""

    heading: list[str]
    links: list[tuple[str, ...]]
    clients: list[tuple[str, ...]]


LINK_COLUMNS = ("UPSTREAM", "STATE", "SINCE", "MSG/S", "MESSAGES", "WHY")
CLIENT_COLUMNS = ("SESSION", "ADDRESS", "ROLE", "DIALECT", "AGE", "QUEUE", "LOST", "RTT", "FILTERS")
#: what a narrow terminal does without, the first to go first; the last column has what is left of a line
_LESS = ("MESSAGES", "RTT", "DIALECT", "AGE", "MSG/S", "ROLE", "SINCE", "ADDRESS", "LOST")
_ENOUGH = 12  # columns of a terminal, for the last one


def look(candidates: list[Path], most: int) -> Look:
    """Ask once. Raises GatewayError where no gateway answers."""
    status = ask(candidates, {"do": "status"})
    clients = ask(candidates, {"do": "clients", "most": most})["clients"]
    return Look(time.monotonic(), status, clients)


def tables(now: Look, before: Look | None) -> Tables:
    """What a look shows; rates need the one before."""
    status = now.status
    old = before.status if before is not None else None
    span = now.at - before.at if before is not None else 0.0

    def rate(key: str) -> str:
        return "" if old is None or span <= 0 else f" ({(status[key] - old[key]) / span:,.0f}/s)"

    heading = [
        f"{status['name']} {status['version']}, up {_span(status['now'] - status['since'])}: {status['words']}",
        f"messages {status['received']:,}{rate('received')}   deliveries {status['delivered']:,}{rate('delivered')}   "
        f"lost {status['lost']:,}   topics {status['topics']:,}",
        f"memory {format_size(status['resident'])} of {format_size(status['budget'])}   "
        f"connections {status['connections']:,} of {status['connections_limit']:,}",
    ]
    heading += [f"UNHEALTHY {name}: {fault}" for name, fault in status["faults"].items()]
    earlier = {link["name"]: link["messages"] for link in old["upstreams"]} if old is not None else {}
    links: list[tuple[str, ...]] = []
    for link in status["upstreams"]:
        passed = link["messages"] - earlier.get(link["name"], link["messages"])
        links.append(
            (
                link["name"],
                link["state"],
                _span(status["now"] - link["since"]),
                f"{passed / span:,.0f}" if span > 0 else "",
                f"{link['messages']:,}",
                link.get("reason") or "",
            )
        )
    furthest_behind = sorted(now.clients, key=lambda client: (-client["queue"], -client["lost"], -client["age"]))
    clients: list[tuple[str, ...]] = [
        (
            client["session"],
            client["address"],
            client["user"] or client["role"],
            client["dialect"].removeprefix("sensor-gateway."),
            _span(client["age"]),
            format_size(client["queue"]),
            f"{client['lost']:,}",
            "" if client["rtt"] is None else f"{client['rtt'] * 1000:.1f} ms",
            ", ".join(client["filters"]),
        )
        for client in furthest_behind
    ]
    # What clients and brokers call things is text: nothing of it steers the terminal.
    return Tables([visible(line) for line in heading], [_shown(row) for row in links], [_shown(row) for row in clients])


def as_text(shown: Tables) -> str:
    """For a pipe, or a terminal that is looked at once: all there is, however long the lines are."""
    parts = [shown.heading, _lines(LINK_COLUMNS, shown.links), _lines(CLIENT_COLUMNS, shown.clients)]
    return "\n\n".join("\n".join(lines) for lines in parts)


def as_screen(shown: Tables, width: int, height: int) -> list[str]:
    """As many lines as a terminal of that size has, none wider: what is most worth seeing in little room."""
    heading = [part for line in shown.heading for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]]
    if len(heading) > height // 3:
        heading = shown.heading
    room = height - len(heading) - 4  # two blank lines, two lines of names
    links = _most(shown.links, max(1, room - min(len(shown.clients), room // 2)))
    clients = _most(shown.clients, max(1, room - len(links)))
    lines = [*heading, "", *_lines(LINK_COLUMNS, links, width), "", *_lines(CLIENT_COLUMNS, clients, width)]
    return [shortened(line, width) for line in lines[:height]]


def _most(rows: list[tuple[str, ...]], room: int) -> list[tuple[str, ...]]:
    """`rows`, or as many as there is room for, with a line that counts the others where it costs no one row of two."""
    if len(rows) <= room or room == 1:
        return rows[:room]
    return [*rows[: room - 1], (f"… {len(rows) - room + 1:,} more", *[""] * (len(rows[0]) - 1))]


def _lines(columns: tuple[str, ...], rows: list[tuple[str, ...]], width: int | None = None) -> list[str]:
    """Names and rows under each other, within `width` columns of a terminal."""
    table = [columns, *rows]
    widths = [max(cells(row[number]) for row in table) for number in range(len(columns))]
    if width is not None:
        widths = [*(min(each, max(10, width // 4)) for each in widths[:-1]), widths[-1]]
        for name in _LESS:
            if sum(widths[:-1]) + 2 * (len(widths) - 1) + min(widths[-1], _ENOUGH) <= width:
                break
            if name in table[0]:
                gone = table[0].index(name)
                table = [row[:gone] + row[gone + 1 :] for row in table]
                del widths[gone]
    return [
        "  ".join(padded(shortened(cell, room), room) for cell, room in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def run_top(config: Path | None, *, once: bool, say: Callable[[str], None]) -> None:
    """Show the gateway until Ctrl-C; once where that is asked for, or where there is no screen to show it on.

    Raises GatewayError where none answers, or `rich` is not there.
    """
    candidates = sockets(config)
    first = look(candidates, 200)
    if once or not sys.stdout.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        time.sleep(PERIOD)
        say(as_text(tables(look(candidates, 200), first)))
        return
    try:
        from rich.live import Live
        from rich.text import Text
    except ImportError:
        raise GatewayError("live top needs rich: install 'sensor-gateway[tui]', or use top --once") from None

    # Whoever is ended from elsewhere gives the terminal back as well.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        with Live(screen=True, auto_refresh=False) as live:
            before: Look | None = None
            while True:
                lines = as_screen(tables(first, before), *live.console.size)
                shown = Text("\n", no_wrap=True, overflow="crop").join(
                    Text(line, style="bold" if each in _bold(lines) else "") for each, line in enumerate(lines)
                )
                live.update(shown, refresh=True)
                time.sleep(PERIOD)
                before, first = first, look(candidates, 200)
    except KeyboardInterrupt:
        return


def _bold(lines: list[str]) -> set[int]:
    """The heading, and the names of columns: what stands above a blank line first, and below one."""
    blank = [number for number, line in enumerate(lines) if not line]
    return {*range(blank[0] if blank else len(lines)), *(number + 1 for number in blank)}


def _shown(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(visible(cell) for cell in row)


def _span(seconds: float) -> str:
    return str(timedelta(seconds=max(0, int(seconds))))
