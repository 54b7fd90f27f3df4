"""Node-RED's own nodes, unmodified, over WSS: `websocket in` (the native protocol) and `mqtt in`."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.nodepackages import MISSING, installed
from support.processes import Process

HERE = Path(__file__).parent / "nodered"


class NodeRed(Process):
    """Node-RED on flows of its own, in a folder of its own."""

    def __init__(self, flows: list[dict[str, object]]) -> None:
        super().__init__(None)
        (self.folder / "flows.json").write_text(json.dumps(flows))

    def command(self) -> Sequence[str]:
        node = shutil.which("node")
        assert node is not None, MISSING
        program = installed(HERE) / "node-red" / "red.js"
        return [node, str(program), "--userDir", str(self.folder), "--port", str(self.port), "flows.json"]


def flows(port: int, ca: Path, folder: Path, *, stream: str, topics: dict[str, str]) -> list[dict[str, object]]:
    """What arrives by the WebSocket of the filter `stream` goes into the file `websocket`, what becomes of it into
    `status`; what arrives by MQTT, of each filter of `topics`, into the file that it names."""
    sink = {"type": "file", "z": "tab", "filenameType": "str", "appendNewline": True, "overwriteFile": "false"}
    told = [
        {"id": "tab", "type": "tab", "label": "test"},
        {"id": "tls", "type": "tls-config", "cert": "", "key": "", "ca": str(ca), "verifyservercert": True},
        {
            "id": "stream",
            "type": "websocket-client",
            "path": f"wss://localhost:{port}/stream?topic={quote(stream)}",
            "tls": "tls",
            "wholemsg": "false",
        },
        {"id": "wsin", "type": "websocket in", "z": "tab", "client": "stream", "wires": [["websocket"]]},
        {"id": "websocket", "filename": str(folder / "websocket"), **sink},
        {"id": "state", "type": "status", "z": "tab", "scope": ["wsin"], "wires": [["event"]]},
        {
            "id": "event",
            "type": "change",
            "z": "tab",
            "rules": [{"t": "set", "p": "payload", "pt": "msg", "to": "status.event", "tot": "msg"}],
            "wires": [["status"]],
        },
        {"id": "status", "filename": str(folder / "status"), **sink},
        {
            "id": "broker",
            "type": "mqtt-broker",
            "broker": f"wss://localhost:{port}/mqtt",
            "tls": "tls",
            "usetls": True,
            "protocolVersion": "5",
            "cleansession": True,
            "keepalive": "60",
        },
    ]
    for topic, name in topics.items():
        told += [
            {
                "id": f"in-{name}",
                "type": "mqtt in",
                "z": "tab",
                "topic": topic,
                "qos": "1",
                "datatype": "utf8",
                "broker": "broker",
                "wires": [[name]],
            },
            {"id": name, "filename": str(folder / name), **sink},
        ]
    return told


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[str], list[str]]:
    """A function that reads what Node-RED has written into a file, by its name."""

    def read(name: str) -> list[str]:
        file = tmp_path / name
        return [line for line in file.read_text().split("\n")[:-1] if line] if file.exists() else []

    return read


@pytest.fixture
def streamed(lines: Callable[[str], list[str]]) -> Callable[[str], list[dict[str, Any]]]:
    """A function that gives the objects of one type that came by the WebSocket."""

    def read(kind: str) -> list[dict[str, Any]]:
        return [told for told in map(json.loads, lines("websocket")) if told["type"] == kind]

    return read


def wait_for(happened: Callable[[], bool], what: Callable[[], str], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit, what()
        time.sleep(0.05)  # files of another process have no event


@pytest.mark.slow
def test_node_red_follows_by_websocket_and_by_mqtt(secure_gateway, publisher, certificate, tmp_path, lines, streamed):
    daemon = secure_gateway()

    def values() -> list[object]:
        return [message["data"] for message in streamed("message")]

    publisher.publish("sensors/first", "0", retain=True)
    wanted = flows(daemon.port, certificate.ca, tmp_path, stream="sensors/#", topics={"sensors/#": "mqtt"})
    with NodeRed(wanted) as red:
        wait_for(lambda: values() == [0] and lines("mqtt") == ["0"], lambda: red.log)
        publisher.burst("sensors/a", 10_000)
        wait_for(lambda: len(lines("mqtt")) > 10_000 and len(values()) > 10_000, lambda: red.log)
        assert lines("mqtt")[1:] == [str(number) for number in range(10_000)]
        assert values()[1:] == list(range(10_000))
        daemon.stop()
        daemon.start()
        # Each reconnects in its own time (the WebSocket after 3 s, MQTT after 15).
        with publisher.rhythm(5, lambda number: ("sensors/b", "after")):
            wait_for(lambda: "after" in values() and '"after"' in lines("mqtt"), lambda: red.log)


@pytest.mark.slow
def test_node_red_gets_nothing_that_is_forbidden(secure_gateway, publisher, certificate, tmp_path, lines):
    daemon = secure_gateway()
    topics = {"secret/#": "secret", "open/#": "open"}
    with NodeRed(flows(daemon.port, certificate.ca, tmp_path, stream="secret/#", topics=topics)) as red:
        publisher.publish("secret/x", "hidden", retain=True)
        publisher.publish("open/x", "seen", retain=True)
        # Twice: the node tries again by itself.
        wait_for(lambda: lines("status").count("disconnect") >= 2, lambda: red.log)
        wait_for(lambda: lines("open") == ["seen"], lambda: red.log)
        publisher.publish("secret/x", "hidden")
        publisher.publish("open/x", "again")
        wait_for(lambda: lines("open")[-1] == "again", lambda: red.log)
        assert lines("secret") == []
        assert not [line for line in lines("websocket") if "hidden" in line]
    assert "denied secret/#" in daemon.log


@pytest.mark.slow
def test_node_red_that_stood_still_knows_what_it_missed(
    secure_gateway, publisher, certificate, tmp_path, lines, streamed, flood_through
):
    daemon = secure_gateway(slow=True)
    publisher.publish("flood/first", {"number": -1}, retain=True)
    topics = {"$gateway/events": "events", "flood/#": "mqtt"}
    with NodeRed(flows(daemon.port, certificate.ca, tmp_path, stream="flood/#", topics=topics)) as red:
        wait_for(lambda: streamed("replayed") != [] and lines("mqtt") != [], lambda: red.log)
        red.suspend()
        total = flood_through(daemon)
        red.resume()
        wait_for(lambda: lines("mqtt")[-1:] == ["end"] and streamed("message")[-1]["data"] == "end", lambda: red.log)
        gaps = [told for told in map(json.loads, lines("events")) if told["type"] == "gap"]
        for numbers, missed in (
            ([message["data"]["number"] for message in streamed("message")[1:-1]], streamed("gap")),
            ([json.loads(line)["number"] for line in lines("mqtt")[1:-1]], gaps),
        ):
            assert numbers == sorted(numbers)
            assert len(numbers) < total - 1
            assert len(numbers) + sum(gap["count"] for gap in missed) == total - 1
