"""A link in a process of its own, for tests that kill it or lie to it about the time.

    python -m support.linkprocess SETTINGS [--file FILE]

SETTINGS is JSON of an Upstream's keys. Every change of state is a line of JSON on standard output. With `--file` every
payload is appended to FILE, one a line, and acknowledged to the broker only when it is on the disk.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway.config import Upstream
from gateway.hub.message import Message
from gateway.hub.ports import UpstreamState
from gateway.upstream.link import Link


class Disk:
    """Publisher that writes, and listener that prints."""

    busy = False

    def __init__(self, file: Path | None) -> None:
        self.link: Link | None = None
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if file else None

    def publish(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        if self._file is not None:
            os.write(self._file, b"".join(message.payload + b"\n" for message in messages))
            os.fsync(self._file)
        else:
            self.say(payloads=[message.payload.decode() for message in messages], time=messages[0].timestamp)
        if durable is not None:
            durable()

    def upstream_changed(self, state: UpstreamState) -> None:
        self.say(state=state.state, reason=state.reason, suspect=self.link is not None and self.link.clock_suspect)

    def upstream_gap(self, name: str) -> None:
        self.say(gap=name)

    def say(self, **facts: Any) -> None:
        print(json.dumps(facts), flush=True)


async def run(settings: Upstream, file: Path | None) -> None:
    disk = Disk(file)
    disk.link = Link(settings, publisher=disk, listener=disk, loop=asyncio.get_running_loop(), durable=True)
    disk.link.start()
    await asyncio.Event().wait()


def main() -> None:
    settings = msgspec.convert(json.loads(sys.argv[1]), Upstream, dec_hook=lambda kind, value: kind(value))
    file = Path(sys.argv[3]) if sys.argv[2:3] == ["--file"] else None
    asyncio.run(run(settings, file))


if __name__ == "__main__":
    main()
