"""Node-RED's own nodes, unmodified, over WSS: `websocket in` (the native protocol) and `mqtt in`."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

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


def flows(port: int, ca: Path, folder: Path) -> list[dict[str, object]]:
    """What arrives by the WebSocket goes into one file, what arrives by MQTT into another."""
    sink = {"type": "file", "z": "tab", "filenameType": "str", "appendNewline": True, "overwriteFile": "false"}
    return [
        {"id": "tab", "type": "tab", "label": "test"},
        {"id": "tls", "type": "tls-config", "cert": "", "key": "", "ca": str(ca), "verifyservercert": True},
        {
            "id": "stream",
            "type": "websocket-client",
            "path": f"wss://localhost:{port}/stream?topic=sensors/%23",
            "tls": "tls",
            "wholemsg": "false",
        },
        {"id": "wsin", "type": "websocket in", "z": "tab", "client": "stream", "wires": [["wsfile"]]},
        {"id": "wsfile", "filename": str(folder / "websocket"), **sink},
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
        {
            "id": "mqttin",
            "type": "mqtt in",
            "z": "tab",
            "topic": "sensors/#",
            "qos": "1",
            "datatype": "utf8",
            "broker": "broker",
            "wires": [["mqttfile"]],
        },
        {"id": "mqttfile", "filename": str(folder / "mqtt"), **sink},
    ]


def wait_for(happened: Callable[[], bool], what: Callable[[], str], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit, what()
        time.sleep(0.05)  # files of another process have no event


@pytest.mark.slow
def test_node_red_follows_by_websocket_and_by_mqtt(secure_gateway, publisher, certificate, tmp_path):
    daemon = secure_gateway()

    def lines(name: str) -> list[str]:
        file = tmp_path / name
        return file.read_text().splitlines() if file.exists() else []

    def streamed() -> list[object]:
        messages = (json.loads(line) for line in lines("websocket") if line.endswith("}"))
        return [message["data"] for message in messages if message["type"] == "message"]

    publisher.publish("sensors/first", "0", retain=True)
    with NodeRed(flows(daemon.port, certificate.ca, tmp_path)) as red:
        wait_for(lambda: streamed() == [0] and lines("mqtt") == ["0"], lambda: red.log)
        publisher.burst("sensors/a", 10_000)
        wanted = [str(number) for number in range(10_000)]
        wait_for(lambda: len(lines("mqtt")) > 10_000 and len(streamed()) > 10_000, lambda: red.log)
        assert lines("mqtt")[1:] == wanted
        assert [str(value) for value in streamed()[1:]] == wanted
        daemon.stop()
        daemon.start()
        # Each reconnects in its own time (the WebSocket after 3 s, MQTT after 15).
        with publisher.rhythm(5, lambda number: ("sensors/b", "after")):
            wait_for(lambda: "after" in streamed() and '"after"' in lines("mqtt"), lambda: red.log)
