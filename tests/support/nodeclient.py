"""A real client in Node, driven by JSON lines: commands go in, what happens comes out."""

import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class NodeClient:
    """A driver script with its options; a context manager."""

    def __init__(self, node: str, script: Path, authority: Path, **options: Any) -> None:
        self._command = [node, str(script), json.dumps(options)]
        self._environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(authority)}
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.seen: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._complain)]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # a command that it never read

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._events.put(json.loads(line))

    def _complain(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._events.put({"event": "stderr", "line": line})

    def do(self, verb: str, **facts: Any) -> None:
        """Have it do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": verb, **facts}) + "\n")
        self._process.stdin.flush()

    def next(self, *kinds: str, seconds: float = 15.0) -> dict[str, Any]:
        """The next thing that happened of these kinds (of any, without); fails where it does not come in time."""
        limit = time.monotonic() + seconds
        while True:
            try:
                event = self._events.get(timeout=max(0.0, limit - time.monotonic()))
            except queue.Empty:
                wanted = " or ".join(kinds)
                raise AssertionError(f"no {wanted} within {seconds} s; the last: {self.seen[-5:]}") from None
            self.seen.append(event)
            if not kinds or event["event"] in kinds:
                return event

    def many(self, count: int, kind: str = "message", *, seconds: float = 60.0) -> list[dict[str, Any]]:
        """The next `count` things of one kind."""
        return [self.next(kind, seconds=seconds) for _ in range(count)]
