"""`top`: clients, rates, queues and links of the running gateway, live. Needs the library `rich` (extra `tui`)."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from gateway.commands.running import sockets
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
            client["dialect"],
            _span(client["age"]),
            format_size(client["queue"]),
            f"{client['lost']:,}",
            "" if client["rtt"] is None else f"{client['rtt'] * 1000:.1f} ms",
            ", ".join(client["filters"]),
        )
        for client in furthest_behind
    ]
    return Tables(heading, links, clients)


def as_text(shown: Tables) -> str:
    """For a pipe, or a terminal that is looked at once."""
    parts = ["\n".join(shown.heading)]
    for columns, rows in ((LINK_COLUMNS, shown.links), (CLIENT_COLUMNS, shown.clients)):
        widths = [max(len(row[number]) for row in (columns, *rows)) for number in range(len(columns))]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (columns, *rows)
        )
        parts.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(parts)


def run_top(config: Path | None, *, once: bool, say: Callable[[str], None]) -> None:
    """Show the gateway until Ctrl-C, or once. Raises GatewayError where none answers, or `rich` is not there."""
    candidates = sockets(config)
    first = look(candidates, 200)
    if once:
        time.sleep(PERIOD)
        say(as_text(tables(look(candidates, 200), first)))
        return
    try:
        from rich.console import Group
        from rich.live import Live
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        raise GatewayError("live top needs rich: install 'sensor-gateway[tui]', or use top --once") from None

    def drawn(shown: Tables, height: int) -> Group:
        parts: list[Any] = [Text("\n".join(shown.heading), style="bold"), Text("")]
        room = max(3, height - len(shown.heading) - len(shown.links) - 6)
        for columns, rows in ((LINK_COLUMNS, shown.links), (CLIENT_COLUMNS, shown.clients[:room])):
            table = Table(box=None, pad_edge=False)
            for column in columns:
                table.add_column(column, no_wrap=True, overflow="ellipsis")
            for row in rows:
                # What clients call themselves is text, never markup.
                table.add_row(*(Text(cell) for cell in row))
            parts += [table, Text("")]
        return Group(*parts)

    try:
        with Live(screen=True, auto_refresh=False) as live:
            before: Look | None = None
            while True:
                live.update(drawn(tables(first, before), live.console.height), refresh=True)
                time.sleep(PERIOD)
                before, first = first, look(candidates, 200)
    except KeyboardInterrupt:
        return


def _span(seconds: float) -> str:
    return str(timedelta(seconds=max(0, int(seconds))))
